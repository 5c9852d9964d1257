/* What the pump's files share; nobody else includes this. */
#ifndef RELAY_PUMP_PUMP_INTERNAL_H
#define RELAY_PUMP_PUMP_INTERNAL_H

#include <event2/event.h>

#include "relay/pump/pump.h"
#include "rfb/client_messages.h"
#include "rfb/framer.h"

#define PUMP_NOTHING_HELD UINT64_MAX
#define PUMP_TURN_MAX     (512 * 1024) /* bytes per wakeup */

/* ---- pump.c ---- */

/* The last of it is sent, or will not be. */
void pump_drained(struct pump *p);

/* (Re)starts a timer, made when it is first needed. 0 or ERR_NOMEM. */
int pump_timer(
    struct pump *p, struct event **timer, event_callback_fn fn, uint64_t ns);

/* ---- pump_framer.c ---- */

int pump_framer_event(void *arg, const struct rfb_framer_event *ev);

/* In place of stream bytes [from, to) the technician gets these. */
int pump_edit(
    struct pump *p, uint64_t from, uint64_t to, const void *bytes, size_t len);

/* An update of ours may be inserted at a message's end: the viewer's format
 * and size are known for certain, and it reads updates. */
bool pump_may_insert(const struct pump *p);

/* Some feature begins or ends: are rectangles to be looked at? */
void pump_watch(struct pump *p);

/* A message of the endpoint's ended, outside of the framer's callback too:
 * what waited for that moment. */
int pump_boundary(struct pump *p, uint64_t offset);

/* ---- pump_viewer.c ---- */

int pump_client_message(void *arg, const struct rfb_client_event *ev);
void pump_viewer_failed(struct pump *p, int rc);

/* Bytes for the endpoint, behind all before. 0 or an error. */
int pump_send(struct pump *p, const void *data, size_t len);
/* a: of the framebuffer. */
int pump_send_request(struct pump *p, bool incremental, struct view_area a);
/* What the viewer sees, or a part of it, again and not incremental. */
int pump_send_refresh(struct pump *p, struct view_area a);
/* The viewer's offer again, narrowed by what is in force now. */
int pump_send_offer(struct pump *p);
/* EnableContinuousUpdates, of an area of the framebuffer that becomes all that
 * is recorded. */
int pump_send_continuous(struct pump *p, bool enable, struct view_area a);
/* Continuous updates towards the endpoint as they should be now: the viewer
 * wants them, no metering, no switch. */
int pump_continuous(struct pump *p);
/* An EndOfContinuousUpdates came; true: it is not the viewer's. */
bool pump_take_end(struct pump *p);
/* A request of the viewer's that nothing holds back any more. */
int pump_forward_request(struct pump *p, bool incremental, struct view_area a);

/* ---- pump_view.c ---- */

int pump_view_rect(struct pump *p, const struct rfb_framer_event *ev);
/* The viewer gets one pixel in place of a rectangle. redraw: what has to be
 * asked for again, of the framebuffer. */
int pump_view_drop(struct pump *p, const struct rfb_framer_event *ev,
    struct view_area *redraw);
/* An update with the viewer's size alone. */
int pump_view_insert_size(struct pump *p, uint64_t offset);
int pump_view_screens(struct pump *p, const struct rfb_framer_event *ev);
int pump_view_resize(struct pump *p, const struct rfb_framer_event *ev);
void pump_view_mark(struct pump *p, uint64_t offset);
/* No CopyRect to the endpoint's offer, or it again, as things stand now. */
int pump_view_narrow(struct pump *p);
/* A request for a part of the desktop goes to the endpoint. */
void pump_view_asked(struct pump *p);

/* ---- pump_size.c ---- */

/* A rectangle of the endpoint's begins. 0, or ERR_LIMIT with pump.why: its
 * screen is larger than the site allows. */
int pump_size_rect(struct pump *p, const struct rfb_framer_event *ev);
/* True: the viewer's wish for this size is not forwarded; pump_size_tell
 * answers it, once the viewer's messages are out of the way. */
bool pump_size_refuses(struct pump *p, unsigned w, unsigned h);
void pump_size_tell(struct pump *p);
/* True: there were too many wishes of late; each question is one. */
bool pump_size_is_too_often(struct pump *p);
/* A wish for a size was not forwarded: the viewer is told. */
void pump_size_say_no(struct pump *p);
int pump_size_boundary(struct pump *p, uint64_t offset);

/* ---- pump_switch.c ---- */

int pump_switch_begin(struct pump *p, unsigned index);
void pump_switch_update(struct pump *p);
void pump_switch_rect(struct pump *p, const struct rfb_rect *r);
int pump_switch_boundary(struct pump *p, uint64_t offset);
/* The list of monitors changed: at once, or when it has settled. */
int pump_switch_layout(struct pump *p, bool at_once);

/* ---- pump_format.c ---- */

int pump_format_set(struct pump *p, const struct rfb_pixel_format *pf);
/* The viewer's format is not the one of the stream. */
static inline bool
pump_format_is_pending(const struct pump *p)
{
	return p->format.is_held ||
	    rfb_format_switch_is_pending(&p->pixel_format);
}
/* While it is held: an update begins, one of its rectangles, a message's
 * end. */
void pump_format_update(struct pump *p, uint64_t offset);
void pump_format_rect(struct pump *p, const struct rfb_rect *r);
int pump_format_boundary(struct pump *p, uint64_t offset);
/* The viewer asked for a colour map: it is sent between two messages. */
void pump_format_want_map(struct pump *p);
int pump_format_map_boundary(struct pump *p, uint64_t offset);
/* A request of the viewer's, until it may go. */
void pump_hold_request(
    struct pump_held *h, bool incremental, struct view_area a);

/* ---- pump_cover.c ---- */

/* A request goes to the endpoint, a: of the framebuffer. */
void pump_cover_request(struct pump *p, bool incremental, struct view_area a);
/* The area to have continuous updates of when the viewer wants them of a: all
 * that is recorded, if it is. */
struct view_area pump_cover_area(const struct pump *p, struct view_area a);
/* The viewer asks, for the first time or again. */
int pump_cover_viewer_asks(struct pump *p);
/* An update begins. Xvnc answers a request that is not incremental by one
 * without a picture, and then waits for another. */
int pump_cover_update(struct pump *p);
/* It has a picture; the first rectangle of it. */
int pump_cover_picture(struct pump *p);
/* The desktop has another size. */
void pump_cover_resize(struct pump *p);
/* A message of input for the endpoint, keys, pointer or a text of any length,
 * at once or when all is asked for. One that only lets a key go does not
 * wait. */
int pump_cover_input(struct pump *p, const void *message, size_t len);
/* Would it wait now? */
bool pump_cover_holds_input(const struct pump *p);
/* Input that waits is not wanted any more. */
void pump_cover_drop_input(struct pump *p);

/* ---- pump_withhold.c ---- */

/* Must a rectangle of this encoding be left out? */
bool pump_withhold_takes(const struct pump *p, int32_t encoding);
/* Leaves a rectangle with a picture out. */
int pump_withhold_rect(struct pump *p, const struct rfb_framer_event *ev);
int pump_withhold_boundary(struct pump *p, uint64_t offset);

/* ---- pump_pace.c ---- */

int pump_pace_request(struct pump *p, bool incremental, struct view_area a);
/* In place of the viewer's continuous updates. */
int pump_pace_ask(struct pump *p);
void pump_pace_mark(struct pump *p, uint64_t offset);

/* ---- pump_banner.c ---- */

void pump_banner_rect(struct pump *p, const struct rfb_rect *r);
int pump_banner_boundary(struct pump *p, uint64_t offset);
/* The viewer's desktop has another size. */
void pump_banner_resize(struct pump *p);

/* ---- pump_input.c ---- */

int pump_key(struct pump *p, const struct rfb_client_event *ev);
int pump_pointer(struct pump *p, const struct rfb_client_event *ev);
int pump_qemu(struct pump *p, const struct rfb_client_event *ev);

/* A message of input goes to the endpoint now. */
int pump_pass_input(struct pump *p, const void *message, size_t len);
/* What is held down is let go at the endpoint. */
int pump_release_input(struct pump *p);

/* ---- pump_clipboard.c ---- */

int pump_cut_text(struct pump *p, const struct rfb_client_event *ev);
/* The endpoint's: its message begins, and its body. */
void pump_clipboard_begin(struct pump *p, uint64_t offset);
int pump_clipboard_payload(struct pump *p, const struct rfb_framer_event *ev);

/* ---- pump_measure.c ---- */

/* Bytes were read: those that may be forwarded are timed from then on. */
void pump_measure_read(struct pump *p, uint64_t now_ns);
/* All that the viewer's socket takes was written. */
void pump_measure_forwarded(struct pump *p);

/* True for rectangles that draw. */
static inline bool
pump_is_picture(int32_t encoding)
{
	return encoding >= 0 && encoding <= RFB_ENC_ZRLE;
}

#endif
