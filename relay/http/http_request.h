/*
 * The head of one HTTP/1.1 request (RFC 9112) as the web listener takes it: GET
 * and HEAD without a body, and the WebSocket upgrade (RFC 6455 section 4);
 * and the short answers. No I/O, thread-safe, all input is hostile.
 *
 * The head may hold cookies and a ticket in its query: it is never logged and
 * is wiped when it was used.
 */
#ifndef RELAY_HTTP_HTTP_REQUEST_H
#define RELAY_HTTP_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"

#define HTTP_HEAD_MAX   8192
#define HTTP_FIELDS_MAX 64
/* an answer of http_answer_upgrade or http_answer_error is shorter */
#define HTTP_ANSWER_MAX 3072
/* bytes of frame_origins; longer ones are as if there were none */
#define HTTP_FRAME_ORIGINS_MAX 400

/*
 * Strings point into text and end with a NUL; those that were not sent are
 * NULL, path and host never are. path: as sent, with its percent escapes.
 */
struct http_request {
	bool is_head;
	const char *path, *query;
	const char *host, *origin, *if_none_match;
	const char *ws_key, *ws_version;
	const char *traceparent; /* W3C Trace Context, as sent */
	bool offers_binary;      /* Sec-WebSocket-Protocol lists `binary` */
	bool wants_upgrade; /* Upgrade: websocket and Connection: upgrade */
	bool is_keep_alive; /* the connection may take another request */
	/* set by the caller, after parsing: origins with commas that may show
	 * the page in a frame; NULL: none */
	const char *frame_origins;
	char text[HTTP_HEAD_MAX + 1];
};

/*
 * Reads the head at the front of len bytes of data (borrowed). Returns the
 * bytes used, 0 when it is not complete, or
 *   ERR_PROTOCOL     not HTTP/1.1, or written in a way that two readers may
 *                    understand differently; answer 400
 *   ERR_UNSUPPORTED  another method; answer 405
 *   ERR_LIMIT        over HTTP_HEAD_MAX or HTTP_FIELDS_MAX; answer 431
 * After an error the connection is of no use. Bytes behind an upgrade
 * request are to be refused: a client waits for the answer.
 */
ssize_t http_request_parse(
    struct http_request *req, const uint8_t *data, size_t len);

/* Forgets everything. */
void http_request_wipe(struct http_request *req);

/* The status that an error of http_request_parse is answered with. */
unsigned http_request_error_status(int err);

/*
 * Which status answers a request for a WebSocket: 101, 426 (no upgrade or
 * another version than 13) or 400 (a broken key).
 */
unsigned http_request_websocket_status(const struct http_request *req);

/*
 * May a page of this request's Origin open a WebSocket here? It may when it
 * is https://<Host>, or in `allowed`, a list with commas of origins such as
 * "https://console.example.org" (NULL: none). A request without Origin is no
 * browser's; it is refused unless the list has the word `none`.
 */
bool http_request_origin_ok(
    const struct http_request *req, const char *allowed);

/*
 * Appends the 101 answer to a request that http_request_websocket_status
 * found right. No extension is accepted, no subprotocol but `binary`.
 * Returns 0, ERR_LIMIT or ERR_NOMEM.
 */
int http_answer_upgrade(struct buf *out, const struct http_request *req);

/*
 * Appends a whole answer of plain text. status: 400, 403, 404, 405, 426, 431
 * or 503, anything else is sent as 500. detail: a sentence for the person,
 * ASCII, at most 500 characters, or NULL for the status's own. req: the
 * request, for HEAD and keep-alive, or NULL when it could not be read: the
 * connection closes then. Returns 0, ERR_LIMIT or ERR_NOMEM.
 */
int http_answer_error(struct buf *out, unsigned status, const char *detail,
    const struct http_request *req);

/*
 * Appends the fields that every page and error carries, and the empty line
 * behind the head: what the page may load and from where, no sniffing, no
 * referrer. req: as above. Returns 0, ERR_LIMIT or ERR_NOMEM.
 */
int http_answer_end_head(struct buf *out, const struct http_request *req);

#endif
