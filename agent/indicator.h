/*
 * The note on the endpoint's screen while a session is recorded (C4). A note
 * that its user closes comes back after a minute. One loop owns it.
 */
#ifndef AGENT_INDICATOR_H
#define AGENT_INDICATOR_H

#include <event2/event.h>

#include "agent/child.h"
#include "agent/dialog.h"

struct indicator;

/* screen is borrowed for as long as it lives. NULL when nothing can be
 * shown: no screen, no program, no memory. */
struct indicator *indicator_start(struct event_base *base,
    struct children *children, const struct dialog_screen *screen,
    const char *session, const char *text);

/* Takes it from the screen. NULL is fine. */
void indicator_stop(struct indicator *i);

#endif
