#include "agent/indicator.h"

#include <stdlib.h>

#include "common/log.h"

#define AGAIN_S 60

struct indicator {
	struct children *children;
	struct dialog dialog;
	struct child *child; /* NULL while it is closed */
	struct event *again;
};

static void
on_exit_of_note(void *arg, int status, const char *output)
{
	const struct timeval delay = { .tv_sec = AGAIN_S };
	struct indicator *i = arg;

	i->child = NULL; /* it frees itself */
	log_info("indicator_closed", LOG_S("program", i->dialog.argv[0]),
	    LOG_I("status", status), LOG_S("output", output));
	event_add(i->again, &delay);
}

static void
show(struct indicator *i)
{
	i->child = child_start(
	    i->children, i->dialog.argv, i->dialog.env, on_exit_of_note, i);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	show(arg);
}

struct indicator *
indicator_start(struct event_base *base, struct children *children,
    const struct dialog_screen *screen, const char *session, const char *text)
{
	enum dialog_tool tool = dialog_indicator_tool(screen);
	struct indicator *i;

	if (tool == DIALOG_NONE)
		return NULL;
	i = calloc(1, sizeof(*i));
	if (i == NULL)
		return NULL;
	i->children = children;
	i->again = evtimer_new(base, on_again, i);
	dialog_indicator(&i->dialog, tool, screen, session, text);
	if (i->again != NULL)
		show(i);
	if (i->child == NULL) {
		indicator_stop(i);
		return NULL;
	}
	return i;
}

void
indicator_stop(struct indicator *i)
{
	if (i == NULL)
		return;
	child_stop(i->child);
	if (i->again != NULL)
		event_free(i->again);
	free(i);
}
