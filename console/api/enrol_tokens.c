/* enrol-tokens: how endpoints that dial in get in. An agent's token, or the ID
 * of an unmodified VNC server; both are in one answer and nowhere else. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/handlers.h"
#include "console/api/list.h"
#include "common/token.h"
#include "console/api/request.h"

static const struct list_filter filters[] = {
	{ "endpoint", "e.name = ?", NULL },
	{ "used", "(k.used_at IS NOT NULL) = (? = 'true')", "true|false" },
};

static const struct list list = {
	.row = "jsonb_build_object('id', k.id::text, 'endpoint', e.name, "
	       "'created_by', k.created_by, 'created_at', "
	       "utc_text(k.created_at), 'expires_at', utc_text(k.expires_at), "
	       "'used_at', utc_text(k.used_at))",
	.from = "FROM enrol_tokens k JOIN endpoints e ON e.id = k.endpoint_id",
	.where = "e.team_id = $2::bigint",
	.filters = filters,
	.n_filters = N_ELEMENTS(filters),
	.key = "k.created_at",
	.key_type = "timestamptz",
	.id = "k.id",
	.id_type = "bigint",
};

void
enrol_tokens_list_run(struct request *r)
{
	list_run(r, &list);
}

/* ---- a new one ---- */

struct pair {
	struct token token, id; /* of kind agent, of kind reverse */
};

static const struct member members[] = {
	{ "endpoint", .kind = MEMBER_NAME, .is_needed = true },
	{ "seconds", .kind = MEMBER_INT, .lo = 60, .hi = 30 * 86400 },
};

static void
forget(struct request *r)
{
	wipe(r->state, sizeof(struct pair));
	free(r->state);
}

/* "PC-7-ABCD...": upper case, because some servers send it so anyway. */
static json_t *
server_id(const char *endpoint, const struct token *id)
{
	char name[64];
	size_t n = 0;

	for (; endpoint[n] != '\0' && n < sizeof(name) - 1; n++)
		name[n] = (char)toupper((unsigned char)endpoint[n]);
	name[n] = '\0';
	return json_sprintf("%s-%s", name, id->text);
}

static void
on_new(struct request *r, const char *answer)
{
	struct pair *p = r->state;
	json_t *o = json_loads(answer, 0, NULL);
	const char *kind = json_string_value(json_object_get(o, "kind"));

	if (kind != NULL && strcmp(kind, "agent") == 0) {
		json_object_set_new(o, "token", json_string(p->token.text));
	} else {
		json_object_set_new(o, "server_id",
		    server_id(json_string_value(json_object_get(o, "endpoint")),
			&p->id));
	}
	request_json(r, 201, o);
}

void
enrol_tokens_new_run(struct request *r)
{
	struct pair *p;

	if (!body_is_right(r, members, N_ELEMENTS(members)))
		return;
	p = calloc(1, sizeof(*p));
	if (p == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	r->state = p;
	r->release = forget;
	token_new(&p->token, "rce_");
	token_new_base32(&p->id);
	json_object_set_new(
	    r->body, "token_hash", json_string(p->token.hash + 2));
	json_object_set_new(
	    r->body, "secret_hash", json_string(p->id.hash + 2));
	change_then(r, "console_enrol_token_new", on_new);
}

void
enrol_tokens_delete_run(struct request *r)
{
	change_run(r, "console_enrol_token_delete", 204);
}
