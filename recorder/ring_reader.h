/*
 * A live recorder's loop: the tee ring and the clock drive a session until
 * its end. Takes bytes as they come, so that the ring never fills because
 * of us; sleeps until bytes or a due frame, and while one waits lets
 * bytes pile up a little instead of waking for each chunk.
 */
#ifndef RECORDER_RING_READER_H
#define RECORDER_RING_READER_H

#include "recorder/session/recorder_session.h"

#define RING_READER_BEHIND 1

/*
 * Runs to the end; reader, event_fd (DATA_EVENT) and status_fd are
 * borrowed. SIGTERM and the end of the relay close the segment cleanly.
 * Returns 0 when the end was handled, or the error that ended the session
 * (its segment is closed all the same); RING_READER_BEHIND when the session was
 * behind for behind_seconds and can hand over now.
 */
int ring_reader_run(struct recorder_session *s, struct tee_reader *reader,
    unsigned behind_seconds, int event_fd, int status_fd);

/* Blocks SIGTERM outside of waiting; before the sandbox. 0 or ERR_IO. */
int ring_reader_block_signals(void);

/* Before the sandbox: how much memory it uses is told to the relay later. */
void ring_reader_watch_memory(void);

/* Whether SIGTERM or SIGINT came. */
bool ring_reader_got_term(void);

/* One message to the relay; a relay that is gone is no error here. */
void ring_reader_report(int status_fd, enum tee_status_kind kind, int code,
    uint64_t frames, uint64_t bytes, const char *text);

#endif
