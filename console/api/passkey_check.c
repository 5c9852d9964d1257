#include "console/api/passkey_check.h"

#include <openssl/sha.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "console/api/request.h"
#include "console/worker.h"

enum col { ID, NAME, ROLE, TEAM_ID, TEAM, ZONE, KEY_ID, ALGORITHM, KEY, USER };

static const char key_sql[] =
    "SELECT p.id, p.name, p.role, p.team_id, t.name, t.time_zone, k.id, "
    "k.algorithm, k.public_key, replace(p.passkey_user::text, '-', '') "
    "FROM passkeys k JOIN people p ON p.id = k.person_id AND NOT p.disabled "
    "JOIN teams t ON t.id = p.team_id WHERE k.credential_id = "
    "decode($1, 'hex')";

/* ---- parts of the body ---- */

static const json_t *
credential(const struct request *r)
{
	return json_object_get(r->body, "credential");
}

static uint8_t *
decode(const json_t *text, size_t max, size_t *len)
{
	size_t text_len = json_string_length(text);
	uint8_t *out;

	if (!json_is_string(text) || text_len > 4 * (max + 2) / 3 ||
	    (out = malloc(max)) == NULL)
		return NULL;
	if (sodium_base642bin(out, max, json_string_value(text), text_len, NULL,
		len, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
		return out;
	free(out);
	return NULL;
}

uint8_t *
passkey_part(const struct request *r, const char *name, size_t max, size_t *len)
{
	const json_t *response = json_object_get(credential(r), "response");

	return decode(json_object_get(response, name), max, len);
}

bool
passkey_id_hex(const struct request *r, char hex[2 * CREDENTIAL_ID_MAX + 1])
{
	size_t len = 0;
	uint8_t *id = decode(
	    json_object_get(credential(r), "id"), CREDENTIAL_ID_MAX, &len);
	bool is_right = id != NULL && len > 0;

	if (is_right)
		http_hex(id, len, hex);
	free(id);
	return is_right;
}

void
passkey_challenge_hash(
    const uint8_t challenge[CHALLENGE_LEN], char out[CHALLENGE_HASH_MAX])
{
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(challenge, CHALLENGE_LEN, hash);
	http_hex(hash, sizeof(hash), out);
}

/* ---- the check ---- */

static int
take_key(const PGresult *res, struct passkey *p)
{
	const char *hex = PQgetvalue(res, 0, KEY) + 2; /* behind "\x" */

	p->key_len = strlen(hex) / 2;
	p->algorithm = atoi(PQgetvalue(res, 0, ALGORITHM));
	return p->key_len <= sizeof(p->key)
	    ? http_unhex(hex, p->key, p->key_len)
	    : -1;
}

/* Who the authenticator says it is for; a browser may leave it out when it
 * was asked for one credential, which we do not. */
static bool
has_user(const struct request *r, const PGresult *res)
{
	char hex[2 * 16 + 1];
	size_t len;
	uint8_t *user = passkey_part(r, "userHandle", 16, &len);
	bool is_right = user != NULL && len == 16 &&
	    strcmp(http_hex(user, len, hex), PQgetvalue(res, 0, USER)) == 0;

	free(user);
	return is_right;
}

/* 0: it is right; counter and the hash of its challenge are known. */
static int
verify(const struct request *r, const PGresult *res, uint32_t *counter,
    char challenge_hash[CHALLENGE_HASH_MAX])
{
	const struct worker *w = r->worker;
	struct passkey_bytes client = { 0 }, data = { 0 }, signature = { 0 };
	uint8_t challenge[CHALLENGE_LEN];
	struct passkey p;
	int rc = -1;

	client.data =
	    passkey_part(r, "clientDataJSON", CLIENT_DATA_MAX, &client.len);
	data.data = passkey_part(
	    r, "authenticatorData", AUTHENTICATOR_DATA_MAX, &data.len);
	signature.data =
	    passkey_part(r, "signature", PASSKEY_SIGNATURE_MAX, &signature.len);
	if (client.data != NULL && data.data != NULL &&
	    signature.data != NULL && take_key(res, &p) == 0 &&
	    client_data_check(&w->rp, client, "webauthn.get", challenge) == 0 &&
	    challenge_is_good(challenge, sizeof(challenge), w->seal_key,
		CHALLENGE_LOGIN, 0, (int64_t)(clock_wall_ns() / NS_PER_S)))
		rc = passkey_verify(
		    &p, &w->rp, client, data, signature, counter);
	if (rc == 0)
		passkey_challenge_hash(challenge, challenge_hash);
	free((void *)(uintptr_t)client.data);
	free((void *)(uintptr_t)data.data);
	free((void *)(uintptr_t)signature.data);
	return rc;
}

static void
copy(const PGresult *res, int col, char *out, size_t len)
{
	snprintf(out, len, "%s", PQgetvalue(res, 0, col));
}

static void
take_owner(struct person *p, const PGresult *res)
{
	copy(res, ID, p->id_text, sizeof(p->id_text));
	copy(res, NAME, p->name, sizeof(p->name));
	copy(res, ROLE, p->role, sizeof(p->role));
	copy(res, TEAM_ID, p->team_text, sizeof(p->team_text));
	copy(res, TEAM, p->team, sizeof(p->team));
	copy(res, ZONE, p->zone, sizeof(p->zone));
}

static void
on_used(struct request *r, PGresult *res)
{
	bool is_right = PQgetisnull(res, 0, 0);

	if (!is_right)
		log_warn("passkey_refused",
		    LOG_S("user", r->passkey_owner.name),
		    LOG_S("why", PQgetvalue(res, 0, 0)));
	r->passkey_checked(r, is_right ? &r->passkey_owner : NULL);
}

static void
on_key(struct request *r, PGresult *res)
{
	char hash[CHALLENGE_HASH_MAX], counter_text[24], id[24];
	const char *params[] = { id, counter_text, hash };
	uint32_t counter;

	if (PQntuples(res) != 1 || !has_user(r, res) ||
	    verify(r, res, &counter, hash) != 0) {
		r->passkey_checked(r, NULL);
		return;
	}
	take_owner(&r->passkey_owner, res);
	copy(res, KEY_ID, id, sizeof(id));
	snprintf(counter_text, sizeof(counter_text), "%u", counter);
	request_query(r,
	    "SELECT passkey_use($1::bigint, $2::bigint, decode($3, 'hex'))", 3,
	    params, on_used);
}

void
passkey_check(struct request *r,
    void (*then)(struct request *r, const struct person *owner))
{
	char id[2 * CREDENTIAL_ID_MAX + 1];
	const char *params[] = { id };

	r->passkey_checked = then;
	if (!passkey_id_hex(r, id))
		then(r, NULL);
	else
		request_query(r, key_sql, 1, params, on_key);
}
