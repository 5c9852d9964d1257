#include "agent/dialog.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/child.h"
#include "common/err.h"

#define TITLE   "Remote access"
#define FULL    "Allow full control"
#define VIEW    "Allow view only"
#define DECLINE "Decline"

/* xmessage's exit codes */
#define CODE_FULL    101
#define CODE_VIEW    102
#define CODE_DECLINE 103

static bool
has_screen(const struct dialog_screen *s)
{
	static const char *const names[] = { "DISPLAY", "WAYLAND_DISPLAY" };

	if (s->display != NULL && *s->display != '\0')
		return true;
	for (size_t i = 0; i < 2; i++) {
		const char *v = getenv(names[i]);

		if (v != NULL && *v != '\0')
			return true;
	}
	return false;
}

/* The first program of the list that PATH has. */
static enum dialog_tool
find_tool(const enum dialog_tool *tools, size_t n)
{
	static const char *const names[] = { "", "", "zenity", "kdialog",
		"xmessage" };
	char path[4096];

	for (size_t i = 0; i < n; i++)
		if (child_find(names[tools[i]], path, sizeof(path)) != NULL)
			return tools[i];
	return DIALOG_NONE;
}

enum dialog_tool
dialog_consent_tool(const struct dialog_screen *s)
{
	static const enum dialog_tool order[] = { DIALOG_ZENITY, DIALOG_KDIALOG,
		DIALOG_XMESSAGE };

	if (s->consent_command != NULL && *s->consent_command != '\0')
		return DIALOG_COMMAND;
	return has_screen(s) ? find_tool(order, 3) : DIALOG_NONE;
}

enum dialog_tool
dialog_indicator_tool(const struct dialog_screen *s)
{
	static const enum dialog_tool order[] = { DIALOG_XMESSAGE,
		DIALOG_ZENITY, DIALOG_KDIALOG };

	if (s->indicator_command != NULL && *s->indicator_command != '\0')
		return DIALOG_COMMAND;
	return has_screen(s) ? find_tool(order, 3) : DIALOG_NONE;
}

static void
add_arg(struct dialog *d, const char *arg)
{
	assert(d->n_args < DIALOG_MAX_ARGS - 1);
	d->argv[d->n_args++] = arg;
}

static void
add_args(struct dialog *d, const char *const *args)
{
	for (; *args != NULL; args++)
		add_arg(d, *args);
}

static void
add_env(struct dialog *d, const char *name, const char *value)
{
	char *out = d->env_text[d->n_env];

	assert(d->n_env < DIALOG_MAX_ENV - 1);
	if (value == NULL || *value == '\0')
		return;
	snprintf(out, DIALOG_ENV_MAX, "%s=%s", name, value);
	d->env[d->n_env++] = out;
}

static void
begin(struct dialog *d, enum dialog_tool tool, const struct dialog_screen *s)
{
	*d = (struct dialog){ .tool = tool };
	add_env(d, "DISPLAY", s->display);
	add_env(d, "XAUTHORITY", s->xauthority);
}

static void
add_shell(struct dialog *d, const char *command)
{
	add_arg(d, "/bin/sh");
	add_arg(d, "-c");
	add_arg(d, command);
}

/*
 * Escapes one character: HTML for kdialog, backslashes for zenity's own
 * escapes. Returns what to write instead, or NULL.
 */
static const char *
escaped(enum dialog_tool tool, char c)
{
	if (tool == DIALOG_ZENITY)
		return c == '\\' ? "\\\\" : c == '\n' ? "\\n" : NULL;
	if (tool != DIALOG_KDIALOG)
		return NULL;
	switch (c) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '\n':
		return "<br>";
	default:
		return NULL;
	}
}

/* xmessage draws ISO 8859-1: a character's bytes, one byte of output. */
static size_t
latin1(const unsigned char *s, char *out)
{
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (n == 1)
		*out = (char)s[0];
	else if (n == 2 && s[0] < 0xc4)
		*out = (char)((s[0] & 3) << 6 | (s[1] & 0x3f));
	else
		*out = '?';
	return n;
}

/* Text of valid UTF-8 as tool takes it, cut where out ends. */
static void
append(char *out, size_t size, enum dialog_tool tool, const char *text)
{
	size_t at = strlen(out);

	while (*text != '\0') {
		const char *instead = escaped(tool, *text);
		char one[2] = { *text, '\0' };
		size_t n = 1, len;

		if (tool == DIALOG_XMESSAGE)
			n = latin1((const unsigned char *)text, one);
		if (instead == NULL)
			instead = one;
		len = strlen(instead);
		if (at + len >= size)
			return;
		memcpy(out + at, instead, len + 1);
		at += len;
		text += n;
	}
}

static void
question(char *out, size_t size, enum dialog_tool tool,
    const struct dialog_ask *ask, unsigned seconds)
{
	static const char *const recorded[] = { "",
		"The session will be recorded.\n",
		"The session can be recorded.\n" };
	char line[128];

	/* the first word is ours, so that no name can be an option */
	append(out, size, tool, "Technician ");
	append(out, size, tool, ask->technician);
	if (ask->team != NULL && *ask->team != '\0') {
		append(out, size, tool, " of the team ");
		append(out, size, tool, ask->team);
	}
	append(out, size, tool, " wants to connect to this computer.\n");
	append(out, size, tool, recorded[ask->recorded]);
	snprintf(line, sizeof(line),
	    "\nWithout an answer the request is declined %s %u second%s.",
	    tool == DIALOG_ZENITY ? "in" : "after", seconds,
	    seconds == 1 ? "" : "s");
	append(out, size, tool, line);
}

void
dialog_tick(
    const struct dialog_ask *ask, unsigned left, char out[DIALOG_TEXT_MAX])
{
	unsigned percent = ask->seconds > 0 ? left * 100 / ask->seconds : 0;

	snprintf(out, DIALOG_TEXT_MAX, "%u\n# ", percent);
	/* room for the line end that makes zenity show it */
	question(out, DIALOG_TEXT_MAX - 1, DIALOG_ZENITY, ask, left);
	strcat(out, "\n");
}

/* A progress bar at 100 % lets its buttons be pressed; its text can change
 * while it stands there, a question's cannot. */
static const char *const zenity_consent[] = { "zenity", "--progress", "--title",
	TITLE, "--width=520", "--no-cancel", "--percentage=100", "--ok-label",
	DECLINE, "--extra-button", FULL, "--extra-button", VIEW, NULL };

static void
kdialog_consent(struct dialog *d)
{
	static const char *const head[] = { "kdialog", "--title", TITLE,
		"--radiolist", NULL };
	static const char *const choices[] = { "full", FULL, "off", "view",
		VIEW, "off", "decline", DECLINE, "on", NULL };

	add_args(d, head);
	add_arg(d, d->text);
	add_args(d, choices);
}

static void
xmessage_consent(struct dialog *d)
{
	static const char *const head[] = { "xmessage", "-title", TITLE,
		"-center", "-xrm", "*message.scrollVertical: never", "-buttons",
		DECLINE ":103," FULL ":101," VIEW ":102", NULL };

	add_args(d, head);
	add_arg(d, d->text);
}

static void
command_consent(struct dialog *d, const struct dialog_screen *s,
    const struct dialog_ask *ask)
{
	static const char *const recorded[] = { "no", "yes", "maybe" };
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%u", ask->seconds);
	add_env(d, "RELAYCAM_TECHNICIAN", ask->technician);
	add_env(d, "RELAYCAM_TEAM", ask->team);
	add_env(d, "RELAYCAM_RECORDED", recorded[ask->recorded]);
	add_env(d, "RELAYCAM_SECONDS", seconds);
	add_shell(d, s->consent_command);
}

void
dialog_consent(struct dialog *d, enum dialog_tool tool,
    const struct dialog_screen *s, const struct dialog_ask *ask)
{
	begin(d, tool, s);
	if (tool == DIALOG_KDIALOG)
		strcpy(d->text, "<qt>");
	question(d->text, sizeof(d->text), tool, ask, ask->seconds);
	switch (tool) {
	case DIALOG_COMMAND:
		command_consent(d, s, ask);
		break;
	case DIALOG_ZENITY:
		add_args(d, zenity_consent);
		break;
	case DIALOG_KDIALOG:
		kdialog_consent(d);
		break;
	case DIALOG_NONE:
	case DIALOG_XMESSAGE:
	default:
		xmessage_consent(d);
	}
}

/* A strip without a frame: no window manager puts it away. */
static const char *const xmessage_note[] = { "xmessage", "-title", TITLE,
	"-xrm", "xmessage*overrideRedirect: true", "-xrm",
	"*message.scrollVertical: never", "-xrm", "*message.borderWidth: 0",
	"-buttons", "", "-geometry", "-0+0", "-bg", "#a01020", "-fg", "white",
	"-fn", "-*-helvetica-bold-r-normal-*-14-*-*-*-*-*-iso8859-1", NULL };
static const char *const zenity_note[] = { "zenity", "--info", "--no-markup",
	"--title", TITLE, "--ok-label", "Hide", "--text", NULL };
static const char *const kdialog_note[] = { "kdialog", "--title", TITLE,
	"--msgbox", NULL };

void
dialog_indicator(struct dialog *d, enum dialog_tool tool,
    const struct dialog_screen *s, const char *session, const char *text)
{
	begin(d, tool, s);
	if (tool == DIALOG_COMMAND) {
		add_env(d, "RELAYCAM_SESSION", session);
		add_env(d, "RELAYCAM_TEXT", text);
		add_shell(d, s->indicator_command);
		return;
	}
	/* a blank: what begins with one is no option */
	strcpy(d->text, tool == DIALOG_KDIALOG ? "<qt>" : " ");
	/* --text gets no escapes of zenity's when markup is off */
	append(d->text, sizeof(d->text) - 1,
	    tool == DIALOG_ZENITY ? DIALOG_COMMAND : tool, text);
	strcat(d->text, tool == DIALOG_KDIALOG ? "" : " ");
	add_args(d,
	    tool == DIALOG_XMESSAGE      ? xmessage_note
		: tool == DIALOG_KDIALOG ? kdialog_note
					 : zenity_note);
	add_arg(d, d->text);
}

int
dialog_code(
    struct dialog *d, const struct dialog_screen *s, const char *spaced_code)
{
	static const char *const head[] = { "zenity", "--info", "--title",
		"Session code", "--width=340", "--ok-label", "End", "--text",
		NULL };

	begin(d, DIALOG_ZENITY, s);
	snprintf(d->text, sizeof(d->text),
	    "Tell the technician this code:\n\n"
	    "<span size=\"xx-large\" weight=\"bold\">%s</span>\n\n"
	    "It is valid until this window is closed,\n"
	    "which also ends the session.",
	    spaced_code);
	add_args(d, head);
	add_arg(d, d->text);
	return 0;
}

static enum agent_answer
command_answer(const char *output)
{
	static const struct {
		const char *word;
		enum agent_answer answer;
	} words[] = { { "full", AGENT_ANSWER_FULL },
		{ "view", AGENT_ANSWER_VIEW },
		{ "decline", AGENT_ANSWER_DECLINED } };
	size_t len = strcspn(output, " \t\r\n");

	for (size_t i = 0; i < 3; i++)
		if (len == strlen(words[i].word) &&
		    memcmp(output, words[i].word, len) == 0)
			return words[i].answer;
	return AGENT_ANSWER_NO_DIALOG;
}

/* Its last line, when it printed one, is the button; toolkits print
 * warnings before it. */
static bool
ends_with_line(const char *output, const char *line)
{
	size_t len = strlen(output), n = strlen(line);

	while (len > 0 && output[len - 1] == '\n')
		len--;
	return len >= n && memcmp(output + len - n, line, n) == 0 &&
	    (len == n || output[len - n - 1] == '\n');
}

/* The toolkits' own words for a screen they cannot reach. */
static bool
has_no_screen(const char *output)
{
	return strcasestr(output, "open display") != NULL ||
	    strcasestr(output, "connect to display") != NULL ||
	    strcasestr(output, "init server") != NULL;
}

enum agent_answer
dialog_answer(enum dialog_tool tool, int status, const char *output)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 127;

	if (tool == DIALOG_COMMAND)
		return code == 0 ? command_answer(output)
				 : AGENT_ANSWER_NO_DIALOG;
	if (code > CODE_DECLINE || has_no_screen(output))
		return AGENT_ANSWER_NO_DIALOG;
	if (tool == DIALOG_XMESSAGE)
		return code == CODE_FULL ? AGENT_ANSWER_FULL
		    : code == CODE_VIEW  ? AGENT_ANSWER_VIEW
					 : AGENT_ANSWER_DECLINED;
	if (ends_with_line(output, tool == DIALOG_ZENITY ? FULL : "full"))
		return AGENT_ANSWER_FULL;
	if (ends_with_line(output, tool == DIALOG_ZENITY ? VIEW : "view"))
		return AGENT_ANSWER_VIEW;
	return AGENT_ANSWER_DECLINED;
}
