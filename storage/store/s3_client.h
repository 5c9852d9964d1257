/*
 * Signed S3 requests over libcurl's multi interface on a libevent loop.
 * Server errors (5xx, 429), timeouts and broken connections are tried again
 * with back-off, four times in all, inside one request. Credentials are read
 * again from their file before each first try, so that a new key needs no
 * restart. One loop; nothing blocks.
 */
#ifndef STORAGE_STORE_S3_CLIENT_H
#define STORAGE_STORE_S3_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sigv4.h"
#include "storage/store/store.h"

#define S3_BODY_MAX  (1 << 20) /* bytes of an answer that are kept */
#define S3_QUERY_MAX 8

struct s3_client;

/* Everything is borrowed until the answer; the body comes from mem or fd. */
struct s3_request {
	const char *method;
	const char *key; /* object key; "" is the bucket */
	struct sigv4_pair query[S3_QUERY_MAX];
	size_t n_query;
	struct sigv4_pair headers[S3_QUERY_MAX];
	size_t n_headers;
	const char *mem; /* NULL: bytes from fd at offset */
	int fd;
	uint64_t offset, len; /* len 0: no body */
	const char *sha256;   /* hex of the body; NULL: it is empty */
};

struct s3_response {
	int err;                       /* 0: HTTP 2xx; else ERR_* */
	long status;                   /* HTTP, 0: none came */
	unsigned tries;                /* that it took, 1 and more */
	char code[64];                 /* <Code> of an error, "" */
	char detail[STORE_DETAIL_MAX]; /* sentence for people */
	char etag[100];                /* without quotes */
	char sha256[65];               /* x-amz-meta-sha256 */
	char encryption[32];           /* x-amz-server-side-encryption */
	uint64_t size;    /* of the object: Content-Range, or -Length */
	const char *body; /* NUL-terminated */
	size_t body_len;
};
typedef void s3_cb(void *arg, const struct s3_response *r);

/* The key is right, but lacks the right for this request. */
bool s3_is_denied(const struct s3_response *r);

/* 0, ERR_CONFIG with err, ERR_NOMEM. */
int s3_client_new(struct s3_client **out, const struct store_env *env,
    char *err, size_t err_len);
/* Requests under way are dropped unanswered. */
void s3_client_free(struct s3_client *c);

/* Answered from the loop, once. 0, ERR_NOMEM or ERR_LIMIT. */
int s3_send(
    struct s3_client *c, const struct s3_request *rq, s3_cb *cb, void *arg);

#endif
