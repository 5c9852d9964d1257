#include "console/api/list.h"

#include <stdlib.h>
#include <string.h>

#include "console/api/list_page.h"
#include "console/api/request.h"

struct listing {
	struct page page;
	/* the answer as far as its items, with room for the cursor */
	char *text;
	size_t len;
};

static const char text_begin[] = "{\"items\":[",
		  text_cursor[] = "],\"cursor\":";

static void
forget(struct request *r)
{
	struct listing *s = r->state;

	if (s != NULL)
		free(s->text);
	free(s);
}

static void
append(struct listing *s, const char *text, size_t len)
{
	memcpy(s->text + s->len, text, len);
	s->len += len;
}

/* The rows, which are JSON already. False: out of memory. */
static bool
add_items(struct listing *s, const PGresult *res, int n)
{
	size_t len = sizeof(text_begin) + sizeof(text_cursor) +
	    PAGE_CURSOR_MAX + sizeof("\"\"}");

	for (int i = 0; i < n; i++)
		len += (size_t)PQgetlength(res, i, 0) + 1;
	s->text = malloc(len);
	if (s->text == NULL)
		return false;
	append(s, text_begin, sizeof(text_begin) - 1);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			append(s, ",", 1);
		append(
		    s, PQgetvalue(res, i, 0), (size_t)PQgetlength(res, i, 0));
	}
	append(s, text_cursor, sizeof(text_cursor) - 1);
	return true;
}

/* Ends the answer. key NULL: there is no further page. */
static void
answer(struct request *r, const char *key, const char *id)
{
	struct listing *s = r->state;
	char cursor[PAGE_CURSOR_MAX];

	if (key != NULL) {
		page_cursor(r, &s->page, key, id, cursor);
		append(s, "\"", 1);
		append(s, cursor, strlen(cursor));
		append(s, "\"}", 3);
	} else {
		append(s, "null}", 6);
	}
	request_json_text(r, 200, s->text);
}

/* Answers a page that is not full: its cursor points to the last row that was
 * read, unless the list ended there. */
static void
on_horizon(struct request *r, PGresult *res)
{
	if (PQntuples(res) > 0)
		answer(r, PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1));
	else
		answer(r, NULL, NULL);
}

static void
query(struct request *r, void (*on_rows)(struct request *, PGresult *))
{
	const struct page *p = &((struct listing *)r->state)->page;

	if (p->is_too_long)
		request_problem(r, 500, "internal", NULL);
	else
		request_query(r, p->sql, p->n, p->params, on_rows);
}

static void
on_page(struct request *r, PGresult *res)
{
	struct listing *s = r->state;
	int limit = (int)s->page.limit, n = PQntuples(res);

	if (!add_items(s, res, n < limit ? n : limit)) {
		request_problem(r, 503, "unavailable", "Out of memory.");
	} else if (n > limit) {
		answer(r, PQgetvalue(res, limit - 1, 1),
		    PQgetvalue(res, limit - 1, 2));
	} else if (s->page.window > 0) {
		page_write_horizon(&s->page, r);
		query(r, on_horizon);
	} else {
		answer(r, NULL, NULL);
	}
}

static void
ask(struct request *r)
{
	struct page *p = &((struct listing *)r->state)->page;

	/* one more says whether there is a next page */
	page_write(p, r, p->list->row, p->limit + 1);
	query(r, on_page);
}

static void
on_counted(struct request *r, PGresult *res)
{
	struct page *p = &((struct listing *)r->state)->page;

	page_take_count(p, atoi(PQgetvalue(res, 0, 0)));
	ask(r);
}

void
list_run(struct request *r, const struct list *l)
{
	struct listing *s = calloc(1, sizeof(*s));

	r->state = s;
	r->release = forget;
	if (s == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	if (!page_read(&s->page, r, l))
		return;
	if (page_asks_for_count(&s->page, r)) {
		page_write_count(&s->page, r);
		query(r, on_counted);
	} else {
		ask(r);
	}
}
