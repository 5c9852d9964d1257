/*
 * relaycam-recorder --replay: a capture through the same decoder and
 * encoder as a live session, with the times of its marks. Called by
 * storage, docs/capture.md.
 */
#ifndef RECORDER_REPLAY_H
#define RECORDER_REPLAY_H

#include <stdint.h>

/* What follows from captures and files before this one; 0: as it says. */
struct replay_start {
	uint64_t first_seq, first_frame, gap_start_ns;
};

/*
 * dir: the spool folder; id: the capture. Writes segments into the folder
 * <id>.encode below dir, which is emptied first, and progress to standard
 * output: "progress N", N of 0 to 100, one a line. Enters the sandbox.
 * Returns what to exit with: 0 done, EX_TEMPFAIL (75) it is being written
 * or replayed, or the disk failed or is full, EX_DATAERR (65) it is damaged,
 * EX_NOINPUT (66) no such capture, EX_USAGE (64) not an id, EX_SOFTWARE (70)
 * memory or the encoder.
 */
int replay_main(
    const char *dir, const char *id, const struct replay_start *start);

#endif
