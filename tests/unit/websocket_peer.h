/*
 * A ws over a transport in clear, and its peer, written out by hand: what the
 * WebSocket tests share.
 */
#ifndef TESTS_UNIT_WEBSOCKET_PEER_H
#define TESTS_UNIT_WEBSOCKET_PEER_H

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
#include "relay/wire/transport.h"
#include "relay/http/websocket.h"

#define BIG (3 << 20)

enum { CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static struct transport_batch *batch;

struct fixture {
	struct transport transport;
	struct ws *ws;
	int peer;
	char text[WS_TEXT_MAX + 1];
	size_t text_len;
	unsigned n_texts;
	bool close_in_text;
};

static inline void
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

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	transport_init(&f->transport, pair[0], batch);
	f->peer = pair[1];
	f->ws = ws_new(&f->transport, on_text, f);
	assert_non_null(f->ws);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	ws_free(f->ws);
	transport_release(&f->transport);
	if (f->peer >= 0)
		close(f->peer);
	free(f);
	return 0;
}

/* ---- the peer ---- */

/* A frame as a client sends it; returns its length. first: FIN, RSV and
 * opcode. */
static inline size_t
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

static inline void
peer_send(struct fixture *f, const void *data, size_t len)
{
	assert_int_equal(send(f->peer, data, len, 0), len);
}

static inline void
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

static inline void
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
static inline int
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

static inline void
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
static inline void
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

static inline void
fill(uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 31 + (i >> 11));
}

#endif
