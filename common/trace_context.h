/*
 * Which trace (W3C Trace Context) a session belongs to: that of the request
 * that began it, if it named one in its field traceparent, else one whose id
 * is the session's own, without its dashes. So every program says the same of
 * a session, and only those of the first kind have to be told. No I/O.
 */
#ifndef COMMON_TRACE_CONTEXT_H
#define COMMON_TRACE_CONTEXT_H

#include <stddef.h>

#include "common/http.h"
#include "common/uuid.h"

#define TRACE_PARENT_MAX   56 /* 00-<trace>-<parent>-01 */
#define TRACE_SESSIONS_MAX 128

/* Sessions whose trace is another one than their own id; the oldest goes
 * first. All zeros is an empty one. One owner. */
struct trace_sessions {
	struct {
		char session[UUID_TEXT_MAX], trace[HTTP_TRACE_ID_MAX];
	} entry[TRACE_SESSIONS_MAX];
	size_t next; /* to be replaced */
};

/* Notes a session's trace; "": it has its own. */
void trace_sessions_note(
    struct trace_sessions *t, const char *session, const char *trace);

/* The trace of a session. t: NULL: none is known. out: "" when session is no
 * UUID. Returns out. */
char *trace_of_session(const struct trace_sessions *t, const char *session,
    char out[HTTP_TRACE_ID_MAX]);

/* The field's value for a request to another server: a new parent in that
 * trace. Returns 0, or ERR_NOTFOUND for a trace that is "". */
int trace_parent(const char *trace, char out[TRACE_PARENT_MAX]);

#endif
