#include "common/login/guess.h"

#include <event2/event.h>

#include "common/clock.h"
#include "common/err.h"

void
guess_set(struct guess *t, struct guesses *guesses, struct event_base *base,
    const char *client_addr, const char *what, const char *name, bool codes)
{
	guess_end(t, GUESS_ABANDONED);
	t->guesses = guesses;
	t->base = base;
	guess_who_set(guesses, &t->who, client_addr, what, name, codes);
}

/* Returns 0: it is being checked; else how long it waits. */
static uint32_t
ask(struct guess *t)
{
	uint32_t ms = guesses_ask(t->guesses, &t->who, clock_mono_ns());

	t->is_checking = ms == 0;
	t->is_waiting = ms != 0;
	return ms;
}

static void
wait_for(struct guess *t, uint32_t ms)
{
	const struct timeval tv = { ms / 1000,
		(suseconds_t)(ms % 1000) * 1000 };

	event_add(t->timer, &tv);
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct guess *t = arg;
	uint32_t ms = ask(t);

	if (ms == 0)
		t->go(t->arg);
	else
		wait_for(t, ms);
}

int
guess_wait(struct guess *t, void (*go)(void *arg), void *arg)
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
guess_end(struct guess *t, enum guess_result result)
{
	if (t->timer != NULL)
		event_del(t->timer);
	if (t->is_checking)
		guesses_done(t->guesses, &t->who, result, clock_mono_ns());
	else if (t->is_waiting && result == GUESS_LEFT)
		guesses_left(t->guesses, &t->who, clock_mono_ns());
	t->is_checking = t->is_waiting = false;
}

void
guess_release(struct guess *t)
{
	guess_end(t, GUESS_ABANDONED);
	if (t->timer != NULL)
		event_free(t->timer);
	t->timer = NULL;
}
