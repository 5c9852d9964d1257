/* Who may: database, the wait after wrong passwords, Argon2id. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/password.h"
#include "relay/session_internal.h"
#include "rfb/handshake_server.h"

static const char away[] =
    "the relay's database cannot be reached, so rights and policy are not "
    "known; new sessions are refused until it is back";
static const char denied[] = "user name or password is wrong";

/* One Argon2id check in a worker thread. */
struct check {
	struct job job;
	struct session *session;
	char *hash, *password;
	int result;
};

static void
count_failure(struct session *s)
{
	const char *params[] = { s->name.person, s->client_addr,
		s->name.endpoint };

	atomic_fetch_add(&s->loop->relay->stats.login_failures, 1);
	db_query(s->loop->db,
	    "WITH p AS (UPDATE people SET failed_logins = failed_logins + 1, "
	    "last_failed_at = now() WHERE name = $1 RETURNING team_id), "
	    "f AS (INSERT INTO login_failures AS l (client_addr, failed) "
	    "VALUES ($2, 1) ON CONFLICT (client_addr) DO UPDATE SET failed = "
	    "CASE WHEN l.last_at < now() - interval '15 minutes' THEN 1 ELSE "
	    "l.failed + 1 END, last_at = now()) "
	    "INSERT INTO audit (team_id, actor, action, object, detail) "
	    "SELECT (SELECT team_id FROM p), $1, 'login_failed', $3, "
	    "jsonb_build_object('client', $2::text)",
	    3, params, NULL, NULL);
}

static void
forget_failures(struct session *s)
{
	const char *params[] = { s->name.person, s->client_addr };

	db_query(s->loop->db,
	    "WITH p AS (UPDATE people SET failed_logins = 0, last_login_at = "
	    "now() WHERE name = $1) DELETE FROM login_failures WHERE "
	    "client_addr = $2",
	    2, params, NULL, NULL);
}

static void
checked(struct job *j)
{
	struct check *c = (struct check *)j;
	struct session *s = c->session;
	char reason[256];

	if (s->state == SESSION_CHECK && c->result != 0) {
		count_failure(s);
		session_refuse(s,
		    c->result == ERR_DENIED ? denied
					    : "the relay is out of memory");
	} else if (s->state == SESSION_CHECK) {
		forget_failures(s);
		if (s->account.endpoint_id == 0) {
			snprintf(reason, sizeof(reason),
			    "there is no "
			    "endpoint \"%s\" that %s may connect to",
			    s->name.endpoint, s->name.person);
			session_refuse(s, reason);
		} else {
			session_dial(s);
		}
	}
	if (c->hash != NULL)
		wipe(c->hash, strlen(c->hash));
	wipe(c->password, strlen(c->password));
	free(c->hash);
	free(c->password);
	free(c);
	session_unref(s);
}

static void
run_check(struct job *j)
{
	struct check *c = (struct check *)j;

	c->result = password_check(c->hash, c->password, strlen(c->password));
}

static void
check_password(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct check *c;

	if (s->state != SESSION_CHECK) {
		session_unref(s);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		session_refuse(s, "the relay is out of memory");
		session_unref(s);
		return;
	}
	c->job = (struct job){
		.run = run_check, .done = checked, .inbox = &s->loop->inbox
	};
	c->session = s; /* the reference goes along */
	c->hash = s->account.password_hash;
	c->password = s->password;
	c->result = ERR_NOMEM;
	s->account.password_hash = NULL;
	s->password = NULL;
	worker_submit(s->loop->relay->workers, &c->job);
}

static void
on_account(void *arg, PGresult *res)
{
	struct session *s = arg;
	struct timeval wait = { 0 };
	uint32_t ms;

	if (s->state != SESSION_CHECK) {
		session_unref(s);
		return;
	}
	if (!db_ok(res, "login") ||
	    account_read(&s->account, res, s->loop->relay->seal_key) != 0) {
		session_refuse(s, away);
		session_unref(s);
		return;
	}
	ms = login_delay_ms(s->account.failures, s->account.failure_age_s);
	wait.tv_sec = ms / 1000;
	wait.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	if (event_base_once(
		s->loop->base, -1, EV_TIMEOUT, check_password, s, &wait) != 0) {
		session_refuse(s, "the relay is out of memory");
		session_unref(s);
	}
}

void
session_login(struct session *s)
{
	const char *user = rfb_handshake_server_user(s->viewer_handshake);
	const char *params[3];
	int rc = login_name_parse(&s->name, user);

	s->password =
	    strdup(rfb_handshake_server_password(s->viewer_handshake));
	if (rc == ERR_NOTFOUND) {
		session_refuse(s,
		    "give the user name as person@endpoint, "
		    "for instance alice@desk1");
		return;
	}
	/* a name that nobody can have fails as any unknown one does */
	params[0] = s->name.person;
	params[1] = s->name.endpoint;
	params[2] = s->client_addr;
	session_set_state(s, SESSION_CHECK, s->loop->relay->conf.login_seconds);
	session_ref(s);
	if (s->password == NULL ||
	    db_query_now(
		s->loop->db, account_query, 3, params, on_account, s) != 0) {
		session_refuse(s, away);
		session_unref(s);
	}
}
