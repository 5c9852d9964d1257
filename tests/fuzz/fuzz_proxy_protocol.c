/* The header of the PROXY protocol: as a whole and byte by byte it is the
 * same, and nothing behind it matters. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As a reader of a socket does, which takes no byte too many. Returns the
 * length, or an error. */
static ssize_t
collect(const uint8_t *data, size_t size, uint8_t **out)
{
	size_t have = 0;

	*out = NULL;
	for (;;) {
		ssize_t wanted = proxy_header_wanted(*out, have);

		if (wanted < 0)
			return wanted;
		assert((size_t)wanted >= have && wanted >= PROXY_FIXED_LEN &&
		    wanted <= PROXY_HEADER_MAX);
		if (have >= PROXY_FIXED_LEN && have == (size_t)wanted)
			return wanted;
		if (have == size)
			return ERR_AGAIN;
		*out = realloc(*out, have + 1); /* sanitizers see its end */
		assert(*out != NULL);
		(*out)[have] = data[have];
		have++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_source one, whole;
	uint8_t *header;
	ssize_t len = collect(data, size, &header);

	if (len > 0) {
		int rc = proxy_header_read(header, (size_t)len, &one);

		assert(proxy_header_wanted(data, size) == len);
		assert(rc == proxy_header_read(data, (size_t)len, &whole));
		assert(memcmp(&one, &whole, sizeof(one)) == 0);
		if (rc == 0 && one.is_check)
			assert(one.address.sa.sa_family == AF_UNSPEC);
		/* neither more nor less than it says */
		assert(proxy_header_read(header, (size_t)len - 1, &one) ==
		    ERR_PROTOCOL);
	}
	free(header);
	return 0;
}
