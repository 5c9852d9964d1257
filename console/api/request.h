/*
 * One request to the API, from its arrival to its answer. Errors are problem
 * documents (RFC 9457) whose `type` is "/problems/" and a stable word
 * (docs/api.md). On the worker's loop.
 */
#ifndef CONSOLE_API_REQUEST_H
#define CONSOLE_API_REQUEST_H

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "console/api/write.h"

#define REQUEST_ID_MAX   64 /* of what {id} in a path says */
#define REQUEST_USER_MAX 64
#define REQUEST_ADDRESS  64
#define CREDENTIAL_LEN   32 /* bytes of a cookie or of a bearer token */

struct evhttp_request;
struct idempotency;
struct route;
struct worker;

/* Who asks. id 0: nobody has logged in. */
struct person {
	int64_t id, team_id;
	char name[64], role[16], team[64], zone[64];
	char id_text[24], team_text[24]; /* for parameters */
	bool is_token;                   /* by a bearer token */
	bool is_limited;                 /* good for a second factor alone */
	bool is_confirmed;               /* this login, lately */
	char *scopes;                    /* of it: " a b "; heap */
	uint8_t credential[CREDENTIAL_LEN];
};

/* What the person may do with the object that the path names. */
struct object_rights {
	bool is_found; /* it is there, and the person's team's */
	bool is_visible;
	bool control, record, manage, playback;
};

struct request {
	struct worker *worker;
	struct evhttp_request *http; /* NULL: the client went away */
	const struct route *route;
	bool is_begun;     /* the head of a streamed answer is sent */
	bool is_not_found; /* pages.c: no page has this path */
	const char *query; /* of the URI; borrowed; NULL: none */
	char id[REQUEST_ID_MAX];
	char user[REQUEST_USER_MAX]; /* what {user} in the path says */
	char client[REQUEST_ADDRESS];
	json_t *body; /* an object, or NULL */
	struct person person;
	struct object_rights rights;
	struct writes writes;
	struct idempotency *idempotency; /* NULL: it has no Idempotency-Key */
	void (*on_rows)(struct request *r, PGresult *res);
	void *state; /* the handler's own; release frees it */
	void (*release)(struct request *r);
	/* change.c: what follows a change */
	void (*change_done)(struct request *r, const char *answer);
	unsigned change_status;
	const char *login_how; /* login_open.c: what the person proved */
	/* single sign-on: when the provider asked for that, seconds since 1970;
	 * "": just now */
	char login_proved_at[24];
	/* second_factor.c: a code, and what follows its check */
	char factor_code[8];
	void (*factor_checked)(struct request *r, bool is_right);
	/* login_open.c: the answer once somebody is logged in */
	void (*login_done)(struct request *r);
	/* passkey_check.c: whose passkey it is, and what follows */
	struct person passkey_owner;
	void (*passkey_checked)(struct request *r, const struct person *owner);
};

/* For evhttp_set_gencb, whose argument w is. */
void request_start(struct evhttp_request *http, void *w);

/*
 * Asks the database; on_rows is called with rows or a finished command. When
 * the database is away or refuses it, the request is answered with 503 or 500
 * and on_rows is not called: the handler returns at once in all cases. n: at
 * most 32.
 */
void request_query(struct request *r, const char *sql, int n,
    const char *const *params, void (*on_rows)(struct request *, PGresult *));

/* The same as db_query_prepared: look-ups by keys. sql: static. */
void request_query_prepared(struct request *r, const char *sql, int n,
    const char *const *params, void (*on_rows)(struct request *, PGresult *));

/* The text of a query parameter; false: it is not there. A broken or too long
 * one counts as not there. */
bool request_param(
    const struct request *r, const char *name, char *out, size_t len);
/* The text of a member of the body; NULL: none, or it is no text. */
const char *request_text(const struct request *r, const char *name);

/* ---- answers; each is the last thing that is done with r ---- */

/* A body and the same as gzip (NULL: it is not compressed). */
struct request_body {
	const void *data, *gzip;
	size_t len, gzip_len;
};

/* body: borrowed; which of both is sent is the client's choice. */
void request_bytes(struct request *r, unsigned status, const char *type,
    struct request_body body);
/* root: taken; NULL is out of memory. */
void request_json(struct request *r, unsigned status, json_t *root);
/* text: JSON, borrowed; sends an ETag, and 304 where the client has it. */
void request_json_text(struct request *r, unsigned status, const char *text);
void request_empty(struct request *r, unsigned status);
/* html: a whole page, borrowed. */
void request_html(struct request *r, unsigned status, const char *html);
/* type: a word of docs/api.md; detail: a sentence, or NULL. */
void request_problem(
    struct request *r, unsigned status, const char *type, const char *detail);
/* 422 for one member of the body ("/name") or one parameter ("?limit"). */
void request_invalid(
    struct request *r, const char *pointer, const char *detail);
/* The same for all that is wrong: a list of {pointer, detail}, taken. */
void request_invalid_all(struct request *r, json_t *errors);
/* The same answer for what is not there and what is another team's. */
void request_not_found(struct request *r);

/* Adds a field to the answer that follows; of those that every answer has
 * (http/fields.h), it takes the place. */
void request_field(struct request *r, const char *name, const char *value);

#endif
