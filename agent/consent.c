#include "agent/consent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct consent {
	struct dialog_ask ask;
	struct dialog dialog;
	struct child *child;
	struct event *ticker; /* once a second */
	unsigned left;
	consent_cb *cb;
	void *arg;
};

void
consent_stop(struct consent *c)
{
	if (c == NULL)
		return;
	child_stop(c->child);
	if (c->ticker != NULL)
		event_free(c->ticker);
	free(c);
}

static void
answer(struct consent *c, enum agent_answer what, const char *text)
{
	consent_cb *cb = c->cb;
	void *arg = c->arg;

	consent_stop(c);
	cb(arg, what, text);
}

static void
show_time(struct consent *c)
{
	char text[DIALOG_TEXT_MAX];

	if (c->dialog.tool != DIALOG_ZENITY)
		return;
	dialog_tick(&c->ask, c->left, text);
	child_write(c->child, text);
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct consent *c = arg;

	c->left--;
	if (c->left > 0)
		show_time(c);
	else
		answer(c, AGENT_ANSWER_TIMEOUT, "");
}

static void
on_exit_of_dialog(void *arg, int status, const char *output)
{
	struct consent *c = arg;
	enum agent_answer what = dialog_answer(c->dialog.tool, status, output);

	c->child = NULL; /* it frees itself */
	if (what == AGENT_ANSWER_NO_DIALOG)
		log_warn("consent_dialog_failed",
		    LOG_S("program", c->dialog.argv[0]),
		    LOG_I("status", status), LOG_S("output", output));
	answer(c, what,
	    what == AGENT_ANSWER_NO_DIALOG
		? "the endpoint's consent dialog could not be shown"
		: "");
}

struct consent *
consent_start(struct event_base *base, struct children *children,
    const struct dialog_screen *screen, const struct dialog_ask *ask,
    consent_cb *cb, void *arg)
{
	const struct timeval second = { .tv_sec = 1 };
	enum dialog_tool tool = dialog_consent_tool(screen);
	struct consent *c;

	if (tool == DIALOG_NONE)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->ask = *ask;
	c->left = ask->seconds > 0 ? ask->seconds : 1;
	c->cb = cb;
	c->arg = arg;
	dialog_consent(&c->dialog, tool, screen, ask);
	c->child = child_start(
	    children, c->dialog.argv, c->dialog.env, on_exit_of_dialog, c);
	c->ticker = event_new(base, -1, EV_PERSIST, on_second, c);
	if (c->child == NULL || c->ticker == NULL ||
	    event_add(c->ticker, &second) != 0) {
		consent_stop(c);
		return NULL;
	}
	show_time(c);
	return c;
}
