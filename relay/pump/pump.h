/*
 * Bytes both ways while a session runs, and what the technician gets instead
 * of them. A session that sees all monitors, at any rate, without a banner
 * is forwarded as it is: no copy, no work a rectangle.
 *
 * pump.c: beginning, end; pump_endpoint.c: endpoint to technician;
 * pump_framer.c: what its bytes are; pump_viewer.c: technician to endpoint;
 * pump_view.c: one monitor; pump_switch.c: from one to another; pump_pace.c:
 * frame rate; pump_size.c: how large it may be; pump_banner.c: warnings;
 * pump_input.c, held_input.c: view only, what is down; pump_clipboard.c,
 * clipboard.c: which of its messages pass; pump_format.c: pixel formats;
 * pump_cover.c: all that is recorded is asked for, whatever the viewer asks;
 * pump_withhold.c: no pictures while no recorder is ready;
 * pump_measure.c: how long bytes take through the relay.
 */
#ifndef RELAY_PUMP_PUMP_H
#define RELAY_PUMP_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "relay/pump/clipboard.h"
#include "relay/pump/edits.h"
#include "relay/pump/held_input.h"
#include "relay/pump/meter.h"
#include "relay/pump/pace.h"
#include "relay/pump/view.h"
#include "rfb/framer.h"
#include "rfb/pixel_format.h"
#include "rfb/quiet_probe.h"

struct banner;
struct event;
struct session;

#define PUMP_OWN_ENDS 8

/* Of one direction, since the last row of the audit log. */
struct pump_clipboard_use {
	uint64_t messages, bytes, blocked;
};

/* pump_clipboard.c */
struct pump_clipboard {
	uint8_t head[11]; /* of the endpoint's message under way */
	unsigned n_head;
	bool is_holding;
	struct pump_clipboard_use to_endpoint, to_technician;
	struct event *timer;
	bool is_used, has_row;
};

/*
 * What the endpoint has shown that it knows. (Fences: endpoint_has_fence of
 * the session; continuous updates: format.is_announced of it.)
 */
struct pump_known {
	bool has_screens; /* ExtendedDesktopSize, and so SetDesktopSize */
	bool has_ext_key; /* QEMU's key event */
	bool has_ext_clipboard;
};

/* What the viewer asked for while its requests are held back. */
struct pump_held {
	bool is_any, is_full; /* is_full: not incremental */
	struct view_area area;
};

/* From one monitor to another, docs/rfb.md ("One monitor"). */
struct pump_switch {
	bool is_active;
	bool is_asked;   /* for the spot; the endpoint draws it anew */
	bool is_counted; /* the update under way began after that */
	bool is_covered; /* and has the spot */
	unsigned index;  /* wanted */
	struct view_area spot;
	struct pump_held held;
	struct event *timer;
	uint64_t progress; /* bytes from the endpoint when it was set */
};

/* A pixel format of the viewer's that waits until nothing is under way. */
struct pump_format {
	bool is_map_due; /* the viewer waits for its colour map */
	bool is_held;
	bool is_droppable; /* the update under way may be for us alone */
	struct rfb_pixel_format pf;
	struct rfb_quiet_probe probe;
	bool has_update;       /* one began since it is held */
	uint64_t update_at;    /* where */
	uint64_t asked_ns;     /* the last question */
	uint32_t n_pictures;   /* rectangles since the last look */
	struct pump_held held; /* the viewer's requests */
	struct event *timer, *deadline;
};

/* Is all that is recorded asked for? pump_cover.c. */
struct pump_cover {
	bool is_asked;               /* by one request, not answered yet */
	bool was_covered;            /* at some time since the timer was set */
	bool was_asked;              /* ever */
	bool is_armed;               /* the timer */
	bool has_asked;              /* not incrementally, ever */
	bool has_viewer_asked;       /* for anything, ever */
	bool is_hidden;              /* what comes is not for the viewer */
	bool has_picture;            /* one came after all was asked for */
	bool is_behind;              /* the viewer does not read what it has */
	unsigned n_waits;            /* of the timer, until has_picture */
	struct view_area continuous; /* of the endpoint's, as sent */
	struct buf input; /* held back: a byte with its length, a message */
	struct event *timer;
};

struct pump {
	struct edits edits;
	uint64_t message_at;   /* offset of the server message under way */
	uint64_t rect_at;      /* of the rectangle under way, if watched */
	uint64_t hold_at;      /* nothing from here on is forwarded yet */
	bool is_stalled;       /* the ring was full */
	bool is_watching;      /* rectangles are looked at */
	bool is_dropping;      /* the payload under way is left out */
	bool is_hiding;        /* the update under way, all of it */
	bool is_withholding;   /* its pictures */
	bool is_resize_untold; /* the viewer was not told of a resize */
	bool has_update;       /* one began */
	bool is_status_due;
	const char *why; /* of an error of ours, static; or NULL */

	/* the endpoint is gone: what is left goes to the technician */
	struct event *drain_timer;
	const char *end_code;
	bool is_parting; /* a banner says why: time to read it */
	char *end_reason;

	/* the viewer's offer */
	struct buf offer; /* its last SetEncodings */
	bool has_extended_size, has_size, has_hextile, has_rre;
	bool has_ext_buttons;
	struct pump_known known; /* by the endpoint */

	/* continuous updates: the viewer's word, and what the endpoint does */
	bool wants_continuous, is_continuous;
	struct view_area continuous;
	uint64_t ends_asked, ends_seen;   /* EndOfContinuousUpdates */
	uint64_t own_ends[PUMP_OWN_ENDS]; /* those that are for us */
	unsigned n_own_ends;
	unsigned n_swallow; /* requests that answer updates of ours */

	struct view view;
	struct buf screens; /* payload of the -308 under way */
	bool has_layout;    /* one has come */
	bool has_wish;      /* name.monitor, until the layout is known */
	struct event *settle_timer;
	struct event *probe_timer;
	bool is_probed; /* since an update began */

	struct pump_format format;
	struct pump_cover cover;

	/* pump_withhold.c */
	bool wants_withhold, is_withheld;
	bool is_fill_due;      /* the viewer's screen is made black */
	bool are_streams_lost; /* the viewer's zlib streams are of no use */
	uint64_t streams_lost_ns;
	struct pump_switch sw;
	bool is_monitor_mark_due;
	struct view_area redraw; /* to be asked for; framebuffer */

	char size_text[160];  /* of a size that is not allowed */
	bool is_size_refused; /* the technician has to be told */
	bool is_size_due;     /* and the viewer, between two messages */
	uint64_t size_said_ns;
	uint64_t size_credit_ns; /* wishes for a size, one for each second */
	uint64_t size_asked_ns;  /* the last one */

	struct meter meter; /* of what the endpoint draws */
	struct event *meter_timer;
	uint64_t looked_ns; /* just before bytes are read */

	struct pace pace;
	struct event *pace_timer;
	bool is_rate_mark_due;

	struct banner *banner; /* NULL: none shows */
	char *banner_text;
	struct event *banner_timer;
	bool is_banner_due; /* to be sent between two messages */
	bool is_banner_hit; /* the update under way drew over it */
	bool is_bell_due;

	struct pump_clipboard clipboard;

	struct held_input held;
};

/* Directions in which the clipboard passes now. */
unsigned pump_clipboard_ways(const struct session *s);
/* Its use since the last row, if any, into the audit log. */
void pump_clipboard_write(struct session *s);

/* Frees what belongs to the pump; the session is ending. */
void pump_release(struct session *s);

#endif
