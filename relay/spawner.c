#include "relay/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/tee.h"
#include "relay/privileges.h"

#define N_SENT (SPAWNER_FDS - 1) /* the spool folder is the spawner's */

union fd_message {
	struct cmsghdr align;
	char data[CMSG_SPACE(sizeof(int) * N_SENT)];
};

int
spawner_request(int sock, const int fds[SPAWNER_FDS])
{
	union fd_message control = { 0 };
	char byte = 1;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.data,
		.msg_controllen = sizeof(control.data) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * N_SENT);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * N_SENT);
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return 0;
	return errno == EAGAIN ? ERR_AGAIN : ERR_IO;
}

/* Receives one request. Returns 1, 0 at the end, -1 for a bad one. */
static int
receive(int sock, int fds[N_SENT])
{
	union fd_message control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.data,
		.msg_controllen = sizeof(control.data) };
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	c = CMSG_FIRSTHDR(&msg);
	if (c == NULL || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int) * N_SENT))
		return -1;
	memcpy(fds, CMSG_DATA(c), sizeof(int) * N_SENT);
	return 1;
}

/*
 * Moves the descriptors to their fixed numbers: first all above the range,
 * so that none is overwritten before it was moved.
 */
static int
place_fds(const int *fds, int spool)
{
	int high[SPAWNER_FDS];

	for (int i = 0; i < SPAWNER_FDS; i++) {
		high[i] = fcntl(i < N_SENT ? fds[i] : spool, F_DUPFD_CLOEXEC,
		    64);
		if (high[i] < 0)
			return ERR_IO;
	}
	for (int i = 0; i < SPAWNER_FDS; i++)
		if (dup2(high[i], TEE_FD_DATA + i) < 0)
			return ERR_IO;
	return 0;
}

static _Noreturn void
become_recorder(const char *program, const int *fds, int spool)
{
	char *const argv[] = { (char *)(uintptr_t)program, NULL };
	/* what sanitizers are told is the only thing worth passing on */
	char *env[4] = { "PATH=/usr/bin:/bin", "TZ=UTC", NULL, NULL };
	const char *asan = getenv("ASAN_OPTIONS");
	char keep[256];
	sigset_t none;

	if (asan != NULL && strlen(asan) < sizeof(keep) - 14) {
		strcpy(keep, "ASAN_OPTIONS=");
		strcat(keep, asan);
		env[2] = keep;
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	/* a terminal's Ctrl-C is for the relay, which drains */
	setpgid(0, 0);
	if (place_fds(fds, spool) == 0)
		execve(program, argv, env);
	log_error("recorder_exec_failed", LOG_S("program", program),
	    LOG_ERRNO());
	_exit(127);
}

static _Noreturn void
spawner_loop(int sock, const char *program, const char *spool)
{
	int dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fds[N_SENT], rc;

	prctl(PR_SET_NAME, "relaycam-spawn");
	signal(SIGCHLD, SIG_IGN); /* no zombies; recorders report themselves */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN); /* it ends with the relay */
	while ((rc = receive(sock, fds)) != 0) {
		if (rc < 0)
			continue;
		if (dir < 0)
			dir = open(spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir >= 0 && fork() == 0)
			become_recorder(program, fds, dir);
		/* a closed status socket tells the relay when this failed */
		for (int i = 0; i < N_SENT; i++)
			close(fds[i]);
	}
	_exit(0);
}

int
spawner_start(const char *program, const char *spool, const char *user)
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
		spawner_loop(pair[1], program, spool);
	}
	close(pair[1]);
	return pair[0];
}
