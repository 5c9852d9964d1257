/*
 * A try to get in, on one loop: it waits until it may be checked
 * (common/login/guesses.h), and says what came of it. Embedded in what tries:
 * a session, an agent, a server that dials in.
 */
#ifndef COMMON_LOGIN_GUESS_H
#define COMMON_LOGIN_GUESS_H

#include "common/login/guesses.h"

struct event;
struct event_base;

struct guess {
	struct guesses *guesses;
	struct event_base *base;
	struct guess_who who;
	struct event *timer;
	void (*go)(void *arg);
	void *arg;
	bool is_checking, is_waiting;
};

/* Whom it is counted by (guess_who_set); what went before is abandoned. */
void guess_set(struct guess *t, struct guesses *guesses,
    struct event_base *base, const char *client_addr, const char *what,
    const char *name, bool codes);

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
