#include "common/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define KEY_MAX 64

static uid_t trusted[KEYFILE_ACCOUNTS];
static unsigned n_trusted;

void
keyfile_trust(uid_t uid)
{
	if (n_trusted < KEYFILE_ACCOUNTS)
		trusted[n_trusted++] = uid;
}

void
keyfile_trust_name(const char *account)
{
	const struct passwd *pw =
	    account != NULL && *account != '\0' ? getpwnam(account) : NULL;

	if (pw != NULL)
		keyfile_trust(pw->pw_uid);
}

static bool
is_owner_trusted(uid_t owner, uid_t euid)
{
	bool is = owner == 0 || owner == euid;

	for (unsigned i = 0; i < n_trusted; i++)
		is |= owner == trusted[i];
	return is;
}

/* The permissions beyond the owner's that are acceptable. */
static mode_t
tolerated(uid_t owner, uid_t euid)
{
	return owner == 0 && (euid != 0 || n_trusted > 0) ? S_IRGRP : 0;
}

int
keyfile_judge(uid_t owner, mode_t mode, uid_t euid, const char *what,
    const char *path, char *why, size_t why_len)
{
	mode_t beyond = mode & (S_IRWXG | S_IRWXO) & ~tolerated(owner, euid);

	if (!S_ISREG(mode)) {
		snprintf(
		    why, why_len, "%s %s: expected a regular file", what, path);
		return ERR_CONFIG;
	}
	if (!is_owner_trusted(owner, euid)) {
		snprintf(why, why_len,
		    "%s %s belongs to user %u, who could replace it; run "
		    "\"chown %u %s\" as root",
		    what, path, (unsigned)owner,
		    (unsigned)(n_trusted > 0 ? trusted[0] : euid), path);
		return ERR_CONFIG;
	}
	if (beyond != 0) {
		snprintf(why, why_len,
		    "%s %s has mode %04o and is open to %s; run \"chmod 0600 "
		    "%s\"",
		    what, path, (unsigned)(mode & 07777),
		    beyond & S_IRWXO ? "every account" : "its group", path);
		return ERR_CONFIG;
	}
	return 0;
}

int
keyfile_open(const char *what, const char *path, char *why, size_t why_len)
{
	/* NONBLOCK: a FIFO must not hang the start */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;
	int rc, e;

	if (fd < 0 || fstat(fd, &st) != 0) {
		e = errno;
		snprintf(why, why_len, "%s %s: %s", what, path, strerror(e));
		if (fd >= 0)
			close(fd);
		errno = e;
		return e == ENOENT ? ERR_NOTFOUND : ERR_IO;
	}
	rc = keyfile_judge(
	    st.st_uid, st.st_mode, geteuid(), what, path, why, why_len);
	if (rc == 0)
		return fd;
	close(fd);
	return rc;
}

/* Up to max bytes; returns their number, or -1 and errno. */
static ssize_t
read_some(int fd, uint8_t *out, size_t max)
{
	size_t have = 0;
	ssize_t n;

	while (have < max) {
		n = read(fd, out + have, max - have);
		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -1;
		have += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)have;
}

int
keyfile_read(const char *what, const char *path, uint8_t *key, size_t len,
    char *why, size_t why_len)
{
	uint8_t bytes[KEY_MAX + 1];
	int fd = keyfile_open(what, path, why, why_len);
	ssize_t n;
	int rc = 0;

	if (fd < 0)
		return fd;
	n = read_some(fd, bytes, min_size(len + 1, sizeof(bytes)));
	if (n < 0) {
		rc = ERR_IO;
		snprintf(
		    why, why_len, "%s %s: %s", what, path, strerror(errno));
	} else if ((size_t)n != len) {
		rc = ERR_CONFIG;
		snprintf(why, why_len, "%s %s: expected exactly %zu bytes",
		    what, path, len);
	} else {
		memcpy(key, bytes, len);
	}
	wipe(bytes, sizeof(bytes));
	close(fd);
	return rc;
}
