/* WebSocket frames over a leg in clear; the peer is written out by hand. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/leg.h"
#include "relay/websocket.h"

#define BIG (3 << 20)

enum { CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static struct leg_batch *batch;

struct fixture {
	struct leg leg;
	struct ws *ws;
	int peer;
	char text[WS_TEXT_MAX + 1];
	size_t text_len;
	unsigned n_texts;
	bool close_in_text;
};

static void
on_text(void *arg, const char *json, size_t len)
{
	struct fixture *f = arg;

	assert_true(len <= WS_TEXT_MAX);
	assert_int_equal(json[len], '\0');
	memcpy(f->text, json, len + 1);
	f->text_len = len;
	f->n_texts++;
	if (f->close_in_text)
		ws_close(f->ws, WS_POLICY, "no");
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	leg_init(&f->leg, pair[0], batch);
	f->peer = pair[1];
	f->ws = ws_new(&f->leg, on_text, f);
	assert_non_null(f->ws);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ws_free(f->ws);
	leg_release(&f->leg);
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

/* ---- the peer ---- */

/* A frame as a client sends it; returns its length. first: FIN, RSV and
 * opcode. */
static size_t
make_frame(uint8_t *out, uint8_t first, bool mask, const void *data, size_t len)
{
	static const uint8_t key[4] = { 0x37, 0xfa, 0x21, 0x3d };
	const uint8_t *p = data;
	uint8_t *s = out;

	*s++ = first;
	if (len < 126) {
		*s++ = (uint8_t)((mask ? 0x80 : 0) | len);
	} else if (len < 65536) {
		*s++ = mask ? 0xfe : 126;
		store_be16(s, (uint16_t)len);
		s += 2;
	} else {
		*s++ = mask ? 0xff : 127;
		store_be64(s, len);
		s += 8;
	}
	if (mask) {
		memcpy(s, key, 4);
		s += 4;
	}
	for (size_t i = 0; i < len; i++)
		*s++ = (uint8_t)(p[i] ^ (mask ? key[i & 3] : 0));
	return (size_t)(s - out);
}

static void
peer_send(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(send(f->peer, data, len, 0), len);
}

static void
peer_frame(struct fixture *f, uint8_t first, const void *data, size_t len)
{
	uint8_t *out = malloc(len + 14);

	peer_send(f, out, make_frame(out, first, true, data, len));
	free(out);
}

/* What the peer got, cut into frames. */
struct seen {
	uint8_t *wire;
	size_t len, at;
};

static void
peer_read(struct fixture *f, struct seen *s)
{
	ssize_t n;

	if (s->wire == NULL)
		s->wire = malloc(2 * BIG);
	while ((n = recv(f->peer, s->wire + s->len, 2 * BIG - s->len, 0)) > 0)
		s->len += (size_t)n;
}

/* The next whole frame: returns its first byte, or -1. Server frames have no
 * mask. */
static int
next_frame(struct seen *s, const uint8_t **data, size_t *len)
{
	const uint8_t *p = s->wire + s->at;
	size_t have = s->len - s->at, head = 2;

	if (have < 10 && (have < 2 || p[1] >= 126))
		return -1;
	assert_false(p[1] & 0x80);
	*len = p[1];
	if (*len == 126) {
		*len = load_be16(p + 2);
		head = 4;
	} else if (*len == 127) {
		*len = load_be64(p + 2);
		head = 10;
	}
	if (have < head + *len)
		return -1;
	*data = p + head;
	s->at += head + *len;
	return p[0];
}

static void
assert_frame(struct seen *s, int first, const void *data, size_t len)
{
	const uint8_t *p = NULL;
	size_t n = 0;

	assert_int_equal(next_frame(s, &p, &n), first);
	assert_int_equal(n, len);
	if (len > 0)
		assert_memory_equal(p, data, len);
}

/* The peer is told to go, for this reason. */
static void
assert_closed(struct fixture *f, unsigned code)
{
	struct seen s = { 0 };
	const uint8_t *p = NULL;
	size_t n = 0;

	assert_true(ws_flush(f->ws) == 0);
	peer_read(f, &s);
	assert_int_equal(next_frame(&s, &p, &n), 0x80 | CLOSE);
	assert_in_range(n, 2, 125);
	assert_int_equal(load_be16(p), code);
	assert_int_equal(s.at, s.len);
	assert_int_equal(ws_send(f->ws, (const uint8_t *)"x", 1), ERR_IO);
	assert_int_equal(ws_send_text(f->ws, "{}", 2), ERR_IO);
	free(s.wire);
}

static void
fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 11));
}

/* ---- receiving ---- */

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

/* ---- sending ---- */

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
	struct leg leg;
	struct ws *ws;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	leg_init(&leg, pair[0], batch);
	ws = ws_new(&leg, on_text, NULL);
	fill(data, sizeof(data));
	assert_int_equal(ws_send(ws, data, sizeof(data)), sizeof(data));
	assert_int_equal(recv(pair[1], got, sizeof(got), 0), 4 + sizeof(data));
	assert_memory_equal(got + 4, data, sizeof(data));
	ws_free(ws);
	leg_release(&leg);
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
		TEST(test_lengths),
		cmocka_unit_test(test_one_packet),
		TEST(test_partial_writes),
		TEST(test_text_waits_for_the_frame),
		TEST(test_close_inside_a_frame),
		TEST(test_long_reason),
		TEST(test_broken_socket),
	};
	int rc;

	batch = calloc(1, sizeof(*batch));
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	free(batch);
	return rc;
}
