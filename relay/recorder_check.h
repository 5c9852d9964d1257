/* Whether recorders can lock themselves in here, asked once at the start. */
#ifndef RELAY_RECORDER_CHECK_H
#define RELAY_RECORDER_CHECK_H

/*
 * Runs program --check-sandbox spool as user (NULL: as we are), which says in
 * the log what it got, and waits for it, five seconds at most. A container or
 * a kernel may forbid what the sandbox needs; then every recording would fail,
 * so the log says at once what to allow. Before any thread is started. Returns
 * 0, ERR_UNSUPPORTED when it failed, or ERR_IO when it could not be run.
 */
int recorder_check(const char *program, const char *spool, const char *user);

#endif
