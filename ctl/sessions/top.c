/* relaycam top: the terminal. */
#include "ctl/sessions/top.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "ctl/command.h"
#include "ctl/pg.h"
#include "ctl/table.h"

#define SCREEN_ON  "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

static volatile sig_atomic_t is_over;

static void
on_signal(int sig)
{
	is_over = sig;
}

/* Without SA_RESTART: waiting ends at once. */
static void
catch_signals(void)
{
	static const int over[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction sa = { .sa_handler = on_signal };

	for (size_t i = 0; i < N_ELEMENTS(over); i++)
		sigaction(over[i], &sa, NULL);
}

static bool
may_color(void)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && (none == NULL || *none == '\0') &&
	    term != NULL && strcmp(term, "dumb") != 0;
}

/* The terminal's size; is_live: what does not fit is left out. */
static struct top_layout
layout_now(bool is_live)
{
	struct top_layout l = { .columns = 500, .has_color = may_color() };
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
		l.columns = w.ws_col;
		l.rows = is_live && w.ws_row > 1 ? w.ws_row - 1u : is_live;
	}
	return l;
}

static int
once(struct ctl *c, const struct args *a)
{
	struct top_layout l = layout_now(false);
	json_t *now = top_ask(c);

	if (now == NULL)
		return STATUS_FAILED;
	if (args_has(a, "json"))
		return print_json(now);
	top_print(stdout, now, NULL, 0, &l);
	json_decref(now);
	return STATUS_OK;
}

/* Waits; true: somebody pressed q, or a signal came. */
static bool
wait_or_quit(int64_t seconds)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	char key = '\0';

	if (!is_over && poll(&p, 1, (int)seconds * 1000) > 0 &&
	    read(STDIN_FILENO, &key, 1) <= 0)
		return true;
	return is_over || key == 'q' || key == 'Q';
}

static int
run_live(struct ctl *c, int64_t seconds)
{
	json_t *now, *before = NULL;
	uint64_t at = 0, then;

	do {
		struct top_layout l = layout_now(true);

		now = top_ask(c);
		if (now == NULL)
			break;
		then = at;
		at = clock_mono_ns();
		fputs("\033[H", stdout);
		top_print(stdout, now, before, (double)(at - then) / 1e9, &l);
		fputs("\033[J", stdout);
		fflush(stdout);
		json_decref(before);
		before = now;
	} while (!wait_or_quit(seconds));
	json_decref(before);
	return now != NULL ? STATUS_OK : STATUS_FAILED;
}

/* Keys without a line's end, on a screen of its own; both are put back. */
static int
live(struct ctl *c, int64_t seconds)
{
	struct termios saved, raw;
	int rc;

	if (tcgetattr(STDIN_FILENO, &saved) != 0 || !isatty(STDOUT_FILENO))
		return ctl_usage("standard input or output is no terminal; "
				 "use --once or --json");
	if (pg_open(c) != 0) /* its message stays to be read */
		return STATUS_FAILED;
	raw = saved;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	catch_signals();
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(SCREEN_ON, stdout);
	rc = run_live(c, seconds);
	fputs(SCREEN_OFF, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	/* what was said went with the screen */
	return rc == STATUS_OK ? rc
			       : ctl_error("the database gave no answer; "
					   "\"relaycam doctor\" says why");
}

static int
run(struct ctl *c, const struct args *a)
{
	int64_t seconds;
	int rc = args_seconds(a, "interval", 1, 3600, 2, &seconds);

	if (rc != 0)
		return rc;
	if (args_has(a, "once") || args_has(a, "json"))
		return once(c, a);
	return live(c, seconds);
}

static const struct arg_opt opts[] = {
	{ "interval", "TIME", "between two looks (default: 2s)" },
	{ "once", NULL, "print what is now, and end" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ NULL, "", 0, 0, OPTS(opts),
	    "Shows what runs now, until q is pressed.\n\nSessions and nodes of "
	    "the whole site come from the database; bytes, recorders and spool "
	    "from\nthe metrics pages of this machine. Without colours when "
	    "NO_COLOR is set.",
	    run },
};

const struct command_group group_top = { "top",
	"sessions, nodes, bytes, lag and spool as they are now", commands, 1 };
