#include "agent/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/err.h"

struct resolve {
	/* both sides */
	pthread_mutex_t lock;
	unsigned refs; /* the thread's and the loop's */
	/* the thread's until it has written into the pipe */
	struct hostport name;
	struct addrinfo *list;
	int result;
	int pipe[2];
	/* the loop's */
	struct event *ev;
	resolve_cb *cb;
	void *arg;
};

static void
unref(struct resolve *r)
{
	unsigned left;

	pthread_mutex_lock(&r->lock);
	left = --r->refs;
	pthread_mutex_unlock(&r->lock);
	if (left > 0)
		return;
	pthread_mutex_destroy(&r->lock);
	close(r->pipe[0]);
	close(r->pipe[1]);
	if (r->list != NULL)
		freeaddrinfo(r->list);
	free(r);
}

static void *
look_up(void *arg)
{
	struct resolve *r = arg;
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV };
	char port[8];
	ssize_t n;

	snprintf(port, sizeof(port), "%u", r->name.port);
	r->result = getaddrinfo(r->name.host, port, &hints, &r->list);
	if (r->result == EAI_SYSTEM && errno == 0)
		r->result = EAI_FAIL;
	do {
		n = write(r->pipe[1], "", 1);
	} while (n < 0 && errno == EINTR);
	unref(r);
	return NULL;
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct resolve *r = arg;
	char byte;

	/* what the thread wrote before the byte is visible after it */
	if (read(fd, &byte, 1) != 1)
		return;
	r->cb(r->arg, r->result == 0 ? r->list : NULL,
	    r->result == 0 ? NULL : gai_strerror(r->result));
	resolve_cancel(r);
}

/* Signals belong to the loop's thread. */
static int
start_thread(struct resolve *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	if (pthread_attr_init(&attr) != 0)
		return ERR_NOMEM;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&thread, &attr, look_up, r);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc == 0 ? 0 : ERR_NOMEM;
}

struct resolve *
resolve_start(struct event_base *base, const struct hostport *name,
    resolve_cb *cb, void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	if (pipe2(r->pipe, O_CLOEXEC) != 0) {
		free(r);
		return NULL;
	}
	pthread_mutex_init(&r->lock, NULL);
	r->refs = 1;
	r->name = *name;
	r->cb = cb;
	r->arg = arg;
	r->ev = event_new(base, r->pipe[0], EV_READ, on_answer, r);
	if (r->ev == NULL || event_add(r->ev, NULL) != 0) {
		resolve_cancel(r);
		return NULL;
	}
	r->refs = 2;
	if (start_thread(r) != 0) {
		r->refs = 1;
		resolve_cancel(r);
		return NULL;
	}
	return r;
}

void
resolve_cancel(struct resolve *r)
{
	if (r == NULL)
		return;
	if (r->ev != NULL)
		event_free(r->ev);
	r->ev = NULL;
	unref(r);
}
