#include "common/login/password_process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/log.h"
#include "common/login/password_queue.h"
#include "common/privileges.h"
#include "common/protect.h"

#define PASSWORD_LEN_MAX 4096
#define CHILD_FD         3 /* all that a child has open beside 0 to 2 */

/* One packet each way. */
struct request {
	enum { MAKE_HASH, CHECK, CHECK_NOBODY } what;
	char hash[PASSWORD_HASH_MAX]; /* CHECK */
	uint32_t len;
	char password[PASSWORD_LEN_MAX];
};

struct answer {
	int32_t rc;                   /* of password_check or password_hash */
	char hash[PASSWORD_HASH_MAX]; /* MAKE_HASH */
};

struct process {
	pid_t pid; /* 0: there is none */
	int fd;
};

static struct process processes[PASSWORD_PROCESSES_MAX];

/* ---- the child ---- */

static ssize_t
receive(int fd, void *data, size_t len)
{
	ssize_t n;

	do {
		n = recv(fd, data, len, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

static _Noreturn void
serve(void)
{
	struct request q;

	while (receive(CHILD_FD, &q, sizeof(q)) == (ssize_t)sizeof(q)) {
		struct answer a = { 0 };

		if (q.what == MAKE_HASH)
			a.rc = password_hash(q.password, q.len, a.hash);
		else
			a.rc = password_check(
			    q.what == CHECK ? q.hash : NULL, q.password, q.len);
		wipe(&q, sizeof(q));
		if (send(CHILD_FD, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			break;
		wipe(&a, sizeof(a));
	}
	_exit(0);
}

/* It ends when the parent's end of the socket is closed, so the signals that
 * reach a whole group are for the parent alone. */
static _Noreturn void
child_main(int fd, bool is_known, const char *user)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (dup2(fd, CHILD_FD) < 0 || close_range(CHILD_FD + 1, ~0U, 0) != 0 ||
	    privileges_drop(user) != 0)
		_exit(1);
	if (!is_known)
		setpriority(PRIO_PROCESS, 0, PASSWORD_STRANGER_NICE);
	protect_process();
	serve();
}

/* ---- the parent ---- */

static int
start(struct process *p, bool is_known, const char *user)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_IO;
	p->pid = fork();
	if (p->pid == 0)
		child_main(pair[1], is_known, user);
	close(pair[1]);
	p->fd = pair[0];
	if (p->pid > 0)
		return 0;
	close(pair[0]);
	p->pid = 0;
	return ERR_IO;
}

int
password_processes_start(
    unsigned n_known, unsigned n_strangers, const char *user)
{
	const unsigned n = n_known + n_strangers;

	assert(n <= PASSWORD_PROCESSES_MAX);
	for (unsigned i = 0; i < n; i++)
		if (start(&processes[i], i < n_known, user) != 0)
			return ERR_IO;
	return 0;
}

static void
stop(struct process *p)
{
	if (p->pid == 0)
		return;
	close(p->fd);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

void
password_processes_stop(void)
{
	for (unsigned i = 0; i < PASSWORD_PROCESSES_MAX; i++)
		stop(&processes[i]);
}

/* Returns false when there is no process i, or no longer. */
static bool
ask(unsigned i, struct request *q, const char *password, size_t len,
    struct answer *a)
{
	struct process *p = i < PASSWORD_PROCESSES_MAX ? &processes[i] : NULL;
	bool is_answered;

	if (p == NULL || p->pid == 0 || len > sizeof(q->password))
		return false;
	q->len = (uint32_t)len;
	memcpy(q->password, password, len);
	is_answered =
	    send(p->fd, q, sizeof(*q), MSG_NOSIGNAL) == (ssize_t)sizeof(*q) &&
	    receive(p->fd, a, sizeof(*a)) == (ssize_t)sizeof(*a);
	wipe(q, sizeof(*q));
	if (is_answered)
		return true;
	log_error("password_process_gone", LOG_I("pid", p->pid));
	kill(p->pid, SIGKILL);
	stop(p);
	return false;
}

int
password_process_check(
    unsigned i, const char *hash, const char *password, size_t len)
{
	struct request q = { .what = hash != NULL ? CHECK : CHECK_NOBODY };
	struct answer a;

	if (hash != NULL && strlen(hash) >= sizeof(q.hash))
		return password_check(hash, password, len);
	if (hash != NULL)
		memcpy(q.hash, hash, strlen(hash));
	return ask(i, &q, password, len, &a)
	    ? a.rc
	    : password_check(hash, password, len);
}

int
password_process_hash(
    unsigned i, const char *password, size_t len, char out[PASSWORD_HASH_MAX])
{
	struct request q = { .what = MAKE_HASH };
	struct answer a;

	if (!ask(i, &q, password, len, &a))
		return password_hash(password, len, out);
	memcpy(out, a.hash, sizeof(a.hash));
	wipe(&a, sizeof(a));
	return a.rc;
}
