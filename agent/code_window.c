#include "agent/code_window.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"

struct code_window {
	struct children *children;
	const struct dialog_screen *screen;
	struct dialog dialog;
	struct child *child;
	code_window_cb *cb;
	void *arg;
};

struct code_window *
code_window_new(struct children *children, const struct dialog_screen *screen,
    code_window_cb *cb, void *arg)
{
	struct code_window *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->children = children;
	w->screen = screen;
	w->cb = cb;
	w->arg = arg;
	return w;
}

static void
on_exit_of_window(void *arg, int status, const char *output)
{
	struct code_window *w = arg;

	w->child = NULL; /* it frees itself */
	/* a window that never was is no wish to end */
	if (dialog_answer(DIALOG_ZENITY, status, output) ==
	    AGENT_ANSWER_NO_DIALOG) {
		log_warn("code_window_failed", LOG_S("output", output));
		return;
	}
	w->cb(w->arg);
}

void
code_window_show(struct code_window *w, const char *code, uint32_t valid_s)
{
	char spaced[16];

	if (w == NULL)
		return;
	snprintf(
	    spaced, sizeof(spaced), "%.3s %.3s %.3s", code, code + 3, code + 6);
	printf("Session code: %s\n", spaced);
	fflush(stdout);
	log_info("code", LOG_U("valid_s", valid_s));
	child_stop(w->child);
	w->child = NULL;
	if (dialog_code(&w->dialog, w->screen, spaced) != 0)
		return;
	w->child = child_start(
	    w->children, w->dialog.argv, w->dialog.env, on_exit_of_window, w);
}

void
code_window_hide(struct code_window *w, const char *why)
{
	if (w == NULL)
		return;
	printf("No code: %s. Trying again.\n", why);
	fflush(stdout);
	child_stop(w->child);
	w->child = NULL;
}

void
code_window_free(struct code_window *w)
{
	if (w == NULL)
		return;
	child_stop(w->child);
	free(w);
}
