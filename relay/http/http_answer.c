/* The short answers of relay/http/http_request.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "relay/http/http_request.h"

#define DETAIL_MAX 500

static const struct {
	unsigned status;
	const char *name, *detail;
	const char *fields; /* more of the head, or "" */
} answers[] = {
	{ 400, "Bad Request", "This is not a request that can be understood.",
	    "" },
	{ 403, "Forbidden", "This page may not connect here.", "" },
	{ 404, "Not Found", "There is nothing here.", "" },
	{ 405, "Method Not Allowed", "Only GET and HEAD are answered.",
	    "Allow: GET, HEAD\r\n" },
	{ 426, "Upgrade Required", "Only a WebSocket can be opened here.",
	    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" },
	{ 431, "Request Header Fields Too Large",
	    "The head of the request is too long.", "" },
	{ 503, "Service Unavailable", "Try again in a few seconds.",
	    "Retry-After: 5\r\n" },
	{ 500, "Internal Server Error", "Something went wrong.", "" },
};

/* Appends a whole string or nothing. */
static int
put(struct buf *out, const char *s)
{
	return buf_append(out, s, strlen(s));
}

/* base64 of SHA-1 over the key and the string of RFC 6455 section 1.3; here
 * SHA-1 proves only that a WebSocket server answered. */
static int
accept_value(const char *key, char out[29])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t digest[EVP_MAX_MD_SIZE];
	char text[24 + sizeof(guid)];
	unsigned n = 0;

	snprintf(text, sizeof(text), "%.24s%s", key, guid);
	if (EVP_Digest(text, strlen(text), digest, &n, EVP_sha1(), NULL) != 1)
		return ERR_NOMEM;
	EVP_EncodeBlock((unsigned char *)out, digest, (int)n);
	return 0;
}

int
http_answer_upgrade(struct buf *out, const struct http_request *req)
{
	char head[320], value[29];
	int rc = accept_value(req->ws_key, value);

	if (rc != 0)
		return rc;
	snprintf(head, sizeof(head),
	    "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n" HTTP_HSTS_FIELD "%s\r\n",
	    value,
	    req->offers_binary ? "Sec-WebSocket-Protocol: binary\r\n" : "");
	return put(out, head);
}

/* The origins with spaces between; 'none' for none, or for what would be more
 * than a list of them. */
static const char *
frame_ancestors(const struct http_request *req, char *out)
{
	const char *list = req != NULL ? req->frame_origins : NULL;
	size_t n = 0;

	if (list == NULL || strlen(list) > HTTP_FRAME_ORIGINS_MAX ||
	    strspn(list,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789.-_:/[], ") != strlen(list))
		list = "";
	for (; *list != '\0'; list++)
		out[n++] = *list == ',' ? ' ' : *list;
	out[n] = '\0';
	return strspn(out, " ") == n ? "'none'" : out;
}

int
http_answer_end_head(struct buf *out, const struct http_request *req)
{
	char head[2048], frames[HTTP_FRAME_ORIGINS_MAX + 1];
	bool is_open = req != NULL && req->is_keep_alive;

	/* data: is for the pointer and JPEG rectangles, which noVNC turns
	 * into images; some browsers do not count wss: as 'self' */
	snprintf(head, sizeof(head),
	    "Content-Security-Policy: default-src 'self'; "
	    "connect-src 'self'%s%s; img-src 'self' data: blob:; "
	    "object-src 'none'; base-uri 'none'; form-action 'self'; "
	    "frame-ancestors %s\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Cross-Origin-Opener-Policy: same-origin\r\n" HTTP_HSTS_FIELD "%s"
	    "\r\n",
	    req != NULL ? " wss://" : "", req != NULL ? req->host : "",
	    frame_ancestors(req, frames),
	    is_open ? "" : "Connection: close\r\n");
	return put(out, head);
}

int
http_answer_error(struct buf *out, unsigned status, const char *detail,
    const struct http_request *req)
{
	char head[512], body[DETAIL_MAX + 2];
	size_t i = 0;

	while (i + 1 < N_ELEMENTS(answers) && answers[i].status != status)
		i++;
	snprintf(body, sizeof(body), "%.*s\n", DETAIL_MAX,
	    detail != NULL ? detail : answers[i].detail);
	snprintf(head, sizeof(head),
	    "HTTP/1.1 %u %s\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n"
	    "%s",
	    answers[i].status, answers[i].name, strlen(body),
	    answers[i].fields);
	/* one after the other, but all or nothing */
	if (buf_reserve(out, HTTP_ANSWER_MAX) == NULL)
		return ERR_LIMIT;
	put(out, head);
	http_answer_end_head(out, req);
	return req != NULL && req->is_head ? 0 : put(out, body);
}
