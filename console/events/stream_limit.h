/* How many streams there may be at once. No I/O. */
#ifndef CONSOLE_EVENTS_STREAM_LIMIT_H
#define CONSOLE_EVENTS_STREAM_LIMIT_H

#include "console/events/stream.h"

/* 0 is no bound. */
struct stream_limits {
	unsigned total, per_person, per_address;
};

/*
 * Why no stream may be added for a person (id) at an address: the name of the
 * setting (static). NULL: it may be.
 */
const char *stream_limit_reached(const struct stream_list *streams,
    const struct stream_limits *limits, int64_t person, const char *address);

#endif
