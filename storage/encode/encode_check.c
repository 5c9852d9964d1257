/* Before it is encoded: is the capture the one whose growing was seen (X3)? */
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "capture/capture_scan.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_turns.h"
#include "storage/hash.h"
#include "storage/storage_worker.h"

struct encode_check {
	struct worker_job work; /* first */
	struct capture *c;
	const atomic_bool *stopping;
	int fd;
	bool was_seen;    /* while it grew: to and want are known */
	uint64_t to;      /* bytes that were seen */
	uint8_t want[32]; /* their SHA-256 */
	uint8_t found[32];
	struct capture_scan scan; /* of all of it: how long it is */
	int err;
};

/* A file that is shorter than it was has another sum. */
static int
hash_start(struct encode_check *k)
{
	struct sha256 *sum = sha256_new();
	uint64_t at = 0;
	int rc;

	if (sum == NULL)
		return ERR_NOMEM;
	rc = hash_bytes(k->fd, &at, k->to, sum, k->stopping);
	if (rc == 0 || rc == ERR_EOF)
		rc = sha256_end(sum, k->found);
	sha256_free(sum);
	return rc;
}

/* Another file, or the same one written to: nobody can set ctime back. */
static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	    a->st_size == b->st_size &&
	    a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	    a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

bool
encode_check_holds(const struct capture *c)
{
	char name[SPOOL_NAME_MAX];
	struct stat st;

	return fstatat(c->row.dir, spool_row_name(&c->row, ".capture", name),
		   &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    is_same_file(&st, &c->checked);
}

/* To the last whole block. */
static int
measure(struct encode_check *k)
{
	uint64_t before;
	int rc;

	do {
		before = k->scan.bytes;
		rc = capture_scan_more(&k->scan, k->fd);
	} while (
	    rc == 0 && k->scan.bytes > before && !atomic_load(k->stopping));
	return rc;
}

static void
run(struct worker_job *work)
{
	struct encode_check *k = (struct encode_check *)work;

	k->err = k->was_seen ? hash_start(k) : 0;
	if (k->err == 0)
		k->err = measure(k);
}

void
encode_check_free(struct capture *c)
{
	if (c->check == NULL)
		return;
	close(c->check->fd);
	free(c->check);
	c->check = NULL;
}

/* It stays where it is, for somebody to look at. */
static void
refuse(struct capture *c, uint64_t to)
{
	char why[160];

	snprintf(why, sizeof(why),
	    "the first %" PRIu64 " bytes of the capture are not those that "
	    "were recorded",
	    to);
	log_error("capture_differs", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder), LOG_U("to", to));
	c->row.d->counters.encodes_failed++;
	spool_row_retry(&c->row, CAUSE_CAPTURE_DIFFERS, why);
}

static void
done(struct worker_job *work)
{
	struct encode_check *k = (struct encode_check *)work;
	struct capture *c = k->c;
	uint64_t to = k->to;
	bool is_same = !k->was_seen ||
	    sodium_memcmp(k->found, k->want, sizeof(k->want)) == 0;
	uint64_t last_ns = k->scan.last_ns;
	int err = k->err;

	encode_check_free(c);
	if (c->row.d->exiting || c->row.d->stopping)
		spool_row_move(&c->row, CAUSE_ENCODER_STOPPED, NULL);
	else if (err != 0)
		encode_job_failed(c, "the capture cannot be read");
	else if (!is_same)
		refuse(c, to);
	else if (!encode_check_holds(c))
		encode_job_failed(c, "the capture was changed meanwhile");
	else {
		c->limit_s = encode_limit_s((uint64_t)c->row.m.start_mono_ns,
		    last_ns, c->row.d->conf.encode_seconds);
		encode_job_run(c);
	}
}

void
encode_check_start(struct capture *c, const char *to, const char *sha256)
{
	struct encode_check *k;
	size_t len;
	char name[SPOOL_NAME_MAX];

	if (fstatat(c->row.dir, spool_row_name(&c->row, ".capture", name),
		&c->checked, AT_SYMLINK_NOFOLLOW) != 0) {
		encode_job_failed(c, "the capture cannot be checked");
		return;
	}
	k = calloc(1, sizeof(*k));
	if (k != NULL) {
		k->fd = -1;
		/* else it was over before anything was seen of it */
		k->was_seen = to[0] != '\0';
	}
	if (k == NULL || (k->fd = spool_row_open(&c->row, ".capture")) < 0 ||
	    (k->was_seen &&
		(sodium_hex2bin(k->want, sizeof(k->want), sha256,
		     strlen(sha256), NULL, &len, NULL) != 0 ||
		    len != sizeof(k->want)))) {
		if (k != NULL && k->fd >= 0)
			close(k->fd);
		free(k);
		encode_job_failed(c, "the capture cannot be checked");
		return;
	}
	k->c = c;
	k->stopping = &c->q->stopping;
	k->to = strtoull(to, NULL, 10);
	k->work.run = run;
	k->work.done = done;
	c->check = k;
	workers_submit(c->q->checkers, &k->work);
}
