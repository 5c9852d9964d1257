#include "relay/recorder_log.h"

#include <string.h>

#include "common/log.h"

/* Its own word for how serious it is decides no more than that. What is no
 * line of a program of ours, such as a crash's last words, is a warning. */
static enum log_level
level_of(const char *line)
{
	const char *second = strchr(line, ' ');

	if (second != NULL &&
	    (strncmp(second, " info ", 6) == 0 ||
		strncmp(second, " debug ", 7) == 0))
		return LOG_LEVEL_INFO;
	return LOG_LEVEL_WARN;
}

static void
write_line(struct recorder_log *l, const char *session)
{
	enum log_level level = level_of(l->line);

	if (l->n_omitted > 0)
		LOG_AT(level, "recorder_says", LOG_S("session", session),
		    LOG_U("omitted_before", l->n_omitted),
		    LOG_S("text", l->line));
	else
		LOG_AT(level, "recorder_says", LOG_S("session", session),
		    LOG_S("text", l->line));
	l->n_omitted = 0;
}

static void
end_line(struct recorder_log *l, const char *session, uint64_t now_ns)
{
	uint64_t full_ns = l->full_ns > now_ns ? l->full_ns : now_ns;

	l->line[l->len] = '\0';
	if (l->len == 0)
		return;
	l->len = 0;
	if (full_ns - now_ns > (RECORDER_LOG_BURST - 1) * RECORDER_LOG_NS) {
		l->n_omitted++;
		return;
	}
	l->full_ns = full_ns + RECORDER_LOG_NS;
	write_line(l, session);
}

void
recorder_log_feed(struct recorder_log *l, const char *session,
    const uint8_t *data, size_t len, uint64_t now_ns)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			end_line(l, session, now_ns);
		else if (l->len < RECORDER_LOG_LINE)
			l->line[l->len++] = data[i] >= ' ' && data[i] <= '~'
			    ? (char)data[i]
			    : '?';
	}
}

void
recorder_log_end(struct recorder_log *l, const char *session, uint64_t now_ns)
{
	end_line(l, session, now_ns);
	if (l->n_omitted > 0)
		log_warn("recorder_lines_omitted", LOG_S("session", session),
		    LOG_U("lines", l->n_omitted));
	l->n_omitted = 0;
}
