/*
 * relaycam-recorder --repair: finishes a segment whose recorder died, as
 * docs/spool.md says. Called by storage.
 */
#ifndef RECORDER_RECORDER_REPAIR_H
#define RECORDER_RECORDER_REPAIR_H

/*
 * dir: the spool folder; id: the segment. Enters the sandbox. Returns what
 * to exit with: 0 finished, EX_TEMPFAIL (75) it is being recorded or the
 * disk failed, EX_DATAERR (65) no frame can be saved or the manifest is
 * broken, EX_NOINPUT (66) no such segment, EX_USAGE (64) not an id.
 */
int repair_main(const char *dir, const char *id);

#endif
