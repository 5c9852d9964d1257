/*
 * Rows that an answer waits for: entries of the audit log (X7), and failed
 * logins that count. The answer is sent when all of them are committed; when
 * one cannot be, the answer is 503 in its place, so that nobody is answered
 * without a trace. On the worker's loop.
 */
#ifndef CONSOLE_API_WRITE_H
#define CONSOLE_API_WRITE_H

#include <stdbool.h>
#include <sys/queue.h>

struct evbuffer;
struct request;
struct write;
LIST_HEAD(write_list, write);

/* Of one request; all zeros: none. */
struct writes {
	struct write_list list; /* under way */
	bool has_failed;
	bool is_holding; /* the answer: */
	unsigned status;
	struct evbuffer *body;
};

/* Writes beside what the handler asks the database; the handler goes on at
 * once. It is written too when the client goes. n: as of request_query(). */
void request_write(
    struct request *r, const char *sql, int n, const char *const *params);

/* For answer.c: true when the answer (body: taken then) has to wait, or was
 * replaced. */
bool writes_hold(struct request *r, unsigned status, struct evbuffer *body);

/* When r is freed; what is under way goes on. */
void writes_release(struct request *r);

#endif
