/* endpoints/{id}/rights: what members may do there (M7, C1). Admins and owners
 * have all rights without a grant. */
#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

static const struct member members[] = {
	{ "control", .kind = MEMBER_BOOL, .is_needed = true },
	{ "record", .kind = MEMBER_BOOL, .is_needed = true },
	{ "manage", .kind = MEMBER_BOOL, .is_needed = true },
};

void
rights_list_run(struct request *r)
{
	const char *params[] = { r->id };

	request_query(r,
	    "SELECT jsonb_build_object('items', coalesce(jsonb_agg("
	    "jsonb_build_object('user', p.name, 'role', p.role, 'control', "
	    "g.control, 'record', g.record, 'manage', g.manage) "
	    "ORDER BY p.name), '[]'))::text FROM endpoint_rights g "
	    "JOIN people p ON p.id = g.person_id "
	    "WHERE g.endpoint_id = $1::bigint",
	    1, params, change_show);
}

void
rights_put_run(struct request *r)
{
	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	json_object_set_new(r->body, "user", json_string(r->user));
	change_run(r, "console_right_set", 200);
}

void
rights_delete_run(struct request *r)
{
	if (r->body == NULL)
		r->body = json_object();
	json_object_set_new(r->body, "user", json_string(r->user));
	change_run(r, "console_right_set", 204);
}
