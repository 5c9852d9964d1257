/*
 * Where a recorder goes on that takes a dead one's place (X2, X4): numbers
 * of segment and frame follow those on disk, without holes. Reads files of
 * the spool that the dead one wrote: only inside the sandbox.
 */
#ifndef RECORDER_RESUME_H
#define RECORDER_RESUME_H

#include "common/tee.h"
#include "recorder/meta.h"

/*
 * Raises m's first_seq and first_frame to what follows the dead one, and
 * sets gap_start_ns if it had a segment open. Its file is counted; where
 * storage has taken that away already, the checkpoint is believed, and m where
 * there is no checkpoint.
 */
void resume_prepare(
    struct meta *m, int dir_fd, const struct tee_checkpoint *checkpoint);

#endif
