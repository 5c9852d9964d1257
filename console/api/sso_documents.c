/* A provider's discovery document and keys: read at most once an hour, kept in
 * the database for all processes of all servers. */
#include <event2/event.h>
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "console/api/answer.h"
#include "console/api/request.h"
#include "console/api/sso.h"
#include "console/conf.h"
#include "console/db_pool.h"
#include "console/oidc/keys.h"
#include "console/worker.h"

#define WAIT_MS 200 /* between looks at keys that somebody else asks for */

static const char store_sql[] =
    "INSERT INTO single_sign_on_documents AS d (team_id, kind, issuer, body, "
    "fetched_at) VALUES ($1::bigint, $2, $3, $4, now()) "
    "ON CONFLICT (team_id, kind) DO UPDATE SET issuer = excluded.issuer, "
    "body = excluded.body, asked_at = now(), fetched_at = now()";

/* body: valid UTF-8. */
static void
store(struct sso *s, const char *kind, const char *body)
{
	const char *params[] = { s->request->person.team_text, kind,
		sso_text(s, "issuer"), body };

	db_pool_query(s->request->worker->db, store_sql, 4, params, NULL, NULL);
}

/* ---- discovery ---- */

static void
on_discovery(void *arg, const struct fetch_answer *a)
{
	struct sso *s = arg;
	char why[OIDC_WHY_MAX];

	if (discovery_read(&s->discovery, a->body, a->len,
		sso_text(s, "issuer"), sso_text(s, "algorithm"), why) != 0) {
		sso_fail_provider(s, why);
		return;
	}
	store(s, "discovery", a->body);
	s->next(s);
}

void
sso_discover(struct sso *s, sso_step *next)
{
	char url[OIDC_URL_MAX];
	struct fetch rq = { .url = url, .max = OIDC_DISCOVERY_MAX };

	s->next = next;
	if (s->discovery.root != NULL)
		next(s);
	else if (discovery_url(sso_text(s, "issuer"), url) != 0)
		sso_fail_provider(s, "its issuer is too long");
	else
		sso_fetch(s, &rq, "discovery document", on_discovery);
}

/* ---- keys ---- */

static void
on_keys(void *arg, const struct fetch_answer *a)
{
	struct sso *s = arg;
	json_t *keys = oidc_keys_read(a->body, a->len);

	if (keys == NULL) {
		sso_fail_provider(s, "its keys are no JWK Set");
		return;
	}
	json_decref(s->keys);
	s->keys = keys;
	store(s, "keys", a->body);
	s->next(s);
}

static void
fetch_keys(struct sso *s)
{
	struct fetch rq = { .url = s->discovery.jwks_uri,
		.max = OIDC_KEYS_BYTES_MAX };

	sso_fetch(s, &rq, "keys", on_keys);
}

void
sso_read_keys(struct sso *s, sso_step *next)
{
	s->next = next;
	if (s->keys != NULL)
		next(s);
	else
		fetch_keys(s);
}

/* ---- new keys ---- */

/* May we ask? Else: what was read last, and is somebody asking now? */
static const char ask_sql[] =
    "WITH mine AS (UPDATE single_sign_on_documents SET asked_at = now() "
    "WHERE team_id = $1::bigint AND kind = 'keys' AND issuer = $2 AND "
    "asked_at < now() - interval '1 minute' RETURNING 1) "
    "SELECT EXISTS (SELECT FROM mine), d.body, d.asked_at > d.fetched_at "
    "FROM single_sign_on_documents d WHERE d.team_id = $1::bigint AND "
    "d.kind = 'keys' AND d.issuer = $2";

static void ask(struct sso *s);

static void
on_wait(evutil_socket_t fd, short what, void *arg)
{
	struct sso *s = arg;

	if (s->request->http == NULL)
		request_free(s->request);
	else
		ask(s);
}

static bool
wait_more(struct sso *s)
{
	const struct timeval tv = { 0, WAIT_MS * 1000 };
	struct worker *w = s->request->worker;

	if (s->wait_until_ns == 0)
		s->wait_until_ns = clock_mono_ns() +
		    (uint64_t)w->conf->console.provider_seconds * NS_PER_S;
	return clock_mono_ns() < s->wait_until_ns &&
	    event_base_once(w->base, -1, EV_TIMEOUT, on_wait, s, &tv) == 0;
}

static void
on_asked(struct request *r, PGresult *res)
{
	struct sso *s = r->state;
	const char *body = PQntuples(res) == 1 ? PQgetvalue(res, 0, 1) : "";
	json_t *keys;

	if (PQntuples(res) == 1 && PQgetvalue(res, 0, 0)[0] == 't') {
		fetch_keys(s);
		return;
	}
	keys = oidc_keys_read(body, strlen(body));
	if (keys != NULL && !json_equal(keys, s->keys)) {
		json_decref(s->keys);
		s->keys = keys; /* somebody else read them */
		s->next(s);
		return;
	}
	json_decref(keys);
	if (PQntuples(res) != 1 || PQgetvalue(res, 0, 2)[0] != 't' ||
	    !wait_more(s))
		sso_fail_provider(
		    s, "none of its keys has signed the ID token");
}

static void
ask(struct sso *s)
{
	const char *params[] = { s->request->person.team_text,
		sso_text(s, "issuer") };

	request_query(s->request, ask_sql, 2, params, on_asked);
}

void
sso_read_new_keys(struct sso *s, sso_step *next)
{
	s->next = next;
	ask(s);
}
