/* webhooks: a team's programs that are told what happened (docs/webhooks.md).
 * A new one's secret is in one answer and nowhere else. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/uuid.h"
#include "common/webhook_secret.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

#define EVENTS_MAX 20 /* a CHECK of the table */
#define URL_MAX    1000

void
webhooks_list_run(struct request *r)
{
	const char *params[] = { r->person.team_text };

	request_query(r, "SELECT console_webhooks($1::bigint)::text", 1, params,
	    change_show);
}

void
webhooks_deliveries_run(struct request *r)
{
	const char *params[] = { r->person.team_text, r->id };

	request_query(r,
	    "SELECT console_webhook_deliveries($1::bigint, $2::bigint)::text",
	    2, params, change_show);
}

/* ---- a new one ---- */

static const struct member new_members[] = {
	{ "url", .kind = MEMBER_TEXT, .lo = 1, .hi = URL_MAX,
	    .is_needed = true },
	{ "events", .kind = MEMBER_TEXTS, .hi = EVENTS_MAX },
};

static void
forget(struct request *r)
{
	wipe(r->state, WEBHOOK_SECRET_MAX);
	free(r->state);
}

static void
on_new(struct request *r, const char *answer)
{
	json_t *o = json_loads(answer, 0, NULL);

	json_object_set_new(o, "secret", json_string(r->state));
	request_json(r, 201, o);
}

void
webhooks_new_run(struct request *r)
{
	if (!body_is_right(r, new_members, N_ELEMENTS(new_members)))
		return;
	r->state = malloc(WEBHOOK_SECRET_MAX);
	if (r->state != NULL) {
		r->release = forget;
		webhook_secret_new(r->state);
		json_object_set_new(r->body, "secret", json_string(r->state));
	}
	if (r->state == NULL || !body_seal(r, "secret", "sealed"))
		request_problem(r, 503, "unavailable", "Out of memory.");
	else
		change_then(r, "console_webhook_new", on_new);
}

/* ---- one that is there ---- */

static const struct member set_members[] = {
	{ "url", .kind = MEMBER_TEXT, .lo = 1, .hi = URL_MAX },
	{ "events", .kind = MEMBER_TEXTS, .hi = EVENTS_MAX },
	{ "enabled", .kind = MEMBER_BOOL },
};

void
webhooks_patch_run(struct request *r)
{
	if (json_object_size(r->body) == 0)
		request_invalid(r, "", "The body has nothing in it.");
	else if (body_is_right(r, set_members, N_ELEMENTS(set_members)))
		change_run(r, "console_webhook_set", 200);
}

void
webhooks_delete_run(struct request *r)
{
	change_run(r, "console_webhook_remove", 204);
}

void
webhooks_test_run(struct request *r)
{
	change_run(r, "console_webhook_test", 202);
}

void
webhooks_retry_run(struct request *r)
{
	static const struct member members[] = {
		{ "delivery", .kind = MEMBER_TEXT, .lo = UUID_LEN,
		    .hi = UUID_LEN, .is_needed = true },
	};

	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	if (!is_uuid(request_text(r, "delivery")))
		request_invalid(
		    r, "/delivery", "The id of a delivery is expected.");
	else
		change_run(r, "console_webhook_retry", 202);
}
