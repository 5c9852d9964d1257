/*
 * Structured logs on stderr, one line an event, JSON or logfmt-like text.
 * A line is written with one write(2), so lines of several processes on one
 * pipe do not mix. Values are escaped; secrets are never passed in. Above
 * level debug an event has LOG_LIMIT_BURST lines at once and then
 * LOG_LIMIT_PER_SECOND (log_limit.h); a line `lines_suppressed` says of which
 * event how many more there were. Thread-safe.
 *
 *	log_info("session_start", LOG_S("session", id), LOG_U("n", n));
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* One line is cut to this many bytes, still well formed. */
#define LOG_LINE_MAX 4096

struct log_field {
	const char *key;
	enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_UINT } kind;
	const char *s; /* NULL is written as an empty value */
	int64_t i;
	uint64_t u;
};

#define LOG_S(k, v) ((struct log_field){ (k), LOG_FIELD_STR, (v), 0, 0 })
#define LOG_I(k, v) ((struct log_field){ (k), LOG_FIELD_INT, NULL, (v), 0 })
#define LOG_U(k, v) ((struct log_field){ (k), LOG_FIELD_UINT, NULL, 0, (v) })
/* The error number as its sentence, and errno as its sentence. */
#define LOG_ERR(e)  LOG_S("error", err_text(e))
#define LOG_ERRNO() LOG_S("errno", strerror(errno))

/* program: a static string, part of each line. Defaults: info, text. */
void log_setup(const char *program, enum log_level min, enum log_format fmt);
/* That name; "relaycam" before log_setup. */
const char *log_program_name(void);

/* "debug", "info", "warn" or "error" -> level; 0 or ERR_CONFIG. */
int log_level_parse(const char *s, enum log_level *level);

void log_write(enum log_level level, const char *event,
    const struct log_field *fields, size_t n_fields);

/* What libevent says, for event_set_log_callback: one event `libevent`, which
 * is limited like any other. severity: EVENT_LOG_* of event2/event.h. */
void log_from_libevent(int severity, const char *text);

/* Writes the lines `lines_suppressed` that are due. log_write does so too, at
 * most once a second; a daemon calls it from a timer, because there may be no
 * further line. */
void log_report_suppressed(void);

#define LOG_AT(level, event, ...)                                              \
	log_write((level), (event),                                            \
	    (const struct log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,            \
	    sizeof((const struct log_field[]){ { 0 }, ##__VA_ARGS__ }) /       \
		    sizeof(struct log_field) -                                 \
		1)

#define log_debug(event, ...) LOG_AT(LOG_LEVEL_DEBUG, event, ##__VA_ARGS__)
#define log_info(event, ...)  LOG_AT(LOG_LEVEL_INFO, event, ##__VA_ARGS__)
#define log_warn(event, ...)  LOG_AT(LOG_LEVEL_WARN, event, ##__VA_ARGS__)
#define log_error(event, ...) LOG_AT(LOG_LEVEL_ERROR, event, ##__VA_ARGS__)

#endif
