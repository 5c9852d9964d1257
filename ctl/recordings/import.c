/*
 * relaycam recordings import: a device's capture that came on a disk or a
 * stick (M4). It is laid into the spool as an upload that is whole
 * (docs/device-captures.md); storage checks it as any other.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/uuid.h"
#include "ctl/pg.h"
#include "ctl/recordings/ctl_recordings.h"

#define SEALED_MAGIC "RCsealed"
#define NAME_MAX_LEN (UUID_LEN + 24)

struct import {
	const char *path;
	char id[UUID_TEXT_MAX];
	int from, dir;    /* the file, SPOOL/uploads */
	struct stat st;   /* of the file */
	struct stat home; /* of the folder: storage's account */
	bool is_sealed;
	PGresult *order; /* session, endpoint_id, meta, team_id, status */
};

/* The UUID is the beginning of the file's name. */
static int
read_id(struct import *m)
{
	const char *slash = strrchr(m->path, '/');
	const char *name = slash != NULL ? slash + 1 : m->path;

	snprintf(m->id, sizeof(m->id), "%s", name);
	if (!is_uuid(m->id) ||
	    (name[UUID_LEN] != '\0' && name[UUID_LEN] != '.'))
		return ctl_error("%s: the name has to begin with the UUID of "
				 "the capture, as the agent wrote it",
		    m->path);
	return 0;
}

static int
open_file(struct import *m)
{
	char magic[sizeof(SEALED_MAGIC) - 1];

	m->from = open(m->path, O_RDONLY | O_CLOEXEC);
	if (m->from < 0 || fstat(m->from, &m->st) != 0)
		return ctl_error("%s: %s", m->path, strerror(errno));
	if (!S_ISREG(m->st.st_mode) || m->st.st_size == 0)
		return ctl_error(
		    "%s: no regular file, or an empty one", m->path);
	m->is_sealed =
	    pread(m->from, magic, sizeof(magic), 0) == sizeof(magic) &&
	    memcmp(magic, SEALED_MAGIC, sizeof(magic)) == 0;
	return 0;
}

static int
open_uploads(struct ctl *c, struct import *m)
{
	char name[NAME_MAX_LEN], *path;

	if (asprintf(&path, "%s/uploads", c->spool.dir) < 0)
		return ctl_error("out of memory");
	m->dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (m->dir < 0 || fstat(m->dir, &m->home) != 0) {
		ctl_error("%s: %s. Storage makes it when storage.captures is "
			  "on; run this where it runs",
		    path, strerror(errno));
		free(path);
		return STATUS_FAILED;
	}
	free(path);
	snprintf(name, sizeof(name), "%s.json", m->id);
	if (faccessat(m->dir, name, F_OK, 0) == 0)
		return ctl_error("an upload of %s has begun: remove "
				 "%s/uploads/%s.* to import it instead",
		    m->id, c->spool.dir, m->id);
	return 0;
}

/* What storage leaves free for recorders (storage/upload/receiver.c): an import
 * is no reason for them to stop. */
static int
find_room(const struct ctl *c, const struct import *m)
{
	uint64_t size = (uint64_t)m->st.st_size, free_bytes, need;
	struct statvfs fs;

	if (fstatvfs(m->dir, &fs) != 0)
		return ctl_error(
		    "%s/uploads: %s", c->spool.dir, strerror(errno));
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	/* what is decrypted lies beside what came */
	need = (m->is_sealed ? 2 * size : size) +
	    (uint64_t)c->spool.min_free_bytes +
	    (uint64_t)c->storage.capture_free_bytes;
	if (free_bytes >= need)
		return 0;
	return ctl_error("%s/uploads: %" PRIu64 " bytes are free, %" PRIu64
			 " are needed (spool.min_free_bytes and "
			 "storage.capture_free_bytes among them): make room, "
			 "then import it again",
	    c->spool.dir, free_bytes, need);
}

/* What the relay ordered; and nothing that is there already. */
static int
find_order(struct ctl *c, struct import *m)
{
	const char *status;

	m->order = PG_QUERY(c,
	    "SELECT d.session_id, d.endpoint_id, d.meta::text, s.team_id, "
	    "CASE WHEN g.is_capture AND (g.status IN ('missing', 'corrupted', "
	    "'transfer') OR g.status = 'recording' AND d.received_at IS NULL) "
	    "THEN '' ELSE coalesce(g.status, '') END "
	    "FROM device_captures d JOIN sessions s ON s.id = d.session_id "
	    "LEFT JOIN segments g ON g.id = d.id WHERE d.id = $1::uuid",
	    m->id);
	if (m->order == NULL)
		return STATUS_FAILED;
	if (PQntuples(m->order) == 0)
		return ctl_error(
		    "no capture %s was ordered from a device", m->id);
	status = PQgetvalue(m->order, 0, 4);
	if (status[0] != '\0')
		return ctl_error("recording %s is %s: there is nothing to "
				 "import",
		    m->id, status);
	return 0;
}

/* Storage's account has to be able to write and remove it. */
static int
give(const struct import *m, int fd)
{
	return fchmod(fd, 0600) == 0 &&
		(geteuid() != 0 ||
		    fchown(fd, m->home.st_uid, m->home.st_gid) == 0) &&
		fsync(fd) == 0
	    ? 0
	    : -1;
}

static int
copy(const struct import *m, int to)
{
	off_t left = m->st.st_size;

	while (left > 0) {
		ssize_t n = sendfile(to, m->from, NULL, (size_t)left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO; /* it became shorter */
			return -1;
		}
		left -= n;
	}
	return give(m, to);
}

/* What has no name yet gets one. */
static int
link_as(const struct import *m, int fd, const char *name)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (unlinkat(m->dir, name, 0) != 0 && errno != ENOENT)
		return -1;
	return linkat(AT_FDCWD, path, m->dir, name, AT_SYMLINK_FOLLOW);
}

/*
 * A new file of that suffix. Until it is whole it has no name, so that nothing
 * is left of it when this is killed; where the file system cannot do that, it
 * has a hidden one.
 */
static int
put(const struct import *m, const char *suffix, const char *text)
{
	char temp[NAME_MAX_LEN], name[NAME_MAX_LEN];
	size_t len = text != NULL ? strlen(text) : 0;
	bool is_named;
	int fd, rc = -1;

	snprintf(temp, sizeof(temp), ".%s%s", m->id, suffix);
	snprintf(name, sizeof(name), "%s%s", m->id, suffix);
	fd = openat(m->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	is_named = fd < 0;
	if (is_named)
		fd = openat(m->dir, temp,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return -1;
	if (text == NULL)
		rc = copy(m, fd);
	else if (write(fd, text, len) == (ssize_t)len)
		rc = give(m, fd);
	if (rc == 0)
		rc = is_named ? renameat(m->dir, temp, m->dir, name)
			      : link_as(m, fd, name);
	if (rc != 0 && is_named) {
		int e = errno;

		unlinkat(m->dir, temp, 0);
		errno = e;
	}
	close(fd);
	return rc;
}

static char *
description(const struct import *m)
{
	json_t *meta = json_loads(PQgetvalue(m->order, 0, 2), 0, NULL);
	json_t *o = json_pack("{s:i s:s s:s s:I s:I s:b s:o}", "version", 1,
	    "capture", m->id, "session", PQgetvalue(m->order, 0, 0),
	    "endpoint_id", (json_int_t)atoll(PQgetvalue(m->order, 0, 1)),
	    "length", (json_int_t)m->st.st_size, "sealed", m->is_sealed,
	    "order", meta);
	char *text = o != NULL ? json_dumps(o, JSON_INDENT(1)) : NULL;

	json_decref(o);
	return text;
}

/* The description last: with it, storage looks at the file. */
static int
lay_in(const struct import *m)
{
	char *text = description(m);
	int rc;

	if (text == NULL)
		return ctl_error("out of memory");
	rc = put(m, ".data", NULL);
	if (rc == 0)
		rc = put(m, ".json", text);
	if (rc == 0)
		rc = fsync(m->dir);
	free(text);
	return rc == 0 ? 0 : ctl_error("%s: %s", m->path, strerror(errno));
}

int
recordings_run_import(struct ctl *c, const struct args *a)
{
	struct import m = { .path = a->words[0], .from = -1, .dir = -1 };
	int rc = read_id(&m);

	if (rc == 0)
		rc = open_file(&m);
	if (rc == 0)
		rc = open_uploads(c, &m);
	if (rc == 0)
		rc = find_room(c, &m);
	if (rc == 0)
		rc = find_order(c, &m);
	if (rc == 0)
		rc = lay_in(&m);
	if (rc == 0)
		rc = pg_audit(c, PQgetvalue(m.order, 0, 3), "recording_import",
		    m.id, NULL);
	if (rc == 0)
		printf("recording %.8s: storage looks at it within "
		       "storage.scan_seconds\n",
		    m.id);
	PQclear(m.order);
	if (m.from >= 0)
		close(m.from);
	if (m.dir >= 0)
		close(m.dir);
	return rc;
}
