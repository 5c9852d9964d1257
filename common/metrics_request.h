/*
 * The head of one HTTP request to a metrics port (RFC 9112), as Prometheus,
 * curl and load balancers send it: GET, HEAD and OPTIONS without a body,
 * HTTP/1.0 or 1.1. Only the first line matters, whether a body follows,
 * and which format of metrics is accepted.
 * No I/O, thread-safe, all input is hostile.
 */
#ifndef COMMON_METRICS_REQUEST_H
#define COMMON_METRICS_REQUEST_H

#include <stddef.h>
#include <sys/types.h>

#include "common/metrics_print.h"

#define METRICS_HEAD_MAX 8192
#define METRICS_PATH_MAX 64

enum metrics_method { METRICS_GET, METRICS_HEAD, METRICS_OPTIONS };

struct metrics_request {
	enum metrics_method method;
	/* without the query; "*" of OPTIONS is as sent */
	char path[METRICS_PATH_MAX + 1];
	/* OpenMetrics where Accept names it and prefers no plain text */
	enum metrics_format format;
};

/*
 * Reads the head at the front of len bytes (borrowed). Returns the bytes
 * used, 0 when it is not complete, or
 *   ERR_PROTOCOL     it is not HTTP, or a body follows; answer 400
 *   ERR_UNSUPPORTED  another method; answer 405
 *   ERR_NOTFOUND     the path is longer than any; answer 404
 *   ERR_LIMIT        over METRICS_HEAD_MAX; answer 431
 */
ssize_t metrics_request_parse(
    struct metrics_request *req, const char *data, size_t len);

#endif
