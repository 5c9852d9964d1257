/* relaycam sessions end, monitor, ...: commands to sessions that run. */
#ifndef CTL_SESSIONS_SESSION_COMMAND_H
#define CTL_SESSIONS_SESSION_COMMAND_H

#include "ctl/args.h"
#include "ctl/ctl.h"

int session_run_end(struct ctl *c, const struct args *a);
int session_run_monitor(struct ctl *c, const struct args *a);
int session_run_frame_rate(struct ctl *c, const struct args *a);
int session_run_recording(struct ctl *c, const struct args *a);
int session_run_view_only(struct ctl *c, const struct args *a);
int session_run_warn(struct ctl *c, const struct args *a);

#endif
