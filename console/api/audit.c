/* audit: who did what, from where and by which door (X7). Entries of the
 * person's team only. */
#include "common/bytes.h"
#include "console/api/handlers.h"
#include "console/api/list.h"

#define ROW                                                                    \
	"json_build_object('id', a.id::text, 'at', utc_text(a.at), 'actor', "  \
	"a.actor, 'action', a.action, 'object', a.object, 'detail', a.detail)"

#define CSV                                                                    \
	"concat_ws(',', a.id, csv_text(to_char(a.at AT TIME ZONE $3::text, "   \
	"'YYYY-MM-DD HH24:MI:SS')), csv_text(a.actor), csv_text(a.action), "   \
	"csv_text(a.object), csv_text(a.detail::text))"

static const struct list_filter filters[] = {
	{ "object", "team_key(a.team_id, a.object) = team_key($2::bigint, ?)",
	    .access = LIST_INDEX },
	{ "actor", "team_key(a.team_id, a.actor) = team_key($2::bigint, ?)",
	    .access = LIST_INDEX },
	{ "action", "team_key(a.team_id, a.action) = team_key($2::bigint, ?)",
	    .access = LIST_INDEX },
	{ "from", "a.at >= console_time(?, $3)", .access = LIST_RANGE },
	{ "to", "a.at < console_time(?, $3)", .access = LIST_RANGE },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', a.actor, a.action, "
	    "a.object, a.detail::text))) > 0" },
};

static const struct list list = {
	.row = ROW,
	.csv_row = CSV,
	.csv_head = "id,at,actor,action,object,detail",
	.table = "audit a",
	.alias = "a",
	.team = "a.team_id = $2::bigint",
	.from = "",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "a.at",
	.key_type = "timestamptz",
	.id = "a.id",
	.id_type = "bigint",
};

void
audit_list_run(struct request *r)
{
	list_run(r, &list);
}

void
audit_csv_run(struct request *r)
{
	list_csv_run(r, &list);
}
