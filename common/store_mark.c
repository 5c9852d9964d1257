#include "common/store_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"
#include "common/write_all.h"

int
store_mark_read(int dir, char id[UUID_TEXT_MAX])
{
	int fd = openat(dir, STORE_MARK_NAME,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[UUID_LEN + 2] = "";
	ssize_t n;
	int err;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	n = read(fd, text, sizeof(text) - 1);
	err = errno;
	close(fd);
	errno = err;
	if (n < 0)
		return ERR_IO;
	text[strcspn(text, "\n")] = '\0';
	if (!is_uuid(text))
		return ERR_PROTOCOL;
	memcpy(id, text, UUID_LEN + 1);
	return 0;
}

int
store_mark_make(int dir, const char *id)
{
	char text[UUID_LEN + 2];
	int n = snprintf(text, sizeof(text), "%.36s\n", id);
	int fd = openat(dir, STORE_MARK_NAME,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	int rc = 0, err = 0;

	if (fd < 0)
		return errno == EEXIST ? ERR_EXISTS : ERR_IO;
	if (write_all(fd, text, (size_t)n) != 0 || fsync(fd) != 0 ||
	    fsync(dir) != 0) {
		err = errno;
		rc = ERR_IO;
		unlinkat(dir, STORE_MARK_NAME, 0); /* half of it is no mark */
	}
	close(fd);
	errno = err;
	return rc;
}

int
store_mark_open(const char *path, const char *id, char *why, size_t why_len)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char found[UUID_TEXT_MAX] = "";
	int rc = dir >= 0 ? store_mark_read(dir, found) : ERR_IO;

	if (rc == 0 && strcmp(found, id) == 0)
		return dir;
	if (rc == 0)
		snprintf(why, why_len, "%s has the mark of another store, %s",
		    path, found);
	else if (rc == ERR_NOTFOUND)
		snprintf(why, why_len,
		    "%s has no mark " STORE_MARK_NAME ": is it mounted?", path);
	else
		snprintf(why, why_len, "%s: %s", path,
		    rc == ERR_IO ? strerror(errno)
				 : "its mark " STORE_MARK_NAME " has no id");
	if (dir >= 0)
		close(dir);
	return -1;
}
