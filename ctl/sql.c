#include "ctl/sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

int
sql_init(struct sql *q)
{
	memset(q, 0, sizeof(*q));
	q->f = open_memstream(&q->text, &q->len);
	return q->f != NULL ? 0 : ctl_error("out of memory");
}

void
sql_release(struct sql *q)
{
	if (q->f != NULL)
		fclose(q->f);
	q->f = NULL;
	free(q->text);
	q->text = NULL;
}

void
sql_add(struct sql *q, const char *text)
{
	fputs(text, q->f);
}

void
sql_value(struct sql *q, const char *text, const char *value)
{
	const char *mark = strchr(text, '?');

	assert(mark != NULL && q->n < SQL_PARAMS_MAX);
	q->params[q->n++] = value;
	fprintf(q->f, "%.*s$%d%s", (int)(mark - text), text, q->n, mark + 1);
}

void
sql_filter(struct sql *q, const char *cond, const char *value)
{
	if (value == NULL)
		return;
	sql_add(q, q->has_where ? " AND " : " WHERE ");
	q->has_where = true;
	if (strchr(cond, '?') != NULL)
		sql_value(q, cond, value);
	else
		sql_add(q, cond);
}

const char *
sql_text(struct sql *q)
{
	fflush(q->f);
	return q->text;
}

void
sql_options(struct sql *q, const struct args *a, const struct sql_option *rows,
    size_t n)
{
	for (size_t i = 0; i < n; i++)
		sql_filter(q, rows[i].cond, args_get(a, rows[i].option));
}

/* 2026-11-21, with an optional time; *rest is what follows the date. */
static bool
is_date(const char *s, const char **rest)
{
	static const char shape[] = "dddd-dd-dd";

	for (size_t i = 0; shape[i] != '\0'; i++) {
		bool digit = s[i] >= '0' && s[i] <= '9';

		if (shape[i] == 'd' ? !digit : s[i] != shape[i])
			return false;
	}
	*rest = s + sizeof(shape) - 1;
	return **rest == '\0' || **rest == 'T' || **rest == ' ';
}

int
sql_time(struct sql *q, const struct args *a, const char *option,
    const char *column, const char *op, const char *zone)
{
	const char *s = args_get(a, option);
	const char *rest;
	char cond[256];

	if (s == NULL)
		return 0;
	if (!is_date(s, &rest) ||
	    strspn(rest, "T :.+-0123456789Z") != strlen(rest))
		return ctl_usage("--%s %s: expected 2026-11-21, "
				 "\"2026-11-21 09:15\" or "
				 "2026-11-21T09:15:00Z",
		    option, s);
	if (strpbrk(rest, "Z+-") != NULL)
		snprintf(
		    cond, sizeof(cond), "%s %s ?::timestamptz", column, op);
	else
		snprintf(cond, sizeof(cond),
		    "%s %s (?::timestamp AT TIME ZONE %s)", column, op, zone);
	sql_filter(q, cond, s);
	return 0;
}
