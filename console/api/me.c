/* GET me, POST logout. */
#include "console/api/me.h"

#include <openssl/sha.h>

#include "common/http.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

json_t *
me_json(const struct request *r)
{
	char csrf[CSRF_TEXT_MAX];
	json_t *me = json_pack("{s:s,s:s,s:s,s:s}", "user", r->person.name,
	    "role", r->person.role, "team", r->person.team, "time_zone",
	    r->person.zone);

	if (me != NULL && !r->person.is_token)
		json_object_set_new(me, "csrf_token",
		    json_string(csrf_text(r->person.credential, csrf)));
	if (me != NULL && r->person.is_limited)
		json_object_set_new(me, "second_factor_missing", json_true());
	return me;
}

void
me_run(struct request *r)
{
	request_json(r, 200, me_json(r));
}

static void
on_logout(struct request *r, PGresult *res)
{
	request_field(r, "Set-Cookie",
	    COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Strict; "
			"Max-Age=0");
	request_empty(r, 204);
}

void
logout_run(struct request *r)
{
	uint8_t hash[SHA256_DIGEST_LENGTH];
	char hex[2 * SHA256_DIGEST_LENGTH + 1];
	char origin[REQUEST_ORIGIN_MAX];
	const char *params[] = { hex, r->person.team_text, r->person.name,
		request_origin(r, origin) };

	SHA256(r->person.credential, CREDENTIAL_LEN, hash);
	http_hex(hash, sizeof(hash), hex);
	request_query(r,
	    "WITH l AS (DELETE FROM logins WHERE hash = decode($1, 'hex')) "
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "VALUES ($2, $3, 'logout', $3, $4::jsonb)",
	    4, params, on_logout);
}
