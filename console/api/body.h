/*
 * Checks of a request's body by a const table: what its members are named and
 * may be. All that is wrong is told at once (RFC 9457, `errors`). No I/O.
 */
#ifndef CONSOLE_API_BODY_H
#define CONSOLE_API_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

enum member_kind {
	MEMBER_BOOL,
	MEMBER_INT,      /* lo to hi */
	MEMBER_TEXT,     /* lo to hi bytes, without control characters */
	MEMBER_LINES,    /* lo to hi bytes, which may be lines */
	MEMBER_NAME,     /* as the schema has names: 1 to 63 of a-z 0-9 . _ - */
	MEMBER_CHOICE,   /* one of choices */
	MEMBER_HOST,     /* a DNS name or an IP address, without a port */
	MEMBER_TLS_NAME, /* what a certificate carries */
	MEMBER_TEXTS,    /* a list of at most hi texts of 1 to 200 bytes */
	MEMBER_SHA256,   /* 64 hex digits; colons between bytes are taken out */
};

struct member {
	const char *name;
	enum member_kind kind;
	int64_t lo, hi;
	const char *choices; /* "a|b" */
	bool is_needed;
	bool may_be_null;
};

/*
 * Checks object (NULL: an empty one) and appends to errors what is wrong with
 * it; members that are not in the table are wrong too. at: the pointer of
 * object, "" for the body. Colons of MEMBER_SHA256 are taken out in place.
 */
void body_check(json_t *object, const char *at, const struct member *members,
    size_t n, json_t *errors);

/* Appends one thing that is wrong. */
void body_wrong(json_t *errors, const char *pointer, const char *detail);

/* Checks the whole body. False: the request has been answered with 422. */
bool body_is_right(struct request *r, const struct member *members, size_t n);

/* Overwrites a text of object, and takes it out. */
void body_wipe(json_t *object, const char *name);

/*
 * Takes the secret text `name` out of r->body, wiped, and puts it in as
 * `sealed`, encrypted with the seal key, in hex digits; null stays null (the
 * stored one goes), and none adds none. Members of at most BODY_SECRET_MAX
 * bytes. False: out of memory.
 */
#define BODY_SECRET_MAX 1024
bool body_seal(struct request *r, const char *name, const char *sealed);

#endif
