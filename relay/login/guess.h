/*
 * A try to get in, on its loop: it waits until it may be checked
 * (relay/login/guesses.h), and says what came of it. Embedded in what tries:
 * a session, an agent, a server that dials in.
 */
#ifndef RELAY_LOGIN_GUESS_H
#define RELAY_LOGIN_GUESS_H

#include "relay/login/guesses.h"

struct event;
struct loop;

struct guess {
	struct loop *loop;
	struct guess_who who;
	struct event *timer;
	void (*go)(void *arg);
	void *arg;
	bool is_checking, is_waiting;
};

/* Whom it is counted by (guess_who_set); what went before is abandoned. */
void guess_set(struct guess *t, struct loop *l, const char *client_addr,
    const char *what, const char *name, bool codes);

/*
 * Calls go(arg) when it may be checked, perhaps at once; guess_end calls it
 * off. Returns 0 or ERR_NOMEM.
 */
int guess_wait(struct guess *t, void (*go)(void *arg), void *arg);

/* What came of it; it waits no more. Safe to repeat: the first one counts. */
void guess_end(struct guess *t, enum guess_result result);

/* The same, and it may be checked no longer: frees. All zeros are fine. */
void guess_release(struct guess *t);

#endif
