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
	{ "actor", "a.actor = ?", NULL },
	{ "action", "a.action = ?", NULL },
	{ "object", "a.object = ?", NULL },
	{ "from", "a.at >= console_time(?, $3)", NULL },
	{ "to", "a.at < console_time(?, $3)", NULL },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', a.actor, a.action, "
	    "a.object, a.detail::text))) > 0",
	    NULL },
};

static const struct list list = {
	.row = ROW,
	.csv_row = CSV,
	.csv_head = "id,at,actor,action,object,detail",
	.from = "FROM audit a",
	.where = "a.team_id = $2::bigint",
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
