/*
 * For servers whose sockets libevent accepts: when descriptors or memory are
 * short, accepting pauses for a moment instead of spinning on a listening
 * socket that stays readable (event2/listener.h). All of a process are on one
 * thread.
 */
#ifndef COMMON_ACCEPT_PAUSE_H
#define COMMON_ACCEPT_PAUSE_H

#include <sys/queue.h>

#define ACCEPT_PAUSE_MS 200

struct event;
struct evconnlistener;

/* All zeros: none. */
struct accept_pause {
	LIST_ENTRY(accept_pause) link;
	struct evconnlistener *listener; /* borrowed */
	const char *setting;             /* static, for the log */
	struct event *timer;
};

/* Watches a listener from now on. Returns 0 or ERR_NOMEM. */
int accept_pause_init(struct accept_pause *p, struct evconnlistener *listener,
    const char *setting);
/* Before the listener is freed. Safe to repeat. */
void accept_pause_release(struct accept_pause *p);

/* Accepts nothing for ms milliseconds; 0: until the loop has done what else
 * is ready. */
void accept_pause_now(struct accept_pause *p, unsigned ms);

#endif
