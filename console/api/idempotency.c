#include "console/api/idempotency.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "console/api/answer.h"
#include "console/api/idempotency_queue.h"
#include "console/api/request.h"
#include "console/routes.h"
#include "console/worker.h"

/* ---- keeping the answer ---- */

static void
on_committed(void *arg, PGresult *res)
{
	struct idempotency *k = arg;
	struct request *r = k->request;

	/* of a transaction that has failed, COMMIT says "ROLLBACK" */
	if (res == NULL || strcmp(PQcmdStatus(res), "COMMIT") != 0) {
		idempotency_fail(k);
		return;
	}
	idempotency_set_over(k);
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
		idempotency_fail(k);
}

static int
keep(struct idempotency *k)
{
	char id[IDEMPOTENCY_HEX_MAX], status[16];
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
		idempotency_fail(k);
		return true;
	}
	if (status >= 500 || k->is_broken) {
		/* nothing of it is done: it may be tried again */
		idempotency_roll_back(k);
		return false;
	}
	k->status = status;
	k->len = len;
	k->text = malloc(len + 1);
	k->state = KEEPING;
	if (k->text != NULL)
		memcpy(k->text, text, len);
	if (k->text == NULL || keep(k) != 0)
		idempotency_fail(k);
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
		idempotency_roll_back(k);
	}
	idempotency_statement_release(&k->first);
	if (k->text != NULL)
		wipe(k->text, k->len);
	free(k->text);
	wipe(k, sizeof(*k));
	free(k);
	r->idempotency = NULL;
}
