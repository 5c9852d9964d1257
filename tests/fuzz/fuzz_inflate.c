/*
 * The inflater beside zlib's on any bytes, in pieces:
 * tests/unit/inflate_check.h.
 *
 * Input: one byte for the size of the pieces, then the stream.
 */
#include "tests/unit/inflate_check.h"

/* Longer input only costs time: a byte inflates to 1032 at most. */
#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *what;

	if (len < 1 || len > INPUT_MAX)
		return 0;
	what = inflate_compare(
	    data + 1, len - 1, data[0] == 0 ? SIZE_MAX : data[0]);
	if (what != NULL) {
		fprintf(stderr, "zlib inflates to another %s\n", what);
		abort();
	}
	return 0;
}
