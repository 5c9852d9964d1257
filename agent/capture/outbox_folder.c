#include "agent/capture/outbox_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/sealed_file.h"
#include "common/uuid.h"
#include "common/write_all.h"

#define TMP ".order.tmp"

static const char *
name_of(char out[OUTBOX_NAME_MAX], const char *id, const char *suffix)
{
	snprintf(out, OUTBOX_NAME_MAX, "%s%s", id, suffix);
	return out;
}

static void
remove_file(int dir, const char *id, const char *suffix)
{
	char name[OUTBOX_NAME_MAX];

	if (unlinkat(dir, name_of(name, id, suffix), 0) != 0 && errno != ENOENT)
		log_error("capture_not_removed", LOG_S("file", name),
		    LOG_S("reason", strerror(errno)));
}

/* The order goes before the file: an order alone means that it vanished. */
void
outbox_folder_remove_done(int dir, const char *id)
{
	remove_file(dir, id, OUTBOX_ORDER);
	remove_file(dir, id, OUTBOX_DONE);
}

void
outbox_folder_remove(int dir, const char *id)
{
	char from[OUTBOX_NAME_MAX], to[OUTBOX_NAME_MAX];

	if (renameat(dir, name_of(from, id, OUTBOX_SEALED), dir,
		name_of(to, id, OUTBOX_DONE)) != 0 &&
	    errno != ENOENT)
		log_error("capture_not_removed", LOG_S("file", from),
		    LOG_S("reason", strerror(errno)));
	else
		outbox_folder_remove_done(dir, id);
}

bool
outbox_folder_has(int dir, const char *id, const char *suffix)
{
	char name[OUTBOX_NAME_MAX];
	struct stat st;

	return fstatat(dir, name_of(name, id, suffix), &st,
		   AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode);
}

/*
 * A part whose writer is gone is closed as it is: it is readable up to its
 * last whole chunk. One without a whole head has nothing in it.
 */
static enum outbox_found
look_at_part(int dir, const char *id)
{
	char from[OUTBOX_NAME_MAX], to[OUTBOX_NAME_MAX];
	enum outbox_found found = FOUND_PART;
	struct stat st;
	int fd = openat(dir, name_of(from, id, OUTBOX_PART),
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return FOUND_NOTHING;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0) {
		if (st.st_size <= SEALED_HEAD_LEN)
			found = unlinkat(dir, from, 0) == 0 ? FOUND_NOTHING
							    : FOUND_PART;
		else if (fsync(fd) == 0 &&
		    renameat(dir, from, dir, name_of(to, id, OUTBOX_SEALED)) ==
			0)
			found = FOUND_SEALED;
		log_warn("capture_cut_off", LOG_S("capture", id),
		    LOG_U("bytes", (uint64_t)st.st_size));
	}
	close(fd);
	return found;
}

enum outbox_found
outbox_folder_look(int dir, const char *id)
{
	return outbox_folder_has(dir, id, OUTBOX_SEALED) ? FOUND_SEALED
	    : outbox_folder_has(dir, id, OUTBOX_PART)    ? look_at_part(dir, id)
							 : FOUND_NOTHING;
}

int
outbox_folder_read_order(int dir, const char *id, struct hostport *storage)
{
	char name[OUTBOX_NAME_MAX], text[HOSTPORT_TEXT_MAX + 2];
	int fd = openat(dir, name_of(name, id, OUTBOX_ORDER),
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return ERR_IO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return hostport_parse(text, 0, storage);
}

int
outbox_folder_order(int dir, const char *id, const char *storage)
{
	char name[OUTBOX_NAME_MAX];
	int fd, rc;

	fd = openat(dir, TMP,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE
							  : ERR_IO;
	rc = write_all(fd, storage, strlen(storage));
	if (rc == 0)
		rc = write_all(fd, "\n", 1);
	if (rc == 0 && fsync(fd) != 0)
		rc = ERR_IO;
	close(fd);
	if (rc == 0 &&
	    (renameat(dir, TMP, dir, name_of(name, id, OUTBOX_ORDER)) != 0 ||
		fsync(dir) != 0))
		rc = ERR_IO;
	if (rc != 0)
		unlinkat(dir, TMP, 0);
	return rc;
}

int
outbox_folder_open_file(int dir, const char *id)
{
	char name[OUTBOX_NAME_MAX];

	return openat(dir, name_of(name, id, OUTBOX_SEALED),
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

bool
outbox_folder_is_name(
    const char *name, const char *suffix, char id[UUID_TEXT_MAX])
{
	if (strlen(name) != UUID_LEN + strlen(suffix) ||
	    strcmp(name + UUID_LEN, suffix) != 0)
		return false;
	memcpy(id, name, UUID_LEN);
	id[UUID_LEN] = '\0';
	return is_uuid(id);
}

int
outbox_folder_open(const char *state, char *why, size_t why_len)
{
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "%s/captures", state);
	if (mkdir(path, 0700) != 0 && errno != EEXIST) {
		snprintf(why, why_len, "cannot make the folder %s: %s", path,
		    strerror(errno));
		return -1;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		snprintf(why, why_len, "cannot open the folder %s: %s", path,
		    strerror(errno));
	return fd;
}
