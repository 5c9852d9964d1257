/*
 * Where the end user reads an attended session's code: standard output, and
 * a window when there is a screen. One loop owns it.
 */
#ifndef AGENT_CODE_WINDOW_H
#define AGENT_CODE_WINDOW_H

#include <stdint.h>

#include "agent/child.h"
#include "agent/dialog.h"

struct code_window;

/* The user closed the window: the code is to be closed. */
typedef void code_window_cb(void *arg);

/* screen is borrowed for as long as it lives. Returns NULL for memory. */
struct code_window *code_window_new(struct children *children,
    const struct dialog_screen *screen, code_window_cb *cb, void *arg);

/* A new code, 9 digits, valid for valid_s seconds at most. */
void code_window_show(
    struct code_window *w, const char *code, uint32_t valid_s);

/* The code is void, for now; why: a sentence. w may be NULL. */
void code_window_hide(struct code_window *w, const char *why);

void code_window_free(struct code_window *w);

#endif
