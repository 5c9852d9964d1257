#include "common/curl_loop.h"

#include <event2/event.h>
#include <stdlib.h>

struct curl_loop {
	struct event_base *base;
	curl_done_cb *done;
	CURLM *multi;
	struct event *timer;
};

static void
check_done(struct curl_loop *l)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(l->multi, &left)) != NULL) {
		CURL *easy = msg->easy_handle;
		CURLcode rc = msg->data.result;
		void *private = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&private);
		curl_multi_remove_handle(l->multi, easy);
		l->done(private, rc);
	}
}

static void
on_socket_ready(evutil_socket_t fd, short what, void *arg)
{
	struct curl_loop *l = arg;
	int flags = (what & EV_READ ? CURL_CSELECT_IN : 0) |
	    (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(l->multi, fd, flags, &running);
	check_done(l);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct curl_loop *l = arg;
	int running;

	curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_done(l);
}

/* libcurl says what to watch on a socket; its event hangs on sockp. */
static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *sockp)
{
	struct curl_loop *l = arg;
	struct event *ev = sockp;
	short events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
	    (what & CURL_POLL_OUT ? EV_WRITE : 0);

	if (ev != NULL)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(l->base, fd, events, on_socket_ready, l);
		if (ev != NULL)
			event_add(ev, NULL);
	}
	curl_multi_assign(l->multi, fd, ev);
	return 0;
}

static int
on_timeout(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *l = arg;
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (ms < 0)
		evtimer_del(l->timer);
	else
		evtimer_add(l->timer, &tv);
	return 0;
}

struct curl_loop *
curl_loop_new(struct event_base *base, curl_done_cb *done)
{
	struct curl_loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->base = base;
	l->done = done;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 ||
	    (l->multi = curl_multi_init()) == NULL ||
	    (l->timer = evtimer_new(base, on_timer, l)) == NULL) {
		curl_loop_free(l);
		return NULL;
	}
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	return l;
}

void
curl_loop_free(struct curl_loop *l)
{
	if (l == NULL)
		return;
	curl_multi_cleanup(l->multi);
	if (l->timer != NULL)
		event_free(l->timer);
	free(l);
}

void
curl_loop_add(struct curl_loop *l, CURL *easy)
{
	curl_multi_add_handle(l->multi, easy);
}

void
curl_loop_remove(struct curl_loop *l, CURL *easy)
{
	curl_multi_remove_handle(l->multi, easy);
}
