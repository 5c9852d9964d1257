/*
 * The only source of time. Tests move it with clock_offset_set; no other
 * file calls clock_gettime. Thread-safe, no I/O.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

/* Nanoseconds of CLOCK_BOOTTIME: counts suspended time, never set back. */
uint64_t clock_mono_ns(void);

/* Nanoseconds since 1970-01-01 UTC. */
uint64_t clock_wall_ns(void);

/* For tests: add this many nanoseconds to both clocks from now on. */
void clock_offset_set(int64_t offset_ns);

/* Bytes that clock_format_* need, with the terminating NUL. */
#define CLOCK_TEXT_MAX 40

/* Writes 2026-11-21T08:15:02.123Z (UTC) for wall_ns; returns out. */
char *clock_format_utc(uint64_t wall_ns, char out[CLOCK_TEXT_MAX]);

/*
 * Writes 2026-11-21T09-15-02+0100, the form of file names and object keys
 * (T7, T11), in an IANA zone such as "Europe/Berlin". An unknown zone is
 * taken as UTC. Not thread-safe: it moves TZ for the call; used by
 * single-threaded programs at segment starts only. Returns out.
 */
char *clock_format_file(
    uint64_t wall_ns, const char *zone, char out[CLOCK_TEXT_MAX]);

#endif
