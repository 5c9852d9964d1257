#include "agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "common/log.h"

extern char **environ;

struct child {
	struct children *all;
	struct child *next;
	pid_t pid;
	int in, out;          /* our ends of its pipes */
	struct event *ev;     /* of out */
	struct event *killer; /* armed by child_stop */
	char output[CHILD_OUTPUT_MAX];
	size_t len;
	bool is_gone; /* reaped */
	int status;
	child_cb *cb; /* NULL: stopped, only waited for */
	void *arg;
};

struct children {
	struct event_base *base;
	struct event *signal;
	struct child *first;
};

static void
child_free(struct child *c)
{
	struct child **at = &c->all->first;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	if (c->ev != NULL)
		event_free(c->ev);
	if (c->killer != NULL)
		event_free(c->killer);
	if (c->in >= 0)
		close(c->in);
	if (c->out >= 0)
		close(c->out);
	free(c);
}

/* It was reaped: tell it. */
static void
finish(struct child *c)
{
	child_cb *cb = c->cb;

	c->cb = NULL;
	if (cb != NULL)
		cb(c->arg, c->status, c->output);
	child_free(c);
}

/* Children of a child may hold the pipe open: what it said so far counts. */
static void
reap(struct child *c)
{
	if (c->is_gone || waitpid(c->pid, &c->status, WNOHANG) != c->pid)
		return;
	c->is_gone = true;
	for (ssize_t n = 1; n > 0;) {
		n = read(
		    c->out, c->output + c->len, sizeof(c->output) - 1 - c->len);
		if (n > 0)
			c->len += (size_t)n;
	}
	c->output[c->len] = '\0';
}

static void
on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	struct children *all = arg;
	struct child *c, *next;

	for (c = all->first; c != NULL; c = c->next)
		reap(c);
	/* a callback may start or stop others: look from the front each time */
	for (c = all->first; c != NULL; c = next) {
		bool is_over = c->is_gone;

		next = c->next;
		if (is_over) {
			finish(c);
			next = all->first;
		}
	}
}

static void
on_output(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;
	char drop[512];
	size_t room = sizeof(c->output) - 1 - c->len;
	ssize_t n = room > 0 ? read(fd, c->output + c->len, room)
			     : read(fd, drop, sizeof(drop));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && room > 0) {
		c->len += (size_t)n;
		c->output[c->len] = '\0';
	}
	if (n <= 0)
		event_del(c->ev); /* its end is told by SIGCHLD */
}

struct children *
children_new(struct event_base *base)
{
	struct children *all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->base = base;
	all->signal = evsignal_new(base, SIGCHLD, on_sigchld, all);
	if (all->signal == NULL || event_add(all->signal, NULL) != 0) {
		children_free(all);
		return NULL;
	}
	return all;
}

void
children_free(struct children *all)
{
	if (all == NULL)
		return;
	while (all->first != NULL) {
		struct child *c = all->first;

		if (!c->is_gone) {
			kill(-c->pid, SIGKILL);
			waitpid(c->pid, NULL, 0);
		}
		child_free(c);
	}
	if (all->signal != NULL)
		event_free(all->signal);
	free(all);
}

/* The agent's environment with env over it; the array is the caller's to
 * free, the strings are not. */
static char **
merge_env(const char *const *env)
{
	size_t n = 0, at = 0;
	char **merged;

	while (environ[n] != NULL)
		n++;
	merged = calloc(n + CHILD_MAX_ENV + 1, sizeof(*merged));
	if (merged == NULL)
		return NULL;
	for (size_t i = 0; env[i] != NULL && at < CHILD_MAX_ENV; i++)
		merged[at++] = (char *)env[i];
	for (size_t i = 0; i < n; i++) {
		size_t name = strcspn(environ[i], "=") + 1;
		bool is_new = true;

		for (size_t k = 0; env[k] != NULL; k++)
			is_new &= strncmp(env[k], environ[i], name) != 0;
		if (is_new)
			merged[at++] = environ[i];
	}
	return merged;
}

/* In the child, after fork with all signals blocked: only async-signal-safe
 * calls. */
static _Noreturn void
become(const char *path, const char *const *argv, char **env, int in, int out)
{
	sigset_t none;

	setpgid(0, 0);
#ifdef __linux__
	/* no dialog outlives a killed agent */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL); /* fails for SIGKILL and SIGSTOP */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0)
		execve(path, (char *const *)argv, env);
	_exit(127);
}

/*
 * Forks with all signals blocked. The event loop's handlers write to a socket
 * that parent and child share: a signal for the child, caught before exec(),
 * would reach the agent as its own. Returns as fork().
 */
static pid_t
fork_blocked(void)
{
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid != 0)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* Forks with both pipes. Returns the pid or -1. */
static pid_t
spawn(struct child *c, const char *path, const char *const *argv, char **env)
{
	int in[2], out[2];
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) != 0)
		return -1;
	if (pipe2(out, O_CLOEXEC) != 0) {
		close(in[0]);
		close(in[1]);
		return -1;
	}
	pid = fork_blocked();
	if (pid == 0)
		become(path, argv, env, in[0], out[1]);
	if (pid > 0)
		setpgid(pid, pid);
	close(in[0]);
	close(out[1]);
	c->in = in[1];
	c->out = out[0];
	evutil_make_socket_nonblocking(c->in);
	evutil_make_socket_nonblocking(c->out);
	return pid;
}

struct child *
child_start(struct children *all, const char *const *argv,
    const char *const *env, child_cb *cb, void *arg)
{
	struct child *c = calloc(1, sizeof(*c));
	char **merged = merge_env(env);
	char path[4096];

	if (c == NULL || merged == NULL ||
	    child_find(argv[0], path, sizeof(path)) == NULL)
		goto fail;
	*c = (struct child){ .all = all, .in = -1, .out = -1 };
	c->pid = spawn(c, path, argv, merged);
	free(merged);
	c->next = all->first;
	all->first = c;
	if (c->pid < 0) {
		log_warn(
		    "child_failed", LOG_S("program", argv[0]), LOG_ERRNO());
		child_free(c);
		return NULL;
	}
	c->cb = cb;
	c->arg = arg;
	c->ev =
	    event_new(all->base, c->out, EV_READ | EV_PERSIST, on_output, c);
	if (c->ev != NULL)
		event_add(c->ev, NULL);
	return c;
fail:
	free(merged);
	free(c);
	return NULL;
}

void
child_write(struct child *c, const char *text)
{
	ssize_t n = write(c->in, text, strlen(text));

	if (n < 0)
		log_debug("child_write_failed", LOG_ERRNO());
}

static void
on_overdue(evutil_socket_t fd, short what, void *arg)
{
	struct child *c = arg;

	kill(-c->pid, SIGKILL);
}

void
child_stop(struct child *c)
{
	struct timeval grace = { .tv_sec = 2 };

	if (c == NULL)
		return;
	c->cb = NULL;
	if (c->is_gone)
		return; /* on_sigchld is about to free it */
	kill(-c->pid, SIGTERM);
	c->killer = evtimer_new(c->all->base, on_overdue, c);
	if (c->killer == NULL || event_add(c->killer, &grace) != 0)
		kill(-c->pid, SIGKILL);
}

char *
child_find(const char *program, char *out, size_t out_len)
{
	const char *path = getenv("PATH");

	if (strchr(program, '/') != NULL) {
		snprintf(out, out_len, "%s", program);
		return access(out, X_OK) == 0 ? out : NULL;
	}
	if (path == NULL)
		path = "/usr/local/bin:/usr/bin:/bin";
	for (;; path++) {
		size_t len = strcspn(path, ":");
		int n =
		    snprintf(out, out_len, "%.*s/%s", (int)len, path, program);

		if (len > 0 && n > 0 && (size_t)n < out_len &&
		    access(out, X_OK) == 0)
			return out;
		path += len;
		if (*path == '\0')
			return NULL;
	}
}
