/*
 * Where the S3 server is: [store] s3_endpoint, read once for all that signs
 * requests or links to it. A signature covers the Host header, and every
 * client writes that header in its own canonical form: lower case, without
 * the scheme's usual port, addresses in their shortest spelling. So the host
 * is brought into that form here, before anything is signed. No I/O.
 * Source: RFC 3986 sections 3.2 and 6.2.3, RFC 5952.
 */
#ifndef COMMON_S3_ENDPOINT_H
#define COMMON_S3_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"

#define S3_HOST_MAX 320

struct s3_endpoint {
	const char *bucket;     /* borrowed from the settings */
	bool path_style;        /* "/bucket/key", else "bucket.host" */
	char scheme[8];         /* "https" or "http" */
	char host[S3_HOST_MAX]; /* to be signed: "[bucket.]host[:port]" */
};

/*
 * Reads s3_endpoint, s3_bucket and s3_path_style; conf is borrowed for as
 * long as out is used. Returns 0, or ERR_CONFIG with a sentence in why.
 */
int s3_endpoint_read(struct s3_endpoint *out, const struct conf_store *conf,
    char *why, size_t why_len);

/*
 * The path of an object, not encoded, starting with '/'; key "" is the
 * bucket itself. Returns 0 or ERR_LIMIT.
 */
int s3_endpoint_path(
    const struct s3_endpoint *e, const char *key, char *out, size_t len);

#endif
