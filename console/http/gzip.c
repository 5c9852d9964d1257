#include "console/http/gzip.h"

#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_GZIP (15 + 16)
#define MEMORY_BEST 9

char *
gzip_whole(const void *data, size_t len, size_t *out_len)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)data,
		.avail_in = (uInt)len };
	char *out = NULL;
	size_t room;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW_GZIP,
		MEMORY_BEST, Z_DEFAULT_STRATEGY) != Z_OK)
		return NULL;
	room = deflateBound(&z, (uLong)len);
	out = malloc(room);
	if (out != NULL) {
		z.next_out = (Bytef *)out;
		z.avail_out = (uInt)room;
		if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
			free(out);
			out = NULL;
		}
		*out_len = z.total_out;
	}
	deflateEnd(&z);
	return out;
}
