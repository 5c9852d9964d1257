#include "relay/recording/recorder_link.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"

/* Words taken at a time: the loop has other sessions, too. */
#define WORDS_AT_ONCE 8

void
recorder_link_init(struct recorder_link *k, struct event_base *base,
    const struct recorder_link_ops *ops, void *arg)
{
	*k = (struct recorder_link){
		.base = base, .ops = ops, .arg = arg, .fd = -1
	};
}

/* A recorder's text is not trusted: printable ASCII only. */
static void
clean_text(struct tee_status *st)
{
	st->text[sizeof(st->text) - 1] = '\0';
	for (char *p = st->text; *p != '\0'; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
}

static void
drop_status(struct recorder_link *k)
{
	if (k->status != NULL)
		event_free(k->status);
	if (k->fd >= 0)
		close(k->fd);
	k->status = NULL;
	k->fd = -1;
}

static void
on_status(evutil_socket_t fd, short what, void *arg)
{
	struct recorder_link *k = arg;
	struct tee_status st;
	ssize_t n;

	for (unsigned i = 0; i < WORDS_AT_ONCE && k->fd == fd; i++) {
		n = recv(fd, &st, sizeof(st), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(st)) {
			clean_text(&st);
			k->ops->said(k->arg, &st);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		drop_status(k);
		k->ops->closed(k->arg);
		return;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct recorder_link *k = arg;

	k->ops->late(k->arg);
}

static void
on_space(evutil_socket_t fd, short what, void *arg)
{
	struct recorder_link *k = arg;
	uint64_t n;

	if (read(fd, &n, sizeof(n)) > 0)
		k->ops->space(k->arg);
}

/* The space event and the timer are made once. */
static int
make_events(struct recorder_link *k, int space_fd)
{
	if (k->space == NULL)
		k->space = event_new(
		    k->base, space_fd, EV_READ | EV_PERSIST, on_space, k);
	if (k->timer == NULL)
		k->timer = evtimer_new(k->base, on_timer, k);
	k->status =
	    event_new(k->base, k->fd, EV_READ | EV_PERSIST, on_status, k);
	return k->status != NULL && k->space != NULL && k->timer != NULL &&
		event_add(k->status, NULL) == 0 &&
		event_add(k->space, NULL) == 0
	    ? 0
	    : ERR_NOMEM;
}

int
recorder_link_open(struct recorder_link *k, int space_fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_IO;
	k->fd = pair[0];
	k->is_ready = false;
	if (make_events(k, space_fd) == 0)
		return pair[1];
	drop_status(k);
	close(pair[1]);
	return ERR_NOMEM;
}

bool
recorder_link_ready(struct recorder_link *k)
{
	if (k->is_ready)
		return false;
	k->is_ready = true;
	recorder_link_stop_timer(k);
	return true;
}

void
recorder_link_wait(struct recorder_link *k, uint64_t ns)
{
	const struct timeval tv = { (time_t)(ns / NS_PER_S),
		(suseconds_t)(ns % NS_PER_S / 1000) };

	if (k->timer != NULL)
		event_add(k->timer, &tv);
}

void
recorder_link_stop_timer(struct recorder_link *k)
{
	if (k->timer != NULL)
		event_del(k->timer);
}

void
recorder_link_release(struct recorder_link *k)
{
	drop_status(k);
	if (k->space != NULL)
		event_free(k->space);
	if (k->timer != NULL)
		event_free(k->timer);
	k->space = k->timer = NULL;
}
