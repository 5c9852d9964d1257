#include "agent/capture/sealed_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/sealed_file.h"
#include "common/uuid.h"

struct sealed_capture {
	struct outbox *outbox;
	char id[UUID_TEXT_MAX];
	int fd;
	struct sealed_writer *sealed;
	struct capture_writer *writer;
};

bool
sealed_capture_has_space(int dir, int64_t min_free)
{
	struct statvfs v;

	return fstatvfs(dir, &v) == 0 &&
	    (uint64_t)v.f_bavail * v.f_frsize >= (uint64_t)min_free;
}

static int
write_chunk(void *arg, const uint8_t *data, size_t len)
{
	struct sealed_capture *c = arg;

	return sealed_writer_write(c->sealed, data, len);
}

/* Owns its descriptor. */
static void *
sync_in_thread(void *arg)
{
	int fd = (int)(intptr_t)arg;

	if (fdatasync(fd) != 0)
		log_error(
		    "capture_not_synced", LOG_S("reason", strerror(errno)));
	close(fd);
	return NULL;
}

/* A slow disk must not stop the other sessions: the loop does not wait. */
static int
start_sync(void *arg)
{
	struct sealed_capture *c = arg;
	int fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
	pthread_attr_t attr;
	pthread_t thread;
	int rc = fd < 0 ? ERR_IO : 0;

	if (rc == 0 && pthread_attr_init(&attr) != 0) {
		close(fd);
		rc = ERR_NOMEM;
	}
	if (rc != 0)
		return rc;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(
		&thread, &attr, sync_in_thread, (void *)(intptr_t)fd) != 0) {
		close(fd);
		rc = fdatasync(c->fd) == 0 ? 0 : ERR_IO;
	}
	pthread_attr_destroy(&attr);
	return rc;
}

static int
open_part(struct sealed_capture *c)
{
	char name[OUTBOX_NAME_MAX];

	snprintf(name, sizeof(name), "%s%s", c->id, OUTBOX_PART);
	c->fd = openat(outbox_dir(c->outbox), name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE
							  : ERR_IO;
	return flock(c->fd, LOCK_EX | LOCK_NB) == 0 ? 0 : ERR_IO;
}

static int
begin(struct sealed_capture *c, const struct agent_msg *m)
{
	static const struct capture_start start = { 1, 1, 0 };
	const struct capture_sink sink = { write_chunk, start_sync, c };
	uint8_t key[SEALED_KEY_LEN], id[SEALED_ID_LEN];
	int rc = http_unhex(m->capture.key, key, sizeof(key));

	if (rc == 0 && !is_uuid(c->id))
		rc = ERR_PROTOCOL;
	if (rc == 0)
		uuid_bytes(c->id, id);
	if (rc == 0)
		rc = outbox_order(c->outbox, c->id, m->capture.storage);
	if (rc == 0)
		rc = open_part(c);
	if (rc == 0)
		rc = sealed_writer_new(&c->sealed, c->fd, key, id);
	if (rc == 0)
		rc = capture_writer_new_sink(&c->writer, &sink, m->capture.meta,
		    strlen(m->capture.meta), &start);
	return rc;
}

int
sealed_capture_new(
    struct sealed_capture **out, struct outbox *o, const struct agent_msg *m)
{
	struct sealed_capture *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return ERR_NOMEM;
	c->outbox = o;
	c->fd = -1;
	snprintf(c->id, sizeof(c->id), "%s", m->capture.id);
	rc = begin(c, m);
	if (rc == 0)
		*out = c;
	else
		sealed_capture_close(c, NULL, 0);
	return rc;
}

struct capture_writer *
sealed_capture_writer(struct sealed_capture *c)
{
	return c->writer;
}

static void
rename_part(const struct sealed_capture *c)
{
	char from[OUTBOX_NAME_MAX], to[OUTBOX_NAME_MAX];
	int dir = outbox_dir(c->outbox);

	snprintf(from, sizeof(from), "%s%s", c->id, OUTBOX_PART);
	snprintf(to, sizeof(to), "%s%s", c->id, OUTBOX_SEALED);
	/* where it fails, the outbox does it once the lock is gone */
	if (fsync(c->fd) != 0 || renameat(dir, from, dir, to) != 0 ||
	    fsync(dir) != 0)
		log_error("capture_not_closed", LOG_S("capture", c->id),
		    LOG_S("reason", strerror(errno)));
}

void
sealed_capture_close(
    struct sealed_capture *c, const char *word, uint64_t end_ns)
{
	if (c == NULL)
		return;
	if (c->writer != NULL && word != NULL &&
	    capture_writer_end(c->writer, word, end_ns) == 0 &&
	    sealed_writer_end(c->sealed) == 0)
		rename_part(c);
	log_info("capture_closed", LOG_S("capture", c->id),
	    LOG_U("bytes",
		c->sealed != NULL ? sealed_writer_bytes(c->sealed) : 0));
	capture_writer_free(c->writer);
	sealed_writer_free(c->sealed);
	if (c->fd >= 0)
		close(c->fd);
	outbox_kick(c->outbox);
	free(c);
}
