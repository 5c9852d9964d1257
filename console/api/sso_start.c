/* GET login/single-sign-on: sends the browser to the team's provider. */
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/api/sso.h"
#include "console/oidc/url.h"
#include "console/worker.h"

#define LOCATION_MAX 8192

/*
 * The cookie is Lax: the answer comes by a navigation that another site
 * begins, which brings no Strict one along when that site showed a page.
 */
static void
set_cookie(struct sso *s)
{
	char value[LOGIN_STATE_TEXT_MAX], cookie[LOGIN_STATE_TEXT_MAX + 128];

	snprintf(cookie, sizeof(cookie),
	    SSO_COOKIE "=%s; Path=/; Secure; HttpOnly; SameSite=Lax; "
		       "Max-Age=%d",
	    login_state_seal(&s->state, s->request->worker->seal_key, value),
	    LOGIN_STATE_SECONDS);
	request_field(s->request, "Set-Cookie", cookie);
}

static void
go(struct sso *s)
{
	char uri[OIDC_URL_MAX], location[LOCATION_MAX];
	const struct oidc_client client = { .id = sso_text(s, "client_id"),
		.redirect_uri = uri,
		.scopes = sso_text(s, "scopes") };
	struct login_state *state = &s->state;

	if (!sso_redirect_uri(s->request->worker, uri) ||
	    oidc_authorize_url(&s->discovery, &client, state->state,
		state->nonce, state->verifier, state->is_again, location,
		sizeof(location)) != 0) {
		sso_fail_provider(s, "its authorization URL is too long");
		return;
	}
	set_cookie(s);
	request_field(s->request, "Location", location);
	request_empty(s->request, 303);
}

static void
on_settings(struct request *r, PGresult *res)
{
	struct sso *s = r->state;
	char return_to[LOGIN_RETURN_MAX];
	bool is_again = s->state.is_again;

	if (!sso_load(s, res))
		return;
	snprintf(return_to, sizeof(return_to), "%s", s->state.return_to);
	login_state_new(&s->state,
	    json_integer_value(json_object_get(s->settings, "team_id")),
	    return_to, clock_wall_ns() / NS_PER_S);
	s->state.is_again = is_again;
	sso_discover(s, go);
}

/* False: the request has been answered. */
static bool
take_return(struct request *r, char out[LOGIN_RETURN_MAX])
{
	const char *given =
	    r->query != NULL ? strstr(r->query, "return_to=") : NULL;

	snprintf(out, LOGIN_RETURN_MAX, "/");
	if (given == NULL)
		return true;
	if (request_param(r, "return_to", out, LOGIN_RETURN_MAX) &&
	    oidc_return_is_right(out))
		return true;
	request_invalid(r, "?return_to",
	    "A path of this server is expected, of at most 255 bytes.");
	return false;
}

void
sso_start_run(struct request *r)
{
	char sql[2048], team[64], uri[OIDC_URL_MAX];
	char return_to[LOGIN_RETURN_MAX], again[8];
	const char *params[] = { team };
	struct sso *s;

	if (evhttp_request_get_command(r->http) != EVHTTP_REQ_GET)
		request_problem(r, 405, "method-not-allowed",
		    "This resource does not take that method.");
	else if (!request_param(r, "team", team, sizeof(team)))
		request_invalid(r, "?team", "The name of a team is expected.");
	else if (!sso_redirect_uri(r->worker, uri))
		sso_fail(r, 404, "not-found",
		    "There is no single sign-on for that team.",
		    "console.public_url is not set");
	else if (take_return(r, return_to) && sso_new(r)) {
		s = r->state;
		memcpy(s->state.return_to, return_to, sizeof(return_to));
		s->state.is_again =
		    request_param(r, "reauthenticate", again, sizeof(again)) &&
		    strcmp(again, "true") == 0;
		snprintf(sql, sizeof(sql), "%s%st.name = $1", sso_columns,
		    sso_tables);
		request_query(r, sql, 1, params, on_settings);
	}
}
