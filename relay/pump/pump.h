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
 *
 * A pump knows nothing of who logged in, of rows or recorders: what follows
 * from its bytes it tells its owner by pump_ops. Everything happens on the
 * loop of the two channels.
 */
#ifndef RELAY_PUMP_PUMP_H
#define RELAY_PUMP_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/tee.h"
#include "relay/pump/clipboard.h"
#include "relay/pump/edits.h"
#include "relay/pump/held_input.h"
#include "relay/pump/meter.h"
#include "relay/pump/pace.h"
#include "relay/pump/ring.h"
#include "relay/pump/view.h"
#include "relay/wire/channel.h"
#include "rfb/framer.h"
#include "rfb/pixel_format.h"
#include "rfb/pixel_format_switch.h"
#include "rfb/quiet_probe.h"
#include "rfb/set_encodings.h"

struct banner;
struct event;
struct event_base;
struct histogram;
struct pump_clipboard;
struct rfb_client_messages;
struct rfb_server_init;
struct text_font;

#define PUMP_SIZE_TEXT 160

enum pump_change {
	PUMP_CHANGED_STATUS, /* monitor or monitors */
	PUMP_CHANGED_STREAM, /* more of the endpoint's bytes are framed */
	PUMP_CHANGED_MARKS,  /* and the framer is at rest: marks may be lost */
};

/*
 * What a pump tells its owner; arg: of its conf. Called from within the pump,
 * the framer's callback included: the owner frees nothing of it.
 */
struct pump_ops {
	/* It is over. code: a word of sessions.end_code, static. The owner
	 * clears is_running before it returns. */
	void (*ended)(void *arg, const char *code, const char *why);
	/* The same for an error, and the technician is told why first. */
	void (*refused)(void *arg, const char *why);
	/* A mark stands at a stream offset, TEE_MARK_VALUE bytes at most. */
	void (*mark)(void *arg, enum tee_mark_kind kind, uint64_t offset,
	    const void *value, size_t len);
	/* A message of the endpoint's ended there. */
	void (*boundary)(void *arg, uint64_t offset);
	void (*changed)(void *arg, enum pump_change what);
	/* Must all that the recording shows be asked for? */
	bool (*is_recorded)(void *arg);
	/* May its screen have this size? Else why not, a sentence. */
	bool (*may_resize)(
	    void *arg, unsigned w, unsigned h, char why[PUMP_SIZE_TEXT]);
	/* The rectangle at offset gives the screen this size. */
	void (*resized)(void *arg, uint64_t offset, unsigned w, unsigned h);
	/* The technician is to read this. */
	void (*warn)(void *arg, const char *text);
	/* The viewer's wish; why: it was not granted, NULL: it was. */
	void (*wished)(
	    void *arg, const char *what, const char *value, const char *why);
	/* Use of the clipboard since the last call, for the audit log. */
	void (*clipboard_used)(void *arg, const struct pump_clipboard *use);
};

/* Fixed while it runs; all pointers are borrowed. */
struct pump_conf {
	const struct pump_ops *ops;
	void *arg; /* goes to ops */
	struct event_base *base;
	uint8_t *scratch; /* of the loop */
	size_t scratch_len;
	struct text_font *font; /* NULL: banners are a bell */
	struct histogram *latency;
	const char *id;        /* of the session, for the log */
	const char *clipboard; /* the team's setting */
	size_t room_bytes;     /* of a full ring, before it is read on */
	uint32_t frame_rate;   /* of the recording, without a wish */
	unsigned monitor;      /* that the viewer wishes, 0: all */
	bool is_ultravnc;      /* the endpoint */
};

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
 * What the endpoint has shown that it knows. (Fences: endpoint_has_fence;
 * continuous updates: pixel_format.is_announced.)
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
	struct pump_conf conf;
	bool is_running; /* bytes go both ways; the owner sets and clears it */
	struct channel viewer, endpoint;
	struct ring ring;
	struct rfb_framer *framer;
	struct rfb_client_messages *client_messages;
	struct rfb_format_switch pixel_format;
	struct rfb_encodings_policy encodings;
	bool viewer_has_fence, endpoint_has_fence;
	unsigned rate; /* the technician's choice, 0: as it comes */
	bool is_view_only;
	bool has_recorder; /* it follows the ring */
	uint64_t last_mark_ns;
	uint32_t n_keys, n_pointers; /* since the owner took them */
	/* Stream offset that is to be forwarded, and when its bytes were read;
	 * 0: none under way. */
	uint64_t forward_at, read_ns;

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

	char size_text[PUMP_SIZE_TEXT]; /* of a size that is not allowed */
	bool is_size_refused;           /* the technician has to be told */
	bool is_size_due; /* and the viewer, between two messages */
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

/* 0 or ERR_NOMEM. server: the endpoint's, borrowed. conf is set. */
int pump_start(struct pump *p, const struct rfb_server_init *server);
/* After pump_start, with is_running: what came early, and all that follows. */
void pump_begin(struct pump *p);
/* Each second while it runs. */
void pump_tick(struct pump *p);
/* Frees what belongs to the pump, not its channels and its ring. */
void pump_release(struct pump *p);

/* Events of the channels. */
void pump_from_endpoint(struct pump *p);
void pump_to_viewer(struct pump *p);
void pump_from_viewer(struct pump *p);
void pump_to_endpoint(struct pump *p);

/* The endpoint is gone, or what is left of its stream is no use: what came
 * before is delivered. */
void pump_endpoint_failed(struct pump *p, ssize_t rc);
/* Nothing more comes from the endpoint; the viewer gets what is left, a
 * banner with the reason if it can be, and the pump ends. */
void pump_part(struct pump *p, const char *code, const char *reason);
/* False: a message of the endpoint's is under way, and pump_part could not
 * say why. */
bool pump_may_part(const struct pump *p);
/* What is down at the endpoint is let go, as far as its connection takes it
 * now. True: input was passed to it, and its last bytes should arrive. */
bool pump_let_go(struct pump *p);
/* Why the viewer's connection ended: a sentence, static. */
const char *pump_viewer_why(const struct pump *p);
/* The same of the endpoint, without a subject. */
const char *pump_endpoint_why(const struct pump *p, bool is_orderly);

/* The last of it is being delivered. */
static inline bool
pump_is_draining(const struct pump *p)
{
	return p->end_code != NULL;
}

/* True, and where, when a message of ours may be inserted now. */
bool pump_is_between(const struct pump *p, uint64_t *offset);
/* Sends what a command, a timer or the framer left for both channels. Not from
 * the framer's callback. */
void pump_settle(struct pump *p);
/* Another recorder joins at a boundary: no zlib any more, and everything
 * anew. 0 or an error. */
int pump_repaint(struct pump *p);
/* From here on it is recorded, or recorded anew. */
void pump_cover_start(struct pump *p);

/* 0: all. Returns 0, ERR_NOTFOUND, ERR_UNSUPPORTED (the viewer cannot
 * resize) or ERR_AGAIN. */
int pump_set_monitor(struct pump *p, unsigned index);
unsigned pump_monitor(const struct pump *p);
/* Borrowed; *n of them. */
const struct view_monitor *pump_monitors(const struct pump *p, unsigned *n);
/* Frames per second, 0: as they come. */
void pump_set_frame_rate(struct pump *p, unsigned fps);
void pump_set_view_only(struct pump *p, bool on);
/* Input of the technician's reaches the endpoint: no view only, and frames
 * are not withheld. */
bool pump_may_act(const struct pump *p);
/* seconds: 0: until another one. Returns 0, or why there is a bell only. */
int pump_show_banner(struct pump *p, const char *text, unsigned seconds);
void pump_hide_banner(struct pump *p);
/* No frames for the technician, and a banner that says so; or all of them
 * again. Not from the framer's callback. */
void pump_withhold(struct pump *p, bool on);
/* Directions in which the clipboard passes now. */
unsigned pump_clipboard_ways(const struct pump *p);
/* Has its use since the last time reported. */
void pump_clipboard_report(struct pump *p);

#endif
