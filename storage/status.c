#include "storage/status.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/metrics_server.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/node.h"
#include "storage/spool/spool.h"

#define M "relaycam_storage_"

struct status {
	struct daemon *d;
	struct metrics_server *server;
};

struct metric {
	const char *name, *labels, *type, *help;
	uint64_t value;
};

static void
print(struct evbuffer *out, const struct metric *m, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || strcmp(m[i].name, m[i - 1].name) != 0)
			evbuffer_add_printf(out,
			    "# HELP " M "%s %s\n# TYPE " M "%s %s\n", m[i].name,
			    m[i].help, m[i].name, m[i].type);
		evbuffer_add_printf(out, M "%s%s %llu\n", m[i].name,
		    m[i].labels, (unsigned long long)m[i].value);
	}
}

static void
print_counters(struct evbuffer *out, const struct counters *c)
{
	const struct metric rows[] = {
		{ "transfers_total", "{result=\"ok\"}", "counter",
		    "Transfers to the store.", c->transfers_ok },
		{ "transfers_total", "{result=\"failed\"}", "counter", "",
		    c->transfers_failed },
		{ "stored_bytes_total", "", "counter",
		    "Bytes stored and verified.", c->bytes_stored },
		{ "parts_total", "{kind=\"sent\"}", "counter",
		    "Parts of S3 uploads.", c->parts_sent },
		{ "parts_total", "{kind=\"resumed\"}", "counter", "",
		    c->parts_resumed },
		{ "s3_requests_total", "", "counter", "Tries of S3 requests.",
		    c->s3_requests },
		{ "s3_retries_total", "", "counter",
		    "S3 requests that were tried again.", c->s3_retries },
		{ "s3_errors_total", "", "counter",
		    "S3 requests that failed in the end or found nothing.",
		    c->s3_errors },
		{ "repairs_total", "{result=\"ok\"}", "counter",
		    "Segments whose recorder died.", c->repairs_ok },
		{ "repairs_total", "{result=\"failed\"}", "counter", "",
		    c->repairs_failed },
		{ "encodes_total", "{result=\"ok\"}", "counter",
		    "Captures that were encoded.", c->encodes_ok },
		{ "encodes_total", "{result=\"failed\"}", "counter", "",
		    c->encodes_failed },
		{ "quarantined_total", "", "counter",
		    "Recordings set aside: not of their folder's session.",
		    c->quarantined },
		{ "removed_total", "{why=\"expired\"}", "counter",
		    "Objects removed from the store.", c->expired },
		{ "removed_total", "{why=\"deleted\"}", "counter", "",
		    c->deleted },
		{ "remove_errors_total", "", "counter",
		    "Objects that could not be removed.", c->expiry_failed },
		{ "checked_total", "", "counter",
		    "Stored objects compared with their rows.", c->checked },
		{ "check_findings_total", "{what=\"corrupted\"}", "counter",
		    "Stored objects that were not as they should be.",
		    c->check_corrupted },
		{ "check_findings_total", "{what=\"missing\"}", "counter", "",
		    c->check_missing },
		{ "files_total", "{code=\"200\"}", "counter",
		    "Answers of the server of signed files.", c->files_ok },
		{ "files_total", "{code=\"206\"}", "counter", "",
		    c->files_partial },
		{ "files_total", "{code=\"403\"}", "counter", "",
		    c->files_denied },
		{ "files_total", "{code=\"404\"}", "counter", "",
		    c->files_notfound },
		{ "files_total", "{code=\"503\"}", "counter", "",
		    c->files_refused },
		{ "files_bytes_total", "", "counter",
		    "Bytes of signed files sent.", c->files_bytes },
		{ "files_resumed_total", "", "counter",
		    "Requests whose link had died and that had a grant.",
		    c->files_resumed },
		{ "files_active", "", "gauge", "Downloads under way.",
		    (uint64_t)c->files_active },
		{ "files_paused", "", "gauge",
		    "Of these, downloads whose client takes nothing.",
		    (uint64_t)c->files_paused },
	};

	print(out, rows, N_ELEMENTS(rows));
}

static void
print_spool(struct evbuffer *out, const struct daemon *d)
{
	const struct spool *s = d->spool;
	struct statvfs vfs = { 0 };
	struct metric rows[] = {
		{ "spool_waiting_bytes", "", "gauge",
		    "Closed segments that are not stored yet.",
		    s->bytes_waiting },
		{ "spool_free_bytes", "", "gauge",
		    "Free space where the spool is.", 0 },
		{ "captures_waiting", "", "gauge",
		    "Captures that wait for an encoder.",
		    encode_queue_count(d->encode_queue, CAPTURE_WAITING) },
		{ "captures_encoding", "", "gauge",
		    "Captures that are being encoded.",
		    encode_queue_count(d->encode_queue, CAPTURE_ENCODING) },
		{ "captures_failed", "", "gauge",
		    "Captures whose encoding failed; tried again at the next "
		    "start.",
		    encode_queue_count(d->encode_queue, CAPTURE_FAILED) },
		{ "database_connected", "", "gauge",
		    "1 while PostgreSQL answers.",
		    db_is_connected(d->db) ? 1 : 0 },
	};

	if (fstatvfs(s->dir, &vfs) == 0)
		rows[1].value = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	evbuffer_add_printf(out,
	    "# HELP " M "spool_segments Segments in the spool by state.\n"
	    "# TYPE " M "spool_segments gauge\n");
	for (int i = 0; i < ITEM_STATES; i++)
		evbuffer_add_printf(out, M "spool_segments{state=\"%s\"} %u\n",
		    item_state_names[i], s->n_state[i]);
	print(out, rows, N_ELEMENTS(rows));
}

static unsigned
print_metrics(void *arg, struct evbuffer *out)
{
	struct status *s = arg;

	print_spool(out, s->d);
	print_counters(out, &s->d->counters);
	return 200;
}

static unsigned
print_readyz(void *arg, struct evbuffer *out)
{
	struct status *s = arg;
	const char *trouble = node_trouble(s->d->node);

	if (s->d->stopping)
		evbuffer_add_printf(out, "stopping\n");
	else if (trouble != NULL)
		evbuffer_add_printf(out, "the database %s\n", trouble);
	else {
		evbuffer_add_printf(out, "ok\n");
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
