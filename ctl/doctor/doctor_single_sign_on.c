/* doctor: the OpenID providers of teams, as they answer from this machine. */
#include <curl/curl.h>
#include <jansson.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address_scope.h"
#include "common/bytes.h"
#include "common/json.h"
#include "common/keyfile.h"
#include "common/password.h"
#include "ctl/doctor/doctor.h"
#include "ctl/ctl_http.h"
#include "ctl/pg.h"

#define CHECK      "single sign-on"
#define TIMEOUT_S  10
#define URL_MAX    1024
#define ANSWER_MAX 65536

/* "ISSUER/.well-known/openid-configuration" (OpenID Connect Discovery 1.0,
 * section 4). */
static void
discovery_url(const char *issuer, char *out, size_t len)
{
	size_t n = strlen(issuer);

	if (n > 0 && issuer[n - 1] == '/')
		n--;
	snprintf(
	    out, len, "%.*s/.well-known/openid-configuration", (int)n, issuer);
}

static void
judge_answer(
    struct doctor *d, const char *team, const char *issuer, const char *answer)
{
	json_t *o = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);
	const char *named = json_text(o, "issuer");

	if (named == NULL)
		doctor_fail(d, CHECK,
		    "set issuer as the provider writes it: \"relaycam "
		    "single-sign-on set issuer=...\"",
		    "team %s: %s has no discovery document", team, issuer);
	else if (strcmp(named, issuer) != 0)
		doctor_fail(d, CHECK,
		    "if that is the right one: \"relaycam single-sign-on set "
		    "issuer=...\", and the client's secret again",
		    "team %s: the provider calls itself %.200s, not %s", team,
		    named, issuer);
	else
		doctor_ok(d, CHECK, "team %s: %s answers", team, issuer);
	json_decref(o);
}

/* Has the issuer's host an address that is not public? */
static bool
is_inner(const char *issuer)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *all = NULL;
	CURLU *url = curl_url();
	char *host = NULL;
	bool is_inner = false;
	size_t n;

	if (url != NULL && curl_url_set(url, CURLUPART_URL, issuer, 0) == 0 &&
	    curl_url_get(url, CURLUPART_HOST, &host, 0) == 0) {
		n = strlen(host);
		if (host[0] == '[' && host[n - 1] == ']') { /* IPv6 */
			memmove(host, host + 1, n - 2);
			host[n - 2] = '\0';
		}
		if (getaddrinfo(host, NULL, &hints, &all) != 0)
			all = NULL;
	}
	for (const struct addrinfo *a = all; a != NULL; a = a->ai_next)
		is_inner |= !address_is_public(a->ai_addr);
	if (all != NULL)
		freeaddrinfo(all);
	curl_free(host);
	curl_url_cleanup(url);
	return is_inner;
}

static void
check_provider(struct doctor *d, const char *team, const char *issuer)
{
	char url[URL_MAX];
	struct ctl_http_request rq = { .method = "GET",
		.url = url,
		.ca_file = d->ctl->console.provider_ca_file,
		.timeout_s = TIMEOUT_S,
		.answer = calloc(1, ANSWER_MAX),
		.answer_len = ANSWER_MAX };
	long status = -1;

	if (rq.answer == NULL)
		return;
	discovery_url(issuer, url, sizeof(url));
	status = ctl_http_request(&rq);
	if (status == 200 && !d->ctl->console.provider_private_addresses &&
	    is_inner(issuer))
		doctor_fail(d, CHECK,
		    "set provider_private_addresses = on in [console], if the "
		    "provider is one of yours",
		    "team %s: %s has a private address, which the console does "
		    "not connect to",
		    team, issuer);
	else if (status == 200)
		judge_answer(d, team, issuer, rq.answer);
	else if (status < 0)
		doctor_fail(d, CHECK,
		    "open the way from here to the provider; a private CA "
		    "belongs into [console] provider_ca_file",
		    "team %s: %s: %s", team, url, rq.why);
	else
		doctor_fail(d, CHECK,
		    "set issuer as the provider writes it: \"relaycam "
		    "single-sign-on set issuer=...\"",
		    "team %s: %s answers with status %ld", team, url, status);
	free(rq.answer);
}

static bool
opens(const struct doctor *d, const char *bytea)
{
	uint8_t key[SEAL_KEY_LEN], out[4096];
	char why[KEYFILE_WHY_MAX];
	size_t len = 0;
	unsigned char *sealed;
	bool ok;

	if (keyfile_read("seal key", d->ctl->secrets.seal_key_file, key,
		sizeof(key), why, sizeof(why)) != 0)
		return true; /* said elsewhere */
	sealed = PQunescapeBytea((const unsigned char *)bytea, &len);
	ok = sealed != NULL && len <= sizeof(out) &&
	    seal_open(key, sealed, len, out) >= 0;
	wipe(out, sizeof(out));
	wipe(key, sizeof(key));
	PQfreemem(sealed);
	return ok;
}

void
doctor_single_sign_on(struct doctor *d)
{
	PGresult *res;

	if (d->ctl->db == NULL)
		return;
	res = PG_TRY(d->ctl,
	    "SELECT t.name, s.issuer, s.secret_sealed FROM single_sign_on s "
	    "JOIN teams t ON t.id = s.team_id WHERE s.enabled ORDER BY t.name");
	for (int i = 0; i < PQntuples(res); i++) {
		const char *team = PQgetvalue(res, i, 0);

		if (!PQgetisnull(res, i, 2) && !opens(d, PQgetvalue(res, i, 2)))
			doctor_fail(d, "seal key",
			    "restore the key that sealed it, or store the "
			    "secret again: \"relaycam single-sign-on set "
			    "--password-file FILE\"",
			    "the client secret of team %s was sealed with "
			    "another key",
			    team);
		check_provider(d, team, PQgetvalue(res, i, 1));
	}
	PQclear(res);
}
