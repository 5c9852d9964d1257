/* Sending a request's answer, and the end of the request. */
#ifndef CONSOLE_API_ANSWER_H
#define CONSOLE_API_ANSWER_H

#include <stddef.h>

struct request;

/* Frees without an answer: it was sent, or the client went away. */
void request_free(struct request *r);

/* The client went away; what is under way finds no http and frees it. */
void request_lost(struct request *r);

/* Sends an answer that is kept for its Idempotency-Key: JSON, or from status
 * 400 on a problem document; len 0: no body. */
void request_send(
    struct request *r, unsigned status, const char *text, size_t len);

/* An answer that was held back until rows were written; body: taken. */
struct evbuffer;
void request_send_held(
    struct request *r, unsigned status, struct evbuffer *body);

/*
 * A streamed answer: begin sends its head, the caller sends chunks by evhttp,
 * end ends it. Once it is begun, request_problem() and request_break() close
 * the connection, so that the client sees that it is not complete.
 */
void request_begin(struct request *r, unsigned status);
void request_end(struct request *r);
void request_break(struct request *r);

#endif
