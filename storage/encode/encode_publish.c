/*
 * What an encoder made goes into the spool, and the capture goes away, in
 * steps that may be taken again: the folder <id>.encoded is the note that
 * they are not all done.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/encode/encode_rows.h"
#include "storage/spool/quarantine.h"
#include "storage/spool/spool.h"

static int
open_folder(const struct capture *c)
{
	char name[SPOOL_NAME_MAX];

	return openat(c->row.dir, spool_row_name(&c->row, ".encoded", name),
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * Files of closed segments, and no other name: what an encoder made of a
 * hostile stream must not replace a capture that waits beside it.
 */
static bool
is_wanted(const char *name, bool manifests)
{
	const char *suffix = name + UUID_LEN;

	if (strnlen(name, UUID_LEN) < UUID_LEN)
		return false;
	return manifests
	    ? strcmp(suffix, ".json") == 0
	    : strcmp(suffix, ".webm") == 0 || strcmp(suffix, ".jpg") == 0;
}

/* Manifests last: a segment is there once its manifest is. */
static int
move_files(const struct capture *c, bool manifests)
{
	int fd = open_folder(c), copy = fd >= 0 ? dup(fd) : -1;
	int to = spool_folder_open(c->row.dir, c->row.folder);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *e;
	int rc = d != NULL && to >= 0 ? 0 : ERR_IO;

	while (rc == 0 && (e = readdir(d)) != NULL)
		if (is_wanted(e->d_name, manifests) &&
		    renameat(fd, e->d_name, to, e->d_name) != 0)
			rc = ERR_IO;
	if (rc == 0 && fsync(to) != 0)
		rc = ERR_IO;
	if (to >= 0)
		close(to);
	if (d != NULL)
		closedir(d);
	else if (copy >= 0)
		close(copy);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Why the rest could not be decoded, of len bytes; false: it could. */
static bool
read_stopped(const struct capture *c, char *why, size_t len)
{
	int dir = open_folder(c);
	int fd = dir < 0
	    ? -1
	    : openat(dir, CAPTURE_STOPPED, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, why, len - 1);

	why[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return fd >= 0;
}

/* For somebody to look at: nothing else has what follows. */
static void
keep(const struct capture *c)
{
	char from[SPOOL_NAME_MAX], to[SPOOL_NAME_MAX];

	if (renameat(c->row.dir, spool_row_name(&c->row, ".capture", from),
		c->row.dir,
		spool_row_name(&c->row, ".capture.kept", to)) != 0 &&
	    errno != ENOENT)
		log_error("capture_keep", LOG_S("capture", c->row.id),
		    LOG_S("session", c->row.folder), LOG_ERRNO());
	else
		log_warn("capture_kept", LOG_S("capture", c->row.id),
		    LOG_S("session", c->row.folder));
}

void
encode_discard(struct capture *c)
{
	encode_job_remove(c, ".encode");
	spool_row_unlink(&c->row, ".capture");
	spool_row_unlink(&c->row, ".capture.json");
	spool_row_sync_folder(&c->row);
	encode_job_remove(c, ".encoded");
	spool_row_forget(&c->row);
	spool_row_move(&c->row, CAUSE_FILES_GONE, NULL);
	encode_queue_kick(c->q, false);
}

static void
move_all(struct capture *c)
{
	char why[120];

	if (move_files(c, false) != 0 || move_files(c, true) != 0) {
		log_error("encode_publish", LOG_S("capture", c->row.id),
		    LOG_S("session", c->row.folder), LOG_ERRNO());
		spool_row_retry(&c->row, CAUSE_LATER, NULL);
		return;
	}
	log_info("encode_published", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder));
	if (read_stopped(c, why, sizeof(why)))
		keep(c);
	encode_discard(c);
	spool_kick(c->row.d->spool, false);
}

static void
on_first(void *arg, PGresult *res)
{
	struct capture *c = arg;

	c->row.is_busy = false;
	if (c->row.d->exiting || res == NULL)
		return;
	if (!db_ok(res, "write encoded segment")) {
		spool_row_retry(&c->row, CAUSE_LATER, NULL);
		return;
	}
	if (PQntuples(res) > 0 &&
	    strcmp(PQgetvalue(res, 0, 0), "deleted") == 0) {
		log_warn("capture_discarded", LOG_S("capture", c->row.id),
		    LOG_S("session", c->row.folder));
		encode_discard(c);
		return;
	}
	move_all(c);
}

/* Nothing was painted in time to begin a file: nothing was recorded. */
static void
on_nothing(void *arg, PGresult *res)
{
	struct capture *c = arg;

	c->row.is_busy = false;
	if (c->row.d->exiting || res == NULL)
		return;
	if (!db_ok(res, "remove the row of an empty capture")) {
		spool_row_retry(&c->row, CAUSE_LATER, NULL);
		return;
	}
	log_warn("capture_empty", LOG_S("capture", c->row.id),
	    LOG_S("session", c->row.folder));
	move_all(c);
}

/*
 * Its first segment: 1 with *m, 0 when it was moved already, ERR_NOTFOUND
 * when there is none, or an error of manifest_load.
 */
static int
load_first(struct capture *c, struct manifest *m)
{
	char name[SPOOL_NAME_MAX], err[160] = "";
	int fd = open_folder(c);
	int rc = fd < 0
	    ? ERR_IO
	    : manifest_load(m, fd, spool_name("", c->row.id, ".json", name),
		  c->row.id, true, err, sizeof(err));

	if (fd >= 0)
		close(fd);
	if (rc == 0 && quarantine_is_due(c->row.folder, m->session)) {
		manifest_release(m);
		snprintf(err, sizeof(err), "it names another session");
		rc = ERR_PROTOCOL;
	}
	if (rc == 0)
		return 1;
	if (rc != ERR_NOTFOUND) {
		log_error("manifest_refused", LOG_S("capture", c->row.id),
		    LOG_S("session", c->row.folder), LOG_S("why", err));
		return rc;
	}
	return faccessat(c->row.dir, spool_row_name(&c->row, ".json", name),
		   F_OK, AT_SYMLINK_NOFOLLOW) == 0
	    ? 0
	    : ERR_NOTFOUND;
}

void
encode_publish(struct capture *c)
{
	struct db *db = c->row.d->db;
	struct manifest m;
	char why[120];
	int rc;

	spool_row_move(&c->row, CAUSE_ENCODER_DONE, NULL);
	if (c->row.is_busy || !db_is_connected(db))
		return;
	rc = load_first(c, &m);
	if (rc == 1) {
		read_stopped(c, why, sizeof(why));
		rc = encode_rows_first(
		    db, &m, why, c->row.d->actor, on_first, c);
		manifest_release(&m);
	} else if (rc == ERR_NOTFOUND)
		rc = encode_rows_nothing(db, c->row.id, on_nothing, c);
	else if (rc == 0) {
		move_all(c);
		return;
	}
	c->row.is_busy = rc == 0;
	if (rc == ERR_PROTOCOL || rc == ERR_LIMIT)
		spool_row_retry(&c->row, CAUSE_ENCODER_REFUSED,
		    spool_moves[CAUSE_ENCODER_REFUSED].why);
}
