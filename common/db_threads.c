#include "common/db_threads.h"

#include <event2/event.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Servers that hang take such a request and do not answer it. */
#define CANCELS_MAX 4

/* Shared by the loop and the thread; the last one frees. */
struct db_resolve {
	_Atomic int n_refs;
	int fd; /* eventfd: done */
	char *host;
	struct db_addresses found;
	struct event *done; /* the loop's alone */
	db_resolved_cb *cb;
	void *arg;
};

static int
start_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, old;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* signals are for the others */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	rc = pthread_create(&thread, &attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

static void
unref(struct db_resolve *r)
{
	if (atomic_fetch_sub(&r->n_refs, 1) > 1)
		return;
	close(r->fd);
	free(r->host);
	free(r);
}

static void
take(struct db_addresses *out, const struct addrinfo *list)
{
	for (; list != NULL && out->n < DB_ADDRESSES_MAX; list = list->ai_next)
		if (getnameinfo(list->ai_addr, list->ai_addrlen,
			out->list[out->n], DB_ADDRESS_LEN, NULL, 0,
			NI_NUMERICHOST) == 0)
			out->n++;
	if (out->n == 0)
		out->error = EAI_NONAME;
}

static void *
look_up(void *arg)
{
	struct db_resolve *r = arg;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	uint64_t one = 1;
	ssize_t n;

	r->found.error = getaddrinfo(r->host, NULL, &hints, &list);
	if (r->found.error == 0) {
		take(&r->found, list);
		freeaddrinfo(list);
	}
	n = write(r->fd, &one, sizeof(one));
	(void)n; /* the loop's time limit sees it */
	unref(r);
	return NULL;
}

static void
on_done(evutil_socket_t fd, short what, void *arg)
{
	struct db_resolve *r = arg;
	db_resolved_cb *cb = r->cb;

	/* the callback may stop it */
	atomic_fetch_add(&r->n_refs, 1);
	cb(r->arg, &r->found);
	unref(r);
}

struct db_resolve *
db_resolve_start(
    struct event_base *base, const char *host, db_resolved_cb *cb, void *arg)
{
	struct db_resolve *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->n_refs = 2;
	r->cb = cb;
	r->arg = arg;
	r->host = strdup(host);
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->done = event_new(base, r->fd, EV_READ, on_done, r);
	if (r->host != NULL && r->fd >= 0 && r->done != NULL &&
	    event_add(r->done, NULL) == 0 && start_thread(look_up, r) == 0)
		return r;
	r->n_refs = 1;
	db_resolve_stop(r);
	return NULL;
}

void
db_resolve_stop(struct db_resolve *r)
{
	if (r == NULL)
		return;
	if (r->done != NULL)
		event_free(r->done);
	unref(r);
}

/* ---- cancelling ---- */

static _Atomic int n_cancels;

static void *
run_cancel(void *arg)
{
	char why[256];

	PQcancel(arg, why, sizeof(why));
	PQfreeCancel(arg);
	atomic_fetch_sub(&n_cancels, 1);
	return NULL;
}

void
db_cancel(PGconn *c)
{
	PGcancel *cancel;

	if (atomic_fetch_add(&n_cancels, 1) >= CANCELS_MAX ||
	    (cancel = PQgetCancel(c)) == NULL) {
		atomic_fetch_sub(&n_cancels, 1);
		return;
	}
	if (start_thread(run_cancel, cancel) != 0) {
		PQfreeCancel(cancel);
		atomic_fetch_sub(&n_cancels, 1);
	}
}
