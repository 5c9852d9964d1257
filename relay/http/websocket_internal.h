/* What the two halves of relay/http/websocket.h share. */
#ifndef RELAY_HTTP_WEBSOCKET_INTERNAL_H
#define RELAY_HTTP_WEBSOCKET_INTERNAL_H

#include <wslay/wslay.h>

#include "common/buf.h"
#include "relay/wire/transport.h"
#include "relay/http/websocket.h"

#define WS_HEADER_MAX  14  /* RFC 6455 section 5.2 */
#define WS_CONTROL_MAX 125 /* payload of a ping, pong or close */

struct ws {
	struct transport *transport; /* borrowed */
	ws_on_text on_text;
	void *arg;

	/* receiving: wslay keeps up to 4 KiB of input, chunk points into it */
	wslay_frame_context_ptr in;
	const uint8_t *chunk; /* payload not yet given to the caller */
	size_t chunk_len;
	bool may_have_more;  /* input was taken since the last ERR_AGAIN */
	int transport_error; /* why the transport gave nothing, 0: it did */
	int error;           /* what ws_recv ended with, or 0 */
	uint64_t frame_left;
	uint8_t opcode;  /* of the frame under way */
	uint8_t message; /* of the message under way, 0: none */
	bool is_fin;
	bool in_frame;
	uint8_t control[WS_CONTROL_MAX];
	size_t control_len;
	struct buf text;

	/* sending */
	wslay_frame_context_ptr out;       /* to the transport */
	wslay_frame_context_ptr out_queue; /* to the queue */
	uint64_t announced, left;          /* of the frame under way */
	uint8_t header[WS_HEADER_MAX]; /* of it, not yet with the transport */
	size_t header_len;
	bool is_broken;   /* the transport failed */
	bool is_closing;  /* the close frame is queued: no more stream */
	struct buf queue; /* whole frames, for when left is 0 */
	uint8_t pong[WS_CONTROL_MAX];
	size_t pong_len;
	bool has_ping; /* to be sent */
	bool has_pong; /* only the newest ping is answered, section 5.5.3 */
};

/* Answers a ping when it may be sent. data: up to WS_CONTROL_MAX bytes. */
void ws_pong(struct ws *ws, const uint8_t *data, size_t len);

/* wslay asks for input: fills data from the transport, -1 when there is none.
 */
ssize_t ws_on_receive(uint8_t *data, size_t len, int flags, void *arg);

#endif
