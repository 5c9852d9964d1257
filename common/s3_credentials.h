/*
 * Keys that S3 requests are signed with, and where they come from
 * ([store] s3_credentials): a file, a role that a token file stands for
 * (AssumeRoleWithWebIdentity), a container's endpoint, or the metadata
 * service of a machine (IMDSv2). Makes the requests that are needed and reads
 * their answers; whoever uses it sends them. No I/O but reading files.
 * Secrets are wiped when they are replaced, and never part of a sentence.
 * Not thread-safe.
 * Sources: AWS STS API reference, "AssumeRoleWithWebIdentity"; Amazon EC2 user
 * guide, "Use the Instance Metadata Service"; AWS SDKs reference guide,
 * "Container credential provider".
 */
#ifndef COMMON_S3_CREDENTIALS_H
#define COMMON_S3_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/sigv4.h"

#define S3_CREDENTIALS_WHY_MAX    512
#define S3_CREDENTIALS_TOKEN_MAX  16384 /* bytes of a token file */
#define S3_CREDENTIALS_ANSWER_MAX 65536
#define S3_CREDENTIALS_HEADERS    2

enum s3_credentials_source {
	S3_CREDENTIALS_FILE,
	S3_CREDENTIALS_WEB_IDENTITY,
	S3_CREDENTIALS_CONTAINER,
	S3_CREDENTIALS_INSTANCE,
};

struct s3_credentials {
	const struct conf_store *conf; /* borrowed */
	enum s3_credentials_source source;
	struct sigv4_key key; /* in force; access_key "": none yet */
	uint64_t fetched_s;   /* Unix time */
	uint64_t expires_s;   /* Unix time; 0: never */
	/* of the requests under way, instance only */
	char session[1025]; /* of the metadata service */
	char role[257];
};

/* An HTTP request to be sent; it holds secrets: release it. */
struct s3_credentials_request {
	const char *method;
	char url[2048];
	/* "Name: value"; NULL: fewer */
	char *headers[S3_CREDENTIALS_HEADERS];
	char *body;          /* of a POST, NUL-terminated; NULL: empty */
	const char *ca_file; /* NULL: the system's */
};

/*
 * Reads the settings, and the key where it is in a file. Returns 0, or
 * ERR_CONFIG with a sentence in why.
 */
int s3_credentials_init(struct s3_credentials *c, const struct conf_store *conf,
    char *why, size_t why_len);
void s3_credentials_wipe(struct s3_credentials *c);

/* They may be used. */
bool s3_credentials_are_valid(const struct s3_credentials *c, uint64_t now_s);
/* They end soon, or there are none: time to ask for others. */
bool s3_credentials_are_due(const struct s3_credentials *c, uint64_t now_s);
/* The S3 server takes them no more. */
void s3_credentials_expire(struct s3_credentials *c);
/* Reads the file again; if it cannot be read, the old credentials stay. */
void s3_credentials_reload(struct s3_credentials *c);

/*
 * The next request that brings credentials; not for a file. Returns 0, or
 * ERR_CONFIG, ERR_IO, ERR_NOMEM with a sentence in why (nothing is to be
 * released then).
 */
int s3_credentials_request(struct s3_credentials *c,
    struct s3_credentials_request *rq, char *why, size_t why_len);
void s3_credentials_request_release(struct s3_credentials_request *rq);

/*
 * The answer to it: body is NUL-terminated text. Returns 1 when another
 * request has to follow, 0 when credentials are there, ERR_DENIED,
 * ERR_UNAVAILABLE or ERR_PROTOCOL with a sentence in why; the next request
 * begins anew then.
 */
int s3_credentials_answer(struct s3_credentials *c, long status,
    const char *body, uint64_t now_s, char *why, size_t why_len);

#endif
