/*
 * Rows that say that they lie in this spool, where no file is. Somebody removed
 * it (M4): the row becomes `missing`. A recorder that failed before its first
 * frame takes its files back, also while storage is away: such a segment is
 * closed: a moment of no length at its start, so that
 * the gap ledger states what is missing (X2, X4).
 */
#ifndef STORAGE_SPOOL_VANISHED_H
#define STORAGE_SPOOL_VANISHED_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;

struct vanished {
	struct daemon *d;
	int dir;          /* borrowed: the spool folder */
	bool is_asked;    /* a query is under way */
	uint64_t next_ns; /* clock_mono_ns of the next look; 0: at once */
};

/* Looks if it is time. The rows of files that were found are on their way:
 * call behind the scan that sends them. */
void vanished_look(struct vanished *v);

/* Files of a segment that was being recorded are gone: looks next time. */
void vanished_soon(struct vanished *v);

#endif
