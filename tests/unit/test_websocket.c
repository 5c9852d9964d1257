/* What a WebSocket receives: frames, whole, in pieces, broken. */
#include "websocket_peer.h"

static void
test_stream_and_text(void **state)
{
	struct fixture *f = *state;
	uint8_t data[100];

	assert_false(ws_has_buffered(f->ws));
	assert_int_equal(ws_recv(f->ws, data, 100), ERR_AGAIN);
	peer_frame(f, 0x80 | BINARY, "hello", 5);
	peer_frame(f, 0x80 | TEXT, "{\"a\":\"\xc3\xa4\"}", 10);
	peer_frame(f, 0x80 | BINARY, "", 0);
	peer_frame(f, 0x80 | BINARY, "again", 5);
	assert_int_equal(ws_recv(f->ws, data, 3), 3);
	assert_memory_equal(data, "hel", 3);
	assert_true(ws_has_buffered(f->ws));
	assert_int_equal(f->n_texts, 0);
	assert_int_equal(ws_recv(f->ws, data, 100), 2);
	assert_memory_equal(data, "lo", 2);
	assert_true(ws_has_buffered(f->ws));
	assert_int_equal(ws_recv(f->ws, data, 100), 5);
	assert_memory_equal(data, "again", 5);
	assert_int_equal(f->n_texts, 1);
	assert_int_equal(f->text_len, 10);
	assert_string_equal(f->text, "{\"a\":\"\xc3\xa4\"}");
	assert_int_equal(ws_recv(f->ws, data, 100), ERR_AGAIN);
	assert_false(ws_has_buffered(f->ws));
}

/* A text in three frames with a ping between, binary in two, one byte at a
 * time: the same as at once. */
static void
fragments(struct fixture *f, bool at_once)
{
	uint8_t wire[400], data[100], got[100];
	size_t len = 0, n_got = 0;
	struct seen s = { 0 };
	ssize_t n;

	len += make_frame(wire + len, TEXT, true, "{\"x\"", 4);
	len += make_frame(wire + len, CONT, true, "", 0);
	len += make_frame(wire + len, 0x80 | PING, true, "p1", 2);
	len += make_frame(wire + len, 0x80 | CONT, true, ":1}", 3);
	len += make_frame(wire + len, BINARY, true, "stre", 4);
	len += make_frame(wire + len, 0x80 | PONG, true, "", 0);
	len += make_frame(wire + len, 0x80 | CONT, true, "am", 2);
	memset(data, 'z', 100);
	len += make_frame(wire + len, 0x80 | PING, true, "", 0);
	len += make_frame(wire + len, 0x80 | BINARY, true, data, 60);
	for (size_t i = 0; i < len; i += at_once ? len : 1) {
		peer_send(f, wire + i, at_once ? len : 1);
		while ((n = ws_recv(f->ws, got + n_got, 100 - n_got)) > 0)
			n_got += (size_t)n;
		assert_int_equal(n, ERR_AGAIN);
	}
	assert_int_equal(n_got, 66);
	assert_memory_equal(got, "stream", 6);
	assert_memory_equal(got + 6, data, 60);
	assert_int_equal(f->n_texts, 1);
	assert_string_equal(f->text, "{\"x\":1}");
	peer_read(f, &s);
	assert_frame(&s, 0x80 | PONG, "p1", 2);
	assert_frame(&s, 0x80 | PONG, "", 0);
	assert_int_equal(s.at, s.len);
	free(s.wire);
}

static void
test_fragments_at_once(void **state)
{
	fragments(*state, true);
}

static void
test_fragments_byte_by_byte(void **state)
{
	fragments(*state, false);
}

/* A frame of 70000 bytes: the longest form of length. */
static void
test_long_frame(void **state)
{
	struct fixture *f = *state;
	uint8_t *wire = malloc(70014), *data = malloc(70000);
	uint8_t *got = malloc(70000);
	size_t sent = 0, n_got = 0, len;

	fill(data, 70000);
	len = make_frame(wire, 0x80 | BINARY, true, data, 70000);
	while (n_got < 70000) {
		ssize_t n =
		    send(f->peer, wire + sent, min_size(len - sent, 20000), 0);

		sent += n > 0 ? (size_t)n : 0;
		while ((n = ws_recv(f->ws, got + n_got, 70000 - n_got)) > 0)
			n_got += (size_t)n;
		assert_true(n == ERR_AGAIN || n_got == 70000);
	}
	assert_memory_equal(got, data, 70000);
	free(wire);
	free(data);
	free(got);
}

static void
test_text_limit(void **state)
{
	struct fixture *f = *state;
	char text[WS_TEXT_MAX + 1];
	uint8_t data[8];

	memset(text, 't', sizeof(text));
	peer_frame(f, 0x80 | TEXT, text, WS_TEXT_MAX);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_AGAIN);
	assert_int_equal(f->text_len, WS_TEXT_MAX);
	peer_frame(f, TEXT, text, WS_TEXT_MAX);
	peer_frame(f, 0x80 | CONT, text, 1);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_LIMIT);
	assert_int_equal(f->n_texts, 1);
	assert_closed(f, WS_TOO_BIG);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_LIMIT);
}

static void
test_bad_utf8(void **state)
{
	static const char *const texts[] = { "\xff", "\xc0\xaf", "\xc3",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "a\x80",
		"\xf8\x88\x80\x80\x80" };
	static const char good[] = "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf"
				   "\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf";
	uint8_t data[8];

	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		struct fixture *f;

		setup((void **)&f);
		peer_frame(f, 0x80 | TEXT, good, strlen(good));
		peer_frame(f, 0x80 | TEXT, texts[i], strlen(texts[i]));
		assert_int_equal(ws_recv(f->ws, data, 8), ERR_PROTOCOL);
		assert_int_equal(f->n_texts, 1);
		assert_closed(f, WS_BAD_DATA);
		teardown((void **)&f);
	}
}

/* Every way to break the protocol that is one or two frames. */
static void
test_broken_frames(void **state)
{
	static const struct {
		const char *wire;
		size_t len;
	} cases[] = {
		{ "\x82\x05hello", 7 },          /* no mask */
		{ "\xc2\x81\0\0\0\0x", 7 },      /* RSV1 */
		{ "\xa2\x81\0\0\0\0x", 7 },      /* RSV2 */
		{ "\x80\x81\0\0\0\0x", 7 },      /* nothing to go on */
		{ "\x83\x81\0\0\0\0x", 7 },      /* reserved opcode */
		{ "\x8b\x81\0\0\0\0x", 7 },      /* reserved control */
		{ "\x09\x81\0\0\0\0x", 7 },      /* half a ping */
		{ "\x89\xfe\0\x7e\0\0\0\0", 8 }, /* a long ping */
		{ "\x01\x81\0\0\0\0x\x82\x81\0\0\0\0x", 14 }, /* nested */
		{ "\x01\x80\0\0\0\0\x81\x80\0\0\0\0", 12 },   /* nested */
		{ "\x82\xfe\0\x05\0\0\0\0hello", 13 }, /* length not shortest */
		{ "\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0x", 15 }, /* 2^63 */
		{ "\x88\x81\0\0\0\0x", 7 },        /* half a code */
		{ "\x88\x82\0\0\0\0\x03\xee", 8 }, /* code 1006 */
		{ "\x88\x82\0\0\0\0\0\x05", 8 },   /* code 5 */
	};
	uint8_t data[8];

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct fixture *f;

		setup((void **)&f);
		peer_send(f, cases[i].wire, cases[i].len);
		if (ws_recv(f->ws, data, 8) != ERR_PROTOCOL)
			fail_msg("case %zu was accepted", i);
		assert_int_equal(f->n_texts, 0);
		assert_closed(f, WS_PROTOCOL_ERROR);
		assert_int_equal(ws_recv(f->ws, data, 8), ERR_PROTOCOL);
		assert_false(ws_has_buffered(f->ws));
		teardown((void **)&f);
	}
}

static void
test_peer_closes(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8];

	peer_frame(f, 0x80 | BINARY, "x", 1);
	peer_frame(f, 0x80 | CLOSE, "\x03\xe9going", 7);
	peer_frame(f, 0x80 | BINARY, "late", 4);
	assert_int_equal(ws_recv(f->ws, data, 8), 1);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
	assert_closed(f, WS_GOING_AWAY);
}

static void
test_peer_closes_without_a_code(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8];

	peer_frame(f, 0x80 | CLOSE, "", 0);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
	assert_closed(f, WS_NORMAL);
}

static void
test_peer_vanishes(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8];

	peer_send(f, "\x82\x85", 2);
	close(f->peer);
	f->peer = -1;
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
}

/* Frames without payload cannot keep the loop for ever. */
static void
test_flood(void **state)
{
	struct fixture *f = *state;
	uint8_t wire[6 * (WS_IDLE_FRAMES_MAX + 1)], data[8];
	size_t len = 0;

	while (len < sizeof(wire))
		len += make_frame(wire + len, 0x80 | PONG, true, "", 0);
	peer_send(f, wire, len - 6);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_AGAIN);
	peer_send(f, wire, len);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_LIMIT);
	assert_closed(f, WS_POLICY);
}

static void
test_close_from_on_text(void **state)
{
	struct fixture *f = *state;
	uint8_t data[8];

	f->close_in_text = true;
	peer_frame(f, 0x80 | TEXT, "{}", 2);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_AGAIN);
	assert_closed(f, WS_POLICY);
	/* the peer's answer still arrives */
	peer_frame(f, 0x80 | CLOSE, "\x03\xf0", 2);
	assert_int_equal(ws_recv(f->ws, data, 8), ERR_EOF);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_stream_and_text),
		TEST(test_fragments_at_once),
		TEST(test_fragments_byte_by_byte),
		TEST(test_long_frame),
		TEST(test_text_limit),
		cmocka_unit_test(test_bad_utf8),
		cmocka_unit_test(test_broken_frames),
		TEST(test_peer_closes),
		TEST(test_peer_closes_without_a_code),
		TEST(test_peer_vanishes),
		TEST(test_flood),
		TEST(test_close_from_on_text),
	};
	int rc;

	batch = calloc(1, sizeof(*batch));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(batch);
	return rc;
}
