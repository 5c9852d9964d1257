/*
 * A recorder's file while it grows: whether it comes at once or in two
 * pieces, the same is shown of it, and nothing outside of it.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "webm/webm_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_at(int fd, const uint8_t *data, size_t from, size_t to)
{
	if (pwrite(fd, data + from, to - from, (off_t)from) !=
	    (ssize_t)(to - from))
		abort();
}

static void
scan(struct webm_scan *s, int fd, size_t size)
{
	uint64_t last = 0;
	int rc;

	while ((rc = webm_scan_more(s, fd)) == 1)
		continue;
	assert(rc == 0);
	assert(s->bytes <= size);
	assert(s->bytes == 0 || s->bytes > s->header_len);
	assert(s->open_bytes <= size);
	assert(s->end != WEBM_SCAN_OPEN || s->open_bytes >= s->bytes);
	assert(s->n_cues <= WEBM_SCAN_CUES_MAX);
	for (size_t i = 0; i < s->n_cues; i++) {
		assert(s->cues[i].offset >= s->header_len);
		assert(s->cues[i].offset < s->bytes);
		assert(i == 0 || s->cues[i].offset > last);
		last = s->cues[i].offset;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct webm_scan whole = { 0 }, pieces = { 0 };
	size_t cut = size > 0 ? (data[size - 1] * size) >> 8 : 0;
	int fd = memfd_create("scan", MFD_CLOEXEC);

	if (fd < 0)
		abort();
	write_at(fd, data, 0, cut);
	scan(&pieces, fd, cut);
	write_at(fd, data, cut, size);
	scan(&pieces, fd, size);
	scan(&whole, fd, size);
	assert(whole.bytes == pieces.bytes);
	assert(whole.header_len == pieces.header_len);
	assert(whole.n_cues == pieces.n_cues);
	assert(whole.n_cues == 0 ||
	    memcmp(whole.cues, pieces.cues,
		whole.n_cues * sizeof(*whole.cues)) == 0);
	webm_scan_release(&whole);
	webm_scan_release(&pieces);
	close(fd);
	return 0;
}
