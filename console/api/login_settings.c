/* settings/logins: what a team asks of its people's logins. */
#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

static const struct member members[] = {
	{ "second_factor", .kind = MEMBER_CHOICE,
	    .choices = "optional|required", .is_needed = true },
};

/* Whether there is a provider is said here, so that nobody has to ask for one
 * that is not there: that is an error (404). */
void
login_settings_get_run(struct request *r)
{
	const char *params[] = { r->person.team_text };

	request_query(r,
	    "SELECT (console_login_settings($1::bigint) || "
	    "jsonb_build_object('single_sign_on', EXISTS (SELECT FROM "
	    "single_sign_on WHERE team_id = $1::bigint)))::text",
	    1, params, change_show);
}

void
login_settings_patch_run(struct request *r)
{
	if (body_is_right(r, members, N_ELEMENTS(members)))
		change_run(r, "console_login_settings_set", 200);
}
