/*
 * "relaycam X list": a SELECT with filters by option, a span of time and a
 * limit, printed as a table or as JSON. Each list is one table of constants.
 */
#ifndef CTL_CTL_LIST_H
#define CTL_CTL_LIST_H

#include <stdint.h>

#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/sql.h"
#include "ctl/table.h"

struct ctl_list {
	const struct column *cols;
	int n_cols;
	const char *from; /* SQL, with its joins */
	const struct sql_option *filters;
	size_t n_filters;
	const char *time;     /* SQL: what --from and --to mean */
	const char *zone;     /* SQL: whose time zone counts (T7) */
	const char *order;    /* SQL */
	int64_t preset_limit; /* of --limit */
	const char *none;     /* said when there is nothing */
	/*
	 * More conditions; NULL: none. text: UUID_TEXT_MAX bytes that last
	 * as long as q. 0, or a status after a message.
	 */
	int (*more)(
	    struct ctl *c, struct sql *q, const struct args *a, char *text);
};

/* The options --from, --to, --limit, --json and --utc belong to it. */
int ctl_list_run(struct ctl *c, const struct args *a, const struct ctl_list *l);

#endif
