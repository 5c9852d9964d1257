/* Programs that storage runs: relaycam-recorder, to repair and to encode. */
#ifndef STORAGE_CHILD_H
#define STORAGE_CHILD_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Runs program with default signals and an empty mask, whatever the daemon
 * blocks. out: what becomes its standard output; -1: the daemon's. Returns 0
 * and its id, or an errno.
 */
int child_run(const char *program, char *const argv[], int out, pid_t *pid);

/* "killed by signal 9", "ended with status 1", from what waitpid said. */
char *child_say(int status, char *out, size_t len);

#endif
