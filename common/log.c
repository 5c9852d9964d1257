#include "common/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log_limit.h"

#define REPORT_NS NS_PER_S /* between two looks for suppressed lines */

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static const char *log_program = "relaycam";
static enum log_level log_min = LOG_LEVEL_INFO;
static enum log_format log_fmt = LOG_FORMAT_TEXT;

static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit limit;
static uint64_t reported_ns;

/* A line under construction; `full` keeps room for what closes it. */
struct line {
	char data[LOG_LINE_MAX];
	size_t len;
	size_t full;
};

void
log_setup(const char *program, enum log_level min, enum log_format fmt)
{
	log_program = program;
	log_min = min;
	log_fmt = fmt;
}

const char *
log_program_name(void)
{
	return log_program;
}

int
log_level_parse(const char *s, enum log_level *level)
{
	for (int i = 0; i < 4; i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return ERR_CONFIG;
}

static void
put(struct line *l, const char *s, size_t n)
{
	if (l->len + n > l->full)
		return;
	memcpy(l->data + l->len, s, n);
	l->len += n;
}

static void
put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* One value in double quotes, JSON escapes; bytes above 0x7e pass. */
static void
put_quoted(struct line *l, const char *s)
{
	char esc[8];

	put(l, "\"", 1);
	for (; *s != '\0' && l->len + 8 < l->full; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			snprintf(esc, sizeof(esc), "\\%c", c);
			put_str(l, esc);
		} else if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			put_str(l, esc);
		} else {
			put(l, s, 1);
		}
	}
	put(l, "\"", 1);
}

static int
needs_quotes(const char *s)
{
	if (*s == '\0')
		return 1;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' ||
		    *s == '\\' || *s == 0x7f)
			return 1;
	return 0;
}

static void
put_value(struct line *l, const struct log_field *f)
{
	char num[32];
	const char *s = f->s != NULL ? f->s : "";

	switch (f->kind) {
	case LOG_FIELD_INT:
		snprintf(num, sizeof(num), "%lld", (long long)f->i);
		put_str(l, num);
		break;
	case LOG_FIELD_UINT:
		snprintf(num, sizeof(num), "%llu", (unsigned long long)f->u);
		put_str(l, num);
		break;
	case LOG_FIELD_STR:
		if (log_fmt == LOG_FORMAT_JSON || needs_quotes(s))
			put_quoted(l, s);
		else
			put_str(l, s);
		break;
	}
}

static void
put_field(struct line *l, const struct log_field *f)
{
	if (l->len + strlen(f->key) + 48 > l->full)
		return;
	if (log_fmt == LOG_FORMAT_JSON) {
		put(l, ",", 1);
		put_quoted(l, f->key);
		put(l, ":", 1);
	} else {
		put(l, " ", 1);
		put_str(l, f->key);
		put(l, "=", 1);
	}
	put_value(l, f);
}

static void
write_line(enum log_level level, const char *event,
    const struct log_field *fields, size_t n_fields)
{
	struct line l = { .full = LOG_LINE_MAX - 4 };
	char when[CLOCK_TEXT_MAX];
	ssize_t n;

	clock_format_utc(clock_wall_ns(), when);
	if (log_fmt == LOG_FORMAT_JSON) {
		put_str(&l, "{\"time\":");
		put_quoted(&l, when);
		put_field(&l, &LOG_S("level", level_names[level]));
		put_field(&l, &LOG_S("program", log_program));
		put_field(&l, &LOG_S("event", event));
	} else {
		put_str(&l, when);
		put(&l, " ", 1);
		put_str(&l, level_names[level]);
		put(&l, " ", 1);
		put_str(&l, log_program);
		put(&l, " ", 1);
		put_str(&l, event);
	}
	for (size_t i = 0; i < n_fields; i++)
		put_field(&l, &fields[i]);
	l.full = LOG_LINE_MAX;
	put_str(&l, log_fmt == LOG_FORMAT_JSON ? "}\n" : "\n");
	do {
		n = write(STDERR_FILENO, l.data, l.len);
	} while (n < 0 && errno == EINTR);
}

/* Each event whose lines were suppressed, in a line of its own. */
void
log_report_suppressed(void)
{
	uint64_t now = clock_mono_ns(), n;
	char event[LOG_LIMIT_NAME_MAX];

	do {
		pthread_mutex_lock(&limit_lock);
		reported_ns = now;
		n = log_limit_suppressed(&limit, event, now);
		pthread_mutex_unlock(&limit_lock);
		if (n != 0)
			write_line(LOG_LEVEL_WARN, "lines_suppressed",
			    (const struct log_field[]){ LOG_S("of", event),
				LOG_U("more", n) },
			    2);
	} while (n != 0);
}

void
log_write(enum log_level level, const char *event,
    const struct log_field *fields, size_t n_fields)
{
	uint64_t now;
	bool may, is_due;
	int saved = errno;

	if (level < log_min)
		return;
	now = clock_mono_ns();
	pthread_mutex_lock(&limit_lock);
	may = level == LOG_LEVEL_DEBUG || log_limit_take(&limit, event, now);
	is_due = now - reported_ns >= REPORT_NS;
	pthread_mutex_unlock(&limit_lock);
	if (is_due)
		log_report_suppressed();
	errno = saved;
	if (may)
		write_line(level, event, fields, n_fields);
	errno = saved;
}

void
log_from_libevent(int severity, const char *text)
{
	/* debug, msg, warn, err: in the same order as ours */
	LOG_AT(severity < LOG_LEVEL_DEBUG  ? LOG_LEVEL_DEBUG
		: severity > LOG_LEVEL_ERROR ? LOG_LEVEL_ERROR
					     : (enum log_level)severity,
	    "libevent", LOG_S("text", text));
}
