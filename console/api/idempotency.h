/*
 * Idempotency-Key on POST: the same request of the same person with the same
 * key is done once and answered alike for 24 hours (IETF draft
 * idempotency-key-header-07). What the request does and the answer that is kept
 * are one transaction, so that neither is there without the other, whatever
 * dies in between. A worker has one connection for these transactions: requests
 * with a key take turns on it.
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
 * turn. cb is called with r. Returns 0, ERR_UNAVAILABLE, ERR_LIMIT or
 * ERR_NOMEM. */
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

/* When r is freed. What it has not committed is rolled back. */
void idempotency_release(struct request *r);

#endif
