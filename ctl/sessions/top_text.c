/* relaycam top: how it looks. */
#include <stdarg.h>
#include <string.h>

#include "common/bytes.h"
#include "common/json.h"
#include "ctl/sessions/top.h"

#define LINE_MAX_BYTES 512
#define SILENT_S       30 /* a node that said nothing for so long is lost */

enum tone { TONE_PLAIN, TONE_HEAD, TONE_BAD };

struct page {
	FILE *out;
	const struct top_layout *layout;
	unsigned n; /* lines */
};

static bool
has_room(const struct page *p)
{
	return p->layout->rows == 0 || p->n < p->layout->rows;
}

/* One line, cut to the terminal's width; what is not printable ASCII in it,
 * which names of machines may have, becomes a question mark. */
__attribute__((format(printf, 3, 4))) static void
print_line(struct page *p, enum tone tone, const char *fmt, ...)
{
	static const char *const codes[] = { "", "\033[1m", "\033[31m" };
	char text[LINE_MAX_BYTES];
	bool has_color = p->layout->has_color && tone != TONE_PLAIN;
	va_list ap;

	if (!has_room(p))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
			*c = '?';
	if (p->layout->columns < sizeof(text))
		text[p->layout->columns] = '\0';
	fprintf(p->out, "%s%s%s%s\n", has_color ? codes[tone] : "", text,
	    has_color ? "\033[0m" : "", p->layout->rows != 0 ? "\033[K" : "");
	p->n++;
}

static double
number(const json_t *o, const char *name)
{
	return json_number_value(json_object_get(o, name));
}

static long long
whole(const json_t *o, const char *name)
{
	return (long long)number(o, name);
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = json_text(o, name);

	return s != NULL ? s : "-";
}

/* "12.3M" */
static const char *
size_text(double bytes, char out[16])
{
	static const char units[] = "BKMGTP";
	unsigned i = 0;

	while (bytes >= 1000 && units[i + 1] != '\0') {
		bytes /= 1024;
		i++;
	}
	snprintf(out, 16, i > 0 && bytes < 100 ? "%.1f%c" : "%.0f%c", bytes,
	    units[i]);
	return out;
}

/* "1:02:03"; of more than 9999 hours, these. */
static const char *
time_text(long long seconds, char out[24])
{
	unsigned s = seconds < 0      ? 0
	    : seconds > 9999LL * 3600 ? 9999u * 3600
				      : (unsigned)seconds;

	snprintf(out, 24, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
	return out;
}

/* What a counter gains in a second; a daemon that started anew begins at 0. */
static double
rate(const json_t *now, const json_t *before, const char *daemon,
    const char *name, double seconds)
{
	const json_t *o = json_object_get(now, daemon);
	const json_t *b = json_object_get(before, daemon);
	double gained = number(o, name) - number(b, name);

	return json_is_object(b) && seconds > 0 && gained > 0 ? gained / seconds
							      : 0;
}

static void
print_relay(
    struct page *p, const json_t *now, const json_t *before, double seconds)
{
	const json_t *o = json_object_get(now, "relay");
	char in[16], out[16], memory[16];

	if (!json_is_object(o)) {
		print_line(p, TONE_PLAIN, "relay    no answer on this machine");
		return;
	}
	print_line(p, TONE_PLAIN,
	    "relay    %lld sessions, %lld logging in, %lld agents, %lld "
	    "parked",
	    whole(o, "sessions_active"), whole(o, "logins"), whole(o, "agents"),
	    whole(o, "parked"));
	print_line(p, TONE_PLAIN,
	    "         from endpoints %s/s, from "
	    "technicians %s/s",
	    size_text(
		rate(now, before, "relay", "endpoint_bytes_total", seconds),
		in),
	    size_text(
		rate(now, before, "relay", "technician_bytes_total", seconds),
		out));
	print_line(p,
	    number(o, "recorder_behind_seconds") > 10 ||
		    number(o, "ring_fill_ratio") > 0.75
		? TONE_BAD
		: TONE_PLAIN,
	    "         recorders %lld, %.2f cores, %s, lag %.1f s, ring %.0f%%",
	    whole(o, "live_recorders"), number(o, "live_cpu_permille") / 1000,
	    size_text(number(o, "recorder_memory_bytes"), memory),
	    number(o, "recorder_behind_seconds"),
	    number(o, "ring_fill_ratio") * 100);
}

static void
print_storage(
    struct page *p, const json_t *now, const json_t *before, double seconds)
{
	const json_t *o = json_object_get(now, "storage");
	char waiting[16], free_bytes[16], stored[16], age[24], lag[24];

	if (!json_is_object(o)) {
		print_line(p, TONE_PLAIN, "storage  no answer on this machine");
		return;
	}
	print_line(p,
	    number(o, "spool_oldest_seconds") > 1800 ? TONE_BAD : TONE_PLAIN,
	    "storage  spool %s, oldest %s, free %s, stored %s/s",
	    size_text(number(o, "spool_waiting_bytes"), waiting),
	    time_text(whole(o, "spool_oldest_seconds"), age),
	    size_text(number(o, "spool_free_bytes"), free_bytes),
	    size_text(
		rate(now, before, "storage", "stored_bytes_total", seconds),
		stored));
	print_line(p, number(o, "captures_failed") > 0 ? TONE_BAD : TONE_PLAIN,
	    "         captures %lld waiting, %lld encoding, %lld failed, lag "
	    "%s",
	    whole(o, "captures_waiting"), whole(o, "captures_encoding"),
	    whole(o, "captures_failed"),
	    time_text(whole(o, "encode_lag_seconds"), lag));
}

static void
print_nodes(struct page *p, const json_t *nodes)
{
	const json_t *n;
	size_t i;

	print_line(p, TONE_HEAD, "%-8s %-20s %-10s %s", "NODE", "HOST",
	    "VERSION", "STATE");
	json_array_foreach(nodes, i, n) {
		long long age = whole(n, "heartbeat_age");
		bool stopped = json_is_true(json_object_get(n, "stopped"));
		bool is_lost = !stopped && age > SILENT_S;

		print_line(p, is_lost ? TONE_BAD : TONE_PLAIN,
		    "%-8s %-20s %-10s %s, %lld s ago", text_of(n, "program"),
		    text_of(n, "host"), text_of(n, "version"),
		    stopped       ? "stopped"
			: is_lost ? "SILENT"
				  : "alive",
		    age);
	}
}

static void
print_sessions(struct page *p, const json_t *now)
{
	const json_t *sessions = json_object_get(now, "sessions"), *s;
	char duration[24];
	size_t i;

	print_line(p, TONE_HEAD, "%-8s %10s %-3s %-16s %-16s %-10s %s",
	    "SESSION", "TIME", "REC", "ENDPOINT", "TECHNICIAN", "ACCESS",
	    "RELAY");
	json_array_foreach(sessions, i, s)
		print_line(p, TONE_PLAIN,
		    "%-8.8s %10s %-3s %-16s %-16s %-10s %s", text_of(s, "id"),
		    time_text(whole(s, "seconds"), duration),
		    json_is_true(json_object_get(s, "recording")) ? "rec" : "",
		    text_of(s, "endpoint"), text_of(s, "technician"),
		    text_of(s, "access"), text_of(s, "host"));
	if (json_array_size(sessions) == 0)
		print_line(p, TONE_PLAIN, "no session runs");
}

void
top_print(FILE *out, const json_t *now, const json_t *before, double seconds,
    const struct top_layout *layout)
{
	struct page p = { .out = out, .layout = layout };
	const json_t *r = json_object_get(now, "recordings");

	print_line(&p, TONE_HEAD,
	    "%lld sessions; recordings: %lld growing, %lld in transfer, %lld "
	    "to be encoded, %lld encoding",
	    whole(now, "n_sessions"), whole(r, "recording"),
	    whole(r, "transfer"), whole(r, "downloaded"), whole(r, "encoding"));
	print_relay(&p, now, before, seconds);
	print_storage(&p, now, before, seconds);
	print_line(&p, TONE_PLAIN, "%s", "");
	print_nodes(&p, json_object_get(now, "nodes"));
	print_line(&p, TONE_PLAIN, "%s", "");
	print_sessions(&p, now);
}
