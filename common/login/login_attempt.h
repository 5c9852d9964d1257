/*
 * A try to get in, on one loop: it waits until it may be checked
 * (common/login/login_throttle.h), and says what came of it. Embedded in what
 * tries: a session, an agent, a server that dials in.
 */
#ifndef COMMON_LOGIN_LOGIN_ATTEMPT_H
#define COMMON_LOGIN_LOGIN_ATTEMPT_H

#include "common/login/login_throttle.h"

struct event;
struct event_base;

struct login_attempt {
	struct login_throttle *throttle;
	struct event_base *base;
	struct login_keys who;
	struct event *timer;
	void (*go)(void *arg);
	void *arg;
	bool is_checking, is_waiting;
};

/* Sets the keys that count the attempt (login_keys_set); abandons an earlier
 * attempt. */
void login_attempt_set(struct login_attempt *t, struct login_throttle *throttle,
    struct event_base *base, const char *client_addr, const char *what,
    const char *name, bool codes);

/*
 * Calls go(arg) when it may be checked, perhaps at once; login_attempt_end
 * calls it off. Returns 0 or ERR_NOMEM.
 */
int login_attempt_wait(
    struct login_attempt *t, void (*go)(void *arg), void *arg);

/* What came of it; it waits no more. Safe to repeat: the first one counts. */
void login_attempt_end(struct login_attempt *t, enum login_result result);

/* The same, and it may be checked no longer: frees. All zeros are fine. */
void login_attempt_release(struct login_attempt *t);

#endif
