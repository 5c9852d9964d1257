#include "common/accept_pause.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	evconnlistener_enable(((struct accept_pause *)arg)->listener);
}

/* libevent hands the error callback the argument of the other one, which is
 * not ours: the pause is found by its listener. */
static LIST_HEAD(, accept_pause) pauses = LIST_HEAD_INITIALIZER(pauses);

static void
on_error(struct evconnlistener *listener, void *arg)
{
	struct accept_pause *p;

	LIST_FOREACH(p, &pauses, link)
		if (p->listener == listener)
			break;
	if (p == NULL)
		return;
	log_error("accept_failed", LOG_S("setting", p->setting), LOG_ERRNO(),
	    LOG_I("again_in_ms", ACCEPT_PAUSE_MS));
	accept_pause_now(p, ACCEPT_PAUSE_MS);
}

int
accept_pause_init(struct accept_pause *p, struct evconnlistener *listener,
    const char *setting)
{
	*p = (struct accept_pause){ .listener = listener, .setting = setting };
	p->timer = evtimer_new(evconnlistener_get_base(listener), on_time, p);
	if (p->timer == NULL)
		return ERR_NOMEM;
	LIST_INSERT_HEAD(&pauses, p, link);
	evconnlistener_set_error_cb(listener, on_error);
	return 0;
}

void
accept_pause_release(struct accept_pause *p)
{
	if (p->timer == NULL)
		return;
	LIST_REMOVE(p, link);
	event_free(p->timer);
	*p = (struct accept_pause){ .timer = NULL };
}

void
accept_pause_now(struct accept_pause *p, unsigned ms)
{
	const struct timeval tv = { ms / 1000,
		(suseconds_t)(ms % 1000) * 1000 };

	evconnlistener_disable(p->listener);
	event_add(p->timer, &tv);
}
