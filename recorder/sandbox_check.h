/* relaycam-recorder --check-sandbox: does the sandbox hold on this machine? */
#ifndef RECORDER_SANDBOX_CHECK_H
#define RECORDER_SANDBOX_CHECK_H

/*
 * Enters the sandbox of a live recorder with folder dir, for good, and logs
 * what it got or what the system refused. Returns an exit status: 0 when
 * recordings can be made.
 */
int sandbox_check(const char *dir);

#endif
