/*
 * What a file says by itself about what it is: title and tags of its header,
 * written when the file begins, so that they are in the hash chain like all of
 * it. Names come from people: control characters and those that turn the
 * direction of text are left out. No I/O but clock_format_file().
 */
#ifndef RECORDER_SESSION_SEGMENT_TAGS_H
#define RECORDER_SESSION_SEGMENT_TAGS_H

#include "common/clock.h"
#include "recorder/meta.h"
#include "webm/webm_writer.h"

#define FILE_TAGS_N 9

struct segment_tags {
	char title[WEBM_STRING_MAX + 1];
	char team[META_NAME_MAX], endpoint[META_NAME_MAX];
	char technician[META_NAME_MAX];
	char utc[CLOCK_TEXT_MAX];
	char local[CLOCK_TEXT_MAX + sizeof(((struct meta *)0)->time_zone)];
	char monitor[META_NAME_MAX + 16];
	struct webm_tag list[FILE_TAGS_N];
};

/* segment: its UUID, borrowed as long as t is used, as m is. monitor counts
 * from 1; name may be "". start_wall_ns: of the file. */
void segment_tags_fill(struct segment_tags *t, const struct meta *m,
    const char *segment, unsigned monitor, const char *monitor_name,
    uint64_t start_wall_ns);

/*
 * UTF-8 text without control characters (C0, DEL, C1), line and paragraph
 * separators, and marks of direction, cut to whole characters. Returns out.
 */
char *segment_tags_plain(const char *text, char *out, size_t out_len);

#endif
