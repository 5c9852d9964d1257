/* The files of a row of the spool. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/spool/spool_row.h"

char *
spool_row_name(
    const struct spool_row *r, const char *suffix, char out[SPOOL_NAME_MAX])
{
	return spool_name(r->folder, r->id, suffix, out);
}

int
spool_row_sync_folder(const struct spool_row *r)
{
	int rc = spool_folder_sync(r->dir, r->folder);

	if (rc != 0)
		log_error("spool_sync", LOG_S(r->kind->word, r->id),
		    LOG_S("session", r->folder), LOG_ERRNO());
	return rc;
}

/* Not through a symbolic link. */
static bool
look_at(const struct spool_row *r, const char *suffix, struct stat *st)
{
	char name[SPOOL_NAME_MAX];

	return fstatat(r->dir, spool_row_name(r, suffix, name), st,
		   AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned
spool_row_look(const struct spool_row *r)
{
	const struct spool_row_kind *k = r->kind;
	unsigned files = 0;
	struct stat st;

	for (size_t i = 0; i < k->n_files; i++)
		if (look_at(r, k->files[i].suffix, &st) &&
		    (k->files[i].bit & k->folders ? S_ISDIR(st.st_mode)
						  : S_ISREG(st.st_mode)))
			files |= k->files[i].bit;
	return files;
}

int
spool_row_is_locked(const struct spool_row *r, const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	int fd = openat(r->dir, spool_row_name(r, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int locked;

	if (fd < 0)
		return ERR_NOTFOUND;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return locked;
}

off_t
spool_row_file_size(
    const struct spool_row *r, const char *suffix, time_t *changed)
{
	struct stat st;

	if (!look_at(r, suffix, &st))
		return -1;
	if (changed != NULL)
		*changed = st.st_mtime;
	return st.st_size;
}

uint64_t
spool_row_quiet_s(const struct spool_row *r)
{
	uint64_t now = clock_wall_ns() / NS_PER_S, newest = 0;
	struct stat st;

	for (size_t i = 0; i < r->kind->n_files; i++)
		if (look_at(r, r->kind->files[i].suffix, &st))
			newest = max_u64(newest, (uint64_t)st.st_ctim.tv_sec);
	return newest < now ? now - newest : 0;
}

int
spool_row_open(const struct spool_row *r, const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	struct stat st;
	int fd = openat(r->dir, spool_row_name(r, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int
spool_row_unlink(const struct spool_row *r, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	if (unlinkat(r->dir, spool_row_name(r, suffix, name), 0) == 0 ||
	    errno == ENOENT)
		return 0;
	log_error("spool_remove", LOG_S("file", name), LOG_ERRNO());
	return ERR_IO;
}

int
spool_row_rename(const struct spool_row *r, const char *from, const char *to)
{
	char old[SPOOL_NAME_MAX], new[SPOOL_NAME_MAX];

	if (renameat(r->dir, spool_row_name(r, from, old), r->dir,
		spool_row_name(r, to, new)) != 0) {
		log_error("spool_rename", LOG_S("file", old), LOG_ERRNO());
		return ERR_IO;
	}
	return spool_row_sync_folder(r);
}
