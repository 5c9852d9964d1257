/*
 * Programs that the agent runs on the endpoint's screen: dialogs and notes.
 * Each is a process group of its own, gets a pipe as standard input, and its
 * output (both kinds together) is kept up to a bound. No shell is involved
 * unless argv names one. One loop owns them all.
 */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <event2/event.h>
#include <stddef.h>

#define CHILD_OUTPUT_MAX 2048
#define CHILD_MAX_ENV    8

struct children; /* the loop's SIGCHLD and everything that was started */
struct child;

/* status: of waitpid(2). output: ends with NUL. Called once, and only when
 * the child was not stopped before; the child is freed when it returns. */
typedef void child_cb(void *arg, int status, const char *output);

/* Returns NULL for memory. */
struct children *children_new(struct event_base *base);

/* Kills what still runs, at once. */
void children_free(struct children *all);

/*
 * Starts argv (argv[0] as execvp finds it) with `env`, "NAME=value" each,
 * NULL at the end, over the agent's own environment. Returns NULL when it
 * cannot be started.
 */
struct child *child_start(struct children *all, const char *const *argv,
    const char *const *env, child_cb *cb, void *arg);

/* Writes text to its standard input; what does not fit is dropped. */
void child_write(struct child *c, const char *text);

/* Ends it with its whole group: SIGTERM, after two seconds SIGKILL. cb is
 * not called. NULL is fine. */
void child_stop(struct child *c);

/* The path of program in PATH into out, or NULL. */
char *child_find(const char *program, char *out, size_t out_len);

#endif
