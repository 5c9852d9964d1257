/*
 * A live recorder that is behind for good hands its session over to a
 * capture (docs/capture.md): the video's file ends at one frame, and the
 * capture begins there with the screen as it is and the state of the
 * decoder, so that nothing is missing between them.
 */
#ifndef RECORDER_CAPTURE_HANDOVER_H
#define RECORDER_CAPTURE_HANDOVER_H

#include "recorder/capture/capture_run.h"
#include "recorder/session/recorder_session.h"

/*
 * c: what capture_run needs; meta and json are those of the live session,
 * which must be able to hand over. Frees s. Tells the relay CAPTURE, then
 * returns as capture_run does when that ends.
 */
int handover_run(struct recorder_session *s, const struct capture_run *c,
    struct capture_run_result *res);

#endif
