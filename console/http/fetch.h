/*
 * Requests of a worker to other servers over HTTPS: bounded in number, size
 * and time, certificates verified, redirects not followed. On the worker's
 * loop; nothing blocks.
 */
#ifndef CONSOLE_HTTP_FETCH_H
#define CONSOLE_HTTP_FETCH_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct fetcher;

struct fetcher_conf {
	const char *ca_file; /* trusted besides the system's; NULL: none */
	long seconds;        /* for one answer, name and connection included */
	unsigned max;        /* requests at once */
	unsigned max_per_client; /* of these; 0: clients are not told apart */
	/* Servers may have addresses that are not public
	 * (common/address_scope.h). Looked at when it connects, so a name that
	 * has another address then does not get around it; behind a proxy of
	 * libcurl's environment it is the proxy's address. */
	bool may_be_private;
};

struct fetch {
	const char *url;
	const char *body; /* a POST's, a form unless headers say otherwise;
			   * NULL: GET */
	const char *const *headers; /* lines, then NULL; NULL: none more */
	const char *authorization;  /* field; NULL: none */
	size_t max;                 /* bytes of an answer's body */
};

struct fetch_answer {
	int err;          /* 0: there is an answer, whatever its status */
	const char *why;  /* of err: a sentence's end */
	unsigned status;  /* HTTP */
	const char *body; /* NUL-terminated; borrowed for the call */
	size_t len;
};
typedef void fetch_cb(void *arg, const struct fetch_answer *a);

/* conf: copied; its text is borrowed for good. NULL only for memory. */
struct fetcher *fetcher_new(
    struct event_base *base, const struct fetcher_conf *conf);
/* Requests under way are dropped unanswered. */
void fetcher_free(struct fetcher *f);

/*
 * Sends a request on behalf of a client, whose name is at most 63 bytes. cb is
 * called once, from the loop, after 0 alone; err of its answer is
 * ERR_UNAVAILABLE, ERR_TIMEOUT or ERR_LIMIT (longer than max). Returns 0,
 * ERR_LIMIT (too many are under way) or ERR_NOMEM.
 */
int fetch_start(struct fetcher *f, const char *client, const struct fetch *rq,
    fetch_cb *cb, void *arg);

#endif
