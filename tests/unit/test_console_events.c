/* Texts of event streams, and how many streams there may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <event2/buffer.h>

#include "common/bytes.h"
#include "console/events/event_text.h"
#include "console/events/stream_limit.h"

static void
numbers_of_events(void **state)
{
	static const char *const wrong[] = { "", "-1", "+1", " 1", "1 ", "1a",
		"0x1", "1234567890123456789", "1\n" };
	int64_t id = 7;

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_false(event_id_parse(wrong[i], &id));
	assert_false(event_id_parse(NULL, &id));
	assert_int_equal(id, 7);
	assert_true(event_id_parse("0", &id));
	assert_int_equal(id, 0);
	assert_true(event_id_parse("999999999999999999", &id));
	assert_true(id == INT64_C(999999999999999999));
}

static void
text_of_an_event(void **state)
{
	static const char want[] =
	    "id: 12\nevent: reset\ndata: {}\n\n"
	    "id: 13\nevent: session_changed\ndata: {\"a\":\"\\n\"}\n\n";
	struct evbuffer *out = evbuffer_new();

	event_text_add(out, 12, "reset", "{}");
	event_text_add(out, 13, "session_changed", "{\"a\":\"\\n\"}");
	assert_int_equal(evbuffer_get_length(out), strlen(want));
	assert_memory_equal(evbuffer_pullup(out, -1), want, strlen(want));
	evbuffer_free(out);
}

static void
arrays_of_numbers(void **state)
{
	const char *at = "{1,20,300}";

	assert_int_equal(event_array_next(&at), 1);
	assert_int_equal(event_array_next(&at), 20);
	assert_int_equal(event_array_next(&at), 300);
	assert_int_equal(event_array_next(&at), 0);
	assert_int_equal(event_array_next(&at), 0);
	at = "{}";
	assert_int_equal(event_array_next(&at), 0);
	at = "";
	assert_int_equal(event_array_next(&at), 0);
}

/* Three streams: of persons 1, 1 and 2, from a, b and b. */
static void
limits(void **state)
{
	static const int64_t persons[] = { 1, 1, 2 };
	static const char *const addresses[] = { "a", "b", "b" };
	struct stream_list all = TAILQ_HEAD_INITIALIZER(all);
	struct stream streams[3] = { 0 };
	struct stream_limits none = { 0 }, l;

	for (size_t i = 0; i < 3; i++) {
		streams[i].person = persons[i];
		snprintf(streams[i].address, sizeof(streams[i].address), "%s",
		    addresses[i]);
		TAILQ_INSERT_TAIL(&all, &streams[i], link);
	}
	assert_null(stream_limit_reached(&all, &none, 1, "a"));
	l = (struct stream_limits){ 4, 3, 3 };
	assert_null(stream_limit_reached(&all, &l, 1, "b"));
	l.total = 3;
	assert_string_equal(stream_limit_reached(&all, &l, 9, "z"),
	    "console.max_event_streams");
	l = (struct stream_limits){ 4, 2, 3 };
	assert_string_equal(stream_limit_reached(&all, &l, 1, "z"),
	    "console.max_event_streams_per_person");
	assert_null(stream_limit_reached(&all, &l, 2, "b"));
	l = (struct stream_limits){ 4, 3, 2 };
	assert_string_equal(stream_limit_reached(&all, &l, 9, "b"),
	    "console.max_event_streams_per_address");
	assert_null(stream_limit_reached(&all, &l, 9, "a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_of_events),
		cmocka_unit_test(text_of_an_event),
		cmocka_unit_test(arrays_of_numbers),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
