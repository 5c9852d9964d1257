#include "common/privileges.h"
#include "relay/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tee.h"
#include "relay/recorder_exec.h"
#include "relay/recorder_folder.h"
#include "relay/recorder_log.h"
#include "relay/spool_flusher.h"

#define N_SENT (SPAWNER_FDS - 1) /* the folder is the spawner's */

union fd_message {
	struct cmsghdr align;
	char data[CMSG_SPACE(sizeof(int) * N_SENT)];
};

/* One order; a start carries descriptors. */
struct order {
	enum { ORDER_START = 1, ORDER_KILL, ORDER_FINISH } kind;
	char id[SPAWNER_ID_LEN];
};

struct child {
	struct child *next;
	pid_t pid;
	uint64_t due_ns; /* killed then; 0: it may run */
	int log_fd;      /* what it says; -1: it closed that */
	struct recorder_log log;
	char id[SPAWNER_ID_LEN];
};

struct spawner {
	const char *program, *spool;
	int sock, dir, flush_fd; /* the last: of the page, or -1 */
	struct spool_flusher flusher;
	struct child *children;
	struct pollfd *fds; /* the relay, then those of children */
	size_t n_children, cap;
};

#define LOG_PIECE 4096 /* of one recorder, a wakeup */

static int
send_order(int sock, const struct order *o, struct msghdr *msg)
{
	struct iovec iov = { (void *)(uintptr_t)o, sizeof(*o) };
	ssize_t n;

	msg->msg_iov = &iov;
	msg->msg_iovlen = 1;
	do {
		n = sendmsg(sock, msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	msg->msg_iov = NULL;
	if (n == (ssize_t)sizeof(*o))
		return 0;
	return n < 0 && errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

int
spawner_request(
    int sock, const char id[SPAWNER_ID_LEN], const int fds[SPAWNER_FDS])
{
	struct order o = { .kind = ORDER_START };
	union fd_message control = { 0 };
	struct msghdr msg = { .msg_control = control.data,
		.msg_controllen = sizeof(control.data) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	memcpy(o.id, id, sizeof(o.id));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * N_SENT);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * N_SENT);
	return send_order(sock, &o, &msg);
}

static int
send_plain(int sock, const char *id, int kind)
{
	struct order o = { .kind = kind };
	struct msghdr msg = { 0 };

	memcpy(o.id, id, sizeof(o.id));
	return send_order(sock, &o, &msg);
}

int
spawner_kill(int sock, const char id[SPAWNER_ID_LEN])
{
	return send_plain(sock, id, ORDER_KILL);
}

int
spawner_finish(int sock, const char id[SPAWNER_ID_LEN])
{
	return send_plain(sock, id, ORDER_FINISH);
}

int
spawner_end(int sock, unsigned seconds)
{
	uint64_t now = clock_mono_ns(), due = now + seconds * NS_PER_S;
	struct pollfd end = { .fd = sock, .events = POLLIN };
	int n = 0;

	shutdown(sock, SHUT_WR);
	for (; n <= 0 && now < due; now = clock_mono_ns())
		n = poll(&end, 1, (int)((due - now) / NS_PER_MS) + 1);
	return n > 0 ? 0 : ERR_TIMEOUT;
}

/* Receives one order. Returns 1, 0 at the end, -1 for a bad one. */
static int
receive(int sock, struct order *o, int fds[N_SENT])
{
	union fd_message control;
	struct iovec iov = { o, sizeof(*o) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.data,
		.msg_controllen = sizeof(control.data) };
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	o->id[sizeof(o->id) - 1] = '\0';
	if (n == (ssize_t)sizeof(*o) && o->kind != ORDER_START)
		return 1;
	c = CMSG_FIRSTHDR(&msg);
	if (n != (ssize_t)sizeof(*o) || c == NULL ||
	    c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int) * N_SENT))
		return -1;
	memcpy(fds, CMSG_DATA(c), sizeof(int) * N_SENT);
	return 1;
}

/* Room to wait for one more. */
static int
make_room(struct spawner *p)
{
	size_t cap = p->cap == 0 ? 16 : 2 * p->cap;
	struct pollfd *fds;

	if (p->n_children + 2 <= p->cap)
		return 0;
	fds = realloc(p->fds, cap * sizeof(*fds));
	if (fds == NULL)
		return ERR_NOMEM;
	p->fds = fds;
	p->cap = cap;
	return 0;
}

/* A pipe that keeps neither side waiting, and a process in that folder. */
static int
fork_in(
    struct spawner *p, struct child *c, const int *fds, int folder, bool is_new)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) != 0)
		return ERR_IO;
	c->pid = fork();
	if (c->pid == 0) {
		if (is_new) /* here, so that no other one waits for the disk */
			recorder_folder_sync(p->dir);
		recorder_exec(p->program, fds, folder, p->flush_fd, pair[1]);
	}
	close(pair[1]);
	c->log_fd = pair[0];
	if (c->pid > 0)
		return 0;
	close(pair[0]);
	return ERR_IO;
}

/* In the folder of its session, which the recorder's copy keeps. */
static int
fork_recorder(
    struct spawner *p, struct child *c, const int *fds, const char **why)
{
	bool is_new;
	int rc, folder = recorder_folder_open(p->dir, c->id, &is_new, why);

	if (folder < 0)
		return ERR_IO;
	*why = "no process can be had for a recorder";
	rc = fork_in(p, c, fds, folder, is_new);
	close(folder);
	return rc;
}

static void
start_child(struct spawner *p, const struct order *o, const int *fds)
{
	struct child *c = calloc(1, sizeof(*c));
	const char *why = "the spool cannot be opened";

	if (p->dir < 0)
		p->dir = open(p->spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c != NULL)
		memcpy(c->id, o->id, sizeof(c->id));
	if (c == NULL || p->dir < 0 || make_room(p) != 0 ||
	    fork_recorder(p, c, fds, &why) != 0) {
		/* NOLINTNEXTLINE: receive() set all of them */
		recorder_exec_failed(fds[TEE_FD_STATUS - TEE_FD_DATA], why);
		log_error("recorder_not_started", LOG_S("session", o->id),
		    LOG_S("why", why));
		free(c);
		return;
	}
	c->next = p->children;
	p->children = c;
	p->n_children++;
	log_info(
	    "recorder_started", LOG_S("session", c->id), LOG_I("pid", c->pid));
}

/* Reads once. False: there is no more now. */
static bool
read_log(struct child *c)
{
	uint8_t piece[LOG_PIECE];
	ssize_t n = c->log_fd >= 0 ? read(c->log_fd, piece, sizeof(piece)) : 0;

	if (n > 0)
		recorder_log_feed(
		    &c->log, c->id, piece, (size_t)n, clock_mono_ns());
	else if (c->log_fd >= 0 && (n == 0 || errno != EAGAIN)) {
		close(c->log_fd);
		c->log_fd = -1;
	}
	return n > 0;
}

/* The process is gone: a pipe holds no more than this. */
static void
end_log(struct child *c)
{
	for (unsigned i = 0; i < 64 && read_log(c); i++)
		;
	recorder_log_end(&c->log, c->id, clock_mono_ns());
	if (c->log_fd >= 0)
		close(c->log_fd);
}

/* A child is listed until it was waited for: its pid is not used again. */
static void
kill_child(struct spawner *p, const struct order *o)
{
	for (struct child *c = p->children; c != NULL; c = c->next)
		if (strcmp(c->id, o->id) == 0)
			kill(c->pid, SIGKILL);
}

/* Its session is over: it has a while to close its file. id NULL: all. */
static void
let_finish(struct spawner *p, const char *id)
{
	uint64_t due = clock_mono_ns() + SPAWNER_FINISH_SECONDS * NS_PER_S;

	for (struct child *c = p->children; c != NULL; c = c->next)
		if (c->due_ns == 0 && (id == NULL || strcmp(c->id, id) == 0))
			c->due_ns = due;
}

/* Kills who should have ended long ago. True while somebody has a time. */
static bool
kill_late(struct spawner *p)
{
	uint64_t now = clock_mono_ns();
	bool is_any = false;

	for (struct child *c = p->children; c != NULL; c = c->next) {
		is_any |= c->due_ns != 0;
		if (c->due_ns == 0 || c->due_ns > now)
			continue;
		log_error("recorder_hangs", LOG_S("session", c->id),
		    LOG_I("pid", c->pid));
		kill(c->pid, SIGKILL);
	}
	return is_any;
}

static void
reap(struct spawner *p)
{
	struct child **at, *c;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (spool_flusher_ended(&p->flusher, pid, status))
			continue;
		for (at = &p->children; *at != NULL && (*at)->pid != pid;)
			at = &(*at)->next;
		c = *at;
		if (c == NULL)
			continue;
		*at = c->next;
		p->n_children--;
		end_log(c);
		log_info("recorder_ended", LOG_S("session", c->id),
		    LOG_I("pid", pid),
		    LOG_I(
			"status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
		    LOG_I(
			"signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0));
		free(c);
	}
}

static void
on_child(int sig)
{
}

/* One order. False at the relay's end. */
static bool
serve(struct spawner *p)
{
	struct order o = { 0 };
	int fds[N_SENT], rc = receive(p->sock, &o, fds);

	if (rc <= 0)
		return rc != 0;
	if (o.kind == ORDER_KILL) {
		kill_child(p, &o);
		return true;
	}
	if (o.kind == ORDER_FINISH) {
		let_finish(p, o.id);
		return true;
	}
	if (o.kind != ORDER_START)
		return true; /* no descriptors came */
	start_child(p, &o, fds);
	for (int i = 0; i < N_SENT; i++)
		/* NOLINTNEXTLINE: receive() set all of them */
		close(fds[i]);
	return true;
}

/* Fills in what to wait for. Returns how many; at least the relay's. */
static nfds_t
list_fds(struct spawner *p)
{
	nfds_t n = 0;

	p->fds[n++] = (struct pollfd){ .fd = p->sock, .events = POLLIN };
	for (struct child *c = p->children; c != NULL; c = c->next)
		p->fds[n++] =
		    (struct pollfd){ .fd = c->log_fd, .events = POLLIN };
	return n;
}

/* In the order of list_fds; nobody was added or removed since. */
static void
read_logs(struct spawner *p)
{
	nfds_t n = 1;

	for (struct child *c = p->children; c != NULL; c = c->next)
		if (p->fds[n++].revents != 0)
			read_log(c);
}

/* What waits for the relay, or only for recorders once it is gone: then
 * p->sock is -1. False at the relay's end. */
static bool
wait_once(struct spawner *p, const sigset_t *waiting)
{
	const struct timespec second = { 1, 0 };
	bool lives = p->sock >= 0, is_order = false;
	nfds_t n_fds = list_fds(p);
	bool is_due = spool_flusher_keep(&p->flusher, p->dir, p->n_children);
	int n;

	is_due |= kill_late(p);
	n = ppoll(p->fds, n_fds, is_due ? &second : NULL, waiting);

	if (n > 0) {
		is_order = p->fds[0].revents != 0;
		read_logs(p);
	}
	reap(p);
	return is_order && lives ? serve(p) : lives;
}

static _Noreturn void
spawner_loop(int sock, const char *program, const char *spool,
    const struct spool_flush_shared *flush)
{
	struct spawner p = { .program = program,
		.spool = spool,
		.sock = sock,
		.flush_fd = flush != NULL ? flush->fd : -1,
		.flusher.page = flush != NULL ? flush->page : NULL,
		.dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	struct sigaction child = { .sa_handler = on_child };
	sigset_t blocked, waiting;

	prctl(PR_SET_NAME, "relaycam-spawn");
	/* a terminal's Ctrl-C is for the relay; it ends after the relay */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigaction(SIGCHLD, &child, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &waiting);
	sigdelset(&waiting, SIGCHLD);
	if (make_room(&p) != 0)
		_exit(1);
	while (wait_once(&p, &waiting))
		;
	/* a recorder that hangs would keep its file for ever */
	p.sock = -1;
	let_finish(&p, NULL);
	while (p.children != NULL)
		wait_once(&p, &waiting);
	_exit(0);
}

int
spawner_start(const char *program, const char *spool, const char *user,
    const struct spool_flush_shared *flush)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_IO;
	pid = fork();
	if (pid < 0) {
		close(pair[0]);
		close(pair[1]);
		return ERR_IO;
	}
	if (pid == 0) {
		close(pair[0]);
		if (privileges_drop(user) != 0)
			_exit(1);
		spawner_loop(pair[1], program, spool, flush);
	}
	close(pair[1]);
	return pair[0];
}
