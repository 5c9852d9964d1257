#include "console/api/write.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>

#include "common/err.h"
#include "console/api/answer.h"
#include "console/api/idempotency.h"
#include "console/api/request.h"
#include "console/db_pool.h"
#include "console/worker.h"

struct write {
	LIST_ENTRY(write) link;
	struct request *request; /* NULL: it was freed */
};

static void
answer_unavailable(struct request *r)
{
	r->writes.has_failed = false;
	if (r->http != NULL)
		evhttp_clear_headers(
		    evhttp_request_get_output_headers(r->http));
	request_field(r, "Retry-After", "5");
	request_problem(r, 503, "unavailable",
	    "The database did not take the entry of the audit log.");
}

/* All are done, and the answer is there. */
static void
answer_held(struct request *r)
{
	struct writes *w = &r->writes;
	struct evbuffer *body = w->body;

	w->is_holding = false;
	w->body = NULL;
	if (!w->has_failed) {
		request_send_held(r, w->status, body);
		return;
	}
	if (body != NULL)
		evbuffer_free(body);
	answer_unavailable(r);
}

static void
on_written(void *arg, PGresult *res)
{
	struct write *w = arg;
	struct request *r = w->request;

	if (r == NULL) {
		free(w);
		return;
	}
	LIST_REMOVE(w, link);
	free(w);
	if (!db_ok(res, "row before an answer")) {
		r->writes.has_failed = true;
		idempotency_failed(r);
	}
	if (r->writes.is_holding && LIST_EMPTY(&r->writes.list))
		answer_held(r);
}

static int
start(struct request *r, const char *sql, int n, const char *const *params)
{
	struct write *w = malloc(sizeof(*w));
	int rc = ERR_NOMEM;

	if (w == NULL)
		return rc;
	w->request = r;
	LIST_INSERT_HEAD(&r->writes.list, w, link);
	if (idempotency_is_open(r))
		rc = idempotency_write(r, sql, n, params, on_written, w);
	else
		rc =
		    db_pool_query(r->worker->db, sql, n, params, on_written, w);
	if (rc != 0) {
		LIST_REMOVE(w, link);
		free(w);
	}
	return rc;
}

void
request_write(
    struct request *r, const char *sql, int n, const char *const *params)
{
	if (start(r, sql, n, params) != 0)
		r->writes.has_failed = true;
}

bool
writes_hold(struct request *r, unsigned status, struct evbuffer *body)
{
	struct writes *w = &r->writes;

	if (r->http == NULL)
		return false;
	if (LIST_EMPTY(&w->list) && !w->has_failed)
		return false;
	w->is_holding = true;
	w->status = status;
	w->body = body;
	if (LIST_EMPTY(&w->list))
		answer_held(r);
	return true;
}

void
writes_release(struct request *r)
{
	struct write *w;

	while ((w = LIST_FIRST(&r->writes.list)) != NULL) {
		LIST_REMOVE(w, link);
		w->request = NULL;
	}
	if (r->writes.body != NULL)
		evbuffer_free(r->writes.body);
	r->writes.body = NULL;
}
