#include "relay/recorder_check.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "common/privileges.h"

#define CHECK_SECONDS 5

static _Noreturn void
run_check(const char *program, const char *spool, const char *user)
{
	char *const argv[] = { (char *)(uintptr_t)program, "--check-sandbox",
		(char *)(uintptr_t)spool, NULL };

	if (privileges_drop(user) != 0)
		_exit(1);
	alarm(CHECK_SECONDS); /* kept by execv */
	execv(program, argv);
	_exit(127);
}

int
recorder_check(const char *program, const char *spool, const char *user)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		run_check(program, spool, user);
	if (pid < 0)
		return ERR_IO;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ERR_IO;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	log_error("recorder_check_failed", LOG_S("program", program),
	    LOG_I("status", WIFEXITED(status) ? WEXITSTATUS(status) : -1),
	    LOG_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
	    LOG_S("remedy",
		"until it succeeds no session can be recorded; the line "
		"before says what this machine or container forbids"));
	return ERR_UNSUPPORTED;
}
