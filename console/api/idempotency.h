/*
 * Idempotency-Key on POST: for 24 hours the same request of the same person
 * with the same key is executed once and gets the same answer (IETF draft
 * idempotency-key-header-07). One transaction holds the request's changes and
 * the kept answer: a crash leaves both or neither. A worker has one connection
 * for these transactions: requests with a key take turns on it.
 *
 * Answers may hold secrets that are shown once. They are kept encrypted with a
 * key that is made of the Idempotency-Key, which is kept as a keyed hash only,
 * and of secrets.seal_key_file. On the worker's loop.
 */
#ifndef CONSOLE_API_IDEMPOTENCY_H
#define CONSOLE_API_IDEMPOTENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/db.h"

#define IDEMPOTENCY_KEY_MAX 255 /* bytes of the field's value */

struct idempotency; /* of one request */
struct idempotency_queue;
struct request;
struct worker;

/* NULL only for memory. */
struct idempotency_queue *idempotency_queue_new(struct worker *w);
void idempotency_queue_free(struct idempotency_queue *q);

/* Takes a request's key, if it is a POST (but not one of me/) and has one,
 * before its handler runs. False: r has been answered. */
bool idempotency_take(struct request *r);

/* request_query() of a request with a key: the first statement waits for its
 * turn. cb is called with r. Returns 0, ERR_UNAVAILABLE, ERR_NOMEM, or
 * ERR_LIMIT: too many wait, of this person or of all. */
int idempotency_query(struct request *r, const char *sql, int n,
    const char *const *params, db_result_cb *cb);

/* Is r in its transaction? r may have no key. Then idempotency_write() writes
 * in it, beside what the handler asks; as db_query_now. */
bool idempotency_is_open(const struct request *r);
int idempotency_write(struct request *r, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

/*
 * The answer of a request with a key, or without. text: len bytes, borrowed;
 * JSON, or a problem document, by status. True: it is kept first and then sent
 * by request_send(); false: the caller sends it.
 */
bool idempotency_answer(
    struct request *r, unsigned status, const char *text, size_t len);

/* A statement of r has failed, and its transaction with it. r may have no key.
 */
void idempotency_failed(struct request *r);

/* To be called when r is freed. Rolls back a transaction that is still open. */
void idempotency_release(struct request *r);

#endif
