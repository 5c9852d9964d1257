/* Life and sending; receiving is websocket_in.c. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/http/websocket_internal.h"

/* a close, a pong and a ping always find room behind the text */
#define QUEUE_LIMIT (WS_QUEUE_MAX + 3 * (WS_CONTROL_MAX + WS_HEADER_MAX))
#define QUEUE_KEEP  1024 /* a greater one is given back when it is empty */

/* ---- to the transport ---- */

/* transport_write that remembers failure: wslay knows only "not now". */
static ssize_t
transport_take(struct ws *ws, const uint8_t *data, size_t len)
{
	ssize_t n = transport_write(ws->transport, data, len);

	if (n < 0)
		ws->is_broken = true;
	return n;
}

/*
 * The header that waits and the first of the payload, as one piece, so that
 * a small update is one TLS record and one packet. Returns payload bytes
 * taken, 0 also when the header is not out, or -1.
 */
static ssize_t
send_with_header(struct ws *ws, const uint8_t *data, size_t len)
{
	uint8_t piece[TRANSPORT_RECORD_LEN];
	size_t n = ws->header_len, fit = min_size(len, sizeof(piece) - n);
	ssize_t sent;

	memcpy(piece, ws->header, n);
	memcpy(piece + n, data, fit);
	sent = transport_take(ws, piece, n + fit);
	if (sent < 0)
		return -1;
	if ((size_t)sent < n) {
		ws->header_len -= (size_t)sent;
		memmove(ws->header, ws->header + sent, ws->header_len);
		return 0;
	}
	ws->header_len = 0;
	return sent - (ssize_t)n;
}

/* wslay sends a frame: its header is kept until payload comes. */
static ssize_t
on_send(const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;
	ssize_t n;

	if (flags & WSLAY_MSG_MORE) {
		memcpy(ws->header, data, len);
		ws->header_len = len;
		return (ssize_t)len;
	}
	n = ws->header_len > 0 ? send_with_header(ws, data, len)
			       : transport_take(ws, data, len);
	return n > 0 ? n : -1; /* to wslay both mean: later */
}

/* One try of the frame under way, or of a new one. Returns payload bytes
 * taken or ERR_IO. */
static ssize_t
send_frame(struct ws *ws, const uint8_t *data, size_t len)
{
	struct wslay_frame_iocb frame = {
		.fin = 1,
		.opcode = WSLAY_BINARY_FRAME,
		.data = data,
	};
	ssize_t n;

	if (ws->left == 0)
		ws->announced = ws->left = min_size(len, WS_FRAME_MAX);
	frame.payload_length = ws->announced;
	frame.data_length = min_size(len, ws->left);
	n = wslay_frame_send(ws->out, &frame);
	if (ws->is_broken || (n < 0 && n != WSLAY_ERR_WANT_WRITE))
		return ERR_IO;
	if (n < 0)
		return 0;
	ws->left -= (uint64_t)n;
	return n;
}

/* ---- the queue ---- */

static ssize_t
on_queue(const uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;

	return buf_append(&ws->queue, data, len) == 0 ? (ssize_t)len : -1;
}

/* Appends a whole frame to the queue. */
static int
queue_frame(struct ws *ws, uint8_t opcode, const void *data, size_t len)
{
	struct wslay_frame_iocb frame = {
		.fin = 1,
		.opcode = opcode,
		.payload_length = len,
		.data = data,
		.data_length = len,
	};

	/* room for all of it first: half a frame cannot be taken back */
	if (buf_reserve(&ws->queue, len + WS_HEADER_MAX) == NULL)
		return ERR_LIMIT;
	return wslay_frame_send(ws->out_queue, &frame) < 0 ? ERR_NOMEM : 0;
}

void
ws_pong(struct ws *ws, const uint8_t *data, size_t len)
{
	memcpy(ws->pong, data, len);
	ws->pong_len = len;
	ws->has_pong = true;
	ws_flush(ws);
}

void
ws_ping(struct ws *ws)
{
	if (ws->is_broken || ws->is_closing)
		return;
	ws->has_ping = true;
	ws_flush(ws);
}

/* Between two frames: what is queued. Returns 0 when nothing is left. */
static int
flush_queue(struct ws *ws)
{
	ssize_t n;

	if (ws->has_pong && !ws->is_closing &&
	    queue_frame(ws, WSLAY_PONG, ws->pong, ws->pong_len) == 0)
		ws->has_pong = false;
	/* one at a time: a peer that does not read gets no queue of them */
	if (ws->has_ping && !ws->is_closing && buf_len(&ws->queue) == 0 &&
	    queue_frame(ws, WSLAY_PING, NULL, 0) == 0)
		ws->has_ping = false;
	if (buf_len(&ws->queue) == 0)
		return 0;
	n = transport_take(ws, buf_head(&ws->queue), buf_len(&ws->queue));
	if (n < 0)
		return ERR_IO;
	buf_consume(&ws->queue, (size_t)n);
	if (buf_len(&ws->queue) > 0)
		return ERR_AGAIN;
	if (ws->queue.cap > QUEUE_KEEP)
		buf_release(&ws->queue);
	return 0;
}

/* Fills up a frame that nobody will complete. */
static int
flush_zeros(struct ws *ws)
{
	static const uint8_t zeros[4096];

	while (ws->left > 0) {
		ssize_t n =
		    send_frame(ws, zeros, min_size(sizeof(zeros), ws->left));

		if (n < 0)
			return (int)n;
		if (n == 0)
			return ERR_AGAIN;
	}
	return 0;
}

int
ws_flush(struct ws *ws)
{
	int rc = ws->is_broken ? ERR_IO : transport_flush(ws->transport);

	if (rc == 0 && ws->is_closing)
		rc = flush_zeros(ws);
	if (rc == 0 && ws->left == 0)
		rc = flush_queue(ws);
	if (rc == ERR_IO)
		ws->is_broken = true;
	if (rc == 0 && transport_wants_write(ws->transport))
		rc = ERR_AGAIN;
	return rc;
}

bool
ws_wants_write(const struct ws *ws)
{
	if (ws->is_broken)
		return false;
	if (transport_wants_write(ws->transport) ||
	    (ws->is_closing && ws->left > 0))
		return true;
	return ws->left == 0 &&
	    (buf_len(&ws->queue) > 0 || ws->has_pong || ws->has_ping);
}

/* ---- what callers send ---- */

ssize_t
ws_send(struct ws *ws, const uint8_t *data, size_t len)
{
	size_t done = 0;

	if (ws->is_broken || ws->is_closing)
		return ERR_IO;
	while (done < len) {
		ssize_t n;
		int rc = ws->left == 0 ? flush_queue(ws) : 0;

		if (rc != 0)
			return rc == ERR_AGAIN ? (ssize_t)done : rc;
		n = send_frame(ws, data + done, len - done);
		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int
ws_send_text(struct ws *ws, const char *json, size_t len)
{
	int rc;

	if (ws->is_broken || ws->is_closing)
		return ERR_IO;
	if (len > WS_TEXT_MAX ||
	    buf_len(&ws->queue) + len + WS_HEADER_MAX > WS_QUEUE_MAX)
		return ERR_LIMIT;
	rc = queue_frame(ws, WSLAY_TEXT_FRAME, json, len);
	if (rc != 0)
		return rc;
	rc = ws_flush(ws);
	return rc == ERR_AGAIN ? 0 : rc;
}

/* As much of s as fits, not ending inside a character of UTF-8. */
static size_t
cut_utf8(const char *s, size_t max)
{
	size_t len = strlen(s);

	if (len <= max)
		return len;
	while (max > 0 && ((uint8_t)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void
ws_close(struct ws *ws, enum ws_code code, const char *reason)
{
	uint8_t payload[WS_CONTROL_MAX];
	size_t len = cut_utf8(reason, sizeof(payload) - 2);

	if (ws->is_closing)
		return;
	store_be16(payload, (uint16_t)code);
	memcpy(payload + 2, reason, len);
	queue_frame(ws, WSLAY_CONNECTION_CLOSE, payload, len + 2);
	ws->is_closing = true;
	ws->has_pong = ws->has_ping = false;
	ws_flush(ws);
}

/* ---- life ---- */

struct ws *
ws_new(struct transport *transport, ws_on_text on_text, void *arg)
{
	static const struct wslay_frame_callbacks in = { .recv_callback =
							     ws_on_receive };
	static const struct wslay_frame_callbacks out = { .send_callback =
							      on_send };
	static const struct wslay_frame_callbacks queue = { .send_callback =
								on_queue };
	struct ws *ws = calloc(1, sizeof(*ws));

	if (ws == NULL)
		return NULL;
	ws->transport = transport;
	ws->on_text = on_text;
	ws->arg = arg;
	buf_init(&ws->text, WS_TEXT_MAX + 1);
	buf_init(&ws->queue, QUEUE_LIMIT);
	if (wslay_frame_context_init(&ws->in, &in, ws) != 0 ||
	    wslay_frame_context_init(&ws->out, &out, ws) != 0 ||
	    wslay_frame_context_init(&ws->out_queue, &queue, ws) != 0) {
		ws_free(ws);
		return NULL;
	}
	return ws;
}

static void
no_text(void *arg, const char *json, size_t len)
{
}

void
ws_move(struct ws *ws, struct transport *transport)
{
	ws->transport = transport;
	ws->on_text = no_text;
	ws->arg = NULL;
}

static void
free_context(wslay_frame_context_ptr context)
{
	if (context != NULL)
		wslay_frame_context_free(context);
}

void
ws_free(struct ws *ws)
{
	if (ws == NULL)
		return;
	free_context(ws->in);
	free_context(ws->out);
	free_context(ws->out_queue);
	buf_release(&ws->text);
	buf_release(&ws->queue);
	wipe(ws, sizeof(*ws));
	free(ws);
}
