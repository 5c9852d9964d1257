/* What a program says when it is asked, within limits. Blocking. */
#ifndef CTL_CONNECT_RUN_OUTPUT_H
#define CTL_CONNECT_RUN_OUTPUT_H

#include <stddef.h>

/*
 * Runs argv[0] (a path, or a name in PATH) without a terminal, a screen or
 * input, and keeps what it writes to standard output and error up to len - 1
 * bytes, NUL-terminated. It and its children are killed after timeout_ms, or
 * once out is full. Returns 0, or -1 when it could not be started.
 */
int run_output(const char *const argv[], int timeout_ms, char *out, size_t len);

#endif
