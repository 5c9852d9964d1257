/* When an agent greets another relay, what becomes of that channel, and of the
 * first one: the dial, the wire and the kernel's word on silence are made up,
 * timers are due at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include <event2/bufferevent.h>
#include <netinet/in.h>

#include "agent/dial.h"
#include "agent/greeting.h"
#include "agent/jitter.h"
#include "agent/second_dial.h"
#include "agent/wire.h"
#include "common/err.h"
#include "common/tcp_liveness.h"

#define GREETING_LOOKS 20 /* second_dial.c */

/* ---- what second_dial.c calls ---- */

static struct {
	unsigned silent_ms;
	unsigned n_dials, n_cancels, n_greetings, n_closed, n_probes;
	dial_cb *on_dialed;
	void *on_dialed_arg;
	int greeting_rc;
	int receives; /* what wire_receive returns, once */
	uint8_t type; /* of that message */
	struct event *timer;
} sim;

int __real_event_add(struct event *ev, const struct timeval *tv);
int __wrap_event_add(struct event *ev, const struct timeval *tv);

int
__wrap_event_add(struct event *ev, const struct timeval *tv)
{
	static const struct timeval now = { 0, 0 };

	sim.timer = ev;
	return __real_event_add(ev, tv != NULL ? &now : NULL);
}

struct dial *
dial_start(
    struct event_base *base, const struct dial_to *to, dial_cb *cb, void *arg)
{
	assert_non_null(to->last); /* the silent address comes last */
	sim.n_dials++;
	sim.on_dialed = cb;
	sim.on_dialed_arg = arg;
	return (struct dial *)&sim;
}

void
dial_cancel(struct dial *d)
{
	sim.n_cancels += d != NULL;
}

int
greeting_send(struct bufferevent *bev, const struct control_to *to)
{
	sim.n_greetings++;
	return sim.greeting_rc;
}

unsigned
jitter_ms(unsigned max_ms)
{
	return 0;
}

int
wire_receive(struct bufferevent *bev, struct agent_msg *m)
{
	int rc = sim.receives;

	sim.receives = 0;
	memset(m, 0, sizeof(*m));
	m->type = sim.type;
	return rc;
}

const char *
wire_why(struct bufferevent *bev, short what)
{
	return "it broke";
}

void
wire_close(struct bufferevent *bev)
{
	if (bev == NULL)
		return;
	sim.n_closed++;
	bufferevent_free(bev);
}

unsigned
tcp_liveness_silent_ms(int fd)
{
	return sim.silent_ms;
}

void
tcp_liveness_probe(int fd, unsigned seconds)
{
	sim.n_probes++;
}

/* ---- the rig ---- */

struct rig {
	struct event_base *base;
	struct settings settings;
	struct control_to to;
	struct second_dial *d;
	int listener;
	struct bufferevent *first, *won;
};

static void
on_welcomed(void *arg, struct bufferevent *bev, const struct agent_msg *first)
{
	struct rig *r = arg;

	assert_int_equal(first->type, AGENT_WELCOME);
	r->won = bev;
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(&sim, 0, sizeof(sim));
	assert_non_null(r);
	r->base = event_base_new();
	r->to.settings = &r->settings;
	r->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(
	    bind(r->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(r->listener, 1), 0);
	getsockname(r->listener, (struct sockaddr *)&at, &len);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	r->first = bufferevent_socket_new(r->base, fd, BEV_OPT_CLOSE_ON_FREE);
	r->d = second_dial_new(r->base, &r->to, on_welcomed, r);
	assert_non_null(r->d);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	second_dial_free(r->d);
	if (r->won != NULL)
		bufferevent_free(r->won);
	bufferevent_free(r->first);
	close(r->listener);
	event_base_free(r->base);
	free(r);
	return 0;
}

/* So many of its timers. */
static void
looks(struct rig *r, unsigned n)
{
	while (n-- > 0)
		event_base_loop(r->base, EVLOOP_ONCE);
}

/* The dial succeeds, with a connection on which nothing comes by itself. */
static struct bufferevent *
dialed(struct rig *r)
{
	struct bufferevent *bev = bufferevent_socket_new(r->base, -1, 0);

	sim.on_dialed(sim.on_dialed_arg, bev, NULL);
	return bev;
}

static void
hears(struct bufferevent *bev, int rc, uint8_t type)
{
	bufferevent_data_cb on_read;
	void *arg;

	sim.receives = rc;
	sim.type = type;
	bufferevent_getcb(bev, &on_read, NULL, NULL, &arg);
	on_read(bev, arg);
}

/* Watched, silent, dialled, greeted. */
static struct bufferevent *
greeted(struct rig *r)
{
	second_dial_watch(r->d, r->first);
	sim.silent_ms = SECOND_DIAL_SILENT_MS;
	looks(r, 2); /* one for the jitter */
	assert_int_equal(sim.n_dials, 1);
	return dialed(r);
}

/* ---- tests ---- */

static void
no_second_one_while_the_first_answers(void **state)
{
	struct rig *r = *state;

	second_dial_watch(r->d, r->first);
	assert_int_equal(sim.n_probes, 1);
	sim.silent_ms = SECOND_DIAL_SILENT_MS - 1;
	looks(r, 5);
	assert_int_equal(sim.n_dials, 0);
}

static void
a_silence_that_ends_within_its_jitter_is_none(void **state)
{
	struct rig *r = *state;

	second_dial_watch(r->d, r->first);
	sim.silent_ms = SECOND_DIAL_SILENT_MS;
	looks(r, 1);
	sim.silent_ms = 0;
	looks(r, 3);
	assert_int_equal(sim.n_dials, 0);
}

static void
who_welcomes_first_is_the_relay(void **state)
{
	struct rig *r = *state;
	struct bufferevent *bev = greeted(r);

	assert_int_equal(sim.n_greetings, 1);
	hears(bev, 0, 0); /* half a message */
	assert_null(r->won);
	hears(bev, 1, AGENT_WELCOME);
	assert_ptr_equal(r->won, bev);
	assert_int_equal(sim.n_closed, 0);
	assert_false(evtimer_pending(sim.timer, NULL)); /* no more watch */
}

static void
one_that_does_not_welcome_is_left(void **state)
{
	static const struct {
		int rc;
		uint8_t type;
	} cases[] = { { 1, AGENT_REFUSED }, { 1, AGENT_PING },
		{ ERR_PROTOCOL, 0 } };
	struct rig *r = *state;
	struct bufferevent *bev = greeted(r);

	for (unsigned i = 0; i < 3; i++) {
		hears(bev, cases[i].rc, cases[i].type);
		assert_int_equal(sim.n_closed, i + 1);
		assert_null(r->won);
		looks(r, 1); /* it tries again */
		assert_int_equal(sim.n_dials, i + 2);
		bev = dialed(r);
	}
}

static void
one_that_never_answers_is_left(void **state)
{
	struct rig *r = *state;

	greeted(r);
	looks(r, GREETING_LOOKS);
	assert_int_equal(sim.n_closed, 0);
	looks(r, 1);
	assert_int_equal(sim.n_closed, 1);
	assert_null(r->won);
	looks(r, 1);
	assert_int_equal(sim.n_dials, 2);
}

static void
a_dial_ends_when_the_first_answers_again(void **state)
{
	struct rig *r = *state;

	second_dial_watch(r->d, r->first);
	sim.silent_ms = SECOND_DIAL_SILENT_MS;
	looks(r, 2);
	assert_int_equal(sim.n_dials, 1);
	sim.silent_ms = 0;
	looks(r, 1);
	assert_int_equal(sim.n_cancels, 1);
}

static void
a_dial_that_fails_is_tried_again(void **state)
{
	struct rig *r = *state;

	second_dial_watch(r->d, r->first);
	sim.silent_ms = SECOND_DIAL_SILENT_MS;
	looks(r, 2);
	sim.on_dialed(sim.on_dialed_arg, NULL, "no route");
	looks(r, 1);
	assert_int_equal(sim.n_dials, 2);
	sim.greeting_rc = ERR_LIMIT;
	dialed(r);
	assert_int_equal(sim.n_closed, 1);
}

static void
a_stop_ends_all_of_it(void **state)
{
	struct rig *r = *state;

	greeted(r);
	second_dial_stop(r->d);
	assert_int_equal(sim.n_closed, 1);
	assert_false(evtimer_pending(sim.timer, NULL));
}

static void
a_proxys_answers_say_nothing(void **state)
{
	struct rig *r = *state;

	r->settings.proxy.is_used = true;
	second_dial_watch(r->d, r->first);
	assert_int_equal(sim.n_probes, 0);
	assert_null(sim.timer);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_second_one_while_the_first_answers),
		TEST(a_silence_that_ends_within_its_jitter_is_none),
		TEST(who_welcomes_first_is_the_relay),
		TEST(one_that_does_not_welcome_is_left),
		TEST(one_that_never_answers_is_left),
		TEST(a_dial_ends_when_the_first_answers_again),
		TEST(a_dial_that_fails_is_tried_again),
		TEST(a_stop_ends_all_of_it),
		TEST(a_proxys_answers_say_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
