#include "console/api/list_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/http.h"
#include "console/api/request.h"
#include "console/routes.h"

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

	if (p->n >= PAGE_PARAMS_MAX) {
		p->is_too_long = true;
		return;
	}
	snprintf(p->values[p->n], PAGE_VALUE_MAX, "%s", value);
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

	if (choices != NULL && strchr(value, '|') != NULL)
		return false;
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

/* A broken or too long value is refused, as the list without the filter would
 * be a wrong answer. False: the request is answered; *has: it is there. */
static bool
take_param(
    struct request *r, const char *name, char *out, size_t len, bool *has)
{
	long n = http_query_value(r->query, name, out, len);
	char pointer[64];

	*has = n > 0;
	if (n >= 0 || n == ERR_NOTFOUND)
		return true;
	snprintf(pointer, sizeof(pointer), "?%s", name);
	request_invalid(r, pointer, "It is too long, or broken.");
	return false;
}

/* The same, and it is one of "a|b". */
static bool
take_choice(struct request *r, const char *name, const char *choices, char *out,
    size_t len, bool *has)
{
	char pointer[64];

	if (!take_param(r, name, out, len, has))
		return false;
	if (!*has || is_choice(choices, out))
		return true;
	snprintf(pointer, sizeof(pointer), "?%s", name);
	request_invalid(r, pointer, choices);
	return false;
}

static bool
add_filters(struct request *r, struct page *p, const struct list *l)
{
	char value[PAGE_VALUE_MAX];
	bool has;

	for (size_t i = 0; i < l->n_filters; i++) {
		const struct list_filter *f = &l->filters[i];

		if (!take_choice(
			r, f->name, f->choices, value, sizeof(value), &has))
			return false;
		if (has)
			add_filter(p, f->sql, value);
	}
	return true;
}

static bool
take_limit(struct request *r, struct page *p)
{
	char text[8], pointer[] = "?limit";
	long n = http_query_value(r->query, pointer + 1, text, sizeof(text));

	p->limit = LIST_LIMIT;
	if (n == 0 || n == ERR_NOTFOUND)
		return true;
	p->limit = n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
	if (n > 0 && strspn(text, "0123456789") == (size_t)n && p->limit >= 1 &&
	    p->limit <= LIST_LIMIT_MAX)
		return true;
	request_invalid(r, pointer, "1 to 200 are expected.");
	return false;
}

static bool
take_order(struct request *r, struct page *p)
{
	char text[8];
	bool has;

	if (!take_choice(r, "order", "desc|asc", text, sizeof(text), &has))
		return false;
	p->is_ascending = has && strcmp(text, "asc") == 0;
	return true;
}

/* A cursor is the hex of "path order key id" of the last row: path and order
 * keep it from being used elsewhere. */
int
page_cursor_prefix(
    const struct request *r, bool is_ascending, char *out, size_t len)
{
	return snprintf(
	    out, len, "%s %s ", r->route->path, is_ascending ? "asc" : "desc");
}

/* The key and id of a cursor's text, in plain; false: it is none of this
 * list. */
static bool
read_cursor(const struct request *r, const struct page *p, const char *text,
    char *plain, const char **key, const char **id)
{
	size_t n = strlen(text) / 2;
	char prefix[PAGE_VALUE_MAX], *space;
	int prefix_len =
	    page_cursor_prefix(r, p->is_ascending, prefix, sizeof(prefix));

	if (strlen(text) % 2 != 0 || n >= PAGE_VALUE_MAX ||
	    http_unhex(text, (uint8_t *)plain, n) != 0)
		return false;
	plain[n] = '\0';
	space = strrchr(plain, ' ');
	if (strlen(plain) != n ||
	    strncmp(plain, prefix, (size_t)prefix_len) != 0 ||
	    space < plain + prefix_len)
		return false;
	*space = '\0';
	*key = plain + prefix_len;
	*id = space + 1;
	return true;
}

void
page_after(
    struct page *p, const struct list *l, const char *key, const char *id)
{
	add(p, " AND (");
	add(p, l->key);
	add(p, ", ");
	add(p, l->id);
	add(p, p->is_ascending ? ") > (" : ") < (");
	add_param(p, key);
	add(p, "::");
	add(p, l->key_type);
	add(p, ", ");
	add_param(p, id);
	add(p, "::");
	add(p, l->id_type);
	add(p, ")");
}

bool
page_take_cursor(struct page *p, struct request *r, const struct list *l)
{
	char text[2 * PAGE_VALUE_MAX], plain[PAGE_VALUE_MAX];
	const char *key, *id;
	long n = http_query_value(r->query, "cursor", text, sizeof(text));

	if (n == 0 || n == ERR_NOTFOUND)
		return true;
	if (n < 0 || !read_cursor(r, p, text, plain, &key, &id)) {
		request_problem(r, 400, "bad-value",
		    "The cursor is none that this list gave.");
		return false;
	}
	page_after(p, l, key, id);
	return true;
}

/* ---- the statement ---- */

void
page_end(struct page *p, const struct list *l, unsigned n)
{
	const char *order = p->is_ascending ? "ASC" : "DESC";
	char text[256];

	snprintf(text, sizeof(text), " ORDER BY %s %s, %s %s LIMIT %u", l->key,
	    order, l->id, order, n);
	add(p, text);
}

bool
page_begin(
    struct page *p, struct request *r, const struct list *l, const char *row)
{
	p->params[0] = r->person.id_text;
	p->params[1] = r->person.team_text;
	p->params[2] = r->person.zone;
	p->n = 3;
	add(p, "SELECT (");
	add(p, row);
	add(p, ")::text, (");
	add(p, l->key);
	add(p, ")::text, (");
	add(p, l->id);
	add(p, ")::text ");
	add(p, l->from);
	/* the types of the three, also where a list does without one */
	add(p, " WHERE $1::bigint > 0 AND $3::text <> '' AND ");
	add(p, l->where);
	return take_limit(r, p) && take_order(r, p) && add_filters(r, p, l);
}
