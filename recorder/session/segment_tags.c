#include "recorder/session/segment_tags.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the character at p; 0: it is none (RFC 3629). */
static size_t
char_len(const unsigned char *p, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80          ? 1
	    : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
	    : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
	    : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
					  : 0;

	*code = len == 1 ? p[0] : len > 0 ? p[0] & (0x7FU >> len) : 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		*code = *code << 6 | (p[i] & 0x3F);
	}
	return *code < least[len] || *code > 0x10FFFF ||
		(*code >= 0xD800 && *code < 0xE000)
	    ? 0
	    : len;
}

static bool
is_shown(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7F && c < 0xA0) &&
	    !(c >= 0x2028 && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069) &&
	    c != 0x200E && c != 0x200F && c != 0x061C && c != 0xFEFF;
}

char *
segment_tags_plain(const char *text, char *out, size_t out_len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0;

	while (*p != '\0') {
		uint32_t code;
		size_t len = char_len(p, &code);

		if (len == 0) {
			p++;
			continue;
		}
		if (is_shown(code)) {
			if (n + len >= out_len)
				break;
			memcpy(out + n, p, len);
			n += len;
		}
		p += len;
	}
	out[n] = '\0';
	return out;
}

/* "2026-11-21 09:15:02 +0100" of the form of file names. */
static void
readable(uint64_t wall_ns, const char *zone, char out[CLOCK_TEXT_MAX])
{
	char name[CLOCK_TEXT_MAX];

	clock_format_file(wall_ns, zone, name);
	snprintf(out, CLOCK_TEXT_MAX, "%.10s %.2s:%.2s:%.2s %.5s", name,
	    name + 11, name + 14, name + 17, name + 19);
}

void
segment_tags_fill(struct segment_tags *t, const struct meta *m,
    const char *segment, unsigned monitor, const char *monitor_name,
    uint64_t start_wall_ns)
{
	char start[CLOCK_TEXT_MAX], name[META_NAME_MAX];
	const struct webm_tag list[FILE_TAGS_N] = {
		{ "SESSION", m->session },
		{ "TEAM", t->team },
		{ "ENDPOINT", t->endpoint },
		{ "TECHNICIAN", t->technician },
		{ "SEGMENT", segment },
		{ "MONITOR", t->monitor },
		{ "DATE_RECORDED", t->utc },
		{ "DATE_RECORDED_LOCAL", t->local },
		{ "COMMENT",
		    "Recorded by Relaycam; \"relaycam verify\" checks "
		    "that nothing was changed" },
	};

	segment_tags_plain(m->team, t->team, sizeof(t->team));
	segment_tags_plain(m->endpoint, t->endpoint, sizeof(t->endpoint));
	segment_tags_plain(m->technician, t->technician, sizeof(t->technician));
	segment_tags_plain(monitor_name, name, sizeof(name));
	snprintf(t->monitor, sizeof(t->monitor), "%u%s%s", monitor,
	    name[0] != '\0' ? " " : "", name);
	/* in UTC (RFC 9559); another zone than the session's would be read
	 * from a file, and the sandbox has none */
	clock_format_utc(start_wall_ns, start);
	snprintf(t->utc, sizeof(t->utc), "%.10s %.8s", start, start + 11);
	readable(start_wall_ns, m->time_zone, start);
	snprintf(t->local, sizeof(t->local), "%s %s", start, m->time_zone);
	snprintf(t->title, sizeof(t->title), "%s, %s, %s, monitor %u",
	    t->endpoint, t->technician, start, monitor);
	memcpy(t->list, list, sizeof(list));
}
