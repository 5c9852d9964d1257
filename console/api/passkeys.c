/* me/passkeys: the passkeys of the person who is logged in;
 * users/{id}/passkeys: taking those of a person away. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/passkey_check.h"
#include "console/api/request.h"
#include "console/worker.h"

#define USER_LEN 16

static const struct member name_members[] = {
	{ "name", .kind = MEMBER_TEXT, .lo = 1, .hi = 100, .is_needed = true },
};

void
passkeys_list_run(struct request *r)
{
	const char *params[] = { r->person.id_text };

	request_query(r,
	    "SELECT jsonb_build_object('items', coalesce(jsonb_agg("
	    "console_passkey(k) ORDER BY k.id), '[]'))::text FROM passkeys k "
	    "WHERE k.person_id = $1::bigint",
	    1, params, change_show);
}

/* ---- what a browser is to ask its authenticator for ---- */

static void
add_exclude(json_t *list, const char *ids)
{
	json_t *known = json_loads(ids, 0, NULL), *id;
	size_t i;

	json_array_foreach(known, i, id) {
		json_array_append_new(list,
		    json_pack("{s:s,s:O}", "type", "public-key", "id", id));
	}
	json_decref(known);
}

static json_t *
algorithms(void)
{
	return json_pack("[{s:s,s:i},{s:s,s:i},{s:s,s:i}]", "type",
	    "public-key", "alg", -7, "type", "public-key", "alg", -8, "type",
	    "public-key", "alg", -257);
}

/* PublicKeyCredentialCreationOptionsJSON. */
static json_t *
options(const struct request *r, const char *user, const char *ids)
{
	const struct passkey_rp *rp = &r->worker->rp;
	uint8_t challenge[CHALLENGE_LEN];
	char text[CHALLENGE_TEXT_MAX];
	json_t *exclude = json_array();

	challenge_new(challenge, r->worker->seal_key, CHALLENGE_REGISTER,
	    r->person.id, (int64_t)(clock_wall_ns() / NS_PER_S));
	challenge_text(challenge, text);
	add_exclude(exclude, ids);
	return json_pack("{s:{s:s,s:{s:s,s:s},s:{s:s,s:s,s:s},s:o,s:i,s:s,"
			 "s:{s:s,s:b,s:s},s:o}}",
	    "publicKey", "challenge", text, "rp", "id", rp->id, "name",
	    "Relaycam", "user", "id", user, "name", r->person.name,
	    "displayName", r->person.name, "pubKeyCredParams", algorithms(),
	    "timeout", CHALLENGE_SECONDS * 1000, "attestation", "none",
	    "authenticatorSelection", "residentKey", "required",
	    "requireResidentKey", 1, "userVerification", "required",
	    "excludeCredentials", exclude);
}

static void
on_options(struct request *r, PGresult *res)
{
	uint8_t user[USER_LEN];
	char text[2 * USER_LEN];

	if (http_unhex(PQgetvalue(res, 0, 0), user, sizeof(user)) != 0) {
		request_problem(r, 500, "internal", NULL);
		return;
	}
	sodium_bin2base64(text, sizeof(text), user, sizeof(user),
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	request_json(r, 200, options(r, text, PQgetvalue(res, 0, 1)));
}

void
passkeys_options_run(struct request *r)
{
	const char *params[] = { r->person.id_text };

	if (!r->worker->rp.is_usable) {
		request_problem(r, 409, "not-done",
		    "Passkeys need a host name in [console] public_url.");
		return;
	}
	request_query(r,
	    "SELECT replace(p.passkey_user::text, '-', ''), coalesce("
	    "(SELECT jsonb_agg(translate(encode(k.credential_id, 'base64'), "
	    "E'+/=\\n', '-_')) FROM passkeys k WHERE k.person_id = p.id), "
	    "'[]')::text FROM people p WHERE p.id = $1::bigint",
	    1, params, on_options);
}

/* ---- a new one ---- */

static int
verify(const struct request *r, struct passkey *p,
    uint8_t challenge[CHALLENGE_LEN])
{
	const struct worker *w = r->worker;
	struct passkey_bytes client = { 0 }, attestation = { 0 };
	int rc = ERR_PROTOCOL;

	client.data =
	    passkey_part(r, "clientDataJSON", CLIENT_DATA_MAX, &client.len);
	attestation.data = passkey_part(
	    r, "attestationObject", ATTESTATION_MAX, &attestation.len);
	if (client.data != NULL && attestation.data != NULL)
		rc = client_data_check(
		    &w->rp, client, "webauthn.create", challenge);
	if (rc == 0 &&
	    !challenge_is_good(challenge, CHALLENGE_LEN, w->seal_key,
		CHALLENGE_REGISTER, r->person.id,
		(int64_t)(clock_wall_ns() / NS_PER_S)))
		rc = ERR_DENIED;
	if (rc == 0)
		rc = passkey_register(p, &w->rp, client, attestation);
	free((void *)(uintptr_t)client.data);
	free((void *)(uintptr_t)attestation.data);
	return rc;
}

/* The body as the schema has it. */
static json_t *
row(const struct request *r, const struct passkey *p,
    const uint8_t challenge[CHALLENGE_LEN])
{
	char id[2 * CREDENTIAL_ID_MAX + 1], key[2 * PASSKEY_PUBLIC_KEY_MAX + 1];
	char hash[CHALLENGE_HASH_MAX], login[CREDENTIAL_HASH_MAX];

	passkey_challenge_hash(challenge, hash);
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:I}", "name",
	    request_text(r, "name"), "login",
	    credential_hash(&r->person, login), "credential_id",
	    http_hex(p->id, p->id_len, id), "public_key",
	    http_hex(p->key, p->key_len, key), "challenge", hash, "algorithm",
	    p->algorithm, "sign_count", (json_int_t)p->sign_count);
}

/* Is it the credential that its id says? */
static bool
has_id(const struct request *r, const struct passkey *p)
{
	char said[2 * CREDENTIAL_ID_MAX + 1], is[2 * CREDENTIAL_ID_MAX + 1];

	return passkey_id_hex(r, said) &&
	    strcmp(said, http_hex(p->id, p->id_len, is)) == 0;
}

static void
take_new(struct request *r)
{
	uint8_t challenge[CHALLENGE_LEN];
	struct passkey p;
	json_t *body;
	int rc = verify(r, &p, challenge);

	if (rc == ERR_NOMEM) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	if (rc != 0 || !has_id(r, &p)) {
		request_invalid(r, "/credential",
		    rc == ERR_DENIED
			? "It was not made for this console, not just now, or "
			  "without checking who made it."
			: "A new public key credential is expected, of ES256, "
			  "EdDSA or RS256.");
		return;
	}
	body = row(r, &p, challenge);
	json_decref(r->body);
	r->body = body;
	change_run(r, "console_login_passkey_new", 201);
}

void
passkeys_new_run(struct request *r)
{
	json_t *credential = json_object_get(r->body, "credential");

	if (!json_is_object(credential)) {
		request_invalid(
		    r, "/credential", "A public key credential is expected.");
		return;
	}
	json_incref(credential);
	json_object_del(r->body, "credential");
	if (body_is_right(r, name_members, N_ELEMENTS(name_members))) {
		json_object_set(r->body, "credential", credential);
		take_new(r);
	}
	json_decref(credential);
}

/* ---- changes ---- */

void
passkeys_patch_run(struct request *r)
{
	if (body_is_right(r, name_members, N_ELEMENTS(name_members)))
		change_run(r, "console_passkey_set", 200);
}

void
passkeys_delete_run(struct request *r)
{
	change_run(r, "console_passkey_remove", 204);
}

void
users_passkeys_delete_run(struct request *r)
{
	change_run(r, "console_user_passkeys_remove", 204);
}
