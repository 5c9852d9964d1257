#include "console/api/sso.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/login/login_throttle.h"
#include "common/password.h"
#include "console/api/answer.h"
#include "console/api/page.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/oidc/keys.h"
#include "console/worker.h"

#define AWAY                                                                   \
	"The single sign-on of your team cannot be reached now. Try again "    \
	"later, or log in with a password."
#define WRONG                                                                  \
	"The single sign-on of your team does not answer as it should. Ask "   \
	"an owner of your team; the console's log says what is wrong."

/* ---- life ---- */

bool
sso_redirect_uri(const struct worker *w, char *out)
{
	const char *url = w->conf->console.public_url;

	return url != NULL &&
	    snprintf(out, OIDC_URL_MAX, "%s" SSO_CALLBACK, url) < OIDC_URL_MAX;
}

static void
release(struct request *r)
{
	struct sso *s = r->state;

	json_decref(s->settings);
	if (s->secret != NULL)
		wipe(s->secret, strlen(s->secret));
	free(s->secret);
	discovery_release(&s->discovery);
	json_decref(s->keys);
	oidc_tokens_release(&s->tokens);
	json_decref(s->claims);
	wipe(s, sizeof(*s));
	free(s);
}

bool
sso_new(struct request *r)
{
	struct sso *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		request_problem(r, 503, "unavailable", "Out of memory.");
		return false;
	}
	s->request = r;
	r->state = s;
	r->release = release;
	return true;
}

/* ---- the team's settings ---- */

const char sso_columns[] =
    "SELECT to_jsonb(s) - 'secret_sealed', encode(s.secret_sealed, 'hex'), "
    "t.name, d.body, k.body ";
const char sso_tables[] =
    "FROM single_sign_on s JOIN teams t ON t.id = s.team_id "
    "LEFT JOIN single_sign_on_documents d ON d.team_id = s.team_id AND "
    "d.kind = 'discovery' AND d.issuer = s.issuer AND "
    "d.fetched_at > now() - interval '1 hour' "
    "LEFT JOIN single_sign_on_documents k ON k.team_id = s.team_id AND "
    "k.kind = 'keys' AND k.issuer = s.issuer AND "
    "k.fetched_at > now() - interval '1 hour' "
    "WHERE s.enabled AND ";
enum col { SETTINGS, SECRET, TEAM, DISCOVERY, KEYS };

const char *
sso_text(const struct sso *s, const char *name)
{
	const char *text =
	    json_string_value(json_object_get(s->settings, name));

	return text != NULL ? text : "";
}

/* False: it cannot be opened; the seal key is another one. */
static bool
open_secret(struct sso *s, const char *hex)
{
	uint8_t box[OIDC_SECRET_MAX + SEAL_OVERHEAD];
	size_t n = strlen(hex) / 2;
	int len = ERR_CORRUPT;

	if (n > sizeof(box))
		return false;
	s->secret = calloc(1, n + 1);
	if (s->secret != NULL && http_unhex(hex, box, n) == 0)
		len = seal_open(
		    s->request->worker->seal_key, box, n, (uint8_t *)s->secret);
	return len > 0;
}

/* Documents that were read within the last hour. */
static void
take_documents(struct sso *s, PGresult *res)
{
	char why[OIDC_WHY_MAX];
	const char *text = PQgetvalue(res, 0, DISCOVERY);

	if (*text != '\0' &&
	    discovery_read(&s->discovery, text, strlen(text),
		sso_text(s, "issuer"), sso_text(s, "algorithm"), why) != 0)
		discovery_release(&s->discovery); /* settings changed */
	text = PQgetvalue(res, 0, KEYS);
	if (*text != '\0')
		s->keys = oidc_keys_read(text, strlen(text));
}

bool
sso_load(struct sso *s, PGresult *res)
{
	struct request *r = s->request;
	struct person *p = &r->person;

	if (PQntuples(res) == 0) {
		sso_fail(r, 404, "not-found",
		    "There is no single sign-on for that team.", NULL);
		return false;
	}
	s->settings = json_loads(PQgetvalue(res, 0, SETTINGS), 0, NULL);
	snprintf(p->team, sizeof(p->team), "%s", PQgetvalue(res, 0, TEAM));
	snprintf(p->team_text, sizeof(p->team_text), "%lld",
	    (long long)json_integer_value(
		json_object_get(s->settings, "team_id")));
	if (!PQgetisnull(res, 0, SECRET) &&
	    !open_secret(s, PQgetvalue(res, 0, SECRET))) {
		sso_fail(r, 500, "internal", WRONG,
		    "the client secret was sealed with another key; set it "
		    "again");
		return false;
	}
	take_documents(s, res);
	return true;
}

/* ---- asking the provider ---- */

struct asking {
	struct sso *sso;
	const char *what;
	fetch_cb *cb;
};

/* An answer that is no 200. */
static void
refused(struct asking *a, const struct fetch_answer *answer)
{
	char why[OIDC_WHY_MAX], error[64];

	oidc_error_read(answer->body, answer->len, error, sizeof(error));
	snprintf(why, sizeof(why), "%s: HTTP status %u %s", a->what,
	    answer->status, error);
	if (strcmp(error, "invalid_grant") == 0)
		sso_fail(
		    a->sso->request, 400, "login-expired", SSO_EXPIRED, why);
	else if (answer->status >= 500 || answer->status == 429)
		sso_fail(
		    a->sso->request, 503, "provider-unavailable", AWAY, why);
	else
		sso_fail_provider(a->sso, why);
}

static void
fail_fetch(struct asking *a, const struct fetch_answer *answer)
{
	char why[OIDC_WHY_MAX];

	snprintf(why, sizeof(why), "%s: %.180s", a->what, answer->why);
	if (answer->err == ERR_LIMIT)
		sso_fail_provider(a->sso, why);
	else
		sso_fail(
		    a->sso->request, 503, "provider-unavailable", AWAY, why);
}

static void
on_fetched(void *arg, const struct fetch_answer *answer)
{
	struct asking *a = arg;

	if (a->sso->request->http == NULL)
		request_free(a->sso->request);
	else if (answer->err == 0 && answer->status == 200)
		a->cb(a->sso, answer);
	else if (answer->err == 0)
		refused(a, answer);
	else
		fail_fetch(a, answer);
	free(a);
}

void
sso_fetch(struct sso *s, const struct fetch *rq, const char *what, fetch_cb *cb)
{
	struct request *r = s->request;
	struct asking *a = malloc(sizeof(*a));
	char client[LOGIN_PREFIX_LEN]; /* of IPv6, 64 bits are one client's */
	int rc = ERR_NOMEM;

	login_prefix(client, r->client);

	if (a != NULL) {
		*a = (struct asking){ s, what, cb };
		rc = fetch_start(r->worker->fetcher, client, rq, on_fetched, a);
	}
	if (rc == 0)
		return;
	free(a);
	request_field(r, "Retry-After", "5");
	if (rc == ERR_LIMIT)
		sso_fail(r, 429, "busy",
		    "Too many logins are under way; try again.", NULL);
	else
		sso_fail(r, 503, "unavailable", "Out of memory.", NULL);
}

/* ---- ends ---- */

void
sso_fail(struct request *r, unsigned status, const char *type,
    const char *sentence, const char *why)
{
	if (why != NULL)
		log_warn("single_sign_on_failed", LOG_S("team", r->person.team),
		    LOG_S("client", r->client), LOG_S("why", why));
	atomic_fetch_add(&r->worker->place->counters.logins_failed, 1);
	if (page_is_wanted(r))
		page_send(r, status,
		    &(struct page){ .title = "You are not logged in",
			.text = sentence,
			.link = "/",
			.link_text = "Back to the login page" });
	else
		request_problem(r, status, type, sentence);
}

void
sso_fail_provider(struct sso *s, const char *why)
{
	sso_fail(s->request, 502, "provider-error", WRONG, why);
}

void
sso_go_to(struct request *r, const char *path)
{
	page_send(r, 200,
	    &(struct page){ .title = "You are logged in",
		.text = "The console opens by itself.",
		.link = path,
		.link_text = "Open it now",
		.go = true });
}
