/* Programs that storage runs: relaycam-recorder, to repair and to encode. */
#ifndef STORAGE_SPOOL_RECORDER_CHILD_H
#define STORAGE_SPOOL_RECORDER_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Runs program with default signals and an empty mask, whatever the daemon
 * blocks. out: what becomes its standard output; -1: the daemon's. Returns 0
 * and its id, or an errno.
 */
int child_run(const char *program, char *const argv[], int out, pid_t *pid);

/* "killed by signal 9", "ended with status 1", from what waitpid said. */
char *child_say(int status, char *out, size_t len);

/* A child that is stopped, or waits for what never comes. */
struct child_watch {
	uint64_t cpu;  /* processor time it has used */
	int64_t still; /* how often that was found unchanged */
};
void child_watch_begin(struct child_watch *w);
/* Seconds of processor time that it has used, as it was found last. */
int64_t child_cpu_s(const struct child_watch *w);
/*
 * Asked each second: it has used no processor time for limit_s seconds. When
 * the machine slept, nobody asked, and nothing is held against it.
 */
bool child_is_stuck(struct child_watch *w, pid_t pid, int64_t limit_s);

#endif
