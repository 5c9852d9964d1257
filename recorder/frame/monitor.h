/*
 * Which part of the endpoint's screen is recorded (T10, T11): all of it, or
 * the one monitor that the technician looks at. Pure arithmetic, no I/O.
 */
#ifndef RECORDER_FRAME_MONITOR_H
#define RECORDER_FRAME_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MONITOR_NAME_MAX  64   /* bytes with the NUL */
#define MONITOR_INDEX_MAX 1000 /* that a manifest may have */

/* Pixels, origin top left. */
struct area {
	unsigned x, y, w, h;
};

struct monitor {
	unsigned index;   /* 0: all of them */
	struct area area; /* on the screen, as the relay said; w 0: unknown */
	char name[MONITOR_NAME_MAX]; /* UTF-8, "" when it has none */
};

/* Reads the 24 bytes of TEE_MARK_MONITOR, common/tee.h. */
void monitor_parse(struct monitor *m, const uint8_t *value);

/*
 * Copies len bytes of a name without what manifests cannot hold: cut at the
 * first byte that is not UTF-8, control characters replaced by '?'.
 */
void monitor_set_name(struct monitor *m, const char *name, size_t len);

/* What a file's manifest and key call it: counted from 1, 1 too for all. */
unsigned monitor_number(const struct monitor *m);

/*
 * What of a screen of width x height is recorded. A monitor that reaches
 * over the screen's edge is cut; one that lies outside, or whose place is
 * not known, is recorded as the whole screen: too much, never nothing.
 */
struct area monitor_area(
    const struct monitor *m, unsigned width, unsigned height);

bool area_equal(const struct area *a, const struct area *b);

/*
 * Moves r, on the screen, to its place inside of `in` and cuts off the
 * rest. Returns false when nothing is left.
 */
bool area_clip(struct area *r, const struct area *in);

#endif
