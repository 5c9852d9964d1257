/*
 * Gives the system back those pages of this process that hold nothing but
 * zeros. libvpx clears tables that are sized for the worst frame, and mostly
 * never uses most of them: two thirds of an encoder's memory. A page that was
 * given back reads as zeros, so nothing changes but what is counted.
 * For a process with one thread. Source: madvise(2), mincore(2), proc(5).
 */
#ifndef RECORDER_FRAME_ZERO_PAGES_H
#define RECORDER_FRAME_ZERO_PAGES_H

#include <stddef.h>

/*
 * Before the sandbox is entered, which keeps /proc out of reach: opens the list
 * of this process's mappings, and has large blocks mapped one by one from now
 * on, so that a freed one leaves at once. Without it, and where there is no
 * /proc, zero_pages_release() does nothing.
 */
void zero_pages_prepare(void);

/* Returns the bytes that were given back; some 3 ms for 100 MB. */
size_t zero_pages_release(void);

#endif
