#include "storage/evidence/prefix_hash.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "capture/capture_scan.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/spool/spool.h"
#include "webm/webm_scan.h"
#include "storage/hash.h"
#include "storage/storage_worker.h"

#define EVERY_S   5
#define STEP      (64 << 20) /* bytes a turn, after a restart */
#define FILES_MAX 1024

/* Only until it is signed: then the whole file is known. */
static const char segment_prefix_sql[] =
    "INSERT INTO evidence AS e (segment_id, head_from, head_to, head_sha256, "
    "head_at) SELECT $1::uuid, $2::bigint, $3::bigint, $4::bytea, now() "
    "WHERE EXISTS (SELECT FROM segments WHERE id = $1::uuid) "
    "ON CONFLICT (segment_id) DO UPDATE SET head_from = excluded.head_from, "
    "head_to = excluded.head_to, head_sha256 = excluded.head_sha256, "
    "head_at = now() WHERE e.root IS NULL AND "
    "coalesce(e.head_to, 0) < excluded.head_to";

/* Until it is encoded: then its segments have evidence of their own. */
static const char capture_prefix_sql[] =
    "INSERT INTO capture_heads AS h (segment_id, head_from, head_to, "
    "head_sha256, "
    "head_at) SELECT $1::uuid, $2::bigint, $3::bigint, $4::bytea, now() "
    "WHERE EXISTS (SELECT FROM segments WHERE id = $1::uuid) "
    "ON CONFLICT (segment_id) DO UPDATE SET head_to = excluded.head_to, "
    "head_sha256 = excluded.head_sha256, head_at = now() "
    "WHERE h.head_to < excluded.head_to";

/* The prefix that the database knows: written by us, or by the storage before
 * us. */
static const char known_segment_sql[] =
    "SELECT head_from, head_to, encode(head_sha256, 'hex') FROM evidence "
    "WHERE segment_id = $1::uuid AND head_to IS NOT NULL";
static const char known_capture_sql[] =
    "SELECT head_from, head_to, encode(head_sha256, 'hex') "
    "FROM capture_heads WHERE segment_id = $1::uuid";

/* The prefix whose hash the database has; to is 0 when it has none. */
struct known_prefix {
	uint64_t from, to;
	uint8_t sha256[32];
};

/*
 * One growing file: its hash so far covers `from` up to at. A recorder only
 * appends, so a known prefix stays the same. A file whose prefix differs from
 * the known one is another file: nothing is stored of it again, and the known
 * prefix speaks against it when it is closed.
 */
struct prefix_hash {
	struct worker_job work; /* first */
	TAILQ_ENTRY(prefix_hash) link;
	struct prefix_hashes *set;
	char id[37], session[SPOOL_FOLDER_MAX];
	int fd;
	bool is_capture;
	bool is_busy, is_wanted;
	bool is_known;    /* the known prefix was asked for */
	bool was_refused; /* it is another file */
	/* of the thread while is_busy */
	struct webm_scan webm;
	struct capture_scan capture;
	uint64_t from, at;
	struct known_prefix known;
	struct sha256 *sum;
	int err;
};
TAILQ_HEAD(prefix_hash_list, prefix_hash);

struct prefix_hashes {
	struct daemon *d;
	struct workers *workers;
	struct event *timer;
	struct prefix_hash_list files;
	unsigned n;
};

static void
prefix_hash_free(struct prefix_hash *h)
{
	TAILQ_REMOVE(&h->set->files, h, link);
	h->set->n--;
	webm_scan_release(&h->webm);
	sha256_free(h->sum);
	close(h->fd);
	free(h);
}

static int
hash_more(struct prefix_hash *h, uint64_t to)
{
	int rc = hash_bytes(h->fd, &h->at, to, h->sum, NULL);

	return rc == ERR_EOF ? ERR_IO : rc;
}

/* At the end of the known prefix: are these the bytes? */
static int
compare_known(const struct prefix_hash *h)
{
	uint8_t sum[32];

	if (sha256_peek(h->sum, sum) != 0)
		return ERR_NOMEM;
	return h->from == h->known.from &&
		memcmp(sum, h->known.sha256, sizeof(sum)) == 0
	    ? 0
	    : ERR_CORRUPT;
}

/* Hashes what is new of bytes [from, to). */
static int
follow(struct prefix_hash *h, uint64_t from, uint64_t to, bool *was_cut)
{
	uint64_t end;
	int rc;

	/* a recorder begins a file anew before its first frame, not later */
	if (*was_cut && h->known.to != 0)
		return ERR_CORRUPT;
	if (to == 0)
		return 0;
	if (h->at == 0 || *was_cut) {
		sha256_begin(h->sum);
		h->at = h->from = from;
		*was_cut = false;
	}
	end = min_u64(to, h->at + STEP);
	if (h->at >= h->known.to)
		return hash_more(h, end);
	rc = hash_more(h, min_u64(end, h->known.to));
	return rc == 0 && h->at == h->known.to ? compare_known(h) : rc;
}

static int
follow_webm(struct prefix_hash *h)
{
	int rc = webm_scan_more(&h->webm, h->fd);

	return rc < 0
	    ? rc
	    : follow(h, h->webm.header_len, h->webm.bytes, &h->webm.was_cut);
}

static int
follow_capture(struct prefix_hash *h)
{
	int rc = capture_scan_more(&h->capture, h->fd);

	return rc < 0 ? rc
		      : follow(h, 0, h->capture.bytes, &h->capture.was_cut);
}

static void
run(struct worker_job *work)
{
	struct prefix_hash *h = (struct prefix_hash *)work;

	h->err = h->is_capture ? follow_capture(h) : follow_webm(h);
}

static void
store_prefix(struct prefix_hash *h)
{
	uint8_t sum[32];
	char from[24], to[24], hex[67] = "\\x";
	const char *params[] = { h->id, from, to, hex };

	if (sha256_peek(h->sum, sum) != 0)
		return; /* the next turn tells more */
	http_hex(sum, sizeof(sum), hex + 2);
	snprintf(from, sizeof(from), "%" PRIu64, h->from);
	snprintf(to, sizeof(to), "%" PRIu64, h->at);
	/* away: the next turn has more to tell anyhow */
	if (db_query_now(h->set->d->db,
		h->is_capture ? capture_prefix_sql : segment_prefix_sql, 4,
		params, NULL, NULL) != 0)
		return;
	h->known = (struct known_prefix){ .from = h->from, .to = h->at };
	memcpy(h->known.sha256, sum, sizeof(sum));
}

static void
done(struct worker_job *work)
{
	struct prefix_hash *h = (struct prefix_hash *)work;

	h->is_busy = false;
	if (h->err == ERR_CORRUPT) {
		h->was_refused = true;
		log_error("head_differs", LOG_S("segment", h->id),
		    LOG_S("session", h->session), LOG_U("to", h->known.to));
	} else if (h->err != 0)
		log_warn("head_unreadable", LOG_S("segment", h->id),
		    LOG_S("session", h->session),
		    LOG_S("why", err_text(h->err)));
	else if (h->is_wanted && h->at > h->known.to && h->at > h->from)
		store_prefix(h);
	if (!h->is_wanted || (h->err != 0 && !h->was_refused))
		prefix_hash_free(h);
}

static void
on_known_prefix(void *arg, PGresult *res)
{
	struct prefix_hash *h = arg;

	h->is_busy = false;
	if (res == NULL || !db_ok(res, "read what was seen"))
		return; /* asked again */
	h->is_known = true;
	if (PQntuples(res) == 0)
		return;
	h->known.from = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
	h->known.to = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	h->was_refused =
	    http_unhex(PQgetvalue(res, 0, 2), h->known.sha256, 32) != 0;
}

static void
ask_known_prefix(struct prefix_hash *h)
{
	const char *params[] = { h->id };

	h->is_busy = db_query_now(h->set->d->db,
			 h->is_capture ? known_capture_sql : known_segment_sql,
			 1, params, on_known_prefix, h) == 0;
}

/* Whether that file is followed already; it is wanted then. */
static bool
is_followed(struct prefix_hashes *set, const char *id)
{
	struct prefix_hash *h;

	TAILQ_FOREACH(h, &set->files, link)
		if (strcmp(h->id, id) == 0) {
			h->is_wanted = true;
			return true;
		}
	return false;
}

/* fd: taken; negative: there is none. */
static void
add(struct prefix_hashes *set, const struct spool_row *r, int fd,
    bool is_capture)
{
	struct prefix_hash *h =
	    fd >= 0 && set->n < FILES_MAX ? calloc(1, sizeof(*h)) : NULL;

	if (h != NULL && (h->sum = sha256_new()) == NULL) {
		free(h);
		h = NULL;
	}
	if (h == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	h->fd = fd;
	h->set = set;
	h->is_capture = is_capture;
	h->is_wanted = true;
	h->work.run = run;
	h->work.done = done;
	strcpy(h->id, r->id);
	strcpy(h->session, r->folder);
	TAILQ_INSERT_TAIL(&set->files, h, link);
	set->n++;
}

/* What its row is known of and its recorder still writes. */
static void
find_growing(struct prefix_hashes *set)
{
	const struct capture *c;
	const struct spool_segment *sg;

	TAILQ_FOREACH(sg, &set->d->spool->segments, link)
		if (sg->row.state == SPOOL_RECORDING && sg->row.is_registered &&
		    !is_followed(set, sg->row.id))
			add(set, &sg->row,
			    spool_row_open(&sg->row, ".webm.part"), false);
	TAILQ_FOREACH(c, &set->d->encode_queue->captures, link)
		if (c->row.state == SPOOL_RECORDING && c->row.is_known &&
		    !is_followed(set, c->row.id))
			add(set, &c->row,
			    spool_row_open(&c->row, ".capture.part"), true);
}

uint64_t
prefix_hashes_whole_bytes(const struct prefix_hashes *set, const char *segment)
{
	const struct prefix_hash *h;

	TAILQ_FOREACH(h, &set->files, link)
		if (strcmp(h->id, segment) == 0)
			return h->is_busy || h->is_capture || h->was_refused
			    ? 0
			    : h->webm.bytes;
	return 0;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct prefix_hashes *set = arg;
	struct prefix_hash *h, *next;

	TAILQ_FOREACH(h, &set->files, link)
		h->is_wanted = false;
	find_growing(set);
	for (h = TAILQ_FIRST(&set->files); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->is_busy)
			continue;
		if (!h->is_wanted) {
			prefix_hash_free(h);
			continue;
		}
		if (!h->is_known)
			ask_known_prefix(h);
		else if (!h->was_refused) {
			h->is_busy = true;
			workers_submit(set->workers, &h->work);
		}
	}
}

int
prefix_hashes_new(struct daemon *d)
{
	struct prefix_hashes *set = calloc(1, sizeof(*set));
	struct timeval tv = { EVERY_S, 0 };

	if (set == NULL)
		return ERR_NOMEM;
	d->prefix_hashes = set;
	set->d = d;
	TAILQ_INIT(&set->files);
	set->workers = workers_new(d->base, 1);
	set->timer = event_new(d->base, -1, EV_PERSIST, on_timer, set);
	return set->workers != NULL && set->timer != NULL &&
		event_add(set->timer, &tv) == 0
	    ? 0
	    : ERR_NOMEM;
}

void
prefix_hashes_free(struct prefix_hashes *set)
{
	struct prefix_hash *h;

	if (set == NULL)
		return;
	if (set->timer != NULL)
		event_free(set->timer);
	if (set->workers != NULL)
		workers_free(set->workers);
	while ((h = TAILQ_FIRST(&set->files)) != NULL)
		prefix_hash_free(h);
	free(set);
}
