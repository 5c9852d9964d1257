#include "console/api/idempotency_queue.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "console/api/answer.h"
#include "console/api/idempotency.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/worker.h"

static void begin_next(struct idempotency_queue *q);

/* ---- statements that are kept for later ---- */

void
idempotency_statement_release(struct statement *s)
{
	for (int i = 0; i < s->n && s->params != NULL; i++) {
		if (s->params[i] != NULL)
			wipe(s->params[i], strlen(s->params[i]));
		free(s->params[i]);
	}
	free(s->params);
	free(s->sql);
	*s = (struct statement){ 0 };
}

static int
statement_copy(struct statement *s, const char *sql, int n,
    const char *const *params, db_result_cb *cb)
{
	*s = (struct statement){ .n = n, .cb = cb };
	s->sql = strdup(sql);
	s->params = calloc((size_t)n + 1, sizeof(*s->params));
	if (s->sql == NULL || s->params == NULL)
		goto nomem;
	for (int i = 0; i < n; i++)
		if (params[i] != NULL &&
		    (s->params[i] = strdup(params[i])) == NULL)
			goto nomem;
	return 0;
nomem:
	idempotency_statement_release(s);
	return ERR_NOMEM;
}

/* ---- turns ---- */

void
idempotency_set_over(struct idempotency *k)
{
	struct idempotency_queue *q = k->queue;

	k->state = OVER;
	if (q->open != k)
		return;
	q->open = NULL;
	begin_next(q);
}

void
idempotency_roll_back(struct idempotency *k)
{
	if (db_is_connected(k->queue->db))
		db_query_now(k->queue->db, "ROLLBACK", 0, NULL, NULL, NULL);
	idempotency_set_over(k);
}

static void
fail(struct idempotency *k, unsigned status, const char *type, const char *why)
{
	struct request *r = k->request;

	idempotency_roll_back(k);
	if (r->http == NULL) {
		request_free(r);
		return;
	}
	if (status != 422)
		request_field(r, "Retry-After", "1");
	request_problem(r, status, type, why);
}

void
idempotency_fail(struct idempotency *k)
{
	fail(k, 503, "unavailable",
	    "The database does not answer; send the same again, with the same "
	    "key.");
}

/* ---- the answer of the first time ---- */

enum col { IS_NEW, FITS, STATUS, ANSWER }; /* of begin() */

static void
send_again(struct idempotency *k, const PGresult *res)
{
	struct request *r = k->request;
	unsigned status = (unsigned)atoi(PQgetvalue(res, 0, STATUS));
	size_t len;
	char *text =
	    idempotency_open(&k->keys, PQgetvalue(res, 0, ANSWER), &len);

	idempotency_roll_back(k);
	if (text == NULL) {
		request_problem(r, 500, "internal",
		    "The kept answer cannot be read; was the file of "
		    "secrets.seal_key_file changed?");
		return;
	}
	request_field(r, "Idempotency-Replayed", "true");
	request_send(r, status, text, len);
	wipe(text, len);
	free(text);
}

static void
run_first(struct idempotency *k)
{
	struct statement s = k->first;

	k->first = (struct statement){ 0 };
	k->state = OPEN;
	if (db_query_now(k->queue->db, s.sql, s.n,
		(const char *const *)s.params, s.cb, k->request) != 0)
		idempotency_fail(k);
	idempotency_statement_release(&s);
}

static void
on_begun(void *arg, PGresult *res)
{
	struct idempotency *k = arg;

	if (k->request->http == NULL) {
		request_free(k->request);
	} else if (strcmp(db_sqlstate(res), "55P03") == 0) {
		fail(k, 409, "idempotency-key-in-use",
		    "A request with this key is still being done.");
	} else if (res == NULL || !db_ok(res, "idempotency key")) {
		idempotency_fail(k);
	} else if (PQgetvalue(res, 0, IS_NEW)[0] == 't') {
		run_first(k);
	} else if (PQgetvalue(res, 0, FITS)[0] != 't') {
		fail(k, 422, "idempotency-key-reused",
		    "This Idempotency-Key came with another request before.");
	} else {
		send_again(k, res);
	}
}

/* Begins the transaction and inserts the key with the hash of its request. The
 * same key at another worker waits until this transaction has ended. */
static int
begin(struct idempotency *k)
{
	char id[IDEMPOTENCY_HEX_MAX], print[IDEMPOTENCY_HEX_MAX];
	const char *params[] = { id, print };

	http_hex(k->keys.id, IDEMPOTENCY_HASH_LEN, id);
	http_hex(k->keys.fingerprint, IDEMPOTENCY_HASH_LEN, print);
	if (db_query_now(k->queue->db, "BEGIN", 0, NULL, NULL, NULL) != 0)
		return ERR_UNAVAILABLE;
	return db_query_now(k->queue->db,
	    "SELECT is_new, fits, status, encode(answer, 'hex') FROM "
	    "idempotency_begin(decode($1, 'hex'), decode($2, 'hex'))",
	    2, params, on_begun, k);
}

static void
begin_next(struct idempotency_queue *q)
{
	struct idempotency *k;

	while (q->open == NULL && (k = TAILQ_FIRST(&q->waiting)) != NULL) {
		TAILQ_REMOVE(&q->waiting, k, link);
		q->n_waiting--;
		if (k->request->http == NULL) {
			k->state = OVER;
			request_free(k->request);
			continue;
		}
		q->open = k;
		k->state = OPEN;
		if (begin(k) != 0)
			idempotency_fail(k);
	}
}

static bool
is_full(const struct idempotency_queue *q, int64_t person)
{
	const struct idempotency *k;
	unsigned n = 0;

	TAILQ_FOREACH(k, &q->waiting, link)
		n += k->request->person.id == person;
	return n >= IDEMPOTENCY_PER_PERSON ||
	    q->n_waiting >= IDEMPOTENCY_WAITING_MAX;
}

int
idempotency_query(struct request *r, const char *sql, int n,
    const char *const *params, db_result_cb *cb)
{
	struct idempotency *k = r->idempotency;
	struct idempotency_queue *q = k->queue;

	if (k->is_broken)
		return ERR_UNAVAILABLE;
	if (k->state == OPEN)
		return db_query_now(q->db, sql, n, params, cb, r);
	if (!db_is_connected(q->db))
		return ERR_UNAVAILABLE;
	if (is_full(q, r->person.id))
		return ERR_LIMIT;
	if (statement_copy(&k->first, sql, n, params, cb) != 0)
		return ERR_NOMEM;
	k->state = WAITING;
	TAILQ_INSERT_TAIL(&q->waiting, k, link);
	q->n_waiting++;
	begin_next(q);
	return 0;
}

bool
idempotency_is_open(const struct request *r)
{
	return r->idempotency != NULL && r->idempotency->state == OPEN;
}

int
idempotency_write(struct request *r, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	const struct idempotency *k = r->idempotency;

	return k->is_broken
	    ? ERR_UNAVAILABLE
	    : db_query_now(k->queue->db, sql, n, params, cb, arg);
}

/* ---- life ---- */

/* A transaction that was open is gone with the connection. */
static void
on_state(void *arg, bool is_connected)
{
	struct idempotency_queue *q = arg;

	if (!is_connected && q->open != NULL)
		q->open->is_broken = true;
}

struct idempotency_queue *
idempotency_queue_new(struct worker *w)
{
	struct idempotency_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	TAILQ_INIT(&q->waiting);
	q->db = db_new(w->base, &w->conf->database, on_state, q);
	if (q->db != NULL)
		return q;
	free(q);
	return NULL;
}

void
idempotency_queue_free(struct idempotency_queue *q)
{
	if (q == NULL)
		return;
	db_free(q->db);
	free(q);
}
