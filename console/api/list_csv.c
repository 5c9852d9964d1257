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
	size_t filters_len; /* of the statement without cursor and order */
	int filters_n;
	const struct list *list;
	bool is_begun;   /* the head of the answer is sent */
	bool is_sending; /* the client has not taken the last page yet */
};

static void on_rows(struct request *r, PGresult *res);

static void
release(struct request *r)
{
	free(r->state);
}

static void
ask(struct request *r)
{
	struct stream *s = r->state;

	page_end(&s->page, s->list, ROWS);
	if (s->page.is_too_long)
		request_problem(r, 500, "internal", NULL);
	else
		request_query(
		    r, s->page.sql, s->page.n, s->page.params, on_rows);
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
on_taken(struct evhttp_connection *conn, void *arg)
{
	struct request *r = arg;

	((struct stream *)r->state)->is_sending = false;
	ask(r);
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
	evbuffer_add_printf(out, "%s\r\n", s->list->csv_head);
}

/* The statement for the rows behind the last one of res. */
static void
go_behind(struct stream *s, const PGresult *res)
{
	int last = PQntuples(res) - 1;

	s->page.len = s->filters_len;
	s->page.n = s->filters_n;
	s->page.sql[s->page.len] = '\0';
	page_after(&s->page, s->list, PQgetvalue(res, last, 1),
	    PQgetvalue(res, last, 2));
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
	for (int i = 0; i < n; i++)
		evbuffer_add_printf(out, "%s\r\n", PQgetvalue(res, i, 0));
	if (n < ROWS) {
		evhttp_send_reply_chunk(r->http, out);
		request_end(r);
	} else {
		go_behind(s, res);
		s->is_sending = true;
		evhttp_send_reply_chunk_with_cb(r->http, out, on_taken, r);
	}
	evbuffer_free(out);
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
	s->list = l;
	if (!page_begin(&s->page, r, l, l->csv_row))
		return;
	s->filters_len = s->page.len;
	s->filters_n = s->page.n;
	request_audit(r, "export", r->route->path, NULL);
	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD) {
		request_field(r, "Content-Type", "text/csv; charset=utf-8");
		request_empty(r, 200);
		return;
	}
	ask(r);
}
