#include "capture/capture_scan.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/capture_format.h"
#include "common/err.h"

#define STORED_MAX (2 * 1024 * 1024) /* a full block that zstd cannot pack */

/* 1 and where the block at `at` ends, and when, 0 when it is not whole, or
 * ERR_IO. */
static int
read_block(int fd, uint64_t at, uint64_t size, uint64_t *end, uint64_t *last_ns)
{
	uint8_t head[CAPTURE_HEADER_LEN];
	struct capture_header h;
	ssize_t n;

	if (size - at < sizeof(head))
		return 0;
	while ((n = pread(fd, head, sizeof(head), (off_t)at)) < 0 &&
	    errno == EINTR)
		;
	if (n < 0)
		return ERR_IO;
	if (n != (ssize_t)sizeof(head) || !capture_header_parse(&h, head) ||
	    h.stored > STORED_MAX || size - at - sizeof(head) < h.stored)
		return 0;
	*end = at + sizeof(head) + h.stored;
	*last_ns = h.last_ns;
	return 1;
}

int
capture_scan_more(struct capture_scan *s, int fd)
{
	struct stat st;
	uint64_t at, size;
	int rc = 1;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	size = (uint64_t)st.st_size;
	if (size < s->bytes) {
		s->bytes = 0;
		s->was_cut = true;
	}
	at = s->bytes;
	for (unsigned n = 0; rc == 1 && n < CAPTURE_SCAN_STEP; n++)
		rc = read_block(fd, at, size, &at, &s->last_ns);
	if (rc < 0)
		return rc;
	if (at > s->bytes && fdatasync(fd) != 0)
		return ERR_IO;
	s->bytes = at;
	return 0;
}
