/* Who may: what the database says of a name, and of a session code. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/login/known_login.h"
#include "relay/session/session_internal.h"
#include "rfb/handshake_server.h"

static const char so[] =
    "so rights and policy are not known; new sessions are refused until it is "
    "back";

void
session_refuse_away(
    struct relay_session *s, const PGresult *res, const char *text)
{
	const char *trouble = db_trouble(s->loop->db);
	char reason[300];

	if (res != NULL || trouble == NULL)
		trouble = db_why(res);
	snprintf(reason, sizeof(reason), "the relay's database %s, %s", trouble,
	    text);
	session_refuse(s, reason);
}

static void
on_code(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_CHECK) {
		if (!db_ok(res, "session code")) {
			session_refuse_away(s, res, so);
		} else if (PQntuples(res) == 0) {
			session_guess_deny(s,
			    "there is no such session code; codes are valid "
			    "until the program that shows them is closed");
		} else {
			session_look_up(s);
		}
	}
	session_unref(s);
}

/* The endpoint of a session code belongs to the team of who uses it first. */
static void
find_code(struct relay_session *s)
{
	const char *params[] = { s->name.person, s->name.endpoint };

	s->is_attended_tried = true;
	session_ref(s);
	if (db_query_now(s->loop->db,
		"SELECT e FROM people p, attended_endpoint_new(p.id, $2) e "
		"WHERE p.name = $1 AND e IS NOT NULL",
		2, params, on_code, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
	}
}

/* Room is for those whose login was right. */
static void
take_place(struct relay_session *s)
{
	if (connection_limit_move(
		s->loop->relay->connections, &s->slot, POOL_SESSION) == NULL)
		session_dial(s);
	else
		session_refuse(s,
		    "the relay carries as many sessions as it may "
		    "(relay.max_sessions)");
}

/* Who it is, is known: may they go there? */
void
session_admit(struct relay_session *s)
{
	char reason[256];

	if (s->authorization.endpoint_id != 0) {
		session_guess_right(s);
		atomic_fetch_add(&s->loop->relay->stats.logins_accepted, 1);
		take_place(s);
	} else if (login_is_code(s->name.endpoint) && !s->is_attended_tried) {
		find_code(s);
	} else {
		snprintf(reason, sizeof(reason),
		    "there is no endpoint \"%s\" that %s may connect to",
		    s->name.endpoint, s->name.person);
		session_guess_right(s);
		session_refuse(s, reason);
	}
}

static void
on_authorization(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state != SESSION_CHECK) {
		session_unref(s);
		return;
	}
	authorization_release(&s->authorization); /* of the first look */
	if (!db_ok(res, "login")) {
		session_refuse_away(s, res, so);
	} else if (authorization_read(
		       &s->authorization, res, s->loop->relay->seal_key) != 0) {
		session_refuse(s, "the relay is out of memory");
	} else if (s->is_authenticated) {
		session_admit(s);
	} else {
		session_guess_password(s, session_check_password);
	}
	session_unref(s);
}

void
session_look_up(struct relay_session *s)
{
	char prefix[LOGIN_PREFIX_LEN], known[KNOWN_LOGIN_ID_LEN];
	/* a name that nobody can have fails as any unknown one does */
	const char *params[] = { s->name.person, s->name.endpoint, prefix,
		known };

	login_prefix(prefix, s->client_addr);
	known_login_id(
	    known, s->loop->relay->seal_key, s->name.person, s->client_addr);
	session_set_state(s, SESSION_CHECK, s->loop->relay->conf.login_seconds);
	session_ref(s);
	if (db_query_now(s->loop->db, authorization_query, 4, params,
		on_authorization, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
	}
}

void
session_login_as(struct relay_session *s, const char *user, char *password)
{
	int rc = login_name_parse(&s->name, user);

	s->password = password;
	if (password == NULL)
		session_refuse(s, "the relay is out of memory");
	else if (ticket_is_one(password))
		session_redeem(s);
	else if (rc == ERR_NOTFOUND)
		session_refuse(s,
		    "give the user name as person@endpoint, "
		    "for instance alice@desk1");
	else
		session_look_up(s);
}

void
session_login(struct relay_session *s)
{
	session_login_as(s, rfb_handshake_server_user(s->viewer_handshake),
	    strdup(rfb_handshake_server_password(s->viewer_handshake)));
}
