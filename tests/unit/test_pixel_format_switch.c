#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "rfb/client_messages.h"
#include "rfb/pixel_format_switch.h"
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

static size_t
set_format(unsigned id)
{
	struct rfb_pixel_format pf = format(id);
	size_t fence_len;

	assert_int_equal(
	    rfb_format_switch_on_set_format(&s, &pf, fence, &fence_len), 0);
	return fence_len;
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

	rfb_format_switch_init(&s, &pf);
	return 0;
}

static void
format_holds_from_the_next_update(void **state)
{
	assert_int_equal(set_format(2), 0);
	assert_true(rfb_format_switch_is_pending(&s));
	assert_int_equal(s.current.depth, 1);
	rfb_format_switch_on_request(&s);
	assert_true(rfb_format_switch_on_update(&s));
	assert_int_equal(s.current.depth, 2);
	assert_false(rfb_format_switch_is_pending(&s));
	assert_false(rfb_format_switch_on_update(&s));
	assert_int_equal(s.n_guesses, 0);
}

/* TigerVNC's viewer: sent while it reads the update that was asked for. */
static void
format_sent_inside_an_update_waits_for_the_next(void **state)
{
	rfb_format_switch_on_request(&s);
	assert_false(rfb_format_switch_on_update(&s));
	set_format(2);
	rfb_format_switch_on_request(&s);
	assert_int_equal(s.current.depth, 1);
	assert_true(rfb_format_switch_on_update(&s));
	assert_int_equal(s.current.depth, 2);
	assert_int_equal(s.n_guesses, 0);
}

static void
last_of_several_formats_wins(void **state)
{
	set_format(2);
	set_format(3);
	assert_true(rfb_format_switch_on_update(&s));
	assert_int_equal(s.current.depth, 3);
	set_format(4);
	set_format(3);
	assert_false(rfb_format_switch_on_update(&s));
}

static void
request_under_way_is_counted_as_a_guess(void **state)
{
	rfb_format_switch_on_request(&s);
	set_format(2);
	assert_int_equal(s.n_guesses, 1);
	assert_true(rfb_format_switch_on_update(&s));
	assert_int_equal(s.current.depth, 2);
}

/* Three requests, one update: the count must not hold the format back. */
static void
merged_requests_do_not_matter(void **state)
{
	for (int i = 0; i < 3; i++)
		rfb_format_switch_on_request(&s);
	rfb_format_switch_on_update(&s);
	set_format(2);
	assert_int_equal(s.n_guesses, 0);
	assert_true(rfb_format_switch_on_update(&s));
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
	assert_int_equal(set_format(2), 0);
	rfb_format_switch_on_continuous(&s, true);
	assert_false(rfb_format_switch_on_update(&s));
	assert_false(rfb_format_switch_on_update(&s));
	rfb_format_switch_on_end_of_continuous(&s);
	assert_int_equal(s.current.depth, 1);
	assert_true(rfb_format_switch_on_update(&s));
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
	assert_false(rfb_format_switch_on_update(&s));
	rfb_format_switch_on_end_of_continuous(&s);
	assert_true(rfb_format_switch_on_update(&s));
	assert_int_equal(s.current.depth, 2);
	rfb_format_switch_on_end_of_continuous(&s);
	assert_true(rfb_format_switch_on_update(&s));
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
	assert_true(rfb_format_switch_on_update(&s));
}

static void
fence_is_asked_for_and_recognised(void **state)
{
	static const uint8_t head[] = { RFB_CLIENT_FENCE, 0, 0, 0, 0x80, 0, 0,
		4, 8 };

	start_continuous();
	rfb_format_switch_set_fence(&s, true);
	assert_int_equal(set_format(2), RFB_FORMAT_FENCE_LEN);
	assert_memory_equal(fence, head, sizeof(head));
	assert_false(rfb_format_switch_on_update(&s));
	assert_true(answer_fence());
	assert_true(rfb_format_switch_on_update(&s));
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
	assert_false(rfb_format_switch_on_update(&s));
}

static void
fence_is_not_asked_for_without_need(void **state)
{
	rfb_format_switch_set_fence(&s, true);
	assert_int_equal(set_format(2), 0);
	start_continuous();
	rfb_format_switch_on_request(&s);
	assert_int_equal(set_format(3), 0);
	assert_int_equal(s.n_guesses, 1);
}

static void
continuous_without_fence_is_a_guess(void **state)
{
	start_continuous();
	assert_int_equal(set_format(2), 0);
	assert_int_equal(s.n_guesses, 1);
	assert_true(rfb_format_switch_on_update(&s));
}

static void
too_many_pending_formats_are_refused(void **state)
{
	struct rfb_pixel_format pf = format(9);
	size_t fence_len = 1;

	start_continuous();
	rfb_format_switch_on_continuous(&s, false);
	for (int i = 0; i < RFB_PENDING_FORMATS; i++)
		set_format(2);
	assert_int_equal(
	    rfb_format_switch_on_set_format(&s, &pf, fence, &fence_len),
	    ERR_LIMIT);
	assert_int_equal(fence_len, 0);
	assert_int_equal(s.n_pending, RFB_PENDING_FORMATS);
}

/*
 * A model of an endpoint behind two queues: it reads one message at a time,
 * may draw between any two, and draws in the format it has read. Whatever
 * the timing, the switch must name the format that it drew in.
 */
enum item_kind { SET_FORMAT, REQUEST, STOP, GO, FENCE, UPDATE, END };

struct item {
	enum item_kind kind;
	unsigned value;
	uint8_t fence[RFB_FORMAT_FENCE_DATA];
};

struct queue {
	struct item items[4096];
	size_t head, tail;
};

static struct model {
	struct queue up, down; /* to and from the endpoint */
	bool is_merging, uses_stop;
	unsigned format, requested, last_id;
	bool is_continuous, has_fence, answers_next;
	struct item fence;
	unsigned n_updates, n_switches;
} m;

static void
push(struct queue *q, enum item_kind kind, unsigned value)
{
	assert_true(q->tail < N_ELEMENTS(q->items));
	q->items[q->tail++] = (struct item){ .kind = kind, .value = value };
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
	if (it->kind == REQUEST)
		m.requested = m.is_merging ? 1 : m.requested + 1;
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
	if (answers) {
		push(&m.down, FENCE, 0);
		m.down.items[m.down.tail - 1] = m.fence;
	}
}

static void
endpoint_draws(void)
{
	if (m.requested == 0 && !m.is_continuous)
		return;
	if (m.requested > 0)
		m.requested--;
	push(&m.down, UPDATE, m.format);
}

static void
relay_receives(void)
{
	struct item *it = &m.down.items[m.down.head++];

	if (it->kind == END)
		rfb_format_switch_on_end_of_continuous(&s);
	if (it->kind == FENCE)
		assert_true(rfb_format_switch_on_fence(
		    &s, 0, it->fence, sizeof(it->fence)));
	if (it->kind != UPDATE)
		return;
	m.n_switches += rfb_format_switch_on_update(&s);
	assert_int_equal(s.current.depth, it->value);
	m.n_updates++;
}

static void
viewer_sets_format(void)
{
	if (set_format(++m.last_id) > 0) {
		push(&m.up, FENCE, 0);
		memcpy(m.up.items[m.up.tail - 1].fence, fence + 9,
		    RFB_FORMAT_FENCE_DATA);
	}
	push(&m.up, SET_FORMAT, m.last_id);
}

/* Nothing under way, as the protocol wants it; then a request or three. */
static void
viewer_requests(uint32_t dice)
{
	if (!is_empty(&m.up) || !is_empty(&m.down) || m.requested > 0)
		return;
	if (dice % 2 == 0)
		viewer_sets_format();
	for (uint32_t i = 0; i < 1 + dice / 2 % 3; i++) {
		push(&m.up, REQUEST, 0);
		rfb_format_switch_on_request(&s);
	}
}

static void
viewer_switches_in_flight(void)
{
	if (s.n_pending > 4)
		return;
	if (m.uses_stop) {
		push(&m.up, STOP, 0);
		rfb_format_switch_on_continuous(&s, false);
	}
	viewer_sets_format();
	if (m.uses_stop) {
		push(&m.up, GO, 0);
		rfb_format_switch_on_continuous(&s, true);
	}
}

static void
run_model(uint32_t seed, bool is_continuous)
{
	uint32_t dice;

	for (int i = 0; i < 6000 && m.last_id < 200; i++) {
		seed = seed * 1664525 + 1013904223;
		dice = seed >> 12;
		if (dice % 4 == 0 && !is_continuous)
			viewer_requests(dice / 4);
		else if (dice % 32 == 0)
			viewer_switches_in_flight();
		else if (dice % 4 == 1 && !is_empty(&m.up))
			endpoint_reads();
		else if (dice % 4 == 2)
			endpoint_draws();
		else if (dice % 4 == 3 && !is_empty(&m.down))
			relay_receives();
	}
	assert_true(m.n_updates > 100);
	assert_true(m.n_switches > 5);
	assert_int_equal(s.n_guesses, 0);
}

static void
start_model(void)
{
	set_up(NULL);
	memset(&m, 0, sizeof(m));
	m.format = 1;
	m.last_id = 1;
}

static void
model_with_requests_is_followed(void **state)
{
	for (uint32_t seed = 0; seed < 100; seed++) {
		start_model();
		m.is_merging = seed % 2 == 0;
		run_model(seed, false);
	}
}

static void
model_with_continuous_updates_is_followed(void **state)
{
	for (uint32_t seed = 0; seed < 100; seed++) {
		start_model();
		start_continuous();
		m.is_continuous = true;
		m.uses_stop = seed % 2 == 0;
		rfb_format_switch_set_fence(&s, !m.uses_stop);
		run_model(seed, true);
	}
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
		    request_under_way_is_counted_as_a_guess, set_up),
		cmocka_unit_test_setup(merged_requests_do_not_matter, set_up),
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
		cmocka_unit_test_setup(
		    continuous_without_fence_is_a_guess, set_up),
		cmocka_unit_test_setup(
		    too_many_pending_formats_are_refused, set_up),
		cmocka_unit_test(model_with_requests_is_followed),
		cmocka_unit_test(model_with_continuous_updates_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
