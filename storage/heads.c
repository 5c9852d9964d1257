#include "storage/heads.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool.h"
#include "storage/webm_scan.h"
#include "storage/worker.h"

#define EVERY_S   5
#define STEP      (64 << 20) /* bytes a turn, after a restart */
#define PIECE     (64 * 1024)
#define FILES_MAX 1024

/* Only until it is signed: then the whole file is known. */
static const char seen_sql[] =
    "INSERT INTO evidence AS e (segment_id, head_from, head_to, head_sha256, "
    "head_at) SELECT $1::uuid, $2::bigint, $3::bigint, $4::bytea, now() "
    "WHERE EXISTS (SELECT FROM segments WHERE id = $1::uuid) "
    "ON CONFLICT (segment_id) DO UPDATE SET head_from = excluded.head_from, "
    "head_to = excluded.head_to, head_sha256 = excluded.head_sha256, "
    "head_at = now() WHERE e.root IS NULL";

/* One growing file: its hash so far covers scan.header_len up to at. */
struct head {
	struct worker_job work; /* first */
	TAILQ_ENTRY(head) link;
	struct heads *set;
	char id[37];
	int fd;
	bool is_busy, is_wanted;
	/* of the thread while is_busy */
	struct webm_scan scan;
	uint64_t at, told;
	crypto_hash_sha256_state sum;
	int err;
};
TAILQ_HEAD(head_list, head);

struct heads {
	struct daemon *d;
	struct workers *workers;
	struct event *timer;
	struct head_list files;
	unsigned n;
};

static void
head_free(struct head *h)
{
	TAILQ_REMOVE(&h->set->files, h, link);
	h->set->n--;
	webm_scan_release(&h->scan);
	close(h->fd);
	free(h);
}

static int
hash_more(struct head *h, uint64_t to)
{
	uint8_t buf[PIECE];

	while (h->at < to) {
		ssize_t n = pread(h->fd, buf,
		    (size_t)min_u64(sizeof(buf), to - h->at), (off_t)h->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR_IO;
		crypto_hash_sha256_update(&h->sum, buf, (size_t)n);
		h->at += (uint64_t)n;
	}
	return 0;
}

static void
run(struct worker_job *work)
{
	struct head *h = (struct head *)work;
	int rc = webm_scan_more(&h->scan, h->fd);

	h->err = rc < 0 ? rc : 0;
	if (rc < 0 || h->scan.bytes == 0)
		return;
	if (h->at < h->scan.header_len || h->scan.was_cut) {
		crypto_hash_sha256_init(&h->sum);
		h->at = h->scan.header_len;
		h->told = 0;
		h->scan.was_cut = false;
	}
	h->err = hash_more(h, min_u64(h->scan.bytes, h->at + STEP));
}

static void
tell(struct head *h)
{
	crypto_hash_sha256_state copy = h->sum;
	uint8_t sum[32];
	char from[24], to[24], hex[67] = "\\x";
	const char *params[] = { h->id, from, to, hex };

	crypto_hash_sha256_final(&copy, sum);
	http_hex(sum, sizeof(sum), hex + 2);
	snprintf(from, sizeof(from), "%" PRIu64, h->scan.header_len);
	snprintf(to, sizeof(to), "%" PRIu64, h->at);
	/* away: the next turn has more to tell anyhow */
	if (db_query_now(h->set->d->db, seen_sql, 4, params, NULL, NULL) == 0)
		h->told = h->at;
}

static void
done(struct worker_job *work)
{
	struct head *h = (struct head *)work;

	h->is_busy = false;
	if (h->err != 0)
		log_warn("head_unreadable", LOG_S("segment", h->id),
		    LOG_S("why", err_text(h->err)));
	else if (h->is_wanted && h->at > h->told && h->at > h->scan.header_len)
		tell(h);
	if (!h->is_wanted || h->err != 0)
		head_free(h);
}

static void
want(struct heads *set, const struct item *it)
{
	struct head *h;

	TAILQ_FOREACH(h, &set->files, link)
	if (strcmp(h->id, it->id) == 0) {
		h->is_wanted = true;
		return;
	}
	h = set->n < FILES_MAX ? calloc(1, sizeof(*h)) : NULL;
	if (h == NULL)
		return;
	h->fd = spool_open_file(it, ".webm.part");
	if (h->fd < 0) {
		free(h);
		return;
	}
	h->set = set;
	h->is_wanted = true;
	h->work.run = run;
	h->work.done = done;
	strcpy(h->id, it->id);
	TAILQ_INSERT_TAIL(&set->files, h, link);
	set->n++;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct heads *set = arg;
	struct head *h, *next;
	const struct item *it;

	TAILQ_FOREACH(h, &set->files, link)
	h->is_wanted = false;
	TAILQ_FOREACH(it, &set->d->spool->items, link)
	if (it->state == ITEM_RECORDING && it->is_registered)
		want(set, it);
	for (h = TAILQ_FIRST(&set->files); h != NULL; h = next) {
		next = TAILQ_NEXT(h, link);
		if (h->is_busy)
			continue;
		if (!h->is_wanted) {
			head_free(h);
			continue;
		}
		h->is_busy = true;
		workers_submit(set->workers, &h->work);
	}
}

int
heads_new(struct daemon *d)
{
	struct heads *set = calloc(1, sizeof(*set));
	struct timeval tv = { EVERY_S, 0 };

	if (set == NULL)
		return ERR_NOMEM;
	d->heads = set;
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
heads_free(struct heads *set)
{
	struct head *h;

	if (set == NULL)
		return;
	if (set->timer != NULL)
		event_free(set->timer);
	if (set->workers != NULL)
		workers_free(set->workers);
	while ((h = TAILQ_FIRST(&set->files)) != NULL)
		head_free(h);
	free(set);
}
