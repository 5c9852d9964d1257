/*
 * From a process that was just forked to a recorder: descriptors under their
 * numbers (enum tee_fd), nothing else that was open, no environment.
 */
#ifndef RELAY_RECORDER_EXEC_H
#define RELAY_RECORDER_EXEC_H

#include "relay/spawner.h"

/*
 * Runs program. fds: as spawner_request has them; folder: its TEE_FD_SPOOL;
 * flush_fd: its TEE_FD_FLUSH, or -1; log_fd: its standard output and error.
 * When that fails, says so on the status socket and exits.
 */
_Noreturn void recorder_exec(
    const char *program, const int *fds, int folder, int flush_fd, int log_fd);

/* Says "<what>: <errno>" as a recorder that failed would. */
void recorder_exec_failed(int status_fd, const char *what);

#endif
