#include "console/api/idempotency.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "console/api/answer.h"
#include "console/api/idempotency_seal.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/routes.h"
#include "console/worker.h"

#define WAITING_MAX 200
#define HEX_MAX     (2 * IDEMPOTENCY_HASH_LEN + 1)

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

static void begin_next(struct idempotency_queue *q);

/* ---- statements that are kept for later ---- */

static void
statement_release(struct statement *s)
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
	statement_release(s);
	return ERR_NOMEM;
}

/* ---- turns ---- */

static void
set_over(struct idempotency *k)
{
	struct idempotency_queue *q = k->queue;

	k->state = OVER;
	if (q->open != k)
		return;
	q->open = NULL;
	begin_next(q);
}

static void
roll_back(struct idempotency *k)
{
	if (db_is_connected(k->queue->db))
		db_query_now(k->queue->db, "ROLLBACK", 0, NULL, NULL, NULL);
	set_over(k);
}

/* Answers instead of the handler; when the client is gone, frees. */
static void
fail(struct idempotency *k, unsigned status, const char *type, const char *why)
{
	struct request *r = k->request;

	roll_back(k);
	if (r->http == NULL) {
		request_free(r);
		return;
	}
	if (status != 422)
		request_field(r, "Retry-After", "1");
	request_problem(r, status, type, why);
}

static void
fail_unavailable(struct idempotency *k)
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

	roll_back(k);
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
		fail_unavailable(k);
	statement_release(&s);
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
		fail_unavailable(k);
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
	char id[HEX_MAX], print[HEX_MAX];
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
			fail_unavailable(k);
	}
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
	if (q->n_waiting >= WAITING_MAX || !db_is_connected(q->db))
		return ERR_UNAVAILABLE;
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

/* ---- keeping the answer ---- */

static void
on_committed(void *arg, PGresult *res)
{
	struct idempotency *k = arg;
	struct request *r = k->request;

	/* of a transaction that has failed, COMMIT says "ROLLBACK" */
	if (res == NULL || strcmp(PQcmdStatus(res), "COMMIT") != 0) {
		fail_unavailable(k);
		return;
	}
	set_over(k);
	if (r->http == NULL)
		request_free(r);
	else
		request_send(r, k->status, k->text, k->len);
}

static void
on_kept(void *arg, PGresult *res)
{
	struct idempotency *k = arg;

	if (res == NULL || !db_ok(res, "kept answer") ||
	    db_query_now(k->queue->db, "COMMIT", 0, NULL, on_committed, k) != 0)
		fail_unavailable(k);
}

static int
keep(struct idempotency *k)
{
	char id[HEX_MAX], status[16];
	char *sealed = idempotency_seal(&k->keys, k->text, k->len);
	const char *params[] = { id, status, sealed };
	int rc = ERR_NOMEM;

	http_hex(k->keys.id, IDEMPOTENCY_HASH_LEN, id);
	snprintf(status, sizeof(status), "%u", k->status);
	if (sealed != NULL)
		rc = db_query_now(k->queue->db,
		    "UPDATE idempotency_keys SET status = $2::integer, answer "
		    "= decode($3, 'hex') WHERE id = decode($1, 'hex')",
		    3, params, on_kept, k);
	free(sealed);
	return rc;
}

bool
idempotency_answer(
    struct request *r, unsigned status, const char *text, size_t len)
{
	struct idempotency *k = r->idempotency;

	if (k == NULL || k->state != OPEN)
		return false;
	if (k->is_broken && status < 400) {
		fail_unavailable(k);
		return true;
	}
	if (status >= 500 || k->is_broken) {
		/* nothing of it is done: it may be tried again */
		roll_back(k);
		return false;
	}
	k->status = status;
	k->len = len;
	k->text = malloc(len + 1);
	k->state = KEEPING;
	if (k->text != NULL)
		memcpy(k->text, text, len);
	if (k->text == NULL || keep(k) != 0)
		fail_unavailable(k);
	return true;
}

void
idempotency_failed(struct request *r)
{
	if (r->idempotency != NULL)
		r->idempotency->is_broken = true;
}

/* ---- life ---- */

static bool
is_key(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > IDEMPOTENCY_KEY_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

/* What is about one's own login waits for codes to be checked, and answers with
 * secrets that are kept nowhere. */
static bool
takes_key(const struct route *route)
{
	static const char own[] = "/api/v1/me/";

	return route->method == EVHTTP_REQ_POST &&
	    strncmp(route->path, own, sizeof(own) - 1) != 0;
}

bool
idempotency_take(struct request *r)
{
	const char *key = evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), "Idempotency-Key");
	struct evbuffer *body = evhttp_request_get_input_buffer(r->http);
	struct idempotency *k;

	if (key == NULL || !takes_key(r->route))
		return true;
	if (!is_key(key)) {
		request_problem(r, 400, "bad-idempotency-key",
		    "Idempotency-Key is 1 to 255 printable characters without "
		    "spaces.");
		return false;
	}
	k = calloc(1, sizeof(*k));
	if (k == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return false;
	}
	k->queue = r->worker->idempotency;
	k->request = r;
	idempotency_keys_make(&k->keys, r->worker->seal_key, r->person.id, key,
	    evhttp_request_get_uri(r->http), evbuffer_pullup(body, -1),
	    evbuffer_get_length(body));
	r->idempotency = k;
	return true;
}

void
idempotency_release(struct request *r)
{
	struct idempotency *k = r->idempotency;

	if (k == NULL)
		return;
	if (k->state == WAITING) {
		TAILQ_REMOVE(&k->queue->waiting, k, link);
		k->queue->n_waiting--;
	} else if (k->state == OPEN || k->state == KEEPING) {
		roll_back(k);
	}
	statement_release(&k->first);
	if (k->text != NULL)
		wipe(k->text, k->len);
	free(k->text);
	wipe(k, sizeof(*k));
	free(k);
	r->idempotency = NULL;
}

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
