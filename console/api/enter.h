/*
 * Who asks, and may they? One statement (console_enter of the schema) reads
 * the person of a cookie or bearer token and the rights on what the path
 * names; the route's row says which right is needed. Refusals of what is
 * visible go to the audit log (M7, X7).
 */
#ifndef CONSOLE_API_ENTER_H
#define CONSOLE_API_ENTER_H

#include <libpq-fe.h>
#include <stdint.h>

struct person;
struct request;

#define COOKIE_NAME         "__Host-relaycam"
#define CSRF_TEXT_MAX       65 /* hex, with the NUL */
#define BEARER_PREFIX       "rcam_"
#define CREDENTIAL_HASH_MAX 65 /* hex, with the NUL */

/* Runs the route's handler, or answers 401, 403 or 404. */
void request_enter(struct request *r);

/* 403, and an entry `refused` in the audit log. */
void request_refuse(struct request *r, const char *detail);

/* The SHA-256 of a cookie's or token's bytes, as the database has it. Returns
 * out. */
char *credential_hash(const struct person *p, char out[CREDENTIAL_HASH_MAX]);

/* The CSRF token that goes with a cookie's bytes: a hash of them, so that no
 * row is needed for it. Returns out. */
char *csrf_text(const uint8_t *credential, char out[CSRF_TEXT_MAX]);

#define REQUEST_ORIGIN_MAX 128

/* {"client": address, "door": "console" or "api_token"}, for the audit log.
 * Returns out. */
char *request_origin(const struct request *r, char out[REQUEST_ORIGIN_MAX]);

/* Writes an entry into the audit log: who, from where, by which door. The
 * answer waits for it (write.h). object: what it was done to; detail: an
 * object, taken, or NULL. */
struct json_t;
void request_audit(struct request *r, const char *action, const char *object,
    struct json_t *detail);

/* The same for handlers that stream their answer: `then` is called when the
 * entry is there. */
void request_audit_first(struct request *r, const char *action,
    const char *object, void (*then)(struct request *r, PGresult *res));

#endif
