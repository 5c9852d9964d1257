/*
 * HTTP/1.1 requests one after the other over a connection, with a file as
 * body where there is one: what handing over captures needs of a client. An
 * answer may come before the body has left. One loop owns it.
 */
#ifndef AGENT_CAPTURE_EXCHANGE_H
#define AGENT_CAPTURE_EXCHANGE_H

#include <event2/bufferevent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXCHANGE_HEAD_MAX   4096 /* of an answer */
#define EXCHANGE_TEXT_MAX   512  /* of what is kept of its body */
#define EXCHANGE_SILENT_S   120  /* nothing is taken for so long: it is over */
#define EXCHANGE_THINKING_S 1800 /* the same, when all was sent */

struct exchange_answer {
	int status;
	bool keeps;                   /* another request may follow */
	char head[EXCHANGE_HEAD_MAX]; /* status line and fields */
	char text[EXCHANGE_TEXT_MAX]; /* the body's begin, printable */
};

/*
 * The value of a field of the head as a number of at most 19 digits; false:
 * there is no such field.
 */
bool exchange_number(
    const struct exchange_answer *a, const char *name, uint64_t *out);

/* a: the answer, borrowed; or NULL and why: the connection is of no use any
 * more. The exchange may be freed in it. */
typedef void exchange_cb(
    void *arg, const struct exchange_answer *a, const char *why);

struct exchange_request {
	const char *method, *path;
	const char *fields; /* each with its line end; Host among them */
	int fd;             /* body: bytes from..to of it; borrowed */
	uint64_t from, to;  /* equal: no body */
	uint64_t rate;      /* bytes per second, 0: as fast as it goes */
};

struct exchange;

/* Takes bev, also on failure. Returns NULL for memory. */
struct exchange *exchange_new(struct event_base *base, struct bufferevent *bev,
    exchange_cb *cb, void *arg);

/* Sends a request; the last one was answered. cb follows, never from within.
 * Returns 0, ERR_NOMEM or ERR_IO: the connection was closed. */
int exchange_send(struct exchange *x, const struct exchange_request *r);

/* Offset in the file up to which the body was given to the connection. */
uint64_t exchange_at(const struct exchange *x);

/* Closes; cb is not called. NULL is fine. */
void exchange_free(struct exchange *x);

#endif
