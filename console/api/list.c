#include "console/api/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http.h"
#include "console/api/request.h"

#define PARAMS_MAX 32
#define VALUE_MAX  256
#define SQL_MAX    8192

struct page {
	char sql[SQL_MAX];
	size_t len;
	bool is_too_long;
	int n;
	const char *params[PARAMS_MAX];
	char values[PARAMS_MAX][VALUE_MAX];
	unsigned limit;
};

static void
add(struct page *p, const char *text)
{
	size_t n = strlen(text);

	if (p->len + n >= sizeof(p->sql)) {
		p->is_too_long = true;
		return;
	}
	memcpy(p->sql + p->len, text, n + 1);
	p->len += n;
}

/* The number of a parameter with this value. */
static void
add_param(struct page *p, const char *value)
{
	char number[16];

	if (p->n >= PARAMS_MAX) {
		p->is_too_long = true;
		return;
	}
	snprintf(p->values[p->n], VALUE_MAX, "%s", value);
	p->params[p->n] = p->values[p->n];
	snprintf(number, sizeof(number), "$%d", ++p->n);
	add(p, number);
}

static void
add_filter(struct page *p, const char *sql, const char *value)
{
	const char *hole = strchr(sql, '?');
	char part[512];

	add(p, " AND (");
	snprintf(part, sizeof(part), "%.*s",
	    (int)(hole != NULL ? hole - sql : (long)strlen(sql)), sql);
	add(p, part);
	if (hole != NULL) {
		add_param(p, value);
		add(p, hole + 1);
	}
	add(p, ")");
}

/* ---- parameters ---- */

static bool
is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *at = choices; at != NULL;) {
		if (strncmp(at, value, n) == 0 &&
		    (at[n] == '|' || at[n] == '\0'))
			return true;
		at = strchr(at, '|');
		if (at != NULL)
			at++;
	}
	return choices == NULL;
}

static bool
add_filters(struct request *r, struct page *p, const struct list *l)
{
	char value[VALUE_MAX], pointer[64];

	for (size_t i = 0; i < l->n_filters; i++) {
		const struct list_filter *f = &l->filters[i];

		if (!request_param(r, f->name, value, sizeof(value)))
			continue;
		if (!is_choice(f->choices, value)) {
			snprintf(pointer, sizeof(pointer), "?%s", f->name);
			request_invalid(r, pointer, f->choices);
			return false;
		}
		add_filter(p, f->sql, value);
	}
	return true;
}

static bool
take_limit(struct request *r, struct page *p)
{
	char text[16], *end = text;

	p->limit = LIST_LIMIT;
	if (!request_param(r, "limit", text, sizeof(text)))
		return true;
	p->limit = (unsigned)strtoul(text, &end, 10);
	if (*end == '\0' && p->limit >= 1 && p->limit <= LIST_LIMIT_MAX)
		return true;
	request_invalid(r, "?limit", "1 to 200 are expected.");
	return false;
}

/* A cursor is the hex of "key id" of the last row. */
static bool
take_cursor(struct request *r, struct page *p, const struct list *l)
{
	char text[2 * VALUE_MAX], plain[VALUE_MAX], *id;
	size_t n;

	if (!request_param(r, "cursor", text, sizeof(text)))
		return true;
	n = strlen(text) / 2;
	if (strlen(text) % 2 != 0 || n >= sizeof(plain) ||
	    http_unhex(text, (uint8_t *)plain, n) != 0)
		goto bad;
	plain[n] = '\0';
	id = strrchr(plain, ' ');
	if (id == NULL || strlen(plain) != n)
		goto bad;
	*id++ = '\0';
	add(p, " AND (");
	add(p, l->key);
	add(p, ", ");
	add(p, l->id);
	add(p, ") < (");
	add_param(p, plain);
	add(p, "::");
	add(p, l->key_type);
	add(p, ", ");
	add_param(p, id);
	add(p, "::");
	add(p, l->id_type);
	add(p, ")");
	return true;
bad:
	request_invalid(r, "?cursor", "It is none that this list gave.");
	return false;
}

/* ---- the answer ---- */

/* The cursor of the page behind this one. */
static void
write_cursor(FILE *f, const PGresult *res, int row)
{
	char hex[2 * VALUE_MAX + 1], plain[VALUE_MAX];

	snprintf(plain, sizeof(plain), "%s %s", PQgetvalue(res, row, 1),
	    PQgetvalue(res, row, 2));
	fprintf(f, "\"%s\"", http_hex((uint8_t *)plain, strlen(plain), hex));
}

/* Rows are JSON already. */
static void
on_page(struct request *r, PGresult *res)
{
	int limit = (int)*(unsigned *)r->state, n = PQntuples(res);
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
		write_cursor(f, res, shown - 1);
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
add_order(struct page *p, const struct list *l)
{
	char limit[32];

	add(p, " ORDER BY ");
	add(p, l->key);
	add(p, " DESC, ");
	add(p, l->id);
	/* one more says whether there is a next page */
	snprintf(limit, sizeof(limit), " DESC LIMIT %u", p->limit + 1);
	add(p, limit);
}

static void
begin(struct page *p, const struct request *r, const struct list *l)
{
	p->params[0] = r->person.id_text;
	p->params[1] = r->person.team_text;
	p->params[2] = r->person.zone;
	p->n = 3;
	add(p, "SELECT (");
	add(p, l->row);
	add(p, ")::text, (");
	add(p, l->key);
	add(p, ")::text, (");
	add(p, l->id);
	add(p, ")::text ");
	add(p, l->from);
	/* the types of the three, also where a list does without one */
	add(p, " WHERE $1::bigint > 0 AND $3::text <> '' AND ");
	add(p, l->where);
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
	unsigned *limit = malloc(sizeof(*limit));

	r->state = limit;
	r->release = forget;
	if (p == NULL || limit == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		free(p);
		return;
	}
	begin(p, r, l);
	if (!take_limit(r, p) || !add_filters(r, p, l) ||
	    !take_cursor(r, p, l)) {
		free(p);
		return;
	}
	*limit = p->limit;
	add_order(p, l);
	if (p->is_too_long)
		request_problem(r, 500, "internal", NULL);
	else
		request_query(r, p->sql, p->n, p->params, on_page);
	free(p);
}
