/*
 * Requests with an Idempotency-Key take turns on a worker's one connection for
 * their transactions: those that wait, and the one whose turn it is. For
 * idempotency.c alone.
 */
#ifndef CONSOLE_API_IDEMPOTENCY_QUEUE_H
#define CONSOLE_API_IDEMPOTENCY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/db.h"
#include "console/api/idempotency_seal.h"

#define IDEMPOTENCY_WAITING_MAX 200 /* per worker */
#define IDEMPOTENCY_PER_PERSON  20  /* of these, so that others get in */
#define IDEMPOTENCY_HEX_MAX     (2 * IDEMPOTENCY_HASH_LEN + 1)

struct request;

/*
 *  NEW -> WAITING -> OPEN -> KEEPING -> OVER
 *   '------------------'---------------^
 */
enum state {
	NEW,     /* has asked the database nothing yet */
	WAITING, /* for its turn */
	OPEN,    /* in its transaction */
	KEEPING, /* has its answer, which is being committed */
	OVER,    /* answers are sent as they are */
};

struct statement {
	char *sql;
	int n;
	char **params;
	db_result_cb *cb;
};

struct idempotency {
	TAILQ_ENTRY(idempotency) link;
	struct idempotency_queue *queue;
	struct request *request;
	enum state state;
	bool is_broken; /* its transaction is: connection or statement */
	struct idempotency_keys keys;
	struct statement first;
	unsigned status; /* the answer that is being kept */
	char *text;
	size_t len;
};
TAILQ_HEAD(idempotency_list, idempotency);

struct idempotency_queue {
	struct db *db;
	struct idempotency_list waiting;
	unsigned n_waiting;
	struct idempotency *open; /* whose turn it is */
};

/* Its turn is over, and its transaction with it. */
void idempotency_set_over(struct idempotency *k);
void idempotency_roll_back(struct idempotency *k);
/* Rolls back and answers with 503; when the client is gone, frees. */
void idempotency_fail(struct idempotency *k);

void idempotency_statement_release(struct statement *s);

#endif
