/* Which compression a client takes: Accept-Encoding of RFC 9110 section
 * 12.5.3. No I/O. */
#ifndef CONSOLE_HTTP_ACCEPT_ENCODING_H
#define CONSOLE_HTTP_ACCEPT_ENCODING_H

#include <stdbool.h>

/* field: the value, or NULL. True: gzip, x-gzip or * is listed with a weight
 * above 0; gzip's own weight goes before that of *. */
bool accepts_gzip(const char *field);

#endif
