#include "storage/clips/clip_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/clips/clip_build_internal.h"
#include "storage/daemon.h"

static const char row_sql[] =
    "SELECT c.from_ms, c.to_ms, c.reason, c.author, utc_text(c.made_at), "
    "g.id, g.status, coalesce(g.store, ''), coalesce(e.object_key, ''), "
    "coalesce(encode(e.root, 'hex'), ''), "
    "coalesce(encode(e.manifest_sha256, 'hex'), '') "
    "FROM clips c JOIN segments g ON g.id = c.segment_id "
    "LEFT JOIN evidence e ON e.segment_id = g.id "
    "WHERE c.id = $1::uuid AND g.object_key = $2";
enum {
	FROM_MS,
	TO_MS,
	REASON,
	AUTHOR,
	MADE_AT,
	SEGMENT,
	STATUS,
	STORE,
	MANIFEST_KEY,
	ROOT,
	MANIFEST_SHA256
};

static void
build_free(struct clip_build *b)
{
	b->d->clips_building--;
	clip_build_release_work(b);
	if (b->root >= 0)
		close(b->root);
	if (b->manifest_fd >= 0)
		close(b->manifest_fd);
	if (b->parts_fd >= 0)
		close(b->parts_fd);
	if (b->out_fd >= 0)
		close(b->out_fd);
	free(b->manifest);
	free(b);
}

/* Tells, and frees b. */
static void
finish(struct clip_build *b)
{
	struct clip_result r = {
		.err = b->err, .text = b->text, .fd = -1, .manifest = NULL
	};

	b->d->counters.files_active--;
	if (b->d->exiting) {
		build_free(b);
		return;
	}
	if (b->err == 0) {
		r.fd = b->out_fd;
		r.manifest = b->manifest;
		b->out_fd = -1;
		b->manifest = NULL;
	} else
		log_warn("clip_not_made", LOG_S("clip", b->key.id),
		    LOG_S("why", b->text));
	b->done(b->arg, &r);
	build_free(b);
}

int
clip_build_fail(struct clip_build *b, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b->text, sizeof(b->text), fmt, ap);
	va_end(ap);
	b->err = err;
	return err;
}

/* ---- what is read from S3 ---- */

static void next(struct clip_build *b);

static int
write_part(struct clip_build *b, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n =
		    pwrite(clip_build_target(b), data, len, (off_t)b->at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return clip_build_fail(b, ERR_NOSPACE,
			    "The spool has no room for a clip: %s.",
			    strerror(errno));
		data += n;
		b->at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static void
on_data(void *arg, const struct store_data *data)
{
	struct clip_build *b = arg;

	if (b->d->exiting) {
		finish(b);
		return;
	}
	if (data->err != 0 || data->len == 0)
		clip_build_fail(b,
		    data->err == ERR_NOTFOUND ? ERR_NOTFOUND : ERR_UNAVAILABLE,
		    "The store does not give the recording now: %.120s",
		    data->detail);
	else if (write_part(b, data->bytes, data->len) == 0) {
		memcpy(b->etag, data->etag, sizeof(b->etag));
		b->end = min_u64(b->end, data->size);
	}
	next(b);
}

static void
read_store(struct clip_build *b)
{
	struct store *store = b->d->store;
	const struct store_read read = { .key = clip_build_source(b),
		.etag = b->etag,
		.offset = b->at,
		.len = min_u64(STORE_READ_MAX, b->end - b->at),
		.on_data = on_data,
		.arg = b };

	if (store->ops->read(store, &read) == 0)
		return;
	clip_build_fail(b, ERR_UNAVAILABLE, "The store takes no request now.");
	finish(b);
}

/* ---- one step after the other ---- */

static void
on_stepped(struct worker_job *work)
{
	next((struct clip_build *)work);
}

static void
next(struct clip_build *b)
{
	if (b->err != 0 || b->phase == CLIP_DONE) {
		finish(b);
		return;
	}
	if (b->root < 0 && b->at < b->end) {
		read_store(b);
		return;
	}
	b->work.run = b->root < 0 ? clip_build_step : clip_build_all;
	b->work.done = on_stepped;
	workers_submit(b->d->workers, &b->work);
}

/* ---- the beginning ---- */

/* A file of its own, where recordings are written anyway. */
static int
open_nameless(const char *dir)
{
	char path[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	snprintf(path, sizeof(path), "%s/.clip-XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int
open_files(struct clip_build *b)
{
	const char *dir = b->d->spool_conf.dir;
	uint64_t need = (uint64_t)b->d->spool_conf.min_free_bytes +
	    2 * CLIP_BYTES_MAX * b->d->clips_building;
	struct statvfs st;

	if (statvfs(dir, &st) != 0 ||
	    (uint64_t)st.f_bavail * st.f_frsize < need)
		return clip_build_fail(b, ERR_NOSPACE,
		    "The spool has too little room for a clip.");
	b->manifest_fd = memfd_create("manifest", MFD_CLOEXEC);
	b->parts_fd = open_nameless(dir);
	b->out_fd = open_nameless(dir);
	if (b->d->store->ops->read == NULL)
		b->root = open(b->d->store_conf.folder,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->manifest_fd < 0 || b->parts_fd < 0 || b->out_fd < 0 ||
	    (b->root < 0 && b->d->store->ops->read == NULL))
		return clip_build_fail(b, ERR_IO,
		    "No file can be made for a clip: %s.", strerror(errno));
	return 0;
}

static int
take_row(struct clip_build *b, PGresult *res)
{
	const char *status = PQgetvalue(res, 0, STATUS);

	if (strcmp(status, "available") != 0)
		return clip_build_fail(b, ERR_NOTFOUND,
		    "The recording of this clip is %.20s.", status);
	if (strcmp(PQgetvalue(res, 0, STORE), b->d->store->ops->name) != 0 ||
	    http_unhex(PQgetvalue(res, 0, ROOT), b->expected_root, 32) != 0 ||
	    !object_key_is_manifest(PQgetvalue(res, 0, MANIFEST_KEY)))
		return clip_build_fail(b, ERR_NOTFOUND,
		    "The recording of this clip is not in this store.");
	b->is_manifest_known = http_unhex(PQgetvalue(res, 0, MANIFEST_SHA256),
				   b->manifest_sha256, 32) == 0;
	b->from_ms = strtoll(PQgetvalue(res, 0, FROM_MS), NULL, 10);
	b->to_ms = strtoll(PQgetvalue(res, 0, TO_MS), NULL, 10);
	snprintf(
	    b->reason, sizeof(b->reason), "%s", PQgetvalue(res, 0, REASON));
	snprintf(
	    b->author, sizeof(b->author), "%s", PQgetvalue(res, 0, AUTHOR));
	snprintf(
	    b->made_at, sizeof(b->made_at), "%s", PQgetvalue(res, 0, MADE_AT));
	snprintf(
	    b->segment, sizeof(b->segment), "%s", PQgetvalue(res, 0, SEGMENT));
	snprintf(b->manifest_key, sizeof(b->manifest_key), "%s",
	    PQgetvalue(res, 0, MANIFEST_KEY));
	return 0;
}

static void
on_row(void *arg, PGresult *res)
{
	struct clip_build *b = arg;

	if (b->d->exiting)
		b->err = ERR_CANCELLED;
	else if (!db_ok(res, "find clip"))
		clip_build_fail(b, ERR_UNAVAILABLE,
		    "The database is away, so the clip cannot be made.");
	else if (PQntuples(res) != 1)
		clip_build_fail(b, ERR_NOTFOUND, "There is no such clip.");
	else if (take_row(b, res) == 0 && open_files(b) == 0)
		b->end = MANIFEST_MAX;
	next(b);
}

int
clip_build(struct daemon *d, const struct clip_key *key, clip_built_cb *done,
    void *arg)
{
	struct clip_build *b = calloc(1, sizeof(*b));
	const char *params[] = { key->id, key->recording };

	if (b == NULL)
		return ERR_NOMEM;
	b->d = d;
	b->key = *key;
	b->done = done;
	b->arg = arg;
	b->signer = signing_signer(d->signing);
	b->root = b->manifest_fd = b->parts_fd = b->out_fd = -1;
	d->clips_building++;
	if (db_query_now(d->db, row_sql, 2, params, on_row, b) != 0) {
		build_free(b);
		return ERR_UNAVAILABLE;
	}
	d->counters.files_active++;
	return 0;
}
