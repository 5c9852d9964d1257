/* Receiving, relay/http/websocket.h. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/http/websocket_internal.h"

#define TEXT_KEEP 1024 /* a greater message's memory is given back */

ssize_t
ws_on_receive(uint8_t *data, size_t len, int flags, void *arg)
{
	struct ws *ws = arg;
	ssize_t n = transport_read(ws->transport, data, len);

	ws->transport_error = n < 0 ? (int)n : 0;
	if (n > 0)
		ws->may_have_more = true;
	return n > 0 ? n : -1;
}

/* Ends receiving for good: tells the peer why and remembers it. */
static int
fail(struct ws *ws, int error, enum ws_code code, const char *reason)
{
	ws->error = error;
	ws_close(ws, code, reason);
	return error;
}

static int
protocol_error(struct ws *ws, const char *reason)
{
	return fail(ws, ERR_PROTOCOL, WS_PROTOCOL_ERROR, reason);
}

/* ---- UTF-8, RFC 3629 ---- */

/* Length of the character at s by its first byte and the least code point
 * that may be written so, 0: no character begins like this. */
static size_t
character_len(uint8_t first, uint32_t *least, uint32_t *code)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 },
		{ 0xe0, 0xc0, 0x80 },
		{ 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 },
	};

	for (size_t i = 0; i < N_ELEMENTS(forms); i++)
		if ((first & forms[i].mask) == forms[i].lead) {
			*least = forms[i].least;
			*code = first & (uint8_t)~forms[i].mask;
			return i + 1;
		}
	return 0;
}

static bool
is_utf8(const uint8_t *s, size_t len)
{
	uint32_t least, code;

	for (size_t i = 0, n; i < len; i += n) {
		n = character_len(s[i], &least, &code);
		if (n == 0 || n > len - i)
			return false;
		for (size_t k = 1; k < n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (s[i + k] & 0x3f);
		}
		if (code < least || code > 0x10ffff ||
		    (code >= 0xd800 && code <= 0xdfff))
			return false;
	}
	return true;
}

/* ---- whole messages and control frames ---- */

static int
end_text(struct ws *ws)
{
	size_t len = buf_len(&ws->text);

	if (buf_append(&ws->text, "", 1) != 0)
		return fail(ws, ERR_NOMEM, WS_GOING_AWAY, "out of memory");
	if (!is_utf8(buf_head(&ws->text), len))
		return fail(ws, ERR_PROTOCOL, WS_BAD_DATA, "text is not UTF-8");
	ws->on_text(ws->arg, (const char *)buf_head(&ws->text), len);
	wipe(ws->text.data, ws->text.len);
	buf_consume(&ws->text, len + 1);
	if (ws->text.cap > TEXT_KEEP)
		buf_release(&ws->text);
	return 0;
}

/* The codes that an endpoint may send, RFC 6455 section 7.4. */
static bool
is_close_code(unsigned code)
{
	return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
		   code != 1006) ||
	    (code >= 3000 && code <= 4999);
}

/* The peer closes: its code goes back. */
static int
end_close(struct ws *ws)
{
	unsigned code = WS_NORMAL;

	if (ws->control_len == 1)
		return protocol_error(ws, "half a close code");
	if (ws->control_len >= 2) {
		code = load_be16(ws->control);
		if (!is_close_code(code))
			return protocol_error(ws, "no such close code");
		if (!is_utf8(ws->control + 2, ws->control_len - 2))
			return fail(ws, ERR_PROTOCOL, WS_BAD_DATA,
			    "the close reason is not UTF-8");
	}
	ws->error = ERR_EOF;
	ws_close(ws, (enum ws_code)code, "");
	return ERR_EOF;
}

/* A frame is complete. Returns 0 or how receiving ends. */
static int
end_frame(struct ws *ws)
{
	ws->in_frame = false;
	switch (ws->opcode) {
	case WSLAY_PING:
		ws_pong(ws, ws->control, ws->control_len);
		return 0;
	case WSLAY_PONG:
		return 0;
	case WSLAY_CONNECTION_CLOSE:
		return end_close(ws);
	}
	if (!ws->is_fin)
		return 0;
	if (ws->message == WSLAY_TEXT_FRAME) {
		ws->message = 0;
		return end_text(ws);
	}
	ws->message = 0;
	return 0;
}

/* ---- frames ---- */

static int
begin_data_frame(struct ws *ws)
{
	if (ws->opcode == WSLAY_CONTINUATION_FRAME)
		return ws->message != 0
		    ? 0
		    : protocol_error(ws, "nothing to continue");
	if (ws->opcode != WSLAY_TEXT_FRAME && ws->opcode != WSLAY_BINARY_FRAME)
		return protocol_error(ws, "unknown kind of frame");
	if (ws->message != 0)
		return protocol_error(ws, "a message inside another");
	ws->message = ws->opcode;
	return 0;
}

/* The first that is seen of a frame: may it come here? */
static int
begin_frame(struct ws *ws, const struct wslay_frame_iocb *frame)
{
	ws->in_frame = true;
	ws->frame_left = frame->payload_length;
	ws->opcode = frame->opcode;
	ws->is_fin = frame->fin;
	if (!frame->mask)
		return protocol_error(ws, "a frame without a mask");
	if (frame->rsv != 0)
		return protocol_error(ws, "an extension nobody agreed to");
	if (!wslay_is_ctrl_frame(frame->opcode))
		return begin_data_frame(ws);
	ws->control_len = 0;
	if (frame->opcode != WSLAY_PING && frame->opcode != WSLAY_PONG &&
	    frame->opcode != WSLAY_CONNECTION_CLOSE)
		return protocol_error(ws, "unknown kind of frame");
	if (!frame->fin || frame->payload_length > WS_CONTROL_MAX)
		return protocol_error(ws, "a control frame of many parts");
	return 0;
}

/* Payload of the frame under way goes where it belongs. */
static int
take_payload(struct ws *ws, const uint8_t *data, size_t len)
{
	if (wslay_is_ctrl_frame(ws->opcode)) {
		memcpy(ws->control + ws->control_len, data, len);
		ws->control_len += len;
		return 0;
	}
	if (ws->message == WSLAY_BINARY_FRAME) {
		ws->chunk = data;
		ws->chunk_len = len;
		return 0;
	}
	if (buf_len(&ws->text) + len > WS_TEXT_MAX)
		return fail(ws, ERR_LIMIT, WS_TOO_BIG, "text is too long");
	if (buf_append(&ws->text, data, len) != 0)
		return fail(ws, ERR_NOMEM, WS_GOING_AWAY, "out of memory");
	return 0;
}

/* Why wslay gave no frame. */
static int
no_frame(struct ws *ws, ssize_t rc)
{
	if (rc == WSLAY_ERR_PROTO)
		return protocol_error(ws, "a broken frame");
	if (rc != WSLAY_ERR_WANT_READ)
		return fail(ws, ERR_NOMEM, WS_GOING_AWAY, "out of memory");
	/* half a header: wslay wants another call, not another byte */
	if (ws->transport_error == 0)
		return 0;
	ws->may_have_more = false;
	if (ws->transport_error == ERR_AGAIN)
		return ERR_AGAIN;
	ws->error = ws->transport_error;
	return ws->error;
}

/* Takes one step: a frame or a part of one. Returns 0 or how receiving
 * ends; chunk_len is not 0 when there is payload for the caller. */
static int
step(struct ws *ws, unsigned *n_idle)
{
	struct wslay_frame_iocb frame = { 0 };
	ssize_t n;
	int rc = 0;

	ws->transport_error = 0;
	n = wslay_frame_recv(ws->in, &frame);
	if (n < 0)
		return no_frame(ws, n);
	if (!ws->in_frame) {
		if (++*n_idle > WS_IDLE_FRAMES_MAX)
			return fail(ws, ERR_LIMIT, WS_POLICY, "too fast");
		rc = begin_frame(ws, &frame);
	}
	if (rc == 0)
		rc = take_payload(ws, frame.data, frame.data_length);
	if (rc != 0)
		return rc;
	ws->frame_left -= frame.data_length;
	return ws->frame_left == 0 ? end_frame(ws) : 0;
}

ssize_t
ws_recv(struct ws *ws, uint8_t *data, size_t len)
{
	unsigned n_idle = 0;
	size_t n;

	while (ws->chunk_len == 0) {
		int rc = ws->error != 0 ? ws->error : step(ws, &n_idle);

		if (rc != 0)
			return rc;
	}
	n = min_size(len, ws->chunk_len);
	memcpy(data, ws->chunk, n);
	ws->chunk += n;
	ws->chunk_len -= n;
	return (ssize_t)n;
}

bool
ws_has_buffered(const struct ws *ws)
{
	return ws->error == 0 &&
	    (ws->chunk_len > 0 || ws->may_have_more ||
		transport_has_buffered(ws->transport));
}
