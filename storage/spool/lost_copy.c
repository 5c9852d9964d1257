#include "storage/spool/lost_copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "manifest/manifest.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"
#include "storage/spool/stop_point.h"
#include "storage/storage_worker.h"

#define PREFIX     ".recover-"
#define FOLDER_MAX (sizeof(PREFIX) + 36)

struct copying {
	struct worker_job work; /* first */
	struct daemon *d;
	struct lost_copy copy;
	lost_copied_cb *cb;
	void *arg;
	struct lost_copied what;
	int dir, fd;
	uint64_t at, size;
	char etag[100];
	struct sha256 *part, *head;
};

static void ask(struct copying *c);

static char *
folder_name(const char *segment, char out[FOLDER_MAX])
{
	snprintf(out, FOLDER_MAX, PREFIX "%.36s", segment);
	return out;
}

static void
finish(struct copying *c)
{
	if (c->fd >= 0)
		close(c->fd);
	if (c->dir >= 0)
		close(c->dir);
	sha256_free(c->part);
	sha256_free(c->head);
	c->d->counters.store_jobs--;
	c->cb(c->arg, &c->what);
	free(c);
}

static void
fail(struct copying *c, int err, const char *why)
{
	store_fail(&c->what.r, err, "%s", why);
	finish(c);
}

/* ---- the end, on a thread ---- */

static int
write_manifest(const struct copying *c)
{
	char name[SPOOL_NAME_MAX];
	size_t len = strlen(c->copy.manifest);
	int fd =
	    openat(c->dir, spool_name("", c->copy.segment, ".json.open", name),
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	int rc = fd >= 0 && write(fd, c->copy.manifest, len) == (ssize_t)len &&
		fsync(fd) == 0
	    ? 0
	    : ERR_IO;

	if (fd >= 0)
		close(fd);
	return rc;
}

static void
run_end(struct worker_job *work)
{
	struct copying *c = (struct copying *)work;

	if (fsync(c->fd) != 0 || write_manifest(c) != 0 || fsync(c->dir) != 0)
		store_fail(&c->what.r, ERR_IO, "spool: %s", strerror(errno));
}

static void
on_end(struct worker_job *work)
{
	finish((struct copying *)work);
}

static void
end(struct copying *c)
{
	c->what.bytes = c->size;
	if (sha256_end(c->head, c->what.head_sha256) != 0) {
		fail(c, ERR_NOMEM, "out of memory");
		return;
	}
	c->work.run = run_end;
	c->work.done = on_end;
	workers_submit(c->d->workers, &c->work);
}

/* ---- the bytes ---- */

static uint64_t
part_end(const struct copying *c)
{
	uint64_t n = c->at / c->copy.part_bytes + 1;

	return min_u64(n * c->copy.part_bytes, c->size);
}

/* The part that ends at c->at is one that was noted. */
static bool
is_noted(struct copying *c)
{
	size_t i = (c->at - 1) / c->copy.part_bytes;
	uint64_t len = c->at - i * c->copy.part_bytes;
	uint8_t sum[SHA256_LEN];

	if (i >= c->copy.n_parts || sha256_end(c->part, sum) != 0)
		return false;
	for (int k = 0; k < 2; k++)
		if (c->copy.parts[i].bytes[k] == len &&
		    memcmp(c->copy.parts[i].sha256[k], sum, sizeof(sum)) == 0)
			return true;
	return false;
}

static bool
has_room(const struct copying *c)
{
	struct statvfs st;

	return fstatvfs(c->dir, &st) == 0 &&
	    (uint64_t)st.f_bavail * st.f_frsize >=
	    c->size + (uint64_t)c->d->spool_conf.min_free_bytes;
}

/* 0 or ERR_IO. */
static int
keep(struct copying *c, const struct store_data *data)
{
	uint64_t skip = c->copy.head_from > c->at
	    ? min_u64(c->copy.head_from - c->at, data->len)
	    : 0;

	if (pwrite(c->fd, data->bytes, data->len, (off_t)c->at) !=
	    (ssize_t)data->len)
		return ERR_IO;
	sha256_add(c->part, data->bytes, data->len);
	sha256_add(c->head, data->bytes + skip, data->len - skip);
	c->at += data->len;
	return 0;
}

static void
on_data(void *arg, const struct store_data *data)
{
	struct copying *c = arg;
	uint64_t to;

	if (c->d->exiting || data->err != 0) {
		fail(c, data->err != 0 ? data->err : ERR_CANCELLED,
		    data->detail);
		return;
	}
	if (c->at == 0)
		c->size = data->size;
	to = part_end(c);
	if (data->len == 0 || data->size != c->size || data->len > to - c->at)
		fail(c, ERR_CORRUPT, "the store sent other bytes than asked");
	else if (c->at == 0 && !has_room(c))
		fail(c, ERR_NOSPACE, "too little room in the spool");
	else if (keep(c, data) != 0)
		fail(c, ERR_IO, strerror(errno));
	else if (c->at == to && !is_noted(c))
		fail(c, ERR_CORRUPT,
		    "what the store has is not what was sent to it");
	else if (c->at == c->size)
		end(c);
	else {
		snprintf(c->etag, sizeof(c->etag), "%s", data->etag);
		ask(c);
	}
}

static void
ask(struct copying *c)
{
	uint64_t left = (c->at == 0 ? c->copy.part_bytes : part_end(c)) - c->at;
	struct store_read read = { .key = c->copy.key,
		.etag = c->etag,
		.offset = c->at,
		.len = min_u64(left, STORE_READ_MAX),
		.on_data = on_data,
		.arg = c };

	if (c->d->stopping || c->d->store->ops->read(c->d->store, &read) != 0)
		fail(c, ERR_CANCELLED, "stopped");
}

/* 0, or ERR_IO and errno. */
static int
open_files(struct copying *c)
{
	char folder[FOLDER_MAX], name[SPOOL_NAME_MAX];
	int spool = c->d->spool->dir;
	struct stat st;

	folder_name(c->copy.segment, folder);
	/* of the spool's mode, less what others may do there */
	if (fstat(spool, &st) != 0 ||
	    (mkdirat(spool, folder, 0700) != 0 && errno != EEXIST))
		return ERR_IO;
	c->dir = spool_folder_open(spool, folder);
	if (c->dir < 0 || fchmod(c->dir, st.st_mode & 02770) != 0)
		return ERR_IO;
	c->fd =
	    openat(c->dir, spool_name("", c->copy.segment, ".webm.part", name),
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	return c->fd >= 0 ? 0 : ERR_IO;
}

int
lost_copy_start(struct daemon *d, const struct lost_copy *copy,
    lost_copied_cb *cb, void *arg)
{
	struct copying *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	c->d = d;
	c->copy = *copy;
	c->cb = cb;
	c->arg = arg;
	c->dir = c->fd = -1;
	c->part = sha256_new();
	c->head = sha256_new();
	d->counters.store_jobs++;
	if (c->part == NULL || c->head == NULL)
		fail(c, ERR_NOMEM, "out of memory");
	else if (open_files(c) != 0)
		fail(c, ERR_IO, strerror(errno));
	else
		ask(c);
	return 0;
}

/* ---- the folder ---- */

/* Media first: a manifest without media would say that it is missing, and media
 * without a manifest is left alone until lost_copy_tidy. */
static const char *const suffixes_[] = { ".webm.part", ".json.open" };

static void
remove_folder(int spool, const char *folder)
{
	char name[SPOOL_NAME_MAX], id[37];
	int dir = spool_folder_open(spool, folder);

	if (dir < 0)
		return;
	snprintf(id, sizeof(id), "%s", folder + strlen(PREFIX));
	for (size_t i = 0; i < N_ELEMENTS(suffixes_); i++)
		unlinkat(dir, spool_name("", id, suffixes_[i], name), 0);
	close(dir);
	unlinkat(spool, folder, AT_REMOVEDIR);
}

/* 0, ERR_EXISTS or ERR_IO. What is moved already is no error. */
static int
move_files(int spool, const char *segment, const char *session)
{
	char folder[FOLDER_MAX], name[SPOOL_NAME_MAX];
	int from = spool_folder_open(spool, folder_name(segment, folder));
	int to = spool_folder_open(spool, session), rc = 0;

	if (from < 0 || to < 0)
		rc = ERR_IO;
	for (size_t i = 0; rc == 0 && i < N_ELEMENTS(suffixes_); i++) {
		spool_name("", segment, suffixes_[i], name);
		if (renameat2(from, name, to, name, RENAME_NOREPLACE) != 0 &&
		    errno != ENOENT)
			rc = errno == EEXIST ? ERR_EXISTS : ERR_IO;
		if (i == 0)
			stop_point("lost_copy_half_placed");
	}
	if (rc == 0 && fsync(to) != 0)
		rc = ERR_IO;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	if (rc == 0)
		unlinkat(spool, folder, AT_REMOVEDIR);
	return rc;
}

int
lost_copy_place(struct daemon *d, const char *segment, const char *session)
{
	char folder[FOLDER_MAX];
	int spool = d->spool->dir, rc = 0;

	folder_name(segment, folder);
	if (renameat(spool, folder, spool, session) != 0)
		rc = errno == ENOTEMPTY || errno == EEXIST
		    ? move_files(spool, segment, session)
		    : ERR_IO;
	if (rc != 0)
		return rc;
	stop_point("lost_copy_placed");
	if (fsync(spool) != 0)
		log_error("spool_sync", LOG_S("segment", segment),
		    LOG_S("session", session), LOG_ERRNO());
	return 0;
}

void
lost_copy_remove(struct daemon *d, const char *segment)
{
	char folder[FOLDER_MAX];

	remove_folder(d->spool->dir, folder_name(segment, folder));
}

/* Its media is in the session's folder, its manifest is not yet. False: it is
 * not so. */
static bool
end_move(int spool, const char *segment)
{
	char folder[FOLDER_MAX], name[SPOOL_NAME_MAX], err[160];
	int dir = spool_folder_open(spool, folder_name(segment, folder));
	struct manifest m = { .segment = "" };
	struct stat st;
	bool is_half = dir >= 0 &&
	    fstatat(dir, spool_name("", segment, ".webm.part", name), &st,
		AT_SYMLINK_NOFOLLOW) != 0 &&
	    errno == ENOENT &&
	    manifest_load(&m, dir, spool_name("", segment, ".json.open", name),
		segment, false, err, sizeof(err)) == 0;

	if (dir >= 0)
		close(dir);
	if (is_half)
		is_half =
		    fstatat(spool,
			spool_name(m.session, segment, ".webm.part", name), &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    move_files(spool, segment, m.session) == 0;
	manifest_release(&m);
	return is_half;
}

void
lost_copy_tidy(struct daemon *d)
{
	int fd = spool_folder_open(d->spool->dir, "");
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (list == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(list)) != NULL)
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)) == 0 &&
		    is_uuid(e->d_name + strlen(PREFIX)) &&
		    !end_move(d->spool->dir, e->d_name + strlen(PREFIX)))
			remove_folder(d->spool->dir, e->d_name);
	closedir(list);
}
