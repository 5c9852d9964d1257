/* WebM reader over any bytes; frames lie inside and times grow. */
#include <stdint.h>
#include <stdlib.h>

#include "webm/webm_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct webm_reader *r;
	struct webm_block b;
	uint64_t last = 0;
	int n = 0;

	if (webm_reader_new_mem(&r, data, len) != 0)
		return 0;
	while (webm_reader_next(r, &b) == 1) {
		if (b.offset + b.len > len || b.end > len ||
		    (n++ > 0 && b.time_ms <= last))
			abort();
		last = b.time_ms;
	}
	if (webm_reader_end(r) == WEBM_END_NONE ||
	    webm_reader_valid_end(r) > len)
		abort();
	webm_reader_free(r);
	return 0;
}
