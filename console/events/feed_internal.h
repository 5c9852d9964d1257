/* What the feed and its batches share. */
#ifndef CONSOLE_EVENTS_FEED_INTERNAL_H
#define CONSOLE_EVENTS_FEED_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "console/events/batch.h"
#include "console/events/stream.h"

struct db;
struct event;
struct worker;

struct feed {
	struct worker *worker;
	struct db *db;
	struct stream_list streams;
	unsigned n_streams;
	int64_t horizon; /* streams that are not behind have had all up to it */
	struct batch live, late;
	struct event *beat, *tidy;
	char *sql;
	bool is_stopping;
};

#endif
