/* What is sent when parts of a stream are replaced, and how it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/edits.h"

static const char stream[] = "abcdefghijklmnopqrstuvwxyz";
#define STREAM_LEN 26

/* A forwarder: framed grows, a socket takes so many bytes a call. */
struct sender {
	struct edits edits;
	uint64_t at;
	char got[4096];
	size_t n_got;
};

static int
setup(void **state)
{
	struct sender *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	edits_init(&s->edits);
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct sender *s = *state;

	edits_release(&s->edits);
	free(s);
	return 0;
}

static size_t
take(struct sender *s, const void *p, size_t len, size_t most)
{
	size_t n = min_size(len, most);

	assert_true(s->n_got + n <= sizeof(s->got));
	memcpy(s->got + s->n_got, p, n);
	s->n_got += n;
	return n;
}

/* Sends what may be sent, at most `most` bytes a call. */
static void
walk(struct sender *s, uint64_t end, size_t most)
{
	struct edits_span span;
	size_t n;

	for (;;) {
		span = edits_next(&s->edits, s->at, end);
		switch (span.step) {
		case EDITS_WAIT:
			return;
		case EDITS_RING:
			assert_true(s->at + span.len <= end);
			s->at += take(s, stream + s->at, span.len, most);
			break;
		case EDITS_BYTES:
			n = take(s, span.bytes, span.len, most);
			edits_sent(&s->edits, n);
			break;
		case EDITS_SKIP:
			assert_true(s->at + span.len <= end);
			s->at += span.len;
			break;
		}
	}
}

static void
add(struct sender *s, uint64_t from, uint64_t to, const char *bytes)
{
	assert_int_equal(
	    edits_add(&s->edits, s->at, from, to, bytes, strlen(bytes)), 0);
}

static void
assert_got(struct sender *s, const char *want)
{
	s->got[s->n_got] = '\0';
	assert_string_equal(s->got, want);
}

static void
without_edits_it_is_the_stream(void **state)
{
	struct sender *s = *state;

	assert_true(edits_is_empty(&s->edits));
	walk(s, STREAM_LEN, 100);
	assert_got(s, stream);
	assert_null(s->edits.list);
}

/* All three kinds, first and last byte included, whatever the cuts. */
static void
edits_do_not_depend_on_cuts(void **state)
{
	for (size_t most = 1; most <= STREAM_LEN; most++) {
		for (uint64_t step = 1; step <= STREAM_LEN; step++) {
			struct sender *s;

			setup((void **)&s);
			add(s, 0, 0, "<");
			add(s, 2, 5, "");
			add(s, 7, 9, "HI+");
			add(s, 9, 9, "1");
			add(s, 9, 9, "2");
			add(s, 9, 10, "J");
			add(s, 25, 26, "Z");
			add(s, 26, 26, ">");
			for (uint64_t end = 0; end < STREAM_LEN; end += step)
				walk(s, end, most);
			walk(s, STREAM_LEN, most);
			assert_got(s, "<abfgHI+12JklmnopqrstuvwxyZ>");
			assert_true(edits_is_empty(&s->edits));
			teardown((void **)&s);
		}
	}
	(void)state;
}

/* An edit made known when everything before it is out already. */
static void
edit_at_the_forwarding_position(void **state)
{
	struct sender *s = *state;

	walk(s, 10, 100);
	add(s, 10, 10, "!");
	walk(s, 10, 100);
	assert_got(s, "abcdefghij!");
	add(s, 10, 12, "kl");
	walk(s, 10, 1);
	assert_got(s, "abcdefghij!kl");
	/* the rest of the range is passed over as it is framed */
	walk(s, 11, 100);
	assert_int_equal(s->at, 11);
	walk(s, 13, 100);
	assert_got(s, "abcdefghij!klm");
}

static void
removal_may_reach_ahead(void **state)
{
	struct sender *s = *state;

	add(s, 3, 20, "");
	walk(s, 5, 100);
	assert_got(s, "abc");
	assert_int_equal(s->at, 5);
	walk(s, 22, 100);
	assert_got(s, "abcuv");
}

static void
edits_behind_are_refused(void **state)
{
	struct sender *s = *state;

	walk(s, 10, 100);
	assert_int_equal(
	    edits_add(&s->edits, s->at, 9, 12, "x", 1), ERR_PROTOCOL);
	assert_int_equal(
	    edits_add(&s->edits, s->at, 14, 13, "x", 1), ERR_PROTOCOL);
	add(s, 12, 15, "x");
	assert_int_equal(
	    edits_add(&s->edits, s->at, 14, 16, "y", 1), ERR_PROTOCOL);
	assert_int_equal(
	    edits_add(&s->edits, s->at, 12, 12, "y", 1), ERR_PROTOCOL);
	walk(s, 20, 100);
	assert_got(s, "abcdefghijklxpqrst");
}

/* A payload left out span by span stays one edit. */
static void
adjacent_removals_join(void **state)
{
	struct sender *s = *state;

	add(s, 1, 3, "Q");
	for (uint64_t i = 3; i < 20; i++)
		add(s, i, i + 1, "");
	assert_int_equal(s->edits.n, 1);
	walk(s, 22, 100);
	assert_got(s, "aQuv");
}

static void
memory_is_bounded(void **state)
{
	struct sender *s = *state;
	static char big[EDITS_BYTES_MAX];
	uint64_t n;

	for (n = 0; n < EDITS_MAX; n++)
		assert_int_equal(
		    edits_add(&s->edits, 0, 2 * n, 2 * n + 1, "x", 1), 0);
	assert_true(edits_is_full(&s->edits));
	assert_int_equal(
	    edits_add(&s->edits, 0, 2 * n, 2 * n, "x", 1), ERR_LIMIT);
	assert_int_equal(edits_bytes(&s->edits), EDITS_MAX);
	edits_release(&s->edits);
	assert_int_equal(edits_add(&s->edits, 0, 0, 0, big, sizeof(big)), 0);
	assert_int_equal(edits_add(&s->edits, 0, 0, 0, "x", 1), ERR_LIMIT);
}

/* What a burst needed goes back once it is sent. */
static void
memory_goes_back(void **state)
{
	struct sender *s = *state;

	for (uint64_t n = 0; n < 1000; n++)
		add(s, 0, 0, "y");
	walk(s, STREAM_LEN, 100);
	assert_int_equal(s->n_got, 1000 + STREAM_LEN);
	assert_true(edits_is_empty(&s->edits));
	assert_null(s->edits.list);
}

/* Against a plain model: random edits, random cuts. */
static void
random_edits(void **state)
{
	uint32_t seed = 1;

	for (int round = 0; round < 2000; round++) {
		struct sender *s;
		char want[256] = "", bytes[8];
		uint64_t at = 0;

		setup((void **)&s);
		while (at < STREAM_LEN) {
			uint64_t keep, cut;
			size_t len;

			seed = seed * 1664525 + 1013904223;
			keep = min_u64(seed >> 8 & 3, STREAM_LEN - at);
			cut = min_u64(seed >> 12 & 3, STREAM_LEN - at - keep);
			len = seed >> 16 & 3;
			memset(bytes, 'A' + (int)(seed >> 20 & 15), len);
			bytes[len] = '\0';
			strncat(want, stream + at, keep);
			strcat(want, bytes);
			add(s, at + keep, at + keep + cut, bytes);
			at += keep + cut;
		}
		for (uint64_t end = 0; end < STREAM_LEN;
		     end += 1 + (seed >> 5 & 7))
			walk(s, end, 1 + (seed >> 9 & 3));
		walk(s, STREAM_LEN, 2);
		assert_got(s, want);
		teardown((void **)&s);
	}
	(void)state;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    without_edits_it_is_the_stream, setup, teardown),
		cmocka_unit_test(edits_do_not_depend_on_cuts),
		cmocka_unit_test_setup_teardown(
		    edit_at_the_forwarding_position, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    removal_may_reach_ahead, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    edits_behind_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    adjacent_removals_join, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    memory_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    memory_goes_back, setup, teardown),
		cmocka_unit_test(random_edits),
	};

	return cmocka_run_group_tests_name("edits", tests, NULL, NULL);
}
