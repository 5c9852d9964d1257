#include "console/routes.h"

#include <ctype.h>
#include <string.h>

#include "common/bytes.h"
#include "console/api/handlers.h"
#include "console/api/request.h"

#define GET    EVHTTP_REQ_GET
#define POST   EVHTTP_REQ_POST
#define PUT    EVHTTP_REQ_PUT
#define PATCH  EVHTTP_REQ_PATCH
#define DELETE EVHTTP_REQ_DELETE
#define V1     "/api/v1/"

const struct route routes[] = {
	{ POST, V1 "login", RIGHT_ANYBODY, OBJECT_NONE, NULL, true, login_run,
	    "log in with a password" },
	{ GET, V1 "login/methods", RIGHT_ANYBODY, OBJECT_NONE, NULL, true,
	    login_methods_run, "see in which ways one can log in" },
	{ POST, V1 "first-run", RIGHT_ANYBODY, OBJECT_NONE, NULL, true,
	    first_run_run,
	    "make an owner, and the first team, by a one-time link" },
	{ GET, V1 "login/single-sign-on", RIGHT_ANYBODY, OBJECT_NONE, NULL,
	    true, sso_start_run,
	    "log in by single sign-on: a browser opens it" },
	{ GET, V1 "login/single-sign-on/callback", RIGHT_ANYBODY, OBJECT_NONE,
	    NULL, true, sso_callback_run,
	    "come back from there: the provider sends the browser" },
	{ POST, V1 "login/passkey/options", RIGHT_ANYBODY, OBJECT_NONE, NULL,
	    true, passkey_login_options_run,
	    "get a challenge for a login with a passkey" },
	{ POST, V1 "login/passkey", RIGHT_ANYBODY, OBJECT_NONE, NULL, true,
	    passkey_login_run, "log in with a passkey" },
	{ POST, V1 "logout", RIGHT_PERSON, OBJECT_NONE, NULL, true, logout_run,
	    "end this login" },
	{ GET, V1 "me", RIGHT_PERSON, OBJECT_NONE, NULL, false, me_run,
	    "see who one is" },
	{ GET, V1 "me/reauthentication", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    reauthentication_get_run,
	    "see whether this login was confirmed lately, and how to" },
	{ POST, V1 "me/reauthentication", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    reauthentication_run,
	    "confirm this login by password, code or passkey" },
	{ GET, V1 "me/totp", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    totp_get_run, "see whether one's logins need a code" },
	{ POST, V1 "me/totp", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    totp_new_run, "make a secret for an authenticator",
	    .needs_confirmed = true },
	{ POST, V1 "me/totp/confirm", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    totp_confirm_run,
	    "have codes asked for from now on; makes recovery codes",
	    .needs_confirmed = true },
	{ POST, V1 "me/totp/remove", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    totp_remove_run, "have no codes asked for any more",
	    .needs_confirmed = true },
	{ POST, V1 "me/recovery-codes", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    recovery_codes_new_run,
	    "make recovery codes in place of those before",
	    .needs_confirmed = true },
	{ GET, V1 "me/passkeys", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    passkeys_list_run, "list one's own passkeys" },
	{ POST, V1 "me/passkeys/options", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    passkeys_options_run, "get a challenge for a new passkey",
	    .needs_confirmed = true },
	{ POST, V1 "me/passkeys", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    passkeys_new_run, "add a passkey",
	    .needs_confirmed = true },
	{ PATCH, V1 "me/passkeys/{id}", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    passkeys_patch_run, "name one of one's own passkeys" },
	{ DELETE, V1 "me/passkeys/{id}", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    passkeys_delete_run, "remove one of one's own passkeys",
	    .needs_confirmed = true },
	{ GET, V1 "tokens", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    tokens_list_run, "list one's own bearer tokens" },
	{ POST, V1 "tokens", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    tokens_new_run, "make a bearer token",
	    .needs_confirmed = true },
	{ DELETE, V1 "tokens/{id}", RIGHT_PERSON, OBJECT_NONE, NULL, true,
	    tokens_delete_run, "take back one of one's own bearer tokens" },
	{ GET, V1 "sessions", RIGHT_PERSON, OBJECT_NONE, "sessions:read", false,
	    sessions_list_run,
	    "list sessions: one's own, and those of endpoints that one may "
	    "control" },
	{ GET, V1 "sessions.csv", RIGHT_PERSON, OBJECT_NONE, "sessions:read",
	    false, sessions_csv_run, "the same list as CSV" },
	{ GET, V1 "sessions/{id}", RIGHT_VISIBLE, OBJECT_SESSION,
	    "sessions:read", false, sessions_get_run, "see a session" },
	{ GET, V1 "sessions/{id}/timeline", RIGHT_VISIBLE, OBJECT_SESSION,
	    "sessions:read", false, sessions_timeline_run,
	    "see a session's recordings and gaps by time; activity and posters "
	    "need the playback role besides" },
	{ PATCH, V1 "sessions/{id}", RIGHT_COMMAND, OBJECT_SESSION,
	    "sessions:write", false, sessions_patch_run,
	    "set a running session's frame rate or monitor; starting and "
	    "stopping its recording needs the right record besides" },
	{ DELETE, V1 "sessions/{id}", RIGHT_COMMAND, OBJECT_SESSION,
	    "sessions:write", false, sessions_delete_run,
	    "end a running session" },
	{ GET, V1 "recordings", RIGHT_PERSON, OBJECT_NONE, "recordings:read",
	    false, recordings_list_run,
	    "list the recordings that one may play back" },
	{ GET, V1 "recordings/{id}", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_get_run,
	    "see a recording's properties" },
	{ PATCH, V1 "recordings/{id}", RIGHT_KEEP, OBJECT_RECORDING,
	    "recordings:write", false, recordings_patch_run,
	    "write a recording's notes" },
	{ DELETE, V1 "recordings/{id}", RIGHT_KEEP, OBJECT_RECORDING,
	    "recordings:write", false, recordings_delete_run,
	    "delete a recording that is not locked" },
	{ POST, V1 "recordings/{id}/lock", RIGHT_KEEP, OBJECT_RECORDING,
	    "recordings:write", false, recordings_lock_run,
	    "lock a recording" },
	{ POST, V1 "recordings/{id}/unlock", RIGHT_KEEP, OBJECT_RECORDING,
	    "recordings:write", false, recordings_unlock_run,
	    "unlock a recording" },
	{ POST, V1 "recordings/{id}/review", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:write", false, recordings_review_run,
	    "mark a recording as reviewed; not one of one's own session" },
	{ DELETE, V1 "recordings/{id}/review", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:write", false, recordings_review_undo_run,
	    "take that mark back: one's own, or any with role admin or owner; "
	    "not of one's own session" },
	{ POST, V1 "recordings/{id}/links", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_link_run,
	    "make a signed link to a recording" },
	{ POST, V1 "recordings/{id}/clips", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_clip_run,
	    "have a range of a recording cut out, with a signed manifest" },
	{ GET, V1 "recordings/{id}/notes", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_notes_list_run,
	    "see the notes at moments of a recording" },
	{ POST, V1 "recordings/{id}/notes", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:write", false, recordings_notes_new_run,
	    "write a note at a moment of a recording" },
	{ GET, V1 "recordings/{id}/manifest", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_manifest_run,
	    "see what a recording is checked with: root, signature and key, "
	    "and a link to the signed manifest" },
	{ GET, V1 "recordings/{id}/captions", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_captions_run,
	    "see as WebVTT what a recording is, its gaps and when something "
	    "happened in it" },
	{ GET, V1 "recordings/{id}/poster", RIGHT_PLAYBACK, OBJECT_RECORDING,
	    "recordings:read", false, recordings_poster_run,
	    "see the picture that stands for a recording" },
	{ POST, V1 "archives", RIGHT_PERSON, OBJECT_NONE, "recordings:read",
	    false, archives_new_run,
	    "make a signed link to a ZIP of recordings that one may play "
	    "back" },
	{ GET, V1 "endpoints", RIGHT_PERSON, OBJECT_NONE, "endpoints:read",
	    false, endpoints_list_run,
	    "list the endpoints that one may control" },
	{ POST, V1 "endpoints", RIGHT_ADMIN, OBJECT_NONE, "endpoints:write",
	    false, endpoints_new_run, "add an endpoint" },
	{ GET, V1 "endpoints/{id}", RIGHT_CONTROL, OBJECT_ENDPOINT,
	    "endpoints:read", false, endpoints_get_run, "see an endpoint" },
	{ PATCH, V1 "endpoints/{id}", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:write", false, endpoints_patch_run,
	    "change an endpoint, for sessions that start afterwards" },
	{ DELETE, V1 "endpoints/{id}", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:write", false, endpoints_delete_run,
	    "remove an endpoint" },
	{ POST, V1 "endpoints/{id}/revoke", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:write", false, endpoints_revoke_run,
	    "shut out an agent or a server that dials in" },
	{ POST, V1 "endpoints/{id}/test", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:write", false, endpoints_test_run,
	    "have a relay connect to an endpoint and log in" },
	{ GET, V1 "endpoints/{id}/rights", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:read", false, rights_list_run,
	    "list the rights that were given on an endpoint" },
	{ PUT, V1 "endpoints/{id}/rights/{user}", RIGHT_ADMIN, OBJECT_ENDPOINT,
	    "endpoints:write", false, rights_put_run,
	    "set a person's rights on an endpoint" },
	{ DELETE, V1 "endpoints/{id}/rights/{user}", RIGHT_ADMIN,
	    OBJECT_ENDPOINT, "endpoints:write", false, rights_delete_run,
	    "take a person's rights on an endpoint away" },
	{ GET, V1 "enrol-tokens", RIGHT_ADMIN, OBJECT_NONE, "endpoints:read",
	    false, enrol_tokens_list_run, "list enrolment tokens" },
	{ POST, V1 "enrol-tokens", RIGHT_ADMIN, OBJECT_NONE, "endpoints:write",
	    false, enrol_tokens_new_run,
	    "make an enrolment token, or a new ID for kind reverse" },
	{ DELETE, V1 "enrol-tokens/{id}", RIGHT_ADMIN, OBJECT_NONE,
	    "endpoints:write", false, enrol_tokens_delete_run,
	    "take back an enrolment token that was not used" },
	{ GET, V1 "users", RIGHT_ADMIN, OBJECT_NONE, "users:read", false,
	    users_list_run, "list the team's people" },
	{ POST, V1 "users", RIGHT_ADMIN, OBJECT_NONE, "users:write", false,
	    users_new_run, "add a person; an owner needs role owner",
	    .needs_confirmed = true },
	{ GET, V1 "users/{id}", RIGHT_ADMIN, OBJECT_NONE, "users:read", false,
	    users_get_run, "see a person" },
	{ PATCH, V1 "users/{id}", RIGHT_ADMIN, OBJECT_NONE, "users:write",
	    false, users_patch_run,
	    "change a person's role or password, disable them; an owner needs "
	    "role owner",
	    .needs_confirmed = true },
	{ GET, V1 "users/{id}/identity", RIGHT_ADMIN, OBJECT_NONE, "users:read",
	    false, identities_get_run,
	    "see who a person is at single sign-on" },
	{ PUT, V1 "users/{id}/identity", RIGHT_ADMIN, OBJECT_NONE,
	    "users:write", false, identities_put_run,
	    "link a person to who they are at single sign-on; an owner needs "
	    "role owner",
	    .needs_confirmed = true },
	{ DELETE, V1 "users/{id}/identity", RIGHT_ADMIN, OBJECT_NONE,
	    "users:write", false, identities_delete_run,
	    "take that link away",
	    .needs_confirmed = true },
	{ DELETE, V1 "users/{id}/totp", RIGHT_OWNER, OBJECT_NONE, "users:write",
	    false, users_totp_delete_run,
	    "take the authenticator of a person away who lost it",
	    .needs_confirmed = true },
	{ DELETE, V1 "users/{id}/passkeys", RIGHT_OWNER, OBJECT_NONE,
	    "users:write", false, users_passkeys_delete_run,
	    "take all passkeys of a person away",
	    .needs_confirmed = true },
	{ DELETE, V1 "users/{id}/tokens", RIGHT_ADMIN, OBJECT_NONE,
	    "users:write", false, users_tokens_delete_run,
	    "take back all bearer tokens of a person; an owner's need role "
	    "owner",
	    .needs_confirmed = true },
	{ DELETE, V1 "users/{id}/logins", RIGHT_ADMIN, OBJECT_NONE,
	    "users:write", false, users_logins_delete_run,
	    "end all logins of a person in browsers; an owner's need role "
	    "owner" },
	{ POST, V1 "tickets", RIGHT_PERSON, OBJECT_NONE, "tickets:write", false,
	    tickets_new_run,
	    "make a one-time login of one's own for an endpoint that one may "
	    "control" },
	{ GET, V1 "settings/access", RIGHT_ADMIN, OBJECT_NONE, "settings:read",
	    false, settings_get_run, "see the team's settings" },
	{ PATCH, V1 "settings/access", RIGHT_OWNER, OBJECT_NONE,
	    "settings:write", false, settings_patch_run,
	    "change the team's settings, for sessions that start "
	    "afterwards" },
	{ GET, V1 "settings/retention", RIGHT_ADMIN, OBJECT_NONE,
	    "settings:read", false, settings_retention_run,
	    "see what another retention would delete, and when" },
	{ GET, V1 "settings/logins", RIGHT_ADMIN, OBJECT_NONE, "settings:read",
	    false, login_settings_get_run, "see what the team asks of logins" },
	{ PATCH, V1 "settings/logins", RIGHT_OWNER, OBJECT_NONE,
	    "settings:write", false, login_settings_patch_run,
	    "change what the team asks of logins",
	    .needs_confirmed = true },
	{ GET, V1 "settings/single-sign-on", RIGHT_ADMIN, OBJECT_NONE,
	    "settings:read", false, sso_settings_get_run,
	    "see the team's single sign-on" },
	{ PATCH, V1 "settings/single-sign-on", RIGHT_OWNER, OBJECT_NONE,
	    "single-sign-on:write", false, sso_settings_patch_run,
	    "set up or change the team's single sign-on",
	    .needs_confirmed = true },
	{ DELETE, V1 "settings/single-sign-on", RIGHT_OWNER, OBJECT_NONE,
	    "single-sign-on:write", false, sso_settings_delete_run,
	    "remove the team's single sign-on",
	    .needs_confirmed = true },
	{ GET, V1 "webhooks", RIGHT_ADMIN, OBJECT_NONE, "webhooks:read", false,
	    webhooks_list_run, "list the team's webhooks" },
	{ POST, V1 "webhooks", RIGHT_OWNER, OBJECT_NONE, "webhooks:write",
	    false, webhooks_new_run, "add a webhook; makes its secret",
	    .needs_confirmed = true },
	{ PATCH, V1 "webhooks/{id}", RIGHT_OWNER, OBJECT_NONE, "webhooks:write",
	    false, webhooks_patch_run,
	    "change a webhook, switch it off or on",
	    .needs_confirmed = true },
	{ DELETE, V1 "webhooks/{id}", RIGHT_OWNER, OBJECT_NONE,
	    "webhooks:write", false, webhooks_delete_run,
	    "remove a webhook, and what waits to be sent to it",
	    .needs_confirmed = true },
	{ POST, V1 "webhooks/{id}/test", RIGHT_OWNER, OBJECT_NONE,
	    "webhooks:write", false, webhooks_test_run,
	    "have a test sent to a webhook",
	    .needs_confirmed = true },
	{ GET, V1 "webhooks/{id}/deliveries", RIGHT_ADMIN, OBJECT_NONE,
	    "webhooks:read", false, webhooks_deliveries_run,
	    "list a webhook's newest deliveries" },
	{ POST, V1 "webhooks/{id}/retry", RIGHT_OWNER, OBJECT_NONE,
	    "webhooks:write", false, webhooks_retry_run,
	    "have a delivery sent now, or once more",
	    .needs_confirmed = true },
	{ GET, V1 "disk-space", RIGHT_ADMIN, OBJECT_NONE, "recordings:read",
	    false, disk_space_run,
	    "see how much space the team's recordings take" },
	{ GET, V1 "events", RIGHT_PERSON, OBJECT_NONE, "events:read", false,
	    events_run,
	    "listen to changes of sessions, recordings and endpoints; those "
	    "that the person may see, whatever else a token may do" },
	{ GET, V1 "audit", RIGHT_ADMIN, OBJECT_NONE, "audit:read", false,
	    audit_list_run, "list the team's audit log" },
	{ GET, V1 "audit.csv", RIGHT_ADMIN, OBJECT_NONE, "audit:read", false,
	    audit_csv_run, "the same list as CSV" },
};
const size_t n_routes = N_ELEMENTS(routes);

static const char *const right_texts[N_RIGHTS] = {
	[RIGHT_ANYBODY] = "nobody needs to have logged in",
	[RIGHT_PERSON] = "a login",
	[RIGHT_VISIBLE] =
	    "control of the endpoint, or the session is one's own",
	[RIGHT_CONTROL] = "control of the endpoint",
	[RIGHT_PLAYBACK] = "control of the endpoint, and the playback role",
	[RIGHT_KEEP] = "control and manage of the endpoint, and the playback "
		       "role",
	[RIGHT_MANAGE] = "manage of the endpoint",
	[RIGHT_COMMAND] = "manage of the endpoint, or control in one's own "
			  "session",
	[RIGHT_ADMIN] = "role admin or owner",
	[RIGHT_OWNER] = "role owner",
};

static const char *const object_names[] = { "", "session", "recording",
	"endpoint" };

const char *
object_name(enum object o)
{
	return object_names[o];
}

/* Letters, digits and dashes of a path's part. Returns its length; 0: it is
 * none, or too long. */
static size_t
take_id(const char *path, char *id, size_t id_len)
{
	size_t n = strcspn(path, "/");

	if (n == 0 || n >= id_len)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)path[i]) && path[i] != '-')
			return 0;
	memcpy(id, path, n);
	id[n] = '\0';
	return n;
}

static bool
has_digits_at(const char *id, bool dashes)
{
	for (size_t i = 0; id[i] != '\0'; i++) {
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dashes && is_dash ? id[i] != '-'
			: dashes      ? !isxdigit((unsigned char)id[i])
				      : !isdigit((unsigned char)id[i]))
			return false;
	}
	return true;
}

/* A UUID (RFC 9562), or a number of at most 18 digits. */
static bool
has_form(enum object o, const char *id)
{
	if (o == OBJECT_SESSION || o == OBJECT_RECORDING)
		return strlen(id) == 36 && has_digits_at(id, true);
	return strlen(id) <= 18 && has_digits_at(id, false);
}

/* The name of a person; names are lower case. */
static bool
take_user(const char *name, char *user)
{
	size_t n = strlen(name);

	if (n == 0 || n >= REQUEST_USER_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != n)
		return false;
	memcpy(user, name, n + 1);
	return true;
}

static bool
matches(const struct route *r, const char *path, char *id, char *user)
{
	const char *hole = strstr(r->path, "{id}");
	size_t before = hole != NULL ? (size_t)(hole - r->path) : 0;
	const char *rest, *last;
	size_t n;

	id[0] = user[0] = '\0';
	if (hole == NULL)
		return strcmp(r->path, path) == 0;
	if (strncmp(r->path, path, before) != 0)
		return false;
	n = take_id(path + before, id, REQUEST_ID_MAX);
	if (n == 0 || !has_form(r->object, id))
		return false;
	hole += 4;
	rest = path + before + n;
	last = strstr(hole, "{user}");
	if (last == NULL)
		return strcmp(hole, rest) == 0;
	return strncmp(hole, rest, (size_t)(last - hole)) == 0 &&
	    take_user(rest + (last - hole), user);
}

const struct route *
route_find(enum evhttp_cmd_type method, const char *path, char *id, char *user,
    bool *has_path)
{
	*has_path = false;
	for (size_t i = 0; i < n_routes; i++) {
		if (!matches(&routes[i], path, id, user))
			continue;
		if (routes[i].method == method)
			return &routes[i];
		*has_path = true;
	}
	id[0] = user[0] = '\0';
	return NULL;
}

static const char *
method_name(enum evhttp_cmd_type m)
{
	return m == GET  ? "GET"
	    : m == POST  ? "POST"
	    : m == PUT   ? "PUT"
	    : m == PATCH ? "PATCH"
			 : "DELETE";
}

void
route_methods(const char *path, char *out, size_t len)
{
	char id[REQUEST_ID_MAX], user[REQUEST_USER_MAX];
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n_routes && n < len; i++)
		if (matches(&routes[i], path, id, user))
			n += (size_t)snprintf(out + n, len - n, "%s%s%s",
			    n > 0 ? ", " : "",
			    routes[i].method == GET ? "HEAD, " : "",
			    method_name(routes[i].method));
}

void
routes_print(FILE *f)
{
	fputs("| request | what it does | right | scope of a token |\n"
	      "| --- | --- | --- | --- |\n",
	    f);
	for (size_t i = 0; i < n_routes; i++)
		fprintf(f, "| `%s %s` | %s%s%s | %s | %s%s%s |\n",
		    method_name(routes[i].method), routes[i].path,
		    routes[i].what,
		    routes[i].deprecated != NULL ? " (deprecated)" : "",
		    routes[i].needs_confirmed ? " (a confirmed login)" : "",
		    right_texts[routes[i].right],
		    routes[i].scope != NULL ? "`" : "",
		    routes[i].scope != NULL     ? routes[i].scope
			: routes[i].cookie_only ? "no token"
						: "any",
		    routes[i].scope != NULL ? "`" : "");
}
