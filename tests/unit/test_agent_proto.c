#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/err.h"

#define SESSION "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
#define TICKET                                                                 \
	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* One good message of each type. */
static const struct agent_msg good[] = {
	{ .type = AGENT_HELLO,
	    .hello = { AGENT_PROTOCOL, AGENT_MODE_ATTENDED, "0.1.0", "desk",
		"Debian GNU/Linux 12", 2, { "main", "büro" }, "pass word" } },
	{ .type = AGENT_ENROL, .enrol = { "rce_abc" } },
	{ .type = AGENT_PONG, .ping = 0xdeadbeef },
	{ .type = AGENT_OPEN_FAILED, .end = { SESSION, "no server" } },
	{ .type = AGENT_CLOSE },
	{ .type = AGENT_WELCOME, .welcome = { "desk1", "support", 30, "0.1" } },
	{ .type = AGENT_REFUSED, .refused = { "too old", 1 } },
	{ .type = AGENT_PING, .ping = 7 },
	{ .type = AGENT_CODE, .code = { "123456789", 86400 } },
	{ .type = AGENT_OPEN,
	    .open = { SESSION, TICKET, "[::1]:443", "second", "alice",
		"support", "unattended", AGENT_RECORDED_MAYBE, 1, 30,
		AGENT_CAPTURE_MUST } },
	{ .type = AGENT_INDICATOR, .indicator = { SESSION, 1, "recorded" } },
	{ .type = AGENT_END, .end = { SESSION, "" } },
	{ .type = AGENT_CAPTURE_STATE,
	    .capture_state = { SESSION, AGENT_CAPTURE_FAILED, "disk" } },
	{ .type = AGENT_CAPTURE,
	    .capture = { SESSION, SESSION, UINT64_C(1) << 40, 5, "[::1]:8444",
		TICKET, "{\"session\":\"x\"}" } },
	{ .type = AGENT_CAPTURE_MARKS,
	    .marks = { SESSION, 7, UINT64_MAX, "00ff" } },
	{ .type = AGENT_TICKET, .ticket = { TICKET } },
	{ .type = AGENT_ACCEPTED },
	{ .type = AGENT_CONSENT, .consent = { AGENT_ANSWER_NO_DIALOG, "x" } },
	{ .type = AGENT_JOINED },
};

/* The frame of m in memory of just its size, so that ASan sees overreads. */
static uint8_t *
encode(const struct agent_msg *m, size_t *len)
{
	struct buf b;
	uint8_t *copy;

	buf_init(&b, AGENT_FRAME_MAX);
	assert_int_equal(agent_proto_encode(&b, m), 0);
	*len = buf_len(&b);
	copy = malloc(*len);
	assert_non_null(copy);
	memcpy(copy, buf_head(&b), *len);
	buf_release(&b);
	return copy;
}

static int
parse(const uint8_t *data, size_t len, struct agent_msg *m)
{
	uint8_t *copy = malloc(len + (len == 0));
	size_t used = 99;
	int rc;

	assert_non_null(copy);
	memcpy(copy, data, len);
	rc = agent_proto_parse(copy, len, &used, m);
	assert_int_equal(used, rc > 0 ? len : 0);
	free(copy);
	return rc;
}

static void
every_message_comes_back(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		struct agent_msg m;
		size_t len;
		uint8_t *data = encode(&good[i], &len);

		memset(&m, 0xaa, sizeof(m));
		for (size_t n = 0; n < len; n++)
			assert_int_equal(parse(data, n, &m), 0);
		assert_int_equal(parse(data, len, &m), 1);
		assert_memory_equal(&m, &good[i], sizeof(m));
		assert_string_not_equal(agent_proto_name(m.type), "?");
		free(data);
	}
}

static void
messages_in_a_row(void **state)
{
	struct agent_msg m;
	struct buf b;
	size_t used, n = 0;

	buf_init(&b, 1 << 16);
	for (size_t i = 0; i < N_ELEMENTS(good); i++)
		assert_int_equal(agent_proto_encode(&b, &good[i]), 0);
	while (buf_len(&b) > 0) {
		assert_int_equal(
		    agent_proto_parse(buf_head(&b), buf_len(&b), &used, &m), 1);
		assert_int_equal(m.type, good[n++].type);
		buf_consume(&b, used);
	}
	assert_int_equal(n, N_ELEMENTS(good));
	buf_release(&b);
}

/* A body cut anywhere, with a length that says so, is no message; and a
 * byte too many is not either. */
static void
short_and_long_bodies(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(good); i++) {
		struct agent_msg m;
		size_t len;
		uint8_t *data = encode(&good[i], &len);
		uint8_t *more = calloc(1, len + 1);

		assert_non_null(more);
		for (size_t n = 3; n < len; n++) {
			store_be16(data, (uint16_t)(n - 2));
			assert_int_equal(parse(data, n, &m), ERR_PROTOCOL);
		}
		memcpy(more, data, len);
		store_be16(more, (uint16_t)(len - 1));
		assert_int_equal(parse(more, len + 1, &m), ERR_PROTOCOL);
		free(more);
		free(data);
	}
}

static void
lengths_and_types(void **state)
{
	static const uint8_t empty[] = { 0, 0 };
	static const uint8_t over[] = { 0x20, 0x01 };
	static const uint8_t type_0[] = { 0, 9, 0 };
	static const uint8_t type_7[] = { 0x20, 0x00, 7 };
	static const uint8_t most[] = { 0x20, 0x00, AGENT_HELLO };
	struct agent_msg m;

	assert_int_equal(parse(empty, sizeof(empty), &m), ERR_PROTOCOL);
	assert_int_equal(parse(over, sizeof(over), &m), ERR_LIMIT);
	assert_int_equal(parse(type_0, sizeof(type_0), &m), ERR_PROTOCOL);
	assert_int_equal(parse(type_7, sizeof(type_7), &m), ERR_PROTOCOL);
	assert_int_equal(parse(most, sizeof(most), &m), 0);
	assert_string_equal(agent_proto_name((enum agent_type)7), "?");
}

static void
hello_of_another_protocol(void **state)
{
	static const uint8_t next[] = { 0, 5, AGENT_HELLO, 0, AGENT_PROTOCOL + 1, 77, 78 };
	struct agent_msg m;

	assert_int_equal(parse(next, sizeof(next), &m), ERR_UNSUPPORTED);
}

/* A frame of one text: ENROL takes any printable one. */
static int
parse_token(const char *text, size_t len)
{
	uint8_t data[600];
	struct agent_msg m;

	store_be16(data, (uint16_t)(3 + len));
	data[2] = AGENT_ENROL;
	store_be16(data + 3, (uint16_t)len);
	memcpy(data + 5, text, len);
	return parse(data, 5 + len, &m);
}

static void
texts_are_printable(void **state)
{
	static const char *const bad[] = { "a\nb", "a\x1b[2J", "\x7f", "\x80",
		"\xc2", "\xc2\x85" /* NEL */, "\xc0\xaf", "\xe0\x80\xaf",
		"\xed\xa0\x80" /* surrogate */, "\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80\x80", "\xe2\x80\xae" /* RLO */,
		"\xe2\x80\xa8" /* LS */, "\xe2\x81\xa6" /* LRI */, "\xe2\x82",
		"\xf0\x9f\x98", "" };
	static const char *const fine[] = { "x", "~ !", "J\xc3\xbcrgen",
		"\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80", "\xc2\xa0" };

	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(
		    parse_token(bad[i], strlen(bad[i])), ERR_PROTOCOL);
	assert_int_equal(parse_token("a\0b", 3), ERR_PROTOCOL);
	for (size_t i = 0; i < N_ELEMENTS(fine); i++)
		assert_int_equal(parse_token(fine[i], strlen(fine[i])), 1);
}

static void
texts_have_limits(void **state)
{
	char text[AGENT_TOKEN_MAX + 1];

	memset(text, 'x', sizeof(text));
	assert_int_equal(parse_token(text, AGENT_TOKEN_MAX - 1), 1);
	assert_int_equal(parse_token(text, AGENT_TOKEN_MAX), ERR_LIMIT);
}

/* Encoding m fails and leaves nothing behind. */
static void
refuse(const struct agent_msg *m)
{
	struct buf b;

	buf_init(&b, AGENT_FRAME_MAX);
	assert_int_equal(agent_proto_encode(&b, m), ERR_PROTOCOL);
	assert_int_equal(buf_len(&b), 0);
	buf_release(&b);
}

static void
encoder_refuses_what_the_parser_would(void **state)
{
	struct agent_msg m = good[0];

	m.hello.n_displays = AGENT_MAX_DISPLAYS + 1;
	refuse(&m);
	m = good[0];
	m.hello.displays[1][0] = '\0';
	refuse(&m);
	m = good[0];
	m.hello.mode = AGENT_MODE_ENROL + 1;
	refuse(&m);
	m = good[0];
	m.hello.protocol = AGENT_PROTOCOL + 1;
	refuse(&m);
	m = good[0];
	memset(m.hello.version, 'x', sizeof(m.hello.version));
	refuse(&m);
	m = (struct agent_msg){ .type = (enum agent_type)99 };
	refuse(&m);
	m = (struct agent_msg){ .type = AGENT_CODE, .code = { "12345678x" } };
	refuse(&m);
	m = (struct agent_msg){ .type = AGENT_TICKET, .ticket = { "00" } };
	refuse(&m);
	m = (struct agent_msg){ .type = AGENT_END, .end = { "no-uuid" } };
	refuse(&m);
	m = (struct agent_msg){ .type = AGENT_END, .end = { SESSION, "a\nb" } };
	refuse(&m);
}

static void
full_queue_is_unchanged(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_int_equal(agent_proto_encode(&b, &good[4]), 0);
	assert_int_equal(agent_proto_encode(&b, &good[0]), ERR_LIMIT);
	assert_int_equal(buf_len(&b), 3);
	buf_release(&b);
}

/* The largest message of each kind is within a frame. */
static void
largest_hello_fits(void **state)
{
	struct agent_msg m = { .type = AGENT_HELLO }, back;
	size_t len;
	uint8_t *data;

	m.hello.protocol = AGENT_PROTOCOL;
	memset(m.hello.version, 'v', AGENT_VERSION_MAX - 1);
	memset(m.hello.host, 'h', AGENT_NAME_MAX - 1);
	memset(m.hello.os, 'o', AGENT_NAME_MAX - 1);
	memset(m.hello.secret, 's', AGENT_SECRET_MAX - 1);
	m.hello.n_displays = AGENT_MAX_DISPLAYS;
	for (size_t i = 0; i < AGENT_MAX_DISPLAYS; i++)
		memset(m.hello.displays[i], 'd', AGENT_DISPLAY_MAX - 1);
	data = encode(&m, &len);
	assert_int_equal(parse(data, len, &back), 1);
	assert_memory_equal(&m, &back, sizeof(m));
	free(data);
}

static void
too_many_displays(void **state)
{
	struct agent_msg m;
	size_t len;
	uint8_t *data = encode(&good[0], &len);
	/* protocol, mode, and three texts before the count */
	size_t at = 3 + 2 + 1 + 2 + 5 + 2 + 4 + 2 + 19;

	assert_int_equal(data[at], 2);
	data[at] = AGENT_MAX_DISPLAYS + 1;
	assert_int_equal(parse(data, len, &m), ERR_LIMIT);
	free(data);
}

static void
clean_makes_texts_fit(void **state)
{
	char out[8];

	assert_string_equal(agent_proto_clean(out, sizeof(out), NULL), "");
	assert_string_equal(
	    agent_proto_clean(out, sizeof(out), "a\nb\xff"), "a?b?");
	assert_string_equal(
	    agent_proto_clean(out, sizeof(out), "\xe2\x80\xae!"), "?!");
	/* cut before a character that does not fit whole */
	assert_string_equal(
	    agent_proto_clean(out, sizeof(out), "abcdef\xc3\xbc"), "abcdef");
	assert_string_equal(
	    agent_proto_clean(out, sizeof(out), "12345678"), "1234567");
	assert_string_equal(agent_proto_clean(out, 1, "x"), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_comes_back),
		cmocka_unit_test(messages_in_a_row),
		cmocka_unit_test(short_and_long_bodies),
		cmocka_unit_test(lengths_and_types),
		cmocka_unit_test(hello_of_another_protocol),
		cmocka_unit_test(texts_are_printable),
		cmocka_unit_test(texts_have_limits),
		cmocka_unit_test(encoder_refuses_what_the_parser_would),
		cmocka_unit_test(full_queue_is_unchanged),
		cmocka_unit_test(largest_hello_fits),
		cmocka_unit_test(too_many_displays),
		cmocka_unit_test(clean_makes_texts_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
