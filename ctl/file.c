#include "ctl/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/sha256.h"
#include "ctl/ctl.h"

#define CHUNK (1u << 16)

/* Reads until the end or max + 1 bytes; returns them or -1. */
static ssize_t
read_up_to(int fd, char *out, size_t max)
{
	size_t have = 0;
	ssize_t n;

	while (have <= max) {
		n = read(fd, out + have, max + 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

int
file_read(const char *path, size_t max, char **text, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;
	int saved;

	*text = fd >= 0 ? malloc(max + 2) : NULL;
	if (*text != NULL)
		n = read_up_to(fd, *text, max);
	saved = errno;
	if (fd >= 0)
		close(fd);
	if (n >= 0 && (size_t)n <= max) {
		(*text)[n] = '\0';
		*len = (size_t)n;
		return 0;
	}
	free(*text);
	*text = NULL;
	if (n >= 0)
		return ctl_error("%s is larger than %zu bytes", path, max);
	return ctl_failed(saved, "cannot read %s", path);
}

int
file_sha256(const char *path, uint8_t digest[32], int64_t *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct sha256 *sum;
	uint8_t chunk[CHUNK];
	ssize_t n = -1;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	sum = sha256_new();
	*bytes = 0;
	while (sum != NULL && (n = read(fd, chunk, sizeof(chunk))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sha256_add(sum, chunk, (size_t)n);
		*bytes += n;
	}
	if (n == 0 && sha256_end(sum, digest) != 0)
		n = -1;
	sha256_free(sum);
	close(fd);
	return n < 0 ? ERR_IO : 0;
}
