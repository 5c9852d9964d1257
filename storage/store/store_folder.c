/*
 * The folder store: objects are files. A copy is written to
 * ".<segment>.part" in its final folder, synced, read back and compared with
 * the SHA-256 of the source, renamed, and the folder is synced. Verified is:
 * size and SHA-256 of what the file system gives back after its caches for
 * that file were dropped. A copy cut off by a crash is continued at its end;
 * reading back proves the old beginning too. Nothing is done in a folder
 * without the mark of this store (folder_mark.h): it is not mounted.
 */
#include "storage/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/sha256.h"
#include "common/store_mark.h"
#include "common/write_all.h"
#include "storage/counters.h"
#include "manifest/object_key.h"
#include "storage/store/folder_list.h"
#include "storage/store/folder_mark.h"
#include "storage/storage_worker.h"

#define CHUNK     (256 * 1024)
#define SYNC_STEP (32 << 20) /* bounds dirty pages while copying */

struct folder_store {
	struct store store;
	struct workers *workers;
	struct counters *counters;
	struct folder_mark *mark;
	atomic_bool stopping;
};

struct folder_job {
	struct worker_job work;
	struct folder_store *store;
	char id[UUID_TEXT_MAX]; /* of the store */
	struct store_put put;
	char key[OBJECT_KEY_MAX + 1];
	struct store_object object;
	store_done_cb *cb;
	void *arg;
	struct store_result r;
};

int
store_fail(struct store_result *r, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
	r->err = err;
	return err;
}

static int
fail_errno(struct store_result *r, const char *what)
{
	int err = errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;

	return store_fail(
	    r, err, "folder store: %s: %s", what, strerror(errno));
}

/*
 * SHA-256 of bytes bytes of fd from its start; out >= 0 gets those after
 * `have`, which it holds already.
 */
static int
hash_copy(struct folder_job *j, int fd, uint64_t bytes, int out, uint64_t have,
    uint8_t sha256[32])
{
	struct sha256 *sum = sha256_new();
	uint8_t *chunk = malloc(CHUNK);
	uint64_t at = 0;
	int rc = ERR_NOMEM;

	if (sum == NULL || chunk == NULL)
		goto out;
	while (at < bytes) {
		ssize_t n = pread(
		    fd, chunk, (size_t)min_u64(CHUNK, bytes - at), (off_t)at);

		if (atomic_load(&j->store->stopping)) {
			rc = store_fail(&j->r, ERR_CANCELLED, "stopped");
			goto out;
		}
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			rc = fail_errno(&j->r, "read");
			goto out;
		}
		sha256_add(sum, chunk, (size_t)n);
		if (out >= 0 && at >= have &&
		    write_all(out, chunk, (size_t)n) != 0) {
			rc = fail_errno(&j->r, "write");
			goto out;
		}
		at += (uint64_t)n;
		if (out >= 0 && at % SYNC_STEP == 0)
			fdatasync(out);
	}
	rc = sha256_end(sum, sha256);
out:
	sha256_free(sum);
	free(chunk);
	return rc;
}

/* Size and SHA-256 of what is stored as name; 0 or ERR_*. */
static int
read_back(struct folder_job *j, int dir, const char *name, uint64_t bytes,
    const uint8_t want[32])
{
	int fd =
	    openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	uint8_t got[32];
	struct stat st;
	int rc;

	if (fd < 0)
		return errno == ENOENT
		    ? store_fail(&j->r, ERR_NOTFOUND, "the stored file is gone")
		    : fail_errno(&j->r, "open");
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		rc = store_fail(&j->r, ERR_CORRUPT, "not a regular file");
	else if ((uint64_t)st.st_size != bytes)
		rc = store_fail(&j->r, ERR_CORRUPT,
		    "size differs: %lld stored, %llu recorded",
		    (long long)st.st_size, (unsigned long long)bytes);
	else {
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		rc = hash_copy(j, fd, bytes, -1, 0, got);
		if (rc == 0 && memcmp(got, want, 32) != 0)
			rc = store_fail(&j->r, ERR_CORRUPT,
			    "SHA-256 of the stored file differs");
	}
	close(fd);
	return rc;
}

/* Bytes of a cut-off copy worth keeping: whole chunks, inside the source. */
static uint64_t
usable_bytes(int fd, uint64_t bytes)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (uint64_t)st.st_size > bytes)
		return 0;
	return (uint64_t)st.st_size / CHUNK * CHUNK;
}

static int
copy_verified(struct folder_job *j, int dir, const char *part)
{
	int out =
	    openat(dir, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	uint64_t have;
	int rc;

	if (out < 0)
		return fail_errno(&j->r, "create");
	have = usable_bytes(out, j->put.bytes);
	if (ftruncate(out, (off_t)have) != 0 ||
	    lseek(out, (off_t)have, SEEK_SET) < 0)
		rc = fail_errno(&j->r, "truncate");
	else
		rc = hash_copy(
		    j, j->put.fd, j->put.bytes, out, have, j->r.sha256);
	if (rc == 0 && fsync(out) != 0)
		rc = fail_errno(&j->r, "sync");
	close(out);
	if (rc == 0)
		rc = read_back(j, dir, part, j->put.bytes, j->r.sha256);
	if (rc == ERR_CORRUPT)
		unlinkat(dir, part, 0); /* the next try starts afresh */
	return rc;
}

/* True when the object is there already and right. */
static int
is_stored(struct folder_job *j, int dir, const char *name)
{
	struct stat st;
	int rc;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (uint64_t)st.st_size != j->put.bytes)
		return 0;
	rc = hash_copy(j, j->put.fd, j->put.bytes, -1, 0, j->r.sha256);
	if (rc == 0)
		rc = read_back(j, dir, name, j->put.bytes, j->r.sha256);
	return rc == 0;
}

/* The folder of the job's object, as beneath_dir; -1 and j->r.err: the store's
 * folder is not there. */
static int
open_folder(struct folder_job *j, bool make, const char **name)
{
	char why[STORE_DETAIL_MAX];
	int root = store_mark_open(
	    folder_mark_path(j->store->mark), j->id, why, sizeof(why));
	int dir, err;

	if (root < 0) {
		store_fail(&j->r, ERR_UNAVAILABLE, "folder store: %.200s", why);
		return -1;
	}
	dir = beneath_dir(root, j->key, make, name);
	err = errno;
	close(root);
	errno = err;
	return dir;
}

static void
run_put(struct worker_job *work)
{
	struct folder_job *j = (struct folder_job *)work;
	char part[48];
	const char *name;
	int dir = open_folder(j, true, &name);

	if (dir < 0) {
		if (j->r.err == 0)
			fail_errno(&j->r, "folder");
		return;
	}
	snprintf(part, sizeof(part), ".%s.part", j->put.segment);
	if (!is_stored(j, dir, name)) {
		j->r.err = 0;
		j->r.detail[0] = '\0';
		if (copy_verified(j, dir, part) == 0 &&
		    (renameat(dir, part, dir, name) != 0 || fsync(dir) != 0))
			fail_errno(&j->r, "rename");
	} else {
		unlinkat(dir, part, 0);
		if (fsync(dir) != 0)
			fail_errno(&j->r, "sync");
	}
	close(dir);
}

static void
run_remove(struct worker_job *work)
{
	struct folder_job *j = (struct folder_job *)work;
	const char *name;
	int dir = open_folder(j, false, &name);

	if (dir < 0) {
		if (j->r.err == 0 && errno != ENOENT)
			fail_errno(&j->r, "folder");
		return;
	}
	if (unlinkat(dir, name, 0) != 0 && errno != ENOENT)
		fail_errno(&j->r, "delete");
	else if (fsync(dir) != 0)
		fail_errno(&j->r, "sync");
	close(dir);
}

/* errno says why it is not there. */
static void
gone(struct folder_job *j, const char *what)
{
	if (errno == ENOENT)
		store_fail(&j->r, ERR_NOTFOUND, "the %s is gone", what);
	else
		fail_errno(&j->r, what);
}

static void
run_check(struct worker_job *work)
{
	struct folder_job *j = (struct folder_job *)work;
	const char *name;
	int dir = open_folder(j, false, &name);

	if (dir < 0) {
		if (j->r.err == 0)
			gone(j, "stored file");
		return;
	}
	if (j->object.is_known)
		read_back(j, dir, name, j->object.bytes, j->object.sha256);
	else if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
		gone(j, "stored file");
	close(dir);
}

static void
on_done(struct worker_job *work)
{
	struct folder_job *j = (struct folder_job *)work;

	if (j->r.err == 0 && j->put.on_progress != NULL)
		j->put.on_progress(j->arg, j->put.bytes);
	j->store->counters->store_jobs--;
	j->cb(j->arg, &j->r);
	free(j);
}

static int
submit(struct store *s, void (*run)(struct worker_job *), const char *key,
    const struct store_put *put, const struct store_object *object,
    store_done_cb *cb, void *arg)
{
	struct folder_store *f = (struct folder_store *)s;
	struct folder_job *j;

	if (!object_key_is_safe(key))
		return ERR_PROTOCOL;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ERR_NOMEM;
	j->work.run = run;
	j->work.done = on_done;
	j->store = f;
	strcpy(j->id, folder_mark_id(f->mark));
	strcpy(j->key, key);
	if (put != NULL)
		j->put = *put;
	if (object != NULL)
		j->object = *object;
	j->cb = cb;
	j->arg = arg;
	f->counters->store_jobs++;
	workers_submit(f->workers, &j->work);
	return 0;
}

static int
folder_put(struct store *s, const struct store_put *put)
{
	return submit(s, run_put, put->key, put, NULL, put->on_done, put->arg);
}

static int
folder_remove(struct store *s, const char *key, store_done_cb *cb, void *arg)
{
	return submit(s, run_remove, key, NULL, NULL, cb, arg);
}

static int
folder_check(
    struct store *s, const struct store_object *o, store_done_cb *cb, void *arg)
{
	return submit(s, run_check, o->key, NULL, o, cb, arg);
}

static int
folder_list(struct store *s, const char *after, store_list_cb *cb, void *arg)
{
	struct folder_store *f = (struct folder_store *)s;

	return folder_list_start(
	    f->mark, f->workers, &f->counters->store_jobs, after, cb, arg);
}

static void
folder_stop(struct store *s)
{
	atomic_store(&((struct folder_store *)s)->stopping, true);
}

static void
folder_free(struct store *s)
{
	folder_mark_free(((struct folder_store *)s)->mark);
	free(s);
}

static void
folder_announce(struct store *s)
{
	folder_mark_announce(((struct folder_store *)s)->mark);
}

static const char *
folder_trouble(const struct store *s)
{
	return folder_mark_trouble(((const struct folder_store *)s)->mark);
}

static const struct store_ops folder_ops = { .name = "folder",
	.put = folder_put,
	.remove = folder_remove,
	.check = folder_check,
	.list = folder_list,
	.stop = folder_stop,
	.free = folder_free,
	.announce = folder_announce,
	.trouble = folder_trouble };

int
store_folder_new(
    struct store **out, const struct store_env *env, char *err, size_t err_len)
{
	struct folder_store *f = calloc(1, sizeof(*f));
	struct stat st;

	errno = 0;
	if (f == NULL)
		return ERR_NOMEM;
	f->store.ops = &folder_ops;
	f->workers = env->workers;
	f->counters = env->counters;
	if (stat(env->conf->folder, &st) != 0 || !S_ISDIR(st.st_mode)) {
		snprintf(err, err_len, "store.folder %s: %s", env->conf->folder,
		    errno != 0 ? strerror(errno) : "it is no folder");
		free(f);
		return ERR_CONFIG;
	}
	f->mark = folder_mark_new(env);
	if (f->mark == NULL) {
		free(f);
		return ERR_NOMEM;
	}
	*out = &f->store;
	return 0;
}
