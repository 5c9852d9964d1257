#include "storage/storage_status.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/metrics_print.h"
#include "common/metrics_server.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/node.h"
#include "storage/spool/spool.h"
#include "storage/upload/receiver.h"

#define M "relaycam_storage_"

struct status {
	struct daemon *d;
	struct metrics_server *server;
};

static void
print_counters(struct metrics_out *out, const struct counters *c)
{
	const struct metric rows[] = {
		{ "transfers_total", "counter", "Transfers to the store.",
		    c->transfers_ok, "result", "ok" },
		{ "transfers_total", "counter", "", c->transfers_failed,
		    "result", "failed" },
		{ "stored_bytes_total", "counter", "Bytes stored and verified.",
		    c->bytes_stored },
		{ "parts_total", "counter", "Parts of S3 uploads.",
		    c->parts_sent, "kind", "sent" },
		{ "parts_total", "counter", "", c->parts_resumed, "kind",
		    "resumed" },
		{ "s3_requests_total", "counter", "Tries of S3 requests.",
		    c->s3_requests },
		{ "s3_retries_total", "counter",
		    "S3 requests that were tried again.", c->s3_retries },
		{ "s3_errors_total", "counter",
		    "S3 requests that failed in the end or found nothing.",
		    c->s3_errors },
		{ "repairs_total", "counter", "Segments whose recorder died.",
		    c->repairs_ok, "result", "ok" },
		{ "repairs_total", "counter", "", c->repairs_failed, "result",
		    "failed" },
		{ "encodes_total", "counter", "Captures that were encoded.",
		    c->encodes_ok, "result", "ok" },
		{ "encodes_total", "counter", "", c->encodes_failed, "result",
		    "failed" },
		{ "quarantined_total", "counter",
		    "Recordings set aside: not of their folder's session.",
		    c->quarantined },
		{ "removed_total", "counter", "Objects removed from the store.",
		    c->expired, "why", "expired" },
		{ "removed_total", "counter", "", c->deleted, "why",
		    "deleted" },
		{ "remove_errors_total", "counter",
		    "Objects that could not be removed.", c->expiry_failed },
		{ "captures_received_total", "counter",
		    "Captures of devices that arrived whole.",
		    c->captures_received },
		{ "captures_refused_total", "counter",
		    "Captures of devices that were not what was sent or "
		    "ordered.",
		    c->captures_refused },
		{ "checked_total", "counter",
		    "Stored objects compared with their rows.", c->checked },
		{ "checks_total", "counter",
		    "Comparisons of store and rows that were completed here.",
		    c->checks },
		{ "check_findings_total", "counter",
		    "Stored objects that were not as they should be.",
		    c->check_corrupted, "what", "corrupted" },
		{ "check_findings_total", "counter", "", c->check_missing,
		    "what", "missing" },
		{ "files_total", "counter",
		    "Answers of the server of signed files.", c->files_ok,
		    "code", "200" },
		{ "files_total", "counter", "", c->files_partial, "code",
		    "206" },
		{ "files_total", "counter", "", c->files_denied, "code",
		    "403" },
		{ "files_total", "counter", "", c->files_notfound, "code",
		    "404" },
		{ "files_total", "counter", "", c->files_refused, "code",
		    "503" },
		{ "files_bytes_total", "counter", "Bytes of signed files sent.",
		    c->files_bytes },
		{ "files_resumed_total", "counter",
		    "Requests whose link had died and that had a grant.",
		    c->files_resumed },
		{ "files_active", "gauge", "Downloads under way.",
		    (uint64_t)c->files_active },
		{ "files_paused", "gauge",
		    "Of these, downloads whose client takes nothing.",
		    (uint64_t)c->files_paused },
	};

	metrics_print(out, M, rows, N_ELEMENTS(rows));
}

/* Since a time of the wall clock, 0: of nothing. */
static uint64_t
age_ms(int64_t wall_ns)
{
	uint64_t now = clock_wall_ns();

	return wall_ns > 0 && now > (uint64_t)wall_ns
	    ? (now - (uint64_t)wall_ns) / NS_PER_MS
	    : 0;
}

static void
print_spool(struct metrics_out *out, const struct daemon *d)
{
	const struct spool *s = d->spool;
	struct statvfs vfs = { 0 };
	struct metric states[SPOOL_STATES];
	struct metric rows[] = {
		{ "audit_writes_total", "counter",
		    "Rows written to the audit log of the site, by all "
		    "programs.",
		    node_audit_writes(d->node) },
		{ "spool_waiting_bytes", "gauge",
		    "Closed segments that are not stored yet.",
		    s->bytes_waiting },
		{ "spool_free_bytes", "gauge", "Free space where the spool is.",
		    0 },
		{ "spool_oldest_seconds", "gauge",
		    "Age of the oldest closed segment that is not stored.",
		    age_ms(s->oldest_wall_ns), NULL, NULL, 1000 },
		{ "encode_lag_seconds", "gauge",
		    "Age of the oldest capture that waits for its encoding.",
		    age_ms(encode_queue_oldest(d->encode_queue)), NULL, NULL,
		    1000 },
		{ "captures_waiting", "gauge",
		    "Captures that wait for an encoder.",
		    encode_queue_count(d->encode_queue, SPOOL_CLOSED) +
			encode_queue_count(d->encode_queue, SPOOL_WAIT) },
		{ "captures_encoding", "gauge",
		    "Captures that are being encoded.",
		    encode_queue_count(d->encode_queue, SPOOL_ENCODING) },
		{ "captures_failed", "gauge",
		    "Captures whose encoding failed; tried again at the next "
		    "start.",
		    encode_queue_count(d->encode_queue, SPOOL_FAILED) },
		{ "capture_uploads", "gauge",
		    "Captures of devices that are not whole yet.",
		    receiver_uploads(d->receiver) },
		{ "capture_uploads_active", "gauge",
		    "Of these, those that are being sent.",
		    receiver_active(d->receiver) },
		{ "database_connected", "gauge", "1 while PostgreSQL answers.",
		    db_is_connected(d->db) ? 1 : 0 },
		{ "store_is_there", "gauge",
		    "0 while the folder of the store is not the one that "
		    "recordings are in.",
		    store_trouble(d->store) == NULL ? 1 : 0 },
	};

	if (fstatvfs(s->dir, &vfs) == 0)
		rows[2].value = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	for (int i = 0; i < SPOOL_STATES; i++)
		states[i] = (struct metric){ "spool_segments", "gauge",
			"Segments in the spool by state.", s->n_state[i],
			"state", spool_state_names[i] };
	metrics_print(out, M, states, SPOOL_STATES);
	metrics_print(out, M, rows, N_ELEMENTS(rows));
}

static unsigned
print_metrics(void *arg, struct metrics_out *out)
{
	struct status *s = arg;

	print_spool(out, s->d);
	print_counters(out, &s->d->counters);
	metrics_print_process(out, M);
	return 200;
}

static unsigned
print_readyz(void *arg, struct metrics_out *out)
{
	struct status *s = arg;
	const char *trouble = node_trouble(s->d->node);

	if (s->d->stopping)
		evbuffer_add_printf(out->body, "stopping\n");
	else if (trouble != NULL)
		evbuffer_add_printf(out->body, "the database %s\n", trouble);
	else {
		evbuffer_add_printf(out->body, "ok\n");
		return 200;
	}
	return 503;
}

static const struct metrics_page pages[] = {
	{ "/metrics", print_metrics },
	{ "/healthz", metrics_print_healthz },
	{ "/readyz", print_readyz },
};

int
status_new(struct daemon *d, char *err, size_t err_len)
{
	struct status *s = calloc(1, sizeof(*s));
	struct metrics_server_conf conf = { .setting = "storage.metrics_listen",
		.listen = d->conf.metrics_listen,
		.pages = pages,
		.n_pages = N_ELEMENTS(pages),
		.arg = s };

	if (s == NULL)
		return ERR_NOMEM;
	d->status = s;
	s->d = d;
	return metrics_server_new(&s->server, d->base, &conf, err, err_len);
}

void
status_free(struct status *s)
{
	if (s == NULL)
		return;
	metrics_server_free(s->server);
	free(s);
}
