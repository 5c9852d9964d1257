/*
 * Statements of lists. Of a list with a `table` they have three levels:
 *
 *   SELECT row FROM (                 rows of the page, as JSON
 *     SELECT g.* FROM (               of these, what the person may see and
 *                                     what the other filters leave
 *       SELECT g.* FROM segments g    at most `window` rows, by one index
 *       WHERE ... ORDER BY key, id LIMIT window
 *     ) g WHERE ... ORDER BY key, id LIMIT n
 *   ) g JOIN ... ORDER BY key, id
 *
 * PostgreSQL makes the inner rows one after the other and stops with the page's
 * last one.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "console/api/list_page.h"
#include "console/api/request.h"

static void __attribute__((format(printf, 2, 3)))
add(struct page *p, const char *format, ...)
{
	size_t room = sizeof(p->sql) - p->len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(p->sql + p->len, room, format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= room)
		p->is_too_long = true;
	else
		p->len += (size_t)n;
}

/* The number of a parameter with this value, which stays where it is. */
static int
param(struct page *p, const char *value)
{
	if (p->n >= PAGE_PARAMS_MAX) {
		p->is_too_long = true;
		return PAGE_PARAMS_MAX;
	}
	p->params[p->n] = value;
	return ++p->n;
}

/* SQL in which every "?" is the value. */
static void
add_with(struct page *p, const char *sql, const char *value)
{
	int number = strchr(sql, '?') != NULL ? param(p, value) : 0;

	for (const char *hole; (hole = strchr(sql, '?')) != NULL;
	     sql = hole + 1)
		add(p, "%.*s$%d", (int)(hole - sql), sql, number);
	add(p, "%s", sql);
}

static void
add_filter(struct page *p, size_t i)
{
	add(p, " AND (");
	add_with(p, p->list->filters[i].sql, p->values[i]);
	add(p, ")");
}

/* $1 to $3; their types are said in each statement, also where a list does
 * without one. */
static void
begin(struct page *p, const struct request *r)
{
	p->len = 0;
	p->n = 0;
	p->is_too_long = false;
	param(p, r->person.id_text);
	param(p, r->person.team_text);
	param(p, r->person.zone);
}

#define TYPES "$1::bigint > 0 AND $2::bigint > 0 AND $3::text <> ''"

static void
add_cursor(struct page *p)
{
	const struct list *l = p->list;

	if (!p->has_cursor)
		return;
	add(p, " AND (%s, %s) %s ($%d::%s, ", l->key, l->id,
	    p->is_ascending ? ">" : "<", param(p, p->key), l->key_type);
	add(p, "$%d::%s)", param(p, p->id), l->id_type);
}

static void
add_order(struct page *p)
{
	const struct list *l = p->list;
	const char *order = p->is_ascending ? "ASC" : "DESC";

	add(p, " ORDER BY %s %s, %s %s", l->key, order, l->id, order);
}

/* ---- what is read ---- */

static bool
is_given(const struct page *p, size_t i, enum list_access access)
{
	const struct list_filter *f = &p->list->filters[i];

	return p->values[i][0] != '\0' && f->access == access &&
	    (f->index_value == NULL ||
		strcmp(f->index_value, p->values[i]) == 0);
}

/* The filter whose index is read: of several the first, and of those that find
 * few rows before others. n_filters: none. */
static size_t
index_filter(const struct page *p)
{
	size_t n = p->list->n_filters;

	for (size_t i = 0; i < n; i++)
		if (is_given(p, i, LIST_INDEX) || is_given(p, i, LIST_ENDPOINT))
			return i;
	for (size_t i = 0; i < n && p->has_few_devices; i++)
		if (is_given(p, i, LIST_DEVICE))
			return i;
	for (size_t i = 0; i < n && !p->is_mine; i++)
		if (is_given(p, i, LIST_WIDE))
			return i;
	return n;
}

/*
 * Rows in order, as many as are read; the condition comes before. A limit that
 * the planner does not know lets it take the index in whose order the rows
 * come: with a known one that is above its estimate it would read all of an
 * endpoint or a person and sort them, and an estimate is wrong for those that
 * have most.
 */
static void
add_end(struct page *p, unsigned n)
{
	for (size_t i = 0; i < p->list->n_filters; i++)
		if (is_given(p, i, LIST_RANGE))
			add_filter(p, i);
	add_cursor(p);
	add_order(p);
	add(p, " LIMIT (SELECT %u)", n);
}

/* Rows of the endpoints that a SELECT of ids, d, gives: the first ones of
 * each. */
static void
add_endpoints_begin(struct page *p)
{
	add(p, "SELECT %s.* FROM (", p->list->alias);
}

static void
add_endpoints_end(struct page *p, unsigned n)
{
	const struct list *l = p->list;

	add(p,
	    ") d (id) CROSS JOIN LATERAL (SELECT %s.* FROM %s WHERE "
	    "%s.endpoint_id = d.id",
	    l->alias, l->table, l->alias);
	add_end(p, n);
	add(p, ") %s", l->alias);
}

/* The member's endpoints, and what is the member's own on others. */
static void
add_mine(struct page *p, unsigned n)
{
	const struct list *l = p->list;

	add(p, "SELECT %s.* FROM (", l->alias);
	add_endpoints_begin(p);
	add(p, "%s", l->mine);
	add_endpoints_end(p, n);
	if (l->own != NULL) {
		add(p,
		    " UNION ALL (SELECT %s.* FROM %s WHERE %s AND "
		    "%s.endpoint_id NOT IN (%s)",
		    l->alias, l->table, l->own, l->alias, l->mine);
		add_end(p, n);
		add(p, ")");
	}
	add(p, ") %s", l->alias);
	add_order(p);
	add(p, " LIMIT %u", n);
}

static void
add_endpoints_named(struct page *p, size_t index, unsigned n)
{
	static const char exactly[] =
	    "SELECT e.id FROM endpoints e WHERE e.team_id = $2::bigint AND "
	    "e.name = ?";

	add_endpoints_begin(p);
	add_with(p,
	    p->list->filters[index].access == LIST_DEVICE ? LIST_DEVICES
							  : exactly,
	    p->values[index]);
	add_endpoints_end(p, n);
	add_order(p);
	add(p, " LIMIT %u", n);
}

/* Without the condition of the team where the filter has an index: so there is
 * no other index that could be read. */
static void
add_by_index(struct page *p, size_t index, unsigned n)
{
	const struct list *l = p->list;

	add(p, "SELECT %s.* FROM %s WHERE ", l->alias, l->table);
	if (index < l->n_filters && l->filters[index].index_sql != NULL)
		add(p, "%s AND %s", l->team, l->filters[index].index_sql);
	else if (index < l->n_filters)
		add_with(p, l->filters[index].sql, p->values[index]);
	else
		add(p, "%s", l->team);
	add_end(p, n);
}

static void
add_rows(struct page *p, size_t index, unsigned n)
{
	const struct list *l = p->list;

	if (index < l->n_filters &&
	    (l->filters[index].access == LIST_ENDPOINT ||
		l->filters[index].access == LIST_DEVICE))
		add_endpoints_named(p, index, n);
	else if (index == l->n_filters && p->is_mine)
		add_mine(p, n);
	else
		add_by_index(p, index, n);
}

/* ---- statements ---- */

/* Whether rows that are read can be left out of the page. */
static bool
leaves_out(const struct page *p, size_t index)
{
	const struct list *l = p->list;

	if (l->where != NULL && !(p->is_mine && index == l->n_filters))
		return true;
	for (size_t i = 0; i < l->n_filters; i++)
		if (p->values[i][0] != '\0' && i != index &&
		    l->filters[i].access != LIST_RANGE)
			return true;
	return false;
}

static void
write_long(struct page *p, const char *row, unsigned n)
{
	const struct list *l = p->list;
	size_t index = index_filter(p);

	p->window = leaves_out(p, index) ? LIST_READ_MAX : 0;
	add(p,
	    "SELECT (%s)::text, (%s)::text, (%s)::text FROM (SELECT %s.* "
	    "FROM (",
	    row, l->key, l->id, l->alias);
	add_rows(p, index, p->window > 0 ? p->window : n);
	add(p, ") %s WHERE %s", l->alias, l->team);
	for (size_t i = 0; i < l->n_filters; i++)
		if (p->values[i][0] != '\0' && i != index &&
		    l->filters[i].access != LIST_RANGE)
			add_filter(p, i);
	if (l->where != NULL && !(p->is_mine && index == l->n_filters))
		add(p, " AND (%s)", l->where);
	add_order(p);
	add(p, " LIMIT %u) %s %s WHERE " TYPES, n, l->alias, l->from);
	add_order(p);
}

static void
write_short(struct page *p, const char *row, unsigned n)
{
	const struct list *l = p->list;

	p->window = 0;
	add(p,
	    "SELECT (%s)::text, (%s)::text, (%s)::text %s WHERE " TYPES
	    " AND %s",
	    row, l->key, l->id, l->from, l->where);
	for (size_t i = 0; i < l->n_filters; i++)
		if (p->values[i][0] != '\0')
			add_filter(p, i);
	add_cursor(p);
	add_order(p);
	add(p, " LIMIT %u", n);
}

void
page_write(struct page *p, const struct request *r, const char *row, unsigned n)
{
	begin(p, r);
	if (p->list->table != NULL)
		write_long(p, row, n);
	else
		write_short(p, row, n);
}

void
page_write_horizon(struct page *p, const struct request *r)
{
	const struct list *l = p->list;

	begin(p, r);
	add(p, "SELECT (%s)::text, (%s)::text FROM (", l->key, l->id);
	add_rows(p, index_filter(p), p->window);
	add(p, ") %s WHERE " TYPES, l->alias);
	add_order(p);
	add(p, " LIMIT 1 OFFSET %u", p->window - 1);
}

/* A part of a name is asked for, and no index that finds few rows is there. */
static bool
asks_for_devices(const struct page *p, size_t *device)
{
	size_t n = p->list->n_filters;

	*device = n;
	for (size_t i = 0; i < n; i++) {
		if (is_given(p, i, LIST_INDEX) || is_given(p, i, LIST_ENDPOINT))
			return false;
		if (is_given(p, i, LIST_DEVICE))
			*device = i;
	}
	return *device < n;
}

bool
page_asks_for_count(const struct page *p, const struct request *r)
{
	const struct list *l = p->list;
	size_t index = index_filter(p), device;

	if (asks_for_devices(p, &device))
		return true;
	return l->mine != NULL && strcmp(r->person.role, "member") == 0 &&
	    (index == l->n_filters || l->filters[index].access == LIST_WIDE);
}

void
page_write_count(struct page *p, const struct request *r)
{
	size_t device;
	bool has_device = asks_for_devices(p, &device);

	begin(p, r);
	add(p, "SELECT count(*) FROM (");
	if (has_device)
		add_with(p, LIST_DEVICES, p->values[device]);
	else
		add(p, "%s", p->list->mine);
	add(p, " LIMIT %u) d WHERE " TYPES,
	    (has_device ? LIST_DEVICES_MAX : LIST_MINE_MAX) + 1);
}

void
page_take_count(struct page *p, int n)
{
	size_t device;

	if (asks_for_devices(p, &device))
		p->has_few_devices = n <= LIST_DEVICES_MAX;
	else
		p->is_mine = n <= LIST_MINE_MAX;
}
