/*
 * How the endpoint's user is asked and told: which program shows it, with
 * which arguments, and what its answer means. Names come from elsewhere: no
 * character of them is ever an option or markup. Looks into PATH, starts
 * nothing; not thread-safe.
 *
 * In every dialog the button that has the keyboard declines: who is typing
 * when it pops up grants nothing.
 */
#ifndef AGENT_DIALOG_H
#define AGENT_DIALOG_H

#include <stdint.h>

#include "common/agent_proto.h"

#define DIALOG_TEXT_MAX 1024
#define DIALOG_MAX_ARGS 32
#define DIALOG_MAX_ENV  8
#define DIALOG_ENV_MAX  (AGENT_TEXT_MAX + 32)

enum dialog_tool {
	DIALOG_NONE, /* nobody can be asked */
	DIALOG_COMMAND,
	DIALOG_ZENITY,
	DIALOG_KDIALOG,
	DIALOG_XMESSAGE,
};

/* Where windows go; all may be NULL: the environment counts. */
struct dialog_screen {
	const char *display, *xauthority;
	const char *consent_command, *indicator_command;
};

/* What is asked. */
struct dialog_ask {
	const char *technician, *team;
	enum agent_recorded recorded;
	unsigned seconds;
};

/* A program ready to be started; points into itself: do not copy. */
struct dialog {
	enum dialog_tool tool;
	const char *argv[DIALOG_MAX_ARGS];
	const char *env[DIALOG_MAX_ENV];
	unsigned n_args, n_env;
	char text[DIALOG_TEXT_MAX];
	char env_text[DIALOG_MAX_ENV][DIALOG_ENV_MAX];
};

/* What to use: a configured command; else zenity, kdialog or xmessage as
 * PATH has them, if there is a screen. */
enum dialog_tool dialog_consent_tool(const struct dialog_screen *s);

/* The same for the note; a strip at the screen's edge comes first. */
enum dialog_tool dialog_indicator_tool(const struct dialog_screen *s);

/* Fills d for the question. tool is not DIALOG_NONE. */
void dialog_consent(struct dialog *d, enum dialog_tool tool,
    const struct dialog_screen *s, const struct dialog_ask *ask);

/* Fills d for the note that a session is recorded. */
void dialog_indicator(struct dialog *d, enum dialog_tool tool,
    const struct dialog_screen *s, const char *session, const char *text);

/* Fills d for the window with an attended session's code. Returns 0, or
 * ERR_UNAVAILABLE without a screen or zenity. */
int dialog_code(
    struct dialog *d, const struct dialog_screen *s, const char *spaced_code);

/*
 * What DIALOG_ZENITY reads on its standard input to show that `left` seconds
 * are left: the text again, and the bar.
 */
void dialog_tick(
    const struct dialog_ask *ask, unsigned left, char out[DIALOG_TEXT_MAX]);

/*
 * What a consent program's end means. status: of waitpid(2). output: all it
 * printed. AGENT_ANSWER_NO_DIALOG when it could not ask.
 */
enum agent_answer dialog_answer(
    enum dialog_tool tool, int status, const char *output);

#endif
