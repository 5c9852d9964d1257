/*
 * A whole list as CSV (RFC 4180), page by page: the next one is asked for when
 * the client has taken the one before, so that a long list needs no memory.
 */
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console/api/answer.h"
#include "console/api/enter.h"
#include "console/api/list_page.h"
#include "console/api/request.h"
#include "console/routes.h"

#define ROWS 500 /* per page */

struct stream {
	struct page page;
	bool is_begun;   /* the head of the answer is sent */
	bool is_sending; /* the client has not taken the last page yet */
	bool is_short;   /* that page was not full */
};

static void on_rows(struct request *r, PGresult *res);

static void
release(struct request *r)
{
	free(r->state);
}

static void
query(struct request *r, void (*cb)(struct request *, PGresult *))
{
	const struct page *p = &((struct stream *)r->state)->page;

	if (p->is_too_long)
		request_problem(r, 500, "internal", NULL);
	else
		request_query(r, p->sql, p->n, p->params, cb);
}

static void
ask(struct request *r)
{
	struct page *p = &((struct stream *)r->state)->page;

	page_write(p, r, p->list->csv_row, ROWS);
	query(r, on_rows);
}

/* The client went away: what is asked of the database frees r later. */
static void
on_closed(struct evhttp_connection *conn, void *arg)
{
	struct request *r = arg;
	struct stream *s = r->state;

	request_lost(r);
	if (s->is_sending)
		request_free(r);
}

static void
begin(struct request *r, struct evbuffer *out)
{
	struct stream *s = r->state;

	s->is_begun = true;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->http), on_closed, r);
	request_field(
	    r, "Content-Type", "text/csv; charset=utf-8; header=present");
	request_begin(r, 200);
	evbuffer_add_printf(out, "%s\r\n", s->page.list->csv_head);
}

/* After a page that was not full: whether the list goes on behind what was
 * read. */
static void
on_horizon(struct request *r, PGresult *res)
{
	if (PQntuples(res) > 0) {
		page_continue(&((struct stream *)r->state)->page,
		    PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
		ask(r);
	} else {
		request_end(r);
	}
}

static void
ask_next(struct request *r)
{
	struct stream *s = r->state;

	if (s->is_short) {
		page_write_horizon(&s->page, r);
		query(r, on_horizon);
	} else {
		ask(r);
	}
}

static void
on_taken(struct evhttp_connection *conn, void *arg)
{
	struct request *r = arg;

	((struct stream *)r->state)->is_sending = false;
	ask_next(r);
}

/* Sends rows and what follows them: the end, or the next page when the client
 * has them. */
static void
send_rows(struct request *r, struct evbuffer *out, bool is_last)
{
	bool is_empty = evbuffer_get_length(out) == 0;

	if (is_last) {
		evhttp_send_reply_chunk(r->http, out);
		request_end(r);
	} else if (is_empty) { /* evhttp would not call back */
		ask_next(r);
	} else {
		((struct stream *)r->state)->is_sending = true;
		evhttp_send_reply_chunk_with_cb(r->http, out, on_taken, r);
	}
}

static void
on_rows(struct request *r, PGresult *res)
{
	struct stream *s = r->state;
	struct evbuffer *out = evbuffer_new();
	int n = PQntuples(res);

	if (out == NULL) {
		request_break(r);
		return;
	}
	if (!s->is_begun)
		begin(r, out);
	for (int i = 0; i < n; i++) {
		evbuffer_add(
		    out, PQgetvalue(res, i, 0), (size_t)PQgetlength(res, i, 0));
		evbuffer_add(out, "\r\n", 2);
	}
	if (n == ROWS)
		page_continue(&s->page, PQgetvalue(res, n - 1, 1),
		    PQgetvalue(res, n - 1, 2));
	s->is_short = n < ROWS;
	send_rows(r, out, n < ROWS && s->page.window == 0);
	evbuffer_free(out);
}

static void
on_counted(struct request *r, PGresult *res)
{
	page_take_count(
	    &((struct stream *)r->state)->page, atoi(PQgetvalue(res, 0, 0)));
	ask(r);
}

static void
on_audited(struct request *r, PGresult *res)
{
	struct stream *s = r->state;

	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD) {
		request_field(r, "Content-Type", "text/csv; charset=utf-8");
		request_empty(r, 200);
	} else if (page_asks_for_count(&s->page, r)) {
		page_write_count(&s->page, r);
		query(r, on_counted);
	} else {
		ask(r);
	}
}

void
list_csv_run(struct request *r, const struct list *l)
{
	struct stream *s = calloc(1, sizeof(*s));

	r->state = s;
	r->release = release;
	if (s == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	if (!page_read(&s->page, r, l))
		return;
	request_audit_first(r, "export", r->route->path, on_audited);
}
