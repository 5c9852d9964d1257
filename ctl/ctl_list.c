#include "ctl/ctl_list.h"

#include <stdio.h>

#include "ctl/command.h"
#include "ctl/names.h"

#define LIMIT_MAX 100000

static int
build(struct ctl *c, struct sql *q, const struct args *a,
    const struct ctl_list *l, char *text)
{
	int rc = 0;

	table_select(q, l->cols, l->n_cols, l->zone);
	sql_add(q, l->from);
	sql_options(q, a, l->filters, l->n_filters);
	if (l->more != NULL)
		rc = l->more(c, q, a, text);
	if (rc == 0)
		rc = sql_time(q, a, "from", l->time, ">=", l->zone);
	if (rc == 0)
		rc = sql_time(q, a, "to", l->time, "<", l->zone);
	sql_add(q, " ORDER BY ");
	sql_add(q, l->order);
	return rc;
}

int
ctl_list_run(struct ctl *c, const struct args *a, const struct ctl_list *l)
{
	char text[UUID_TEXT_MAX], limit[24];
	struct sql q;
	int64_t n;
	int rc = args_number(a, "limit", 1, LIMIT_MAX, l->preset_limit, &n);

	if (rc != 0)
		return rc;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	snprintf(limit, sizeof(limit), "%lld", (long long)n);
	rc = build(c, &q, a, l, text);
	if (rc != 0) {
		sql_release(&q);
		return rc;
	}
	sql_value(&q, " LIMIT ?::bigint", limit);
	return table_list(
	    c, a, &q, l->cols, l->n_cols, args_has(a, "utc"), l->none);
}
