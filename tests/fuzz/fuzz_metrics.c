/* Requests to the metrics port: what is read is inside what came, and the
 * same in one piece and byte by byte. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct metrics_request whole = { 0 }, parts = { 0 };
	const char *text = (const char *)data;
	ssize_t rc = metrics_request_parse(&whole, text, size), step = 0;

	assert(rc <= (ssize_t)size && rc <= METRICS_HEAD_MAX);
	for (size_t n = 0; n <= size && n < 512 && step == 0; n++)
		step = metrics_request_parse(&parts, text, n);
	if (step != 0)
		assert(step == rc);
	if (rc > 0)
		assert(whole.path[0] == '/' || whole.path[0] == '*');
	return 0;
}
