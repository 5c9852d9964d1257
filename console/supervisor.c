#include "console/supervisor.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "console/conf.h"
#include "console/shared.h"
#include "console/status.h"

#define RESTART_MS 1000 /* after a worker that died young */

struct child {
	pid_t pid; /* 0: none runs */
	uint64_t started_ns;
};

struct supervisor {
	const struct console_conf *conf;
	struct event_base *base;
	struct shared *shared;
	struct status *status;
	int shared_fd;
	char **argv; /* of workers; the last two words are filled in */
	char number[16], fd_text[16];
	int n_argv;
	unsigned n;
	struct child children[WORKERS_MAX];
	struct event *retry, *stop_timer;
	bool is_stopping, has_failed;
};

static void
become_worker(struct supervisor *s, pid_t parent)
{
	sigset_t none;

	/* it ends when the supervisor is killed */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	fcntl(s->shared_fd, F_SETFD, 0);
	execv("/proc/self/exe", s->argv);
	_exit(127);
}

static void
start(struct supervisor *s, unsigned i)
{
	pid_t parent = getpid(), pid;

	snprintf(s->number, sizeof(s->number), "%u", i);
	atomic_store(&s->shared->workers[i].state, WORKER_STARTING);
	pid = fork();
	if (pid == 0)
		become_worker(s, parent);
	if (pid < 0) {
		log_error("worker_not_started", LOG_ERRNO());
		return;
	}
	s->children[i] =
	    (struct child){ .pid = pid, .started_ns = clock_mono_ns() };
}

static void
retry_later(struct supervisor *s)
{
	const struct timeval tv = { RESTART_MS / 1000, 0 };

	if (!event_pending(s->retry, EV_TIMEOUT, NULL))
		event_add(s->retry, &tv);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct supervisor *s = arg;

	for (unsigned i = 0; i < s->n && !s->is_stopping; i++)
		if (s->children[i].pid == 0)
			start(s, i);
}

/* A setting that is wrong stays wrong: the whole program ends. */
static void
give_up(struct supervisor *s, int status)
{
	s->has_failed = status == EX_CONFIG;
	if (!s->has_failed)
		return;
	s->is_stopping = true;
	for (unsigned i = 0; i < s->n; i++)
		if (s->children[i].pid != 0)
			kill(s->children[i].pid, SIGTERM);
}

static void
died(struct supervisor *s, unsigned i, int status)
{
	uint64_t age_ns = clock_mono_ns() - s->children[i].started_ns;

	s->children[i].pid = 0;
	atomic_store(&s->shared->workers[i].state, WORKER_STARTING);
	if (s->is_stopping)
		return;
	log_error("worker_died", LOG_U("worker", i),
	    LOG_I(WIFSIGNALED(status) ? "signal" : "status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
	atomic_fetch_add(&s->shared->restarts, 1);
	give_up(s, WIFEXITED(status) ? WEXITSTATUS(status) : 0);
	if (s->is_stopping)
		return;
	if (age_ns < RESTART_MS * NS_PER_MS)
		retry_later(s);
	else
		start(s, i);
	if (s->children[i].pid == 0)
		retry_later(s);
}

static bool
has_children(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->children[i].pid != 0)
			return true;
	return false;
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	struct supervisor *s = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < s->n; i++)
			if (s->children[i].pid == pid)
				died(s, i, status);
	if (s->is_stopping && !has_children(s))
		event_base_loopbreak(s->base);
}

static void
signal_all(struct supervisor *s, int sig)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->children[i].pid != 0)
			kill(s->children[i].pid, sig);
}

static void
on_stop_timer(evutil_socket_t fd, short what, void *arg)
{
	log_warn("workers_killed", LOG_S("why", "console.stop_seconds"));
	signal_all(arg, SIGKILL);
}

static void
on_term(evutil_socket_t sig, short what, void *arg)
{
	struct supervisor *s = arg;
	/* workers keep to stop_seconds themselves */
	const struct timeval tv = { s->conf->console.stop_seconds + 5, 0 };

	log_info("stopping", LOG_I("signal", (int)sig));
	signal_all(s, SIGTERM);
	if (s->is_stopping)
		return;
	s->is_stopping = true;
	status_stopping(s->status);
	event_add(s->stop_timer, &tv);
	if (!has_children(s))
		event_base_loopbreak(s->base);
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	signal_all(arg, SIGHUP);
}

static int
make_shared(struct supervisor *s)
{
	s->shared_fd = memfd_create("relaycam-console", MFD_CLOEXEC);
	if (s->shared_fd < 0 || ftruncate(s->shared_fd, sizeof(struct shared)))
		return -1;
	s->shared = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED, s->shared_fd, 0);
	if (s->shared == MAP_FAILED)
		return -1;
	s->shared->started_at = clock_wall_ns() / NS_PER_S;
	return 0;
}

static int
make_argv(struct supervisor *s, int argc, char **argv)
{
	s->argv = calloc((size_t)argc + 4, sizeof(*s->argv));
	if (s->argv == NULL)
		return -1;
	memcpy(s->argv, argv, (size_t)argc * sizeof(*argv));
	snprintf(s->fd_text, sizeof(s->fd_text), "%d", s->shared_fd);
	s->argv[argc] = "worker";
	s->argv[argc + 1] = s->number;
	s->argv[argc + 2] = s->fd_text;
	return 0;
}

static int
add_signal(struct supervisor *s, int sig, event_callback_fn cb)
{
	struct event *ev = evsignal_new(s->base, sig, cb, s);

	return ev != NULL && event_add(ev, NULL) == 0 ? 0 : -1;
}

static int
make_events(struct supervisor *s)
{
	s->retry = event_new(s->base, -1, 0, on_retry, s);
	s->stop_timer = event_new(s->base, -1, 0, on_stop_timer, s);
	return s->retry != NULL && s->stop_timer != NULL &&
		add_signal(s, SIGCHLD, on_child) == 0 &&
		add_signal(s, SIGTERM, on_term) == 0 &&
		add_signal(s, SIGINT, on_term) == 0 &&
		add_signal(s, SIGHUP, on_hup) == 0
	    ? 0
	    : -1;
}

static unsigned
count_workers(const struct console_conf *conf)
{
	long n = conf->console.workers;

	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

int
supervisor_run(const struct console_conf *conf, int argc, char **argv)
{
	static struct supervisor s;
	char err[512] = "out of memory";

	s.conf = conf;
	s.n = count_workers(conf);
	s.base = event_base_new();
	if (s.base == NULL || make_shared(&s) != 0 ||
	    make_argv(&s, argc, argv) != 0 || make_events(&s) != 0 ||
	    status_new(&s.status, s.base, conf, s.shared, s.n, err,
		sizeof(err)) != 0) {
		log_error("start_failed", LOG_S("why", err));
		return EX_CONFIG;
	}
	log_info("started", LOG_S("version", RELAYCAM_VERSION),
	    LOG_S("listen", conf->console.listen), LOG_U("workers", s.n));
	for (unsigned i = 0; i < s.n; i++)
		start(&s, i);
	event_base_dispatch(s.base);
	status_free(s.status);
	return s.has_failed ? EX_CONFIG : 0;
}
