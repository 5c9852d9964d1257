/*
 * Where a test may have storage killed: with RELAYCAM_KILL_AT=<name> in its
 * environment, the process kills itself (SIGKILL) when it comes to the point
 * of that name. Compiled into builds with sanitizers only; else nothing.
 */
#ifndef STORAGE_SPOOL_STOP_POINT_H
#define STORAGE_SPOOL_STOP_POINT_H

#ifdef RELAYCAM_SANITIZE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void
stop_point(const char *name)
{
	const char *at = getenv("RELAYCAM_KILL_AT");

	if (at != NULL && strcmp(at, name) == 0)
		kill(getpid(), SIGKILL);
}
#else
static inline void
stop_point(const char *name)
{
}
#endif

#endif
