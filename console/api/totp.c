/* me/totp, me/recovery-codes: the second factor of the person who is logged
 * in; users/{id}/totp: taking that of a person away who lost it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/password.h"
#include "console/api/body.h"
#include "console/api/change.h"
#include "console/api/enter.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/api/second_factor.h"
#include "console/login/qr_svg.h"
#include "console/login/recovery_code.h"
#include "console/login/totp.h"
#include "console/worker.h"

#define ISSUER     "Relaycam"
#define SEALED_LEN (TOTP_SECRET_LEN + SEAL_OVERHEAD)

static const struct member code_members[] = {
	{ "code", .kind = MEMBER_TEXT, .lo = 1, .hi = 64, .is_needed = true },
};

void
totp_get_run(struct request *r)
{
	const char *params[] = { r->person.id_text };

	request_query(
	    r, "SELECT console_totp($1::bigint)::text", 1, params, change_show);
}

/* ---- setting it up ---- */

static void
forget_secret(struct request *r)
{
	wipe(r->state, TOTP_SECRET_LEN);
	free(r->state);
}

/* The secret is in this answer and nowhere else. */
static void
on_new(struct request *r, const char *answer)
{
	char text[TOTP_TEXT_MAX], url[TOTP_URL_MAX];
	char *svg = NULL;
	json_t *o = NULL;

	if (totp_secret_text(r->state, text) == 0 &&
	    totp_url(url, ISSUER, r->person.name, text) == 0 &&
	    (svg = qr_svg(url)) != NULL)
		o = json_pack(
		    "{s:s,s:s,s:s}", "secret", text, "url", url, "qr_svg", svg);
	request_json(r, 201, o);
	wipe(text, sizeof(text));
	wipe(url, sizeof(url));
	if (svg != NULL)
		wipe(svg, strlen(svg));
	free(svg);
}

void
totp_new_run(struct request *r)
{
	uint8_t sealed[SEALED_LEN];
	char hex[2 * SEALED_LEN + 1];

	r->state = malloc(TOTP_SECRET_LEN);
	if (r->state == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return;
	}
	r->release = forget_secret;
	totp_secret_new(r->state);
	seal(r->worker->seal_key, r->state, TOTP_SECRET_LEN, sealed);
	json_decref(r->body);
	r->body =
	    json_pack("{s:s}", "sealed", http_hex(sealed, sizeof(sealed), hex));
	change_then(r, "console_totp_new", on_new);
}

/* ---- recovery codes ---- */

static void
forget_codes(struct request *r)
{
	wipe(r->state, RECOVERY_CODES * RECOVERY_CODE_MAX);
	free(r->state);
}

/* Makes them and puts their hashes into a body for the schema. */
static int
make_codes(struct request *r, json_t *body)
{
	char(*codes)[RECOVERY_CODE_MAX] =
	    calloc(RECOVERY_CODES, RECOVERY_CODE_MAX);
	char hash[RECOVERY_HASH_MAX];
	json_t *hashes = json_array();

	if (codes == NULL || hashes == NULL) {
		free(codes);
		json_decref(hashes);
		return -1;
	}
	if (r->release != NULL)
		r->release(r);
	r->state = codes;
	r->release = forget_codes;
	for (unsigned i = 0; i < RECOVERY_CODES; i++) {
		recovery_code_new(codes[i]);
		recovery_code_hash(codes[i], hash);
		json_array_append_new(hashes, json_string(hash));
	}
	return json_object_set_new(body, "hashes", hashes);
}

/* The codes are in this answer and nowhere else. */
static void
on_codes(struct request *r, const char *answer)
{
	char(*codes)[RECOVERY_CODE_MAX] = r->state;
	json_t *list = json_array();

	for (unsigned i = 0; i < RECOVERY_CODES; i++)
		json_array_append_new(list, json_string(codes[i]));
	request_json(r, 200, json_pack("{s:o}", "recovery_codes", list));
}

static void
change_with_codes(struct request *r, const char *function, json_t *body)
{
	json_decref(r->body);
	r->body = body;
	if (make_codes(r, body) != 0)
		request_problem(r, 503, "unavailable", "Out of memory.");
	else
		change_then(r, function, on_codes);
}

static void
on_right(struct request *r)
{
	change_with_codes(r, "console_recovery_codes_new", json_object());
}

void
recovery_codes_new_run(struct request *r)
{
	if (body_is_right(r, code_members, N_ELEMENTS(code_members)))
		second_factor_ask(r, on_right);
}

/* ---- confirming it ---- */

/* No throttle: whoever is here has just been told the secret. */
static void
on_secret(struct request *r, PGresult *res)
{
	uint8_t secret[TOTP_SECRET_LEN];
	char login[CREDENTIAL_HASH_MAX];
	int64_t step;

	if (PQntuples(res) == 0) {
		request_problem(r, 409, "not-done",
		    "There is nothing to confirm; begin anew.");
		return;
	}
	if (second_factor_open(r, res, 0, secret) != 0) {
		request_problem(r, 500, "internal",
		    "The seal key is another one than when this began.");
		return;
	}
	step = totp_check(secret, request_text(r, "code"),
	    (int64_t)(clock_wall_ns() / NS_PER_S), 0);
	wipe(secret, sizeof(secret));
	if (step < 0)
		request_problem(r, 403, "wrong-code",
		    "The code is wrong; are both clocks right?");
	else
		change_with_codes(r, "console_login_totp_confirm",
		    json_pack("{s:I,s:s,s:s}", "step", (json_int_t)step,
			"login", credential_hash(&r->person, login), "sealed",
			PQgetvalue(res, 0, 0) + 2)); /* behind "\\x" */
}

void
totp_confirm_run(struct request *r)
{
	const char *params[] = { r->person.id_text };

	if (body_is_right(r, code_members, N_ELEMENTS(code_members)))
		request_query(r,
		    "SELECT secret_sealed FROM totp WHERE person_id = $1 "
		    "AND confirmed_at IS NULL",
		    1, params, on_secret);
}

/* ---- taking it away ---- */

static void
remove_own(struct request *r)
{
	change_run(r, "console_totp_remove", 204);
}

void
totp_remove_run(struct request *r)
{
	if (body_is_right(r, code_members, N_ELEMENTS(code_members)))
		second_factor_ask(r, remove_own);
}

void
users_totp_delete_run(struct request *r)
{
	change_run(r, "console_user_totp_remove", 204);
}
