#include "relay/recorder_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/uuid.h"

#define TRIES    50 /* storage holds an empty folder while it removes it */
#define PAUSE_NS 2000000

/* 0, or -1 and errno. */
static int
make(int spool, const char *session, mode_t mode, bool *is_new)
{
	if (mkdirat(spool, session, mode) == 0)
		*is_new = true;
	else if (errno != EEXIST)
		return -1;
	return 0;
}

/* Still what the name says; storage may have removed it before the lock. */
static bool
is_in_place(int spool, const char *session, int fd)
{
	struct stat here, there;

	return fstat(fd, &here) == 0 &&
	    fstatat(spool, session, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* Whatever the umask was, or a crash left. */
static bool
has_mode(int fd, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	errno = EPERM;
	return st.st_uid == geteuid() &&
	    ((st.st_mode & 0777) == mode || fchmod(fd, mode) == 0);
}

/* One try. -1 and errno; EAGAIN: it is worth another one. */
static int
open_locked(int spool, const char *session)
{
	int fd = openat(
	    spool, session, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0) {
		if (errno == ENOENT)
			errno = EAGAIN;
		return -1;
	}
	if (flock(fd, LOCK_SH | LOCK_NB) == 0 &&
	    is_in_place(spool, session, fd))
		return fd;
	close(fd);
	errno = EAGAIN;
	return -1;
}

int
recorder_folder_open(
    int spool, const char *session, bool *is_new, const char **why)
{
	const struct timespec pause = { 0, PAUSE_NS };
	struct stat st;
	mode_t mode;
	int fd = -1;

	*is_new = false;
	*why = "the session's folder cannot be made in the spool";
	errno = EINVAL;
	if (!is_uuid(session) || fstat(spool, &st) != 0)
		return -1;
	mode = 0700 | (st.st_mode & 0770);
	for (int i = 0; fd < 0 && i < TRIES; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		if (make(spool, session, mode, is_new) != 0)
			return -1;
		fd = open_locked(spool, session);
		if (fd < 0 && errno != EAGAIN)
			break;
	}
	if (fd >= 0 && has_mode(fd, mode))
		return fd;
	*why = "the session's folder in the spool cannot be used";
	if (fd >= 0) {
		close(fd);
		errno = EPERM;
	}
	return -1;
}

void
recorder_folder_sync(int spool)
{
	fsync(spool);
}
