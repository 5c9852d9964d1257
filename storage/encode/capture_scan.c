#include "storage/encode/capture_scan.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/bytes.h"
#include "common/err.h"

#define MAGIC      UINT32_C(0x52436362) /* "RCcb" */
#define HEADER_LEN 64
#define SUM_AT     60
#define STORED_AT  16
#define LAST_AT    40
#define STORED_MAX (2 * 1024 * 1024) /* a full block that zstd cannot pack */

/* 1 and where the block at `at` ends, and when, 0 when it is not whole, or
 * ERR_IO. */
static int
read_block(int fd, uint64_t at, uint64_t size, uint64_t *end, uint64_t *last_ns)
{
	uint8_t h[HEADER_LEN];
	uint32_t stored;
	ssize_t n;

	if (size - at < HEADER_LEN)
		return 0;
	while ((n = pread(fd, h, sizeof(h), (off_t)at)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return ERR_IO;
	stored = load_be32(h + STORED_AT);
	if (n != HEADER_LEN || load_be32(h) != MAGIC || stored > STORED_MAX ||
	    load_be32(h + SUM_AT) != (uint32_t)crc32_z(0, h, SUM_AT) ||
	    size - at - HEADER_LEN < stored)
		return 0;
	*end = at + HEADER_LEN + stored;
	*last_ns = load_be64(h + LAST_AT);
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
