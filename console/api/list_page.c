#include "console/api/list_page.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/http.h"
#include "console/api/request.h"
#include "console/routes.h"

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

/* n: of http_query_value. A broken or too long value is refused, as the list
 * without the filter would be a wrong answer. False: the request is answered;
 * out is "" when the parameter is not there. */
static bool
take_param(struct request *r, const char *name, long n, char *out)
{
	char pointer[64];

	if (n <= 0)
		out[0] = '\0';
	if (n >= 0 || n == ERR_NOTFOUND)
		return true;
	snprintf(pointer, sizeof(pointer), "?%s", name);
	request_invalid(r, pointer, "It is too long, or broken.");
	return false;
}

/* The same, and it is one of "a|b"; is_form: '+' is a space. */
static bool
take_choice(struct request *r, const char *name, const char *choices,
    bool is_form, char *out, size_t len)
{
	long n = is_form ? http_form_value(r->query, name, out, len)
			 : http_query_value(r->query, name, out, len);
	char pointer[64];

	if (!take_param(r, name, n, out))
		return false;
	if (out[0] == '\0' || is_choice(choices, out))
		return true;
	snprintf(pointer, sizeof(pointer), "?%s", name);
	request_invalid(r, pointer, choices);
	return false;
}

static bool
take_filters(struct request *r, struct page *p)
{
	for (size_t i = 0; i < p->list->n_filters; i++) {
		const struct list_filter *f = &p->list->filters[i];

		/* times have a '+', which many do not encode */
		if (!take_choice(r, f->name, f->choices,
			f->access != LIST_RANGE, p->values[i], PAGE_VALUE_MAX))
			return false;
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

	if (!take_choice(r, "order", "desc|asc", false, text, sizeof(text)))
		return false;
	p->is_ascending = strcmp(text, "asc") == 0;
	return true;
}

/* ---- cursors ---- */

/* A cursor is the hex of "path order key id" of the last row: path and order
 * keep it from being used elsewhere. Returns the length of what comes before
 * the key. */
static int
cursor_prefix(const struct request *r, const struct page *p, char *out)
{
	return snprintf(out, PAGE_VALUE_MAX, "%s %s ", r->route->path,
	    p->is_ascending ? "asc" : "desc");
}

char *
page_cursor(const struct request *r, const struct page *p, const char *key,
    const char *id, char out[PAGE_CURSOR_MAX])
{
	char plain[PAGE_VALUE_MAX];
	int n = cursor_prefix(r, p, plain);

	snprintf(plain + n, sizeof(plain) - (size_t)n, "%s %s", key, id);
	return http_hex((uint8_t *)plain, strlen(plain), out);
}

void
page_continue(struct page *p, const char *key, const char *id)
{
	p->has_cursor = true;
	snprintf(p->key, sizeof(p->key), "%s", key);
	snprintf(p->id, sizeof(p->id), "%s", id);
}

/* False: the text is no cursor of this list. */
static bool
read_cursor(const struct request *r, struct page *p, const char *text)
{
	size_t n = strlen(text) / 2;
	char plain[PAGE_VALUE_MAX], prefix[PAGE_VALUE_MAX], *space;
	int prefix_len = cursor_prefix(r, p, prefix);

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
	page_continue(p, plain + prefix_len, space + 1);
	return true;
}

static bool
take_cursor(struct request *r, struct page *p)
{
	char text[2 * PAGE_VALUE_MAX];
	long n = http_query_value(r->query, "cursor", text, sizeof(text));

	if (n == 0 || n == ERR_NOTFOUND)
		return true;
	if (n > 0 && read_cursor(r, p, text))
		return true;
	request_problem(
	    r, 400, "bad-value", "The cursor is none that this list gave.");
	return false;
}

bool
page_read(struct page *p, struct request *r, const struct list *l)
{
	assert(l->n_filters <= LIST_FILTERS);
	p->list = l;
	return take_limit(r, p) && take_order(r, p) && take_filters(r, p) &&
	    take_cursor(r, p);
}
