#include "console/api/request.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/tls_connections.h"
#include "console/api/answer.h"
#include "console/api/enter.h"
#include "console/api/idempotency.h"
#include "console/db_pool.h"
#include "console/pages.h"
#include "console/routes.h"
#include "console/worker.h"

/* ---- life ---- */

static void
on_closed(struct evhttp_connection *conn, void *arg)
{
	request_lost(arg);
}

void
request_lost(struct request *r)
{
	/* evhttp lets go of a request that has no answer yet */
	if (evhttp_request_get_connection(r->http) == NULL)
		evhttp_request_free(r->http);
	r->http = NULL;
}

static struct request *
request_new(struct worker *w, struct evhttp_request *http)
{
	struct request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->worker = w;
	r->http = http;
	snprintf(
	    r->client, sizeof(r->client), "%s", tls_connections_client(http));
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(http), on_closed, r);
	w->n_requests++;
	return r;
}

void
request_free(struct request *r)
{
	idempotency_release(r);
	writes_release(r);
	if (r->release != NULL)
		r->release(r);
	if (r->http != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(r->http), NULL, NULL);
	json_decref(r->body);
	free(r->person.scopes);
	wipe(&r->person, sizeof(r->person));
	r->worker->n_requests--;
	free(r);
}

/* ---- what was asked ---- */

static bool
is_write(const struct request *r)
{
	enum evhttp_cmd_type m = evhttp_request_get_command(r->http);

	return m != EVHTTP_REQ_GET && m != EVHTTP_REQ_HEAD;
}

/* Parameters of the type, such as a charset, say nothing about JSON. */
static bool
is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t n = sizeof(json) - 1;

	return type != NULL && strncasecmp(type, json, n) == 0 &&
	    strchr("; \t", type[n]) != NULL;
}

/* A JSON object, or nothing. True: it may go on. */
static bool
read_body(struct request *r)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(r->http);
	size_t len = evbuffer_get_length(in);
	const char *type = evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), "Content-Type");
	json_error_t why;

	if (len == 0 || !is_write(r))
		return true;
	if (!is_json(type)) {
		request_problem(r, 415, "unsupported-media-type",
		    "A body is JSON: Content-Type is application/json.");
		return false;
	}
	r->body = json_loadb((const char *)evbuffer_pullup(in, -1), len,
	    JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(r->body)) {
		request_problem(r, 400, "bad-json",
		    r->body != NULL ? "The body is no JSON object." : why.text);
		return false;
	}
	return true;
}

static void
no_route(struct request *r, const char *path, bool has_path)
{
	char methods[80];

	if (!has_path) {
		request_not_found(r);
		return;
	}
	route_methods(path, methods, sizeof(methods));
	request_field(r, "Allow", methods);
	request_problem(r, 405, "method-not-allowed",
	    "This resource does not take that method.");
}

void
request_start(struct evhttp_request *http, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(http);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	struct request *r = request_new(arg, http);
	enum evhttp_cmd_type method = evhttp_request_get_command(http);
	bool has_path = false;

	if (r == NULL) {
		evhttp_send_error(http, 503, NULL);
		return;
	}
	if (path == NULL) {
		request_problem(r, 400, "bad-request", NULL);
		return;
	}
	if (pages_has(path)) {
		pages_answer(r->worker->pages, r, path);
		return;
	}
	r->query = evhttp_uri_get_query(uri);
	if (method == EVHTTP_REQ_HEAD)
		method = EVHTTP_REQ_GET;
	r->route = route_find(method, path, r->id, r->user, &has_path);
	if (r->route == NULL) {
		no_route(r, path, has_path);
		return;
	}
	if (read_body(r))
		request_enter(r);
}

bool
request_param(const struct request *r, const char *name, char *out, size_t len)
{
	return http_form_value(r->query, name, out, len) >= 0 && *out != '\0';
}

const char *
request_text(const struct request *r, const char *name)
{
	return json_string_value(json_object_get(r->body, name));
}

/* ---- the database ---- */

/* It is full, read-only, waits for a lock for too long, or went away. */
static void
trouble(struct request *r, const PGresult *res)
{
	char detail[80];

	if (res != NULL)
		log_warn("database_trouble", LOG_S("request", r->route->path),
		    LOG_S("sqlstate", db_sqlstate(res)));
	snprintf(
	    detail, sizeof(detail), "The database %s; try again.", db_why(res));
	request_field(r, "Retry-After", "5");
	request_problem(r, 503, "unavailable", detail);
}

static void
on_result(void *arg, PGresult *res)
{
	struct request *r = arg;
	ExecStatusType status = PQresultStatus(res);
	bool is_done = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;

	if (!is_done)
		idempotency_failed(r);
	if (r->http == NULL) {
		request_free(r);
	} else if (is_done) {
		r->on_rows(r, res);
	} else if (db_is_trouble(res)) {
		trouble(r, res);
	} else if (strncmp(db_sqlstate(res), "22", 2) == 0) {
		request_problem(r, 400, "bad-value",
		    "A value has another form than it should have.");
	} else if (strcmp(db_sqlstate(res), "RC001") == 0) {
		/* the schema's own refusal, in a sentence */
		request_problem(r, 409, "not-done",
		    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY));
	} else {
		db_ok(res, r->route->path); /* logs it */
		request_problem(r, 500, "internal",
		    "The database refused it; the console's log says why.");
	}
}

static void
query(struct request *r, bool is_prepared, const char *sql, int n,
    const char *const *params, void (*on_rows)(struct request *, PGresult *))
{
	int rc;

	r->on_rows = on_rows;
	if (r->idempotency != NULL)
		rc = idempotency_query(r, sql, n, params, on_result);
	else
		rc = (is_prepared ? db_pool_query_prepared : db_pool_query)(
		    r->worker->db, sql, n, params, on_result, r);
	if (rc == 0)
		return;
	request_field(r, "Retry-After", "5");
	if (r->idempotency != NULL && rc == ERR_LIMIT)
		request_problem(r, 429, "busy",
		    "As many requests with an Idempotency-Key are under way as "
		    "one person may have; try again.");
	else
		request_problem(r, 503, "unavailable",
		    "The database cannot be reached; try again.");
}

void
request_query(struct request *r, const char *sql, int n,
    const char *const *params, void (*on_rows)(struct request *, PGresult *))
{
	query(r, false, sql, n, params, on_rows);
}

void
request_query_prepared(struct request *r, const char *sql, int n,
    const char *const *params, void (*on_rows)(struct request *, PGresult *))
{
	query(r, true, sql, n, params, on_rows);
}
