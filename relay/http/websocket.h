/*
 * The server side of a WebSocket (RFC 6455) over a transport, frames by wslay.
 * Binary messages carry a byte stream, the same one that a transport would:
 * where a message begins or ends means nothing. Text messages carry JSON beside
 * it. Extensions are never accepted, frames without a mask are refused.
 *
 * Sending copies no payload but the piece that shares a TLS record with its
 * header. A frame announces at most what one ws_send was given:
 *
 *     | header | payload accepted ... | left |   <- the next bytes of the
 *                                               stream, by later ws_sends
 *
 * Nothing else can be sent inside a frame, so pongs, text and the close wait
 * until `left` is 0. One loop owns a ws and its transport.
 */
#ifndef RELAY_HTTP_WEBSOCKET_H
#define RELAY_HTTP_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct transport;
struct ws;

#define WS_TEXT_MAX  16384
#define WS_QUEUE_MAX 65536
#define WS_FRAME_MAX 131072
/* frames in one ws_recv that bring no payload; more is a flood */
#define WS_IDLE_FRAMES_MAX 1000

enum ws_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_PROTOCOL_ERROR = 1002,
	WS_BAD_DATA = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
};

/*
 * A whole text message: len bytes of UTF-8 (up to WS_TEXT_MAX, with a NUL
 * behind them), borrowed for the call and wiped after it. Called from
 * ws_recv; it may send and close, but not free or receive.
 */
typedef void (*ws_on_text)(void *arg, const char *json, size_t len);

/* transport: borrowed, TLS up, nothing left of the HTTP request. Returns NULL
 * when memory is out. */
struct ws *ws_new(struct transport *transport, ws_on_text on_text, void *arg);

/* The transport has moved in memory; text goes nowhere from now on. */
void ws_move(struct ws *ws, struct transport *transport);

/* Wipes and frees; sends nothing. NULL is fine. */
void ws_free(struct ws *ws);

/*
 * Reads up to len bytes of the stream, and on the way answers pings and
 * calls on_text. Returns their number (more than 0), ERR_AGAIN, ERR_EOF (the
 * peer closed; a close frame was answered), ERR_IO, ERR_PROTOCOL or
 * ERR_LIMIT; after these two a close frame with the reason is queued. An
 * error stays.
 */
ssize_t ws_recv(struct ws *ws, uint8_t *data, size_t len);

/* True while bytes may wait that no event of the socket will report: call
 * ws_recv until ERR_AGAIN. */
bool ws_has_buffered(const struct ws *ws);

/*
 * Sends bytes of the stream, as transport_write does. Returns bytes accepted
 * (the others must be given again), 0 when none was, or ERR_IO: the socket
 * broke or ws_close was called.
 */
ssize_t ws_send(struct ws *ws, const uint8_t *data, size_t len);

/*
 * Sends a ping as soon as a frame may begin, unless one waits already. What
 * the peer answers shows in the bytes that its transport received.
 */
void ws_ping(struct ws *ws);

/*
 * Queues a text message of len bytes of UTF-8 and sends what can be sent.
 * Returns 0, ERR_LIMIT (longer than WS_TEXT_MAX, or the peer reads so slowly
 * that WS_QUEUE_MAX bytes wait), ERR_IO or ERR_NOMEM.
 */
int ws_send_text(struct ws *ws, const char *json, size_t len);

/* Sends what waits and can be sent. Returns 0 when nothing waits but the
 * rest of a frame, ERR_AGAIN or ERR_IO. */
int ws_flush(struct ws *ws);

/* Does ws_flush have something to do once the socket takes more? */
bool ws_wants_write(const struct ws *ws);

/*
 * Ends the stream: queues a close frame behind what waits; ws_flush until it
 * returns 0, then let the transport go. A frame that is under way is filled up
 * with zeros, so that the reason can follow. reason: UTF-8, up to 123 bytes
 * of it are sent. Only the first call counts.
 */
void ws_close(struct ws *ws, enum ws_code code, const char *reason);

#endif
