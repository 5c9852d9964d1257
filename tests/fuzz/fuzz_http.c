/* Ranges, escapes and query values as clients send them; S3's XML. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "manifest/object_key.h"
#include "common/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_range(const char *text)
{
	static const uint64_t sizes[] = { 0, 1, 1000, UINT64_MAX };
	struct http_range r;

	for (int i = 0; i < 4; i++)
		if (http_range_parse(text, sizes[i], &r) == 1) {
			assert(r.first <= r.last);
			assert(r.last < sizes[i]);
		}
}

static void
check_escapes(const char *text, size_t len)
{
	char plain[256], again[800], back[256];
	long n = http_decode(text, len, plain, sizeof(plain));

	if (n < 0)
		return;
	assert((size_t)n == strlen(plain));
	assert(http_encode(plain, 0, again, sizeof(again)) >= n);
	assert(http_decode(again, strlen(again), back, sizeof(back)) == n);
	assert(strcmp(plain, back) == 0);
	object_key_is_valid(plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), value[64];
	const char *at = text, *start, *end;

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_range(text);
	check_escapes(text, strlen(text));
	http_query_value(text, "signature", value, sizeof(value));
	while (s3_xml_element(&at, "Part", &start, &end) == 0) {
		assert(start <= end && end < at);
		s3_xml_text(&start, "ETag", value, sizeof(value));
	}
	free(text);
	return 0;
}
