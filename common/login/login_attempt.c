#include "common/login/login_attempt.h"

#include <event2/event.h>

#include "common/clock.h"
#include "common/err.h"

void
login_attempt_set(struct login_attempt *t, struct login_throttle *throttle,
    struct event_base *base, const char *client_addr, const char *what,
    const char *name, bool codes)
{
	login_attempt_end(t, LOGIN_ABANDONED);
	t->throttle = throttle;
	t->base = base;
	login_keys_set(throttle, &t->who, client_addr, what, name, codes);
}

/* Returns 0: it is being checked; else how long it waits. */
static uint32_t
ask(struct login_attempt *t)
{
	uint32_t ms = login_throttle_ask(t->throttle, &t->who, clock_mono_ns());

	t->is_checking = ms == 0;
	t->is_waiting = ms != 0;
	return ms;
}

static void
wait_for(struct login_attempt *t, uint32_t ms)
{
	const struct timeval tv = { ms / 1000,
		(suseconds_t)(ms % 1000) * 1000 };

	event_add(t->timer, &tv);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct login_attempt *t = arg;
	uint32_t ms = ask(t);

	if (ms == 0)
		t->go(t->arg);
	else
		wait_for(t, ms);
}

int
login_attempt_wait(struct login_attempt *t, void (*go)(void *arg), void *arg)
{
	uint32_t ms = ask(t);

	if (ms == 0) {
		go(arg);
		return 0;
	}
	t->go = go;
	t->arg = arg;
	if (t->timer == NULL)
		t->timer = evtimer_new(t->base, on_time, t);
	if (t->timer == NULL)
		return ERR_NOMEM;
	wait_for(t, ms);
	return 0;
}

void
login_attempt_end(struct login_attempt *t, enum login_result result)
{
	if (t->timer != NULL)
		event_del(t->timer);
	if (t->is_checking)
		login_throttle_done(
		    t->throttle, &t->who, result, clock_mono_ns());
	else if (t->is_waiting && result == LOGIN_LEFT)
		login_throttle_left(t->throttle, &t->who, clock_mono_ns());
	t->is_checking = t->is_waiting = false;
}

void
login_attempt_release(struct login_attempt *t)
{
	login_attempt_end(t, LOGIN_ABANDONED);
	if (t->timer != NULL)
		event_free(t->timer);
	t->timer = NULL;
}
