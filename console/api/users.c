/* users: the people of the team. */
#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "console/api/password_change.h"
#include "console/api/request.h"

static const struct list_filter filters[] = {
	{ "name", "p.name = ?", NULL },
	{ "role", "p.role = ?", "owner|admin|member" },
	{ "disabled", "p.disabled = (? = 'true')", "true|false" },
	{ "text",
	    "position(lower(?) IN lower(concat_ws(' ', p.name, p.title))) > 0",
	    NULL },
};

static const struct list list = {
	.row = "console_user(p)",
	.from = "FROM people p",
	.where = "p.team_id = $2::bigint",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "p.created_at",
	.key_type = "timestamptz",
	.id = "p.id",
	.id_type = "bigint",
};

void
users_list_run(struct request *r)
{
	list_run(r, &list);
}

void
users_get_run(struct request *r)
{
	const char *params[] = { r->id, r->person.team_text };

	request_query(r,
	    "SELECT console_user(p)::text FROM people p "
	    "WHERE p.id = $1::bigint AND p.team_id = $2::bigint",
	    2, params, change_show);
}

/* ---- new ones and changes ---- */

#define ROLE_MEMBER                                                            \
	{                                                                      \
		"role", .kind = MEMBER_CHOICE, .choices = "owner|admin|member" \
	}
#define TITLE_MEMBER                                                           \
	{                                                                      \
		"title", .kind = MEMBER_TEXT, .hi = 200                        \
	}

static const struct member changes[] = {
	TITLE_MEMBER,
	ROLE_MEMBER,
	{ "disabled", .kind = MEMBER_BOOL },
	PASSWORD_MEMBER(false),
};

static const struct member new_members[] = {
	{ "name", .kind = MEMBER_NAME, .is_needed = true },
	TITLE_MEMBER,
	ROLE_MEMBER,
	PASSWORD_MEMBER(true),
};

static void
make(struct request *r)
{
	change_run(r, "console_user_new", 201);
}

static void
change(struct request *r)
{
	change_run(r, "console_user_set", 200);
}

void
users_new_run(struct request *r)
{
	if (body_is_right(r, new_members, N_ELEMENTS(new_members)))
		password_change(r, make);
}

void
users_patch_run(struct request *r)
{
	if (!body_is_right(r, changes, N_ELEMENTS(changes)))
		return;
	if (request_text(r, "password") != NULL)
		password_change(r, change);
	else
		change(r);
}

/* ---- what a person logs in with ---- */

void
users_tokens_delete_run(struct request *r)
{
	change_run(r, "console_user_tokens_remove", 204);
}

void
users_logins_delete_run(struct request *r)
{
	change_run(r, "console_user_logins_end", 204);
}
