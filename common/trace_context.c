#include "common/trace_context.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/err.h"

void
trace_sessions_note(
    struct trace_sessions *t, const char *session, const char *trace)
{
	if (trace[0] == '\0')
		return;
	for (size_t i = 0; i < TRACE_SESSIONS_MAX; i++)
		if (strcmp(t->entry[i].session, session) == 0)
			return;
	snprintf(t->entry[t->next].session, UUID_TEXT_MAX, "%s", session);
	snprintf(t->entry[t->next].trace, HTTP_TRACE_ID_MAX, "%s", trace);
	t->next = (t->next + 1) % TRACE_SESSIONS_MAX;
}

char *
trace_of_session(const struct trace_sessions *t, const char *session,
    char out[HTTP_TRACE_ID_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	if (!is_uuid(session))
		return out;
	for (size_t i = 0; t != NULL && i < TRACE_SESSIONS_MAX; i++)
		if (strcmp(t->entry[i].session, session) == 0)
			return strcpy(out, t->entry[i].trace);
	for (const char *p = session; *p != '\0'; p++)
		if (*p != '-')
			out[n++] = *p;
	out[n] = '\0';
	return out;
}

int
trace_parent(const char *trace, char out[TRACE_PARENT_MAX])
{
	uint8_t parent[8];
	char hex[2 * sizeof(parent) + 1];

	if (trace[0] == '\0' ||
	    getrandom(parent, sizeof(parent), 0) != sizeof(parent))
		return ERR_NOTFOUND;
	parent[0] |= 1; /* it may not be all zeros */
	snprintf(out, TRACE_PARENT_MAX, "00-%.32s-%s-01", trace,
	    http_hex(parent, sizeof(parent), hex));
	return 0;
}
