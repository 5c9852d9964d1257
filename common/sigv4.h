/*
 * AWS Signature Version 4: signs S3 requests by header, and URLs by query.
 * S3's rules: the path is encoded once and never normalised, payload hashes
 * travel in x-amz-content-sha256. Works on plain (decoded) paths and query
 * values and encodes them itself. No I/O apart from sigv4_key_read;
 * thread-safe. Source: AWS General Reference and "Amazon S3 API Reference",
 * chapter "Authenticating Requests (AWS Signature Version 4)".
 */
#ifndef COMMON_SIGV4_H
#define COMMON_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#define SIGV4_PAIRS_MAX 24   /* query parameters, or headers, a request */
#define SIGV4_TEXT_MAX  8192 /* canonical request, and any result */
#define SIGV4_UNSIGNED  "UNSIGNED-PAYLOAD"
#define SIGV4_TOKEN_MAX 4096 /* bytes of a session token */
/* SHA-256 of no bytes. */
#define SIGV4_EMPTY                                                            \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/*
 * access_key, secret and token are owned; region and service borrowed. A
 * request that is signed with a token ("": none) has to carry it as the header
 * x-amz-security-token, which is the caller's to add and to sign.
 */
struct sigv4_key {
	char access_key[129];
	char secret[129];
	char token[SIGV4_TOKEN_MAX + 1];
	const char *region;
	const char *service; /* "s3" */
};

struct sigv4_pair {
	const char *name, *value; /* value NULL is "" */
};

/* Everything is borrowed for the call. */
struct sigv4_request {
	const char *method;
	const char *host; /* with :port where it is not the usual one */
	const char *path; /* decoded, starts with '/' */
	const struct sigv4_pair *query;
	size_t n_query;
	const struct sigv4_pair *headers; /* to sign, without host and
					   * x-amz-date; any order */
	size_t n_headers;
	const char *payload; /* hex SHA-256 of the body, or SIGV4_UNSIGNED */
	uint64_t time_s;     /* Unix time of the signature */
};

/*
 * Reads two lines, access key and secret key, and a third one if there is
 * one, the session token, from path into key, which stays as it is on
 * failure. Returns 0, ERR_NOMEM, or the errors of
 * keyfile_open; why then has a sentence.
 */
int sigv4_key_read(
    struct sigv4_key *key, const char *path, char *why, size_t why_len);
void sigv4_key_wipe(struct sigv4_key *key);

/* Bytes sigv4_date needs. */
#define SIGV4_DATE_MAX 17
/* 20261121T081502Z, the value of x-amz-date; returns out. */
char *sigv4_date(uint64_t time_s, char out[SIGV4_DATE_MAX]);

/* "path?query" as it must be sent; 0 or ERR_LIMIT. */
int sigv4_target(const struct sigv4_request *rq, char *out, size_t out_len);

/*
 * The value of Authorization. The request must carry exactly the given
 * headers, Host: host and x-amz-date: sigv4_date(time_s). 0 or ERR_LIMIT.
 */
int sigv4_authorization(const struct sigv4_key *key,
    const struct sigv4_request *rq, char *out, size_t out_len);

/*
 * "path?query&X-Amz-Signature=..." that is valid for expires_s (1..604800)
 * seconds from time_s, and no longer than the key's session token, which is
 * in it. Only the host is signed beside it: rq->headers are not used. 0 or
 * ERR_LIMIT.
 */
int sigv4_presign(const struct sigv4_key *key, const struct sigv4_request *rq,
    uint32_t expires_s, char *out, size_t out_len);

#endif
