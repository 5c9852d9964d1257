/* A password is checked in the relay's queue. It counts whatever becomes of
 * the connection meanwhile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/login/recent_passwords.h"
#include "common/password.h"
#include "common/login/password_queue.h"
#include "relay/session/session_internal.h"

static const char denied[] = "user name or password is wrong";
static const char no_memory[] = "the relay is out of memory";

struct session_check {
	struct password_job job;
	struct relay_session *session; /* a reference */
	char *hash, *password;
	int result; /* of password_check */
};

/* How long it waits in the queue, a second at least. */
static unsigned
wait_s(struct relay_session *s)
{
	return 1 +
	    (unsigned)(password_queue_wait_ms(
			   s->loop->relay->passwords, s->attempt.who.lane) /
		1000);
}

static void
refuse_busy(struct relay_session *s)
{
	char why[128];

	snprintf(why, sizeof(why),
	    "the relay checks as many passwords as it can; try again in %u "
	    "seconds",
	    1 + wait_s(s));
	session_refuse(s, why);
}

static void
check_free(struct session_check *c)
{
	if (c->hash != NULL)
		wipe(c->hash, strlen(c->hash));
	wipe(c->password, strlen(c->password));
	free(c->hash);
	free(c->password);
	free(c);
}

/* Its viewer waits for what came of it. */
static void
answer(struct relay_session *s, const struct session_check *c)
{
	if (c->job.state != PASSWORD_CHECKED) {
		refuse_busy(s);
	} else if (c->result == 0) {
		s->is_authenticated = true;
		session_admit(s);
	} else if (c->result == ERR_DENIED) {
		session_guess_deny(s, denied);
	} else {
		session_refuse(s, no_memory);
	}
}

/* Nobody waits any more: it counts all the same. */
static void
count(struct relay_session *s, const struct session_check *c)
{
	if (c->job.state == PASSWORD_LEFT)
		session_guess_left(s);
	else if (c->job.state == PASSWORD_CHECKED && c->result == ERR_DENIED)
		session_guess_wrong(s);
	else
		login_attempt_end(&s->attempt,
		    c->job.state == PASSWORD_CHECKED && c->result == 0
			? LOGIN_RIGHT
			: LOGIN_ABANDONED);
}

static void
checked(struct job *j)
{
	struct session_check *c = (struct session_check *)j;
	struct relay_session *s = c->session;

	s->check = NULL;
	if (s->state == SESSION_CHECK)
		answer(s, c);
	else
		count(s, c);
	check_free(c);
	session_unref(s);
}

static void
run_check(struct job *j)
{
	struct session_check *c = (struct session_check *)j;

	c->result = recent_password_check(
	    c->job.thread, c->hash, c->password, strlen(c->password));
}

void
session_wipe_password(struct relay_session *s)
{
	if (s->password != NULL)
		wipe(s->password, strlen(s->password));
	free(s->password);
	s->password = NULL;
}

/* It was checked a short while ago, so that it need not wait in the queue. */
static bool
is_known(const struct relay_session *s)
{
	const char *hash = s->authorization.password_hash;

	return hash != NULL &&
	    recent_passwords_find(
		hash, s->password, strlen(s->password), clock_mono_ns());
}

void
session_check_password(void *arg)
{
	struct relay_session *s = arg;
	struct session_check *c;

	if (is_known(s)) {
		session_wipe_password(s);
		s->is_authenticated = true;
		session_admit(s);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		session_refuse(s, no_memory);
		return;
	}
	session_ref(s);
	c->job.job = (struct job){
		.run = run_check, .done = checked, .inbox = &s->loop->inbox
	};
	c->job.address = s->attempt.who.keys[LOGIN_KEY_ADDRESS];
	c->job.lane = s->attempt.who.lane;
	c->session = s;
	c->hash = s->authorization.password_hash;
	c->password = s->password;
	c->result = ERR_NOMEM;
	s->authorization.password_hash = NULL;
	s->password = NULL;
	s->check = c;
	/* many come at once after a restart: waiting for others does not use
	 * up the time that a login has; twice, because it is an estimate */
	session_set_state(s, SESSION_CHECK,
	    s->loop->relay->conf.login_seconds + 2 * wait_s(s));
	if (password_queue_submit(s->loop->relay->passwords, &c->job) != 0) {
		s->check = NULL;
		check_free(c);
		refuse_busy(s);
		session_unref(s);
	}
}

void
session_check_left(struct relay_session *s)
{
	atomic_store(&s->check->job.is_left, true);
}
