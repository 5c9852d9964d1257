/*
 * What a recorder writes to its standard output and error. It decodes hostile
 * pictures, so its lines are only repeated: in lines of our own, which name
 * its session, with bytes that print, of bounded length and number. A line
 * that looks like another program's stays a quotation.
 * No I/O but log lines; one owner.
 */
#ifndef RELAY_RECORDER_LOG_H
#define RELAY_RECORDER_LOG_H

#include <stddef.h>
#include <stdint.h>

#define RECORDER_LOG_LINE  400 /* bytes of a line; the rest is left out */
#define RECORDER_LOG_BURST 30  /* lines at once, */
#define RECORDER_LOG_NS    UINT64_C(1000000000) /* then one each second */

struct recorder_log {
	char line[RECORDER_LOG_LINE + 1];
	size_t len;
	uint64_t full_ns;   /* when BURST lines may be written again */
	uint64_t n_omitted; /* since the last one that was written */
};

/* session, data: borrowed; now_ns: any clock that only goes forward. */
void recorder_log_feed(struct recorder_log *l, const char *session,
    const uint8_t *data, size_t len, uint64_t now_ns);
/* It has ended: half a line is one, and how many were left out is said. */
void recorder_log_end(
    struct recorder_log *l, const char *session, uint64_t now_ns);

#endif
