#include "console/api/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "console/api/list_page.h"
#include "console/api/request.h"

/* What the answer needs of its page. */
struct page_end {
	unsigned limit;
	bool is_ascending;
};

/* The cursor of the page behind this one. */
static void
write_cursor(FILE *f, const struct request *r, const PGresult *res, int row)
{
	const struct page_end *end = r->state;
	char hex[2 * PAGE_VALUE_MAX + 1], plain[PAGE_VALUE_MAX];
	int n = page_cursor_prefix(r, end->is_ascending, plain, sizeof(plain));

	snprintf(plain + n, sizeof(plain) - (size_t)n, "%s %s",
	    PQgetvalue(res, row, 1), PQgetvalue(res, row, 2));
	fprintf(f, "\"%s\"", http_hex((uint8_t *)plain, strlen(plain), hex));
}

/* Rows are JSON already. */
static void
on_page(struct request *r, PGresult *res)
{
	const struct page_end *end = r->state;
	int limit = (int)end->limit, n = PQntuples(res);
	int shown = n < limit ? n : limit;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	fputs("{\"items\":[", f);
	for (int i = 0; i < shown; i++)
		fprintf(f, "%s%s", i > 0 ? "," : "", PQgetvalue(res, i, 0));
	fputs("],\"cursor\":", f);
	if (n > shown)
		write_cursor(f, r, res, shown - 1);
	else
		fputs("null", f);
	fputs("}", f);
	if (fclose(f) == 0)
		request_json_text(r, 200, text);
	else
		request_problem(r, 503, "unavailable", "Out of memory.");
	free(text);
}

static void
forget(struct request *r)
{
	free(r->state);
}

void
list_run(struct request *r, const struct list *l)
{
	struct page *p = calloc(1, sizeof(*p));
	struct page_end *end = malloc(sizeof(*end));

	r->state = end;
	r->release = forget;
	if (p == NULL || end == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		free(p);
		return;
	}
	if (!page_begin(p, r, l, l->row) || !page_take_cursor(p, r, l)) {
		free(p);
		return;
	}
	*end = (struct page_end){ p->limit, p->is_ascending };
	/* one more says whether there is a next page */
	page_end(p, l, p->limit + 1);
	if (p->is_too_long)
		request_problem(r, 500, "internal", NULL);
	else
		request_query(r, p->sql, p->n, p->params, on_page);
	free(p);
}
