/* Whole texts as gzip (RFC 1952). No I/O, thread-safe. */
#ifndef CONSOLE_HTTP_GZIP_H
#define CONSOLE_HTTP_GZIP_H

#include <stddef.h>

/* Compresses as well as it can: for what is sent often. Heap; NULL: no
 * memory. */
char *gzip_whole(const void *data, size_t len, size_t *out_len);

#endif
