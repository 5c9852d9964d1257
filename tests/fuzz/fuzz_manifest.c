/* A recorder's manifest. What is accepted must keep its promises. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "manifest/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char id[] = "01234567-89ab-cdef-0123-456789abcdef";
	struct manifest m;
	char err[64];

	for (int closed = 0; closed < 2; closed++) {
		if (manifest_parse(&m, (const char *)data, size, id, closed,
			err, sizeof(err)) != 0)
			continue;
		assert(object_key_is_valid(m.object_key));
		assert(strcmp(m.segment, id) == 0);
		assert(strstr(m.object_key, "..") == NULL ||
		    strstr(m.object_key, "/../") == NULL);
		assert(!closed || m.bytes > 0);
		assert(m.activity_len % ACTIVITY_BYTES == 0);
		assert(m.merged == NULL ||
		    (m.n_merged > 0 &&
			m.merged_len / MERGED_BYTES ==
			    m.activity_len / ACTIVITY_BYTES));
		assert(m.poster[0] == '\0' || m.poster[36] == '.');
		manifest_release(&m);
	}
	return 0;
}
