#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "rfb/client_messages.h"
#include "rfb/framer.h"
#include "rfb/pixel_format_switch.h"
#include "rfb/quiet_probe.h"
#include "tests/unit/rfb_bytes.h"

static struct rfb_format_switch s;
static uint8_t fence[RFB_FORMAT_FENCE_LEN];

/* Formats are told apart by their depth. */
static struct rfb_pixel_format
format(unsigned id)
{
	struct rfb_pixel_format pf = usual_format();

	pf.depth = (uint8_t)id;
	return pf;
}

static enum rfb_format_action
set_format(unsigned id)
{
	struct rfb_pixel_format pf = format(id);
	enum rfb_format_action action;

	assert_int_equal(
	    rfb_format_switch_on_set_format(&s, &pf, fence, &action), 0);
	return action;
}

/* An update with a picture in it. */
static bool
update(void)
{
	bool is_new = rfb_format_switch_on_update(&s);

	rfb_format_switch_on_picture(&s);
	return is_new;
}

static bool
answer_fence(void)
{
	return rfb_format_switch_on_fence(
	    &s, RFB_FENCE_SYNC_NEXT, fence + 9, RFB_FORMAT_FENCE_DATA);
}

static int
set_up(void **state)
{
	struct rfb_pixel_format pf = format(1);

	rfb_format_switch_init(&s, &pf, true);
	return 0;
}

static void
format_holds_from_the_next_update(void **state)
{
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	assert_true(rfb_format_switch_is_pending(&s));
	assert_int_equal(s.current.depth, 1);
	rfb_format_switch_on_request(&s);
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
	assert_false(rfb_format_switch_is_pending(&s));
	assert_false(update());
	assert_int_equal(s.n_guesses, 0);
}

/* TigerVNC's viewer: sent while it reads the update that was asked for. */
static void
format_sent_inside_an_update_waits_for_the_next(void **state)
{
	rfb_format_switch_on_request(&s);
	assert_false(update());
	set_format(2);
	rfb_format_switch_on_request(&s);
	assert_int_equal(s.current.depth, 1);
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
	assert_int_equal(s.n_guesses, 0);
}

static void
last_of_several_formats_wins(void **state)
{
	set_format(2);
	set_format(3);
	assert_true(update());
	assert_int_equal(s.current.depth, 3);
	set_format(4);
	set_format(3);
	assert_false(update());
}

/* The adversary's trick: a format between a request and its answer. */
static void
request_under_way_holds_a_format(void **state)
{
	rfb_format_switch_on_request(&s);
	assert_int_equal(set_format(2), RFB_FORMAT_HOLD);
	assert_false(rfb_format_switch_is_pending(&s));
	assert_false(update());
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	assert_true(update());
	assert_int_equal(s.n_guesses, 0);
}

/* Two requests may be two updates: the first answer proves nothing. */
static void
each_request_may_be_an_update(void **state)
{
	rfb_format_switch_on_request(&s);
	rfb_format_switch_on_request(&s);
	update();
	assert_int_equal(set_format(2), RFB_FORMAT_HOLD);
	rfb_format_switch_on_quiet(&s);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
}

/* QEMU sends updates without pictures that nobody asked for. */
static void
update_without_a_picture_answers_nothing(void **state)
{
	rfb_format_switch_on_request(&s);
	assert_false(rfb_format_switch_on_update(&s));
	assert_int_equal(set_format(2), RFB_FORMAT_HOLD);
	assert_false(update());
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
}

/* Repeating the format in force must not keep one pending for ever. */
static void
format_in_force_is_swallowed(void **state)
{
	assert_int_equal(set_format(1), RFB_FORMAT_SWALLOW);
	rfb_format_switch_on_request(&s);
	assert_int_equal(set_format(1), RFB_FORMAT_SWALLOW);
	update();
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	assert_int_equal(set_format(2), RFB_FORMAT_SWALLOW);
	assert_int_equal(s.n_pending, 1);
}

static void
without_a_recorder_it_is_a_guess(void **state)
{
	struct rfb_pixel_format pf = format(1);

	rfb_format_switch_init(&s, &pf, false);
	rfb_format_switch_on_request(&s);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	assert_int_equal(s.n_guesses, 1);
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
}

static void
start_continuous(void)
{
	rfb_format_switch_on_end_of_continuous(&s);
	rfb_format_switch_on_continuous(&s, true);
}

static void
continuous_updates_switch_at_their_end(void **state)
{
	start_continuous();
	rfb_format_switch_on_continuous(&s, false);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	rfb_format_switch_on_continuous(&s, true);
	assert_false(update());
	assert_false(update());
	rfb_format_switch_on_end_of_continuous(&s);
	assert_int_equal(s.current.depth, 1);
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
	assert_int_equal(s.n_guesses, 0);
}

static void
each_end_is_matched_with_its_own_stop(void **state)
{
	start_continuous();
	rfb_format_switch_on_continuous(&s, false);
	rfb_format_switch_on_continuous(&s, true);
	rfb_format_switch_on_continuous(&s, false);
	set_format(2);
	rfb_format_switch_on_continuous(&s, true);
	rfb_format_switch_on_continuous(&s, false);
	set_format(3);
	rfb_format_switch_on_end_of_continuous(&s);
	assert_false(update());
	rfb_format_switch_on_end_of_continuous(&s);
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
	rfb_format_switch_on_end_of_continuous(&s);
	assert_true(update());
	assert_int_equal(s.current.depth, 3);
	/* One nobody waits for changes nothing. */
	rfb_format_switch_on_end_of_continuous(&s);
	assert_int_equal(s.ends_due, 0);
}

static void
after_the_end_it_is_as_if_never_continuous(void **state)
{
	start_continuous();
	rfb_format_switch_on_continuous(&s, false);
	rfb_format_switch_on_end_of_continuous(&s);
	set_format(2);
	assert_int_equal(s.n_guesses, 0);
	assert_true(update());
}

static void
fence_is_asked_for_and_recognised(void **state)
{
	static const uint8_t head[] = { RFB_CLIENT_FENCE, 0, 0, 0, 0x80, 0, 0,
		4, 8 };

	start_continuous();
	rfb_format_switch_set_fence(&s, true);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND_FENCED);
	assert_memory_equal(fence, head, sizeof(head));
	assert_false(update());
	assert_true(answer_fence());
	assert_true(update());
	assert_int_equal(s.current.depth, 2);
	assert_int_equal(s.n_guesses, 0);
}

static void
fences_of_others_are_left_alone(void **state)
{
	start_continuous();
	rfb_format_switch_set_fence(&s, true);
	set_format(2);
	assert_false(rfb_format_switch_on_fence(&s, 0, fence + 9, 7));
	assert_false(rfb_format_switch_on_fence(&s, 0, NULL, 0));
	assert_false(rfb_format_switch_on_fence(
	    &s, RFB_FENCE_REQUEST, fence + 9, RFB_FORMAT_FENCE_DATA));
	fence[9]++;
	assert_false(answer_fence());
	assert_false(update());
}

static void
fence_is_not_asked_for_without_need(void **state)
{
	rfb_format_switch_set_fence(&s, true);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND);
	start_continuous();
	rfb_format_switch_on_request(&s);
	assert_int_equal(set_format(3), RFB_FORMAT_HOLD);
}

/* A request from before its "off" may be answered behind the end. */
static void
end_proves_nothing_beside_a_request(void **state)
{
	start_continuous();
	rfb_format_switch_on_request(&s);
	update();
	rfb_format_switch_on_continuous(&s, false);
	assert_int_equal(set_format(2), RFB_FORMAT_HOLD);
	rfb_format_switch_set_fence(&s, true);
	assert_int_equal(set_format(2), RFB_FORMAT_SEND_FENCED);
}

static void
continuous_without_fence_holds(void **state)
{
	start_continuous();
	assert_int_equal(set_format(2), RFB_FORMAT_HOLD);
	assert_int_equal(s.n_guesses, 0);
}

static void
too_many_pending_formats_are_refused(void **state)
{
	struct rfb_pixel_format pf = format(9);
	enum rfb_format_action action;

	start_continuous();
	rfb_format_switch_on_continuous(&s, false);
	for (unsigned i = 0; i < RFB_PENDING_FORMATS; i++)
		set_format(20 + i);
	assert_int_equal(
	    rfb_format_switch_on_set_format(&s, &pf, fence, &action),
	    ERR_LIMIT);
	assert_int_equal(s.n_pending, RFB_PENDING_FORMATS);
}

/*
 * A model of an endpoint behind two queues: it reads one message at a time,
 * may draw between any two, and draws in the format it has read. Whatever
 * the viewer sends and whatever the timing, the switch must name the format
 * that it drew in; a format that is held goes when the probe has shown that
 * nothing is under way.
 */
enum item_kind { SET_FORMAT, REQUEST, STOP, GO, FENCE, UPDATE, END };

enum server {
	SERVER_MERGES,    /* one requested region: libvncserver, Xvnc, QEMU */
	SERVER_COUNTS,    /* an update for each request, in order */
	SERVER_DRAWS_ALL, /* the same, with everything in each */
	N_SERVERS,
};

#define SIDE 1000 /* of the framebuffer */

struct item {
	enum item_kind kind;
	unsigned value;
	bool is_all;   /* a request for, or an update with, everything */
	bool is_full;  /* a request, not incremental */
	uint16_t x, y; /* of a request: one pixel, unless is_all */
	struct rfb_rect spots[64]; /* of an update: such pixels */
	size_t n_spots;
	uint8_t fence[RFB_FORMAT_FENCE_DATA];
};

struct queue {
	struct item items[8192];
	size_t head, tail;
};

static struct model {
	struct queue up, down; /* to and from the endpoint */
	enum server server;
	unsigned format, last_id;
	struct item asked[256]; /* read and not answered */
	size_t n_asked;
	bool is_continuous, answers_next;
	struct item fence;
	bool shows_screens; /* for a full request, and no picture: Xvnc */
	/* the relay */
	struct rfb_quiet_probe probe;
	unsigned held_id; /* 0: none */
	bool holds_request;
	unsigned n_updates, n_switches, n_held;
	unsigned waited; /* since the last question */
	uint32_t dice;
} m;

static struct item *
push(struct queue *q, enum item_kind kind, unsigned value)
{
	assert_true(q->tail < N_ELEMENTS(q->items));
	q->items[q->tail] = (struct item){ .kind = kind, .value = value };
	return &q->items[q->tail++];
}

static bool
is_empty(const struct queue *q)
{
	return q->head == q->tail;
}

static void
endpoint_reads(void)
{
	struct item *it = &m.up.items[m.up.head++];
	bool answers = m.answers_next;

	m.answers_next = false;
	if (it->kind == SET_FORMAT)
		m.format = it->value;
	if (it->kind == REQUEST) {
		assert_true(m.n_asked < N_ELEMENTS(m.asked));
		m.asked[m.n_asked++] = *it;
	}
	if (it->kind == GO)
		m.is_continuous = true;
	if (it->kind == STOP) {
		m.is_continuous = false;
		push(&m.down, END, 0);
	}
	if (it->kind == FENCE) {
		m.fence = *it;
		m.answers_next = true;
	}
	if (answers)
		*push(&m.down, FENCE, 0) = m.fence;
}

/* What was asked for becomes one update, or the oldest of it does. */
static void
endpoint_draws(void)
{
	size_t n =
	    m.server == SERVER_MERGES ? m.n_asked : min_size(m.n_asked, 1);
	struct item *u;
	bool is_full = false;

	if (m.n_asked == 0 && !m.is_continuous)
		return;
	u = push(&m.down, UPDATE, m.format);
	for (size_t i = 0; i < n; i++)
		is_full |= m.asked[i].is_full;
	if (m.shows_screens && is_full) {
		/* what was asked for comes with the next request */
		m.n_asked = 0;
		return;
	}
	u->is_all = m.is_continuous || m.server == SERVER_DRAWS_ALL;
	for (size_t i = 0; i < n; i++) {
		u->is_all |= m.asked[i].is_all;
		if (m.asked[i].is_all)
			continue;
		assert_true(u->n_spots < N_ELEMENTS(u->spots));
		u->spots[u->n_spots++] =
		    (struct rfb_rect){ m.asked[i].x, m.asked[i].y, 1, 1, 0 };
	}
	m.n_asked -= n;
	memmove(m.asked, m.asked + n, m.n_asked * sizeof(m.asked[0]));
}

static void
send_request(bool is_all, bool is_full)
{
	struct item *it = push(&m.up, REQUEST, 0);

	it->is_all = is_all;
	it->is_full = is_full;
	it->x = m.probe.x;
	it->y = m.probe.y;
	rfb_format_switch_on_request(&s);
}

static void
relay_asks(void)
{
	const struct rfb_rect all = { 0, 0, SIDE, SIDE, 0 };

	rfb_quiet_probe_ask(&m.probe, &all, m.dice * 2654435761u);
	m.waited = 0;
	send_request(false, true);
}

static void
relay_holds(unsigned id)
{
	m.held_id = id;
	m.n_held++;
	rfb_quiet_probe_init(&m.probe);
	if (s.is_continuous) {
		push(&m.up, STOP, 0);
		rfb_format_switch_on_continuous(&s, false);
	} else if (s.ends_due == 0) {
		relay_asks();
	}
}

static void
relay_sends_format(unsigned id)
{
	enum rfb_format_action action = set_format(id);

	if (action == RFB_FORMAT_HOLD) {
		relay_holds(id);
		return;
	}
	if (action == RFB_FORMAT_SEND_FENCED)
		memcpy(push(&m.up, FENCE, 0)->fence, fence + 9,
		    RFB_FORMAT_FENCE_DATA);
	if (action != RFB_FORMAT_SWALLOW)
		push(&m.up, SET_FORMAT, id);
}

/* As relay/pump/pump_format.c does at a message's end. */
static void
relay_looks(bool is_answer)
{
	unsigned id = m.held_id;

	if (id == 0)
		return;
	if (is_answer && s.ends_due == 0)
		rfb_format_switch_on_quiet(&s);
	if (!rfb_format_switch_may_send(&s))
		return;
	m.held_id = 0;
	relay_sends_format(id);
	assert_int_equal(m.held_id, 0);
	if (m.holds_request)
		send_request(true, m.dice & 0x10000);
	m.holds_request = false;
}

static void
relay_receives_update(const struct item *it)
{
	const struct rfb_rect all = { 0, 0, SIDE, SIDE, 0 };

	rfb_quiet_probe_update(&m.probe);
	m.n_switches += rfb_format_switch_on_update(&s);
	assert_int_equal(s.current.depth, it->value);
	if (it->is_all || it->n_spots > 0)
		rfb_format_switch_on_picture(&s);
	if (it->is_all)
		rfb_quiet_probe_rect(&m.probe, &all);
	for (size_t i = 0; i < it->n_spots; i++)
		rfb_quiet_probe_rect(&m.probe, &it->spots[i]);
	m.n_updates++;
	if (m.held_id == 0)
		return;
	switch (rfb_quiet_probe_end(&m.probe)) {
	case RFB_QUIET_ANSWERED:
		relay_looks(true);
		return;
	case RFB_QUIET_ASK_AGAIN:
		send_request(false, false);
		break;
	case RFB_QUIET_ASK_OTHER:
	case RFB_QUIET_WAIT:
	default:
		break;
	}
	relay_looks(false);
}

static void
relay_receives(void)
{
	struct item *it = &m.down.items[m.down.head++];

	if (it->kind == END) {
		rfb_format_switch_on_end_of_continuous(&s);
		relay_looks(false);
	}
	if (it->kind == FENCE)
		assert_true(rfb_format_switch_on_fence(
		    &s, 0, it->fence, sizeof(it->fence)));
	if (it->kind == UPDATE)
		relay_receives_update(it);
}

/* Requests and formats whenever it likes, and as many. */
static void
viewer_speaks(bool is_continuous)
{
	if (m.dice / 32 % 4 == 0 && s.n_pending < 4) {
		if (m.held_id != 0)
			m.held_id = ++m.last_id;
		else
			relay_sends_format(++m.last_id);
	} else if (is_continuous && m.dice / 32 % 4 == 1 && m.held_id == 0) {
		push(&m.up, s.is_continuous ? STOP : GO, 0);
		rfb_format_switch_on_continuous(&s, !s.is_continuous);
	} else if (m.held_id != 0) {
		m.holds_request = true;
	} else if (m.n_asked < 100) {
		send_request(true, m.dice & 0x10000);
	}
}

static void
run_model(uint32_t seed, bool is_continuous)
{
	for (int i = 0; i < 20000 && m.last_id < 150; i++) {
		seed = seed * 1664525 + 1013904223;
		m.dice = seed >> 8;
		m.waited++;
		if (m.dice % 16 == 0)
			viewer_speaks(is_continuous);
		else if (m.dice % 64 == 1 && m.held_id != 0 &&
		    s.ends_due == 0 &&
		    (m.probe.n_asked == 0 || m.probe.is_spoilt ||
			m.waited > 1000))
			relay_asks(); /* its timer */
		else if (m.dice % 4 == 1 && !is_empty(&m.up))
			endpoint_reads();
		else if (m.dice % 4 == 2)
			endpoint_draws();
		else if (m.dice % 4 == 3 && !is_empty(&m.down))
			relay_receives();
	}
	assert_true(m.n_updates > 100);
	assert_true(m.n_switches > 5);
	assert_int_equal(s.n_guesses, 0);
}

static void
start_model(enum server server)
{
	set_up(NULL);
	memset(&m, 0, sizeof(m));
	m.server = server;
	m.format = 1;
	m.last_id = 1;
}

static void
hostile_requests_are_followed(void **state)
{
	for (uint32_t seed = 0; seed < 150; seed++) {
		start_model((enum server)(seed % N_SERVERS));
		m.shows_screens =
		    m.server == SERVER_MERGES && seed / N_SERVERS % 2 != 0;
		run_model(seed, false);
		assert_true(m.n_held > 5);
	}
}

static void
hostile_continuous_updates_are_followed(void **state)
{
	for (uint32_t seed = 0; seed < 150; seed++) {
		bool has_fence = seed % 2 != 0;

		/* without fences a server that always draws all shows
		 * nothing: such a session ends */
		start_model((enum server)(
		    seed / 2 % (has_fence ? N_SERVERS : SERVER_DRAWS_ALL)));
		rfb_format_switch_on_end_of_continuous(&s);
		rfb_format_switch_set_fence(&s, has_fence);
		run_model(seed, true);
	}
}

/* ---- the probe alone ---- */

static void
qemu_rounds_the_spot_to_sixteen(void **state)
{
	struct rfb_quiet_probe p;
	const struct rfb_rect area = { 100, 50, 300, 200, 0 };
	struct rfb_rect r;

	rfb_quiet_probe_ask(&p, &area, 0xffffffff);
	assert_int_equal(p.x, 399);
	assert_int_equal(p.y, 249);
	rfb_quiet_probe_ask(&p, &area, 0);
	assert_int_equal(p.x, 100);
	assert_int_equal(p.y, 50);
	r = (struct rfb_rect){ 96, 50, 16, 1, 0 };
	/* the update under way began before the question */
	assert_false(rfb_quiet_probe_rect(&p, &r));
	rfb_quiet_probe_update(&p);
	assert_true(rfb_quiet_probe_rect(&p, &r));
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_ANSWERED);
	rfb_quiet_probe_update(&p);
	r = (struct rfb_rect){ 96, 50, 16, 2, 0 };
	assert_false(rfb_quiet_probe_rect(&p, &r));
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_ASK_OTHER);
}

static void
spot_with_more_is_no_answer(void **state)
{
	struct rfb_quiet_probe p;
	const struct rfb_rect area = { 0, 0, 100, 100, 0 };
	struct rfb_rect spot, far = { 99, 99, 1, 1, 0 };

	rfb_quiet_probe_ask(&p, &area, 0x12345678);
	spot = (struct rfb_rect){ p.x, p.y, 1, 1, 0 };
	rfb_quiet_probe_update(&p);
	assert_false(rfb_quiet_probe_rect(&p, &far));
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_WAIT);
	rfb_quiet_probe_update(&p);
	rfb_quiet_probe_rect(&p, &spot);
	assert_false(rfb_quiet_probe_rect(&p, &far));
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_ASK_OTHER);
	rfb_quiet_probe_ask(&p, &area, 0x87654321);
	/* Xvnc's screens use one question up, and one only */
	rfb_quiet_probe_update(&p);
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_ASK_AGAIN);
	rfb_quiet_probe_update(&p);
	assert_int_equal(rfb_quiet_probe_end(&p), RFB_QUIET_WAIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    format_holds_from_the_next_update, set_up),
		cmocka_unit_test_setup(
		    format_sent_inside_an_update_waits_for_the_next, set_up),
		cmocka_unit_test_setup(last_of_several_formats_wins, set_up),
		cmocka_unit_test_setup(
		    request_under_way_holds_a_format, set_up),
		cmocka_unit_test_setup(each_request_may_be_an_update, set_up),
		cmocka_unit_test_setup(
		    update_without_a_picture_answers_nothing, set_up),
		cmocka_unit_test_setup(format_in_force_is_swallowed, set_up),
		cmocka_unit_test_setup(
		    without_a_recorder_it_is_a_guess, set_up),
		cmocka_unit_test_setup(
		    end_proves_nothing_beside_a_request, set_up),
		cmocka_unit_test_setup(
		    continuous_updates_switch_at_their_end, set_up),
		cmocka_unit_test_setup(
		    each_end_is_matched_with_its_own_stop, set_up),
		cmocka_unit_test_setup(
		    after_the_end_it_is_as_if_never_continuous, set_up),
		cmocka_unit_test_setup(
		    fence_is_asked_for_and_recognised, set_up),
		cmocka_unit_test_setup(fences_of_others_are_left_alone, set_up),
		cmocka_unit_test_setup(
		    fence_is_not_asked_for_without_need, set_up),
		cmocka_unit_test_setup(continuous_without_fence_holds, set_up),
		cmocka_unit_test_setup(
		    too_many_pending_formats_are_refused, set_up),
		cmocka_unit_test(hostile_requests_are_followed),
		cmocka_unit_test(hostile_continuous_updates_are_followed),
		cmocka_unit_test(qemu_rounds_the_spot_to_sixteen),
		cmocka_unit_test(spot_with_more_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
