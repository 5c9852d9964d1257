/* What a WebSocket sends: to a peer that reads slowly, or no more. */
#include "websocket_peer.h"

static void
test_lengths(void **state)
{
	static const size_t lengths[] = { 1, 125, 126, 16379, 16380, 16384,
		65535, 65536, WS_FRAME_MAX };
	struct fixture *f = *state;
	uint8_t *data = malloc(WS_FRAME_MAX);

	fill(data, WS_FRAME_MAX);
	for (size_t i = 0; i < N_ELEMENTS(lengths); i++) {
		struct seen s = { 0 };
		size_t done = 0;

		while (done < lengths[i]) {
			ssize_t n =
			    ws_send(f->ws, data + done, lengths[i] - done);

			assert_true(n >= 0);
			done += (size_t)n;
			peer_read(f, &s);
		}
		assert_frame(&s, 0x80 | BINARY, data, lengths[i]);
		assert_int_equal(s.at, s.len);
		free(s.wire);
	}
	assert_int_equal(ws_send(f->ws, data, 0), 0);
	assert_false(ws_wants_write(f->ws));
	free(data);
}

/* A socket that keeps what each send(2) brought apart: header and payload of
 * a small update are one. */
static void
test_one_packet(void **state)
{
	uint8_t data[8000], got[9000];
	struct transport transport;
	struct ws *ws;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	transport_init(&transport, pair[0], batch);
	ws = ws_new(&transport, on_text, NULL);
	fill(data, sizeof(data));
	assert_int_equal(ws_send(ws, data, sizeof(data)), sizeof(data));
	assert_int_equal(recv(pair[1], got, sizeof(got), 0), 4 + sizeof(data));
	assert_memory_equal(got + 4, data, sizeof(data));
	ws_free(ws);
	transport_release(&transport);
	close(pair[1]);
}

/*
 * Megabytes to a peer that reads a little now and then, in calls of changing
 * length, text and pings in between: all the stream arrives, in order, and
 * every text whole.
 */
static void
test_partial_writes(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = malloc(BIG), *got = malloc(BIG);
	struct seen s = { 0 };
	size_t done = 0, n_got = 0, len;
	unsigned n_sent = 0, n_texts = 0, n_short = 0, n_pongs = 0;
	const uint8_t *p;
	int first;

	s.wire = malloc(2 * BIG);
	fill(data, BIG);
	for (unsigned turn = 0; n_got < BIG || n_texts < n_sent; turn++) {
		size_t want = min_size(BIG - done, 1 + turn * 7919 % 300000);
		ssize_t n = want > 0 ? ws_send(f->ws, data + done, want) : 0;
		uint8_t one[1];

		assert_true(n >= 0);
		n_short += (size_t)n < want;
		done += (size_t)n;
		if (turn % 5 == 0 && done < BIG &&
		    ws_send_text(f->ws, "{\"n\":1}", 7) == 0)
			n_sent++;
		if (turn % 7 == 0) {
			peer_frame(f, 0x80 | PING, "now", 3);
			assert_int_equal(ws_recv(f->ws, one, 1), ERR_AGAIN);
		}
		n = recv(f->peer, s.wire + s.len, 50000, 0);
		s.len += n > 0 ? (size_t)n : 0;
		n = ws_flush(f->ws);
		assert_true(n == 0 || n == ERR_AGAIN);
		while ((first = next_frame(&s, &p, &len)) >= 0) {
			if (first == (0x80 | TEXT)) {
				assert_int_equal(len, 7);
				assert_memory_equal(p, "{\"n\":1}", 7);
				n_texts++;
			} else if (first == (0x80 | PONG)) {
				assert_memory_equal(p, "now", 3);
				n_pongs++;
			} else {
				assert_int_equal(first, 0x80 | BINARY);
				assert_true(len <= WS_FRAME_MAX);
				memcpy(got + n_got, p, len);
				n_got += len;
			}
		}
	}
	assert_int_equal(done, BIG);
	assert_memory_equal(got, data, BIG);
	assert_true(n_short > 10); /* the hard case was there */
	assert_true(n_sent > 10 && n_pongs > 5);
	free(data);
	free(got);
	free(s.wire);
}

/* Fills the socket so that a frame is left half sent; returns what was
 * taken. */
static size_t
send_half_a_frame(struct fixture *f)
{
	static uint8_t data[WS_FRAME_MAX];
	size_t done = 0;
	ssize_t n;

	while ((n = ws_send(f->ws, data, sizeof(data))) > 0)
		done += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(done % WS_FRAME_MAX != 0);
	return done;
}

static void
test_text_waits_for_the_frame(void **state)
{
	static uint8_t rest[WS_FRAME_MAX];
	struct fixture *f = *state;
	struct seen s = { 0 };
	size_t done = send_half_a_frame(f), left, n_frames;
	unsigned n = 0;
	char *text = calloc(1, WS_TEXT_MAX + 1);

	left = WS_FRAME_MAX - done % WS_FRAME_MAX;
	n_frames = done / WS_FRAME_MAX + 1;
	memset(text, 't', WS_TEXT_MAX);
	assert_int_equal(ws_send_text(f->ws, text, WS_TEXT_MAX + 1), ERR_LIMIT);
	while (ws_send_text(f->ws, text, WS_TEXT_MAX) == 0)
		n++;
	assert_int_equal(n, 3); /* WS_QUEUE_MAX less headers */
	assert_int_equal(ws_send_text(f->ws, "{}", 2), 0);
	assert_false(ws_wants_write(f->ws)); /* only stream can go on */
	peer_read(f, &s);
	assert_int_equal(ws_flush(f->ws), 0);
	/* more than is left: the frame ends, the texts go, a new one begins */
	while (left > 0 || n_frames > 0) {
		const uint8_t *p;
		size_t len;
		ssize_t k = ws_send(f->ws, rest, left > 0 ? left + 10 : 0);

		assert_true(k >= 0);
		left = (size_t)k < left ? left - (size_t)k : 0;
		peer_read(f, &s);
		ws_flush(f->ws);
		peer_read(f, &s);
		while (n_frames > 0 && next_frame(&s, &p, &len) >= 0) {
			assert_int_equal(len, WS_FRAME_MAX);
			n_frames--;
		}
	}
	for (unsigned i = 0; i < n; i++) {
		ws_flush(f->ws);
		peer_read(f, &s);
		assert_frame(&s, 0x80 | TEXT, text, WS_TEXT_MAX);
	}
	assert_frame(&s, 0x80 | TEXT, "{}", 2);
	free(text);
	free(s.wire);
}

/* The reason reaches a peer that stood still in the middle of a frame. */
static void
test_close_inside_a_frame(void **state)
{
	struct fixture *f = *state;
	struct seen s = { 0 };
	size_t n_frames = send_half_a_frame(f) / WS_FRAME_MAX + 1, len;
	const uint8_t *p;

	assert_int_equal(ws_send_text(f->ws, "{\"type\":\"ended\"}", 16), 0);
	ws_close(f->ws, WS_NORMAL, "max_duration");
	ws_close(f->ws, WS_POLICY, "only the first counts");
	assert_true(ws_wants_write(f->ws));
	do {
		peer_read(f, &s);
	} while (ws_flush(f->ws) == ERR_AGAIN);
	assert_false(ws_wants_write(f->ws));
	peer_read(f, &s);
	while (n_frames-- > 0)
		assert_int_equal(next_frame(&s, &p, &len), 0x80 | BINARY);
	assert_frame(&s, 0x80 | TEXT, "{\"type\":\"ended\"}", 16);
	assert_frame(&s, 0x80 | CLOSE, "\x03\xe8max_duration", 14);
	assert_int_equal(s.at, s.len);
	free(s.wire);
}

/* A reason is cut between characters. */
static void
test_long_reason(void **state)
{
	struct fixture *f = *state;
	struct seen s = { 0 };
	char reason[200];
	const uint8_t *p;
	size_t len;

	memset(reason, 'r', 122);
	strcpy(reason + 122, "\xc3\xa4 and more");
	ws_close(f->ws, WS_NORMAL, reason);
	peer_read(f, &s);
	assert_int_equal(next_frame(&s, &p, &len), 0x80 | CLOSE);
	assert_int_equal(len, 2 + 122);
	free(s.wire);
}

static void
test_broken_socket(void **state)
{
	struct fixture *f = *state;

	close(f->peer);
	f->peer = -1;
	assert_int_equal(ws_send(f->ws, (const uint8_t *)"x", 1), ERR_IO);
	assert_int_equal(ws_send_text(f->ws, "{}", 2), ERR_IO);
	assert_int_equal(ws_flush(f->ws), ERR_IO);
	assert_false(ws_wants_write(f->ws));
	ws_close(f->ws, WS_NORMAL, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Pings go out between frames, one at a time. */
static void
test_pings(void **state)
{
	static const uint8_t ping[] = { 0x80 | PING, 0 };
	struct fixture *f = *state;
	uint8_t *data = calloc(1, BIG);
	struct seen s = { 0 };
	size_t taken;

	ws_ping(f->ws);
	peer_read(f, &s);
	assert_int_equal(s.len, sizeof(ping));
	assert_memory_equal(s.wire, ping, sizeof(ping));
	assert_false(ws_wants_write(f->ws));
	/* inside of a frame they wait, and become one */
	taken = (size_t)ws_send(f->ws, data, BIG);
	assert_true(taken < BIG);
	for (unsigned i = 0; i < 100; i++)
		ws_ping(f->ws);
	while (taken < BIG || ws_wants_write(f->ws)) {
		peer_read(f, &s);
		if (taken < BIG)
			taken +=
			    (size_t)ws_send(f->ws, data + taken, BIG - taken);
		else
			ws_flush(f->ws);
	}
	peer_read(f, &s);
	s.at = sizeof(ping);
	for (unsigned n_pings = 0; s.at < s.len || n_pings != 1;) {
		size_t len = s.wire[s.at + 1], head = 2;

		assert_true(s.at < s.len);
		if (s.wire[s.at] == (0x80 | PING))
			assert_int_equal(++n_pings, 1);
		if (len == 126)
			len = load_be16(s.wire + s.at + 2), head = 4;
		else if (len == 127)
			len = load_be64(s.wire + s.at + 2), head = 10;
		s.at += head + len;
	}
	assert_int_equal(s.at, s.len);
	ws_close(f->ws, WS_NORMAL, "");
	ws_ping(f->ws);
	assert_false(ws_wants_write(f->ws));
	free(s.wire);
	free(data);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lengths),
		cmocka_unit_test(test_one_packet),
		TEST(test_partial_writes),
		TEST(test_text_waits_for_the_frame),
		TEST(test_close_inside_a_frame),
		TEST(test_long_reason),
		TEST(test_broken_socket),
		TEST(test_pings),
	};
	int rc;

	batch = calloc(1, sizeof(*batch));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(batch);
	return rc;
}
