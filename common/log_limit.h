/*
 * How many lines of one event may be logged: a token bucket per event name,
 * so that a flood of connections cannot fill the disk with one kind of line.
 * A fixed table; events beyond it share its last bucket. The caller holds a
 * lock of its own and passes the time; no I/O.
 */
#ifndef COMMON_LOG_LIMIT_H
#define COMMON_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_BURST      100 /* lines at once */
#define LOG_LIMIT_PER_SECOND 10
#define LOG_LIMIT_EVENTS     128
#define LOG_LIMIT_NAME_MAX   40

struct log_bucket {
	char event[LOG_LIMIT_NAME_MAX]; /* "": free */
	uint64_t full_ns;               /* when it holds BURST tokens again */
	uint64_t suppressed;            /* lines since the last one written */
};

struct log_limit {
	struct log_bucket buckets[LOG_LIMIT_EVENTS];
};

/*
 * May a line of this event be written now? True: it was counted as written.
 * False: it was counted as suppressed.
 */
bool log_limit_take(struct log_limit *l, const char *event, uint64_t now_ns);

/*
 * The next event with suppressed lines that may be reported now; event:
 * LOG_LIMIT_NAME_MAX bytes. Returns the number of lines and resets it; 0: no
 * event is due.
 */
uint64_t log_limit_suppressed(
    struct log_limit *l, char *event, uint64_t now_ns);

#endif
