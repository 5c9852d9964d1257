/* Weak stand-ins for parts under construction. */
#include <string.h>

#include "common/err.h"
#include "relay/session_internal.h"
#include "relay/view.h"
#include "rfb/handshake_server.h"

#define WEAK __attribute__((weak))

WEAK int session_set_monitor(struct session *s, unsigned index)
{ return index == 0 ? 0 : ERR_NOTFOUND; }
WEAK unsigned session_monitor(const struct session *s) { return 0; }
WEAK const struct view_monitor *session_monitors(const struct session *s, unsigned *n)
{ *n = 0; return NULL; }
WEAK void session_set_frame_rate(struct session *s, unsigned fps) { }
WEAK void session_set_view_only(struct session *s, bool on) { }
WEAK int session_show_banner(struct session *s, const char *text, unsigned seconds)
{ return ERR_UNSUPPORTED; }
WEAK void session_hide_banner(struct session *s) { }
