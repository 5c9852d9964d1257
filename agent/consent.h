/*
 * The question to the endpoint's user (C2): shown, counted down, answered
 * once. One loop owns it.
 */
#ifndef AGENT_CONSENT_H
#define AGENT_CONSENT_H

#include <event2/event.h>

#include "agent/child.h"
#include "agent/dialog.h"

struct consent;

/* text: a sentence when the answer needs one, else "". Called once, never
 * from within consent_start; the question is freed when it returns. */
typedef void consent_cb(void *arg, enum agent_answer answer, const char *text);

/*
 * Asks. Strings are borrowed for as long as it lives. Returns NULL when
 * nobody can be asked: no screen, no program, no memory.
 */
struct consent *consent_start(struct event_base *base,
    struct children *children, const struct dialog_screen *screen,
    const struct dialog_ask *ask, consent_cb *cb, void *arg);

/* Takes the dialog from the screen; cb is not called. NULL is fine. */
void consent_stop(struct consent *c);

#endif
