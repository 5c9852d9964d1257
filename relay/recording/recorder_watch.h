/*
 * Does a recorder read on? It stands still when there is something to read
 * and it has read nothing for too long. No I/O; the caller says the time.
 */
#ifndef RELAY_RECORDING_RECORDER_WATCH_H
#define RELAY_RECORDING_RECORDER_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct recorder_watch {
	uint64_t recorded;  /* at the last progress */
	uint64_t since_ns;  /* when that was */
	uint64_t looked_ns; /* at the last look */
};

/* What the recorder does now takes its time: counts as progress. */
void recorder_watch_pardon(struct recorder_watch *w, uint64_t now_ns);

/*
 * Called each second. recorded: bytes of the stream that it has read; has_work:
 * bytes or marks wait for it. Returns true when it has stood still for more
 * than limit_ns. A late look proves nothing: the machine was suspended.
 */
bool recorder_watch_look(struct recorder_watch *w, uint64_t now_ns,
    uint64_t recorded, bool has_work, uint64_t limit_ns);

#endif
