/*
 * What the answers of a request say that will not be there for ever: the field
 * Deprecation (RFC 9745), Sunset (RFC 8594) and a Link to what takes its place.
 * No I/O.
 */
#ifndef CONSOLE_HTTP_DEPRECATION_H
#define CONSOLE_HTTP_DEPRECATION_H

#include <stdint.h>

struct evkeyvalq;

/* Of a row of the table of routes. */
struct deprecation {
	int64_t since_s;  /* of the epoch; it may be still to come */
	int64_t sunset_s; /* not there any more from then on; 0: not known */
	/* URI reference of what says what to do; NULL: none */
	const char *link;
};

/* d: NULL when the request stays; then nothing is added. */
void deprecation_add(const struct deprecation *d, struct evkeyvalq *fields);

#endif
