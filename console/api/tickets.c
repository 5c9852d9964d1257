/* tickets: the one-time login of Connect. It is in this answer and nowhere
 * else. */
#include <stdlib.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "common/token.h"
#include "console/api/relay_place.h"
#include "console/api/request.h"

static const struct member members[] = {
	{ "endpoint", .kind = MEMBER_NAME, .is_needed = true },
	{ "display", .kind = MEMBER_NAME },
	{ "monitor", .kind = MEMBER_INT, .lo = 0, .hi = 64 },
	{ "seconds", .kind = MEMBER_INT, .lo = 1, .hi = 3600 },
};

static void
forget(struct request *r)
{
	wipe(r->state, sizeof(struct token));
	free(r->state);
}

static void
on_new(struct request *r, const char *answer)
{
	const struct token *t = r->state;
	json_t *o = json_loads(answer, 0, NULL);

	char url[PLACE_MAX], address[PLACE_MAX];

	json_object_set_new(o, "password", json_string(t->text));
	json_object_set_new(
	    o, "address", json_string(relay_vnc_address(r, address)));
	json_object_set_new(o, "url",
	    json_sprintf("%s/#ticket=%s", relay_viewer_url(r, url), t->text));
	request_json(r, 201, o);
}

void
tickets_new_run(struct request *r)
{
	struct token *t;

	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	t = calloc(1, sizeof(*t));
	if (t == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	r->state = t;
	r->release = forget;
	token_new(t, "rct_");
	json_object_set_new(r->body, "hash", json_string(t->hash + 2));
	change_then(r, "console_ticket_new", on_new);
}
