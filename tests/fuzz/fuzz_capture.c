/*
 * Capture reader over any bytes: spans inside memory, times that never go
 * back. The sums of headers and blocks are put right first, so that what
 * lies behind them is reached.
 */
#include <stdint.h>
#include <stdlib.h>

#include "capture/capture_format.h"
#include "common/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
mend_sums(uint8_t *p, size_t len)
{
	while (len >= CAPTURE_HEADER_LEN) {
		size_t room = len - CAPTURE_HEADER_LEN;
		size_t stored = min_size(load_be32(p + 16), room);

		store_be32(p + 56, capture_sum(p + CAPTURE_HEADER_LEN, stored));
		store_be32(p + 60, capture_sum(p, 60));
		p += CAPTURE_HEADER_LEN + stored;
		len = room - stored;
	}
}

static void
read_all(const uint8_t *data, size_t len)
{
	struct capture_reader *r;
	struct capture_record rec;
	uint64_t last = 0, sum = 0;

	if (capture_reader_new_mem(&r, data, len) != 0)
		return;
	while (capture_reader_next(r, &rec) == 1) {
		if (rec.kind == CAPTURE_BYTES || rec.kind == CAPTURE_STATE) {
			for (size_t i = 0; i < rec.len; i++)
				sum += rec.data[i];
			continue;
		}
		if (rec.mark.mono_ns < last || rec.mark.mono_ns > INT64_MAX)
			abort();
		last = rec.mark.mono_ns;
	}
	if (capture_reader_end(r) == CAPTURE_END_NONE ||
	    capture_reader_offset(r) > len || sum > (uint64_t)len << 40)
		abort();
	capture_reader_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	if (copy == NULL)
		return 0;
	read_all(data, len);
	memcpy(copy, data, len);
	mend_sums(copy, len);
	read_all(copy, len);
	free(copy);
	return 0;
}
