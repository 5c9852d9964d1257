#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"

/* In the order they are looked for: a rename never hides the media. */
const struct spool_suffix item_suffixes[ITEM_KINDS] = {
	{ ".webm.part", ITEM_PART },
	{ ".webm", ITEM_WEBM },
	{ ".json", ITEM_JSON },
	{ ".json.open", ITEM_OPEN },
	{ ".json.tmp", ITEM_TMP },
	{ ".jpg", ITEM_JPG },
};

char *
item_file_name(
    const struct item *it, const char *suffix, char out[SPOOL_NAME_MAX])
{
	return spool_name(it->folder, it->id, suffix, out);
}

void
item_sync_folder(const struct item *it)
{
	if (spool_folder_sync(it->d->spool->dir, it->folder) != 0)
		log_error("spool_sync", LOG_S("segment", it->id), LOG_ERRNO());
}

unsigned
item_look(const struct item *it)
{
	unsigned files = 0;
	struct stat st;
	char name[SPOOL_NAME_MAX];

	for (size_t i = 0; i < ITEM_KINDS; i++)
		if (fstatat(it->d->spool->dir,
			item_file_name(it, item_suffixes[i].suffix, name), &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			files |= item_suffixes[i].bit;
	return files;
}

int
item_is_locked(const struct item *it)
{
	char name[SPOOL_NAME_MAX];
	int fd =
	    openat(it->d->spool->dir, item_file_name(it, ".webm.part", name),
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int locked;

	if (fd < 0)
		return ERR_NOTFOUND;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return locked;
}

off_t
item_file_size(const struct item *it, const char *suffix, time_t *changed)
{
	struct stat st;
	char name[SPOOL_NAME_MAX];

	if (fstatat(it->d->spool->dir, item_file_name(it, suffix, name), &st,
		AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (changed != NULL)
		*changed = st.st_mtime;
	return st.st_size;
}

uint64_t
item_quiet_s(const struct item *it)
{
	uint64_t now = clock_wall_ns() / NS_PER_S, newest = 0;
	struct stat st;
	char name[SPOOL_NAME_MAX];

	for (size_t i = 0; i < ITEM_KINDS; i++)
		if (fstatat(it->d->spool->dir,
			item_file_name(it, item_suffixes[i].suffix, name), &st,
			AT_SYMLINK_NOFOLLOW) == 0)
			newest = max_u64(newest, (uint64_t)st.st_ctim.tv_sec);
	return newest < now ? now - newest : 0;
}

int
item_open_file(const struct item *it, const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	struct stat st;
	int fd = openat(it->d->spool->dir, item_file_name(it, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
item_unlink(const struct item *it, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	if (unlinkat(it->d->spool->dir, item_file_name(it, suffix, name), 0) ==
		0 ||
	    errno == ENOENT)
		return 0;
	log_error("spool_remove", LOG_S("file", name), LOG_ERRNO());
	return ERR_IO;
}

void
item_rename_media(const struct item *it)
{
	char from[SPOOL_NAME_MAX], to[SPOOL_NAME_MAX];
	int dir = it->d->spool->dir;

	renameat(dir, item_file_name(it, ".webm.part", from), dir,
	    item_file_name(it, ".webm", to));
	item_sync_folder(it);
}
