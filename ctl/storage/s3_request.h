/*
 * One signed S3 request of the command line at a time. Blocking.
 */
#ifndef CTL_STORAGE_S3_REQUEST_H
#define CTL_STORAGE_S3_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"
#include "common/s3_credentials.h"
#include "common/s3_endpoint.h"
#include "ctl/ctl_http.h"

#define S3_REQUEST_PAIRS  4 /* of a query, and of headers */
#define S3_REQUEST_ANSWER 16384

/* The server and the key. */
struct s3_server {
	const struct conf_store *conf; /* borrowed */
	struct s3_endpoint endpoint;
	struct s3_credentials credentials;
};

struct s3_command {
	const char *method;
	const char *key; /* object key; "": the bucket */
	struct sigv4_pair query[S3_REQUEST_PAIRS];
	size_t n_query;
	struct sigv4_pair headers[S3_REQUEST_PAIRS];
	size_t n_headers;
	const char *body;    /* NULL: none */
	const char *payload; /* hex SHA-256 to claim; NULL: the body's */
	/* out */
	long status;     /* HTTP; -1: no answer, why says more */
	char code[64];   /* <Code> of an error, or "" */
	uint64_t date_s; /* the server's clock, Unix time; 0: not told */
	char answer[S3_REQUEST_ANSWER];
	char why[CTL_HTTP_WHY_MAX];
};

/*
 * Reads the settings and gets the key, from wherever it comes. Returns 0, or
 * -1 with a sentence in why.
 */
int s3_server_open(struct s3_server *s, const struct conf_store *conf,
    char why[CTL_HTTP_WHY_MAX]);
void s3_server_close(struct s3_server *s); /* wipes the key */

/* Signs and sends; true: 2xx. */
bool s3_command_send(const struct s3_server *s, struct s3_command *c);

/* Adds the headers of the setting s3_encryption: for what makes an object. */
void s3_command_encrypt(const struct s3_server *s, struct s3_command *c);

#endif
