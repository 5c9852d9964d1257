/* Hostile bytes in front of evhttp: split anywhere, the answer is the same. */
#include <stdint.h>
#include <stdlib.h>

#include "console/http/head_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct head_check whole = { 0 }, two = { 0 };
	size_t at = len > 0 ? data[0] % len : 0;

	head_check_feed(&whole, data, len);
	head_check_feed(&two, data, at);
	head_check_feed(&two, data + at, len - at);
	if (whole.status != two.status || whole.state != two.state)
		abort();
	return 0;
}
