/*
 * Inside recorder/session*.c only: what session.c (bytes, marks, time) and
 * session_picture.c (pictures, segments) share.
 */
#ifndef RECORDER_SESSION_SESSION_INTERNAL_H
#define RECORDER_SESSION_SESSION_INTERNAL_H

#include "common/buf.h"
#include "recorder/picture/activity.h"
#include "recorder/picture/canvas.h"
#include "recorder/picture/encoder.h"
#include "recorder/picture/pacer.h"
#include "recorder/picture/pending.h"
#include "recorder/session/session.h"
#include "recorder/picture/tiles.h"
#include "rfb/decoder.h"

/* How long a segment waits for the first pixels; they count from its start. */
#define SESSION_OPEN_WAIT_NS NS_PER_S

enum session_state {
	SESSION_JOINING, /* midway: the screen is not known yet */
	SESSION_OPENING, /* the segment waits for its first picture */
	SESSION_RUNNING,
	SESSION_STOPPED, /* by hand: decode only */
	SESSION_OVER,
};

enum picture_kind {
	PICTURE_DAMAGE,  /* what changed */
	PICTURE_QUIET,   /* coarse tiles once more */
	PICTURE_REFINE,  /* what changed, and coarse ones that rested; fine */
	PICTURE_CLOSING, /* both, at the segment's end time */
	PICTURE_KEY,     /* all once more, for players to start from */
};

struct session {
	const struct meta *meta;
	session_cb *cb;
	void *arg;
	enum session_state state;
	int error;
	const char *why;

	struct rfb_decoder *decoder;
	struct monitor monitor; /* in force */
	struct area area;       /* of the screen: what is recorded */
	unsigned screen_width, screen_height; /* that area was made for */
	struct canvas canvas;                 /* of the area's size */
	struct tiles tiles;                   /* of the canvas */
	struct pending pending;               /* of the canvas */
	struct activity activity;             /* of the segment */
	int last_quantizer;                   /* of the last picture */
	uint64_t refined_ns; /* when coarse tiles got a second helping */
	struct pacer pacer;
	struct encoder *encoder; /* NULL: made for the next picture */
	uint64_t pts_ms;         /* last one the encoder saw */

	uint64_t now_ns;    /* time of the stream */
	uint64_t came_ns;   /* when the bytes at hand arrived: marks only */
	uint32_t update;    /* number of the one under way, or the next */
	uint64_t draw_ns;   /* when the rectangle under way began */
	uint64_t shown_ns;  /* when the newest pixels in `pending` came */
	uint64_t losing_ns; /* since when the oldest pixels stand that the
			     * rectangle under way replaces, or NEVER */
	bool has_merged;    /* the update under way is counted */
	uint64_t dirty_ns;  /* oldest damage not in a picture, or NEVER */
	uint64_t disk_checked_ns; /* last look at disk and sync */
	bool has_damage;    /* pixels came since the segment's split */
	bool is_blank;      /* none came at all for this canvas */
	bool has_poster;    /* the segment does, or never will */

	struct segment_store store;
	struct segment *segment; /* NULL while none is open */
	const char *reason;      /* of the segment that opens */
	uint64_t open_ns;        /* its start */
	uint64_t open_by_ns;     /* waits for pixels until then */
	uint64_t last_open_ns;   /* start of the one before */
	uint64_t last_time_ms;   /* last frame of the open segment */
	struct buf still;   /* packet that shows the last picture once more;
			     * empty: not encoded yet */
	bool is_still_owed; /* the encoder counts on it, the file has none */
	bool is_ahead;      /* the encoder's last picture is not in the file */
	uint8_t repeat[ENCODER_REPEAT_MAX]; /* the same without the encoder */
	size_t repeat_len; /* 0: the last picture cannot be repeated */
	uint64_t
	    repeated_ns; /* time of the last repeat that was due, 0: none */
	uint64_t seq, next_frame;
	bool is_leaving;       /* goes on as a capture, session_wants_capture */
	bool is_wanted;        /* while joining: record then */
	uint64_t gap_start_ns; /* of the segment that opens; 0: none */
	uint64_t n_skipped;    /* of the decoder, when it was looked at */
	unsigned frame_rate;
	uint64_t frames, bytes;
};

/* session_picture.c: all return 0 or a negative enum err. */

int session_open_segment(struct session *s);

/* A file is open that has no picture yet. */
bool session_is_unbegun(const struct session *s);

/* Its last file ended, the next one is not there yet. */
bool session_is_unopened(const struct session *s);

/* Such a file is of another monitor or size than it was opened for. */
int session_restate(struct session *s);

/* Which second of the segment that is open, or about to be, t is in. */
uint64_t session_second(const struct session *s, uint64_t t_ns);

/* The first picture of an opening segment, at its start time. */
int session_first_picture(struct session *s);

int session_take_picture(
    struct session *s, uint64_t t_ns, enum picture_kind kind);

/*
 * Ends the segment at t and lets the next one begin there for `reason`
 * (T10). wait: its first picture may wait for pixels, because the screen
 * is about to be sent again; else it is taken at once, showing the screen
 * as it stands.
 */
int session_split(
    struct session *s, uint64_t t_ns, const char *reason, bool wait);

/* Closing frame, then file and manifest. */
int session_end_segment(struct session *s, uint64_t t_ns, const char *end);

/*
 * The area for the screen and the monitor as they are now, with a canvas of
 * its size.
 */
int session_set_area(struct session *s);

/*
 * Milliseconds of the segment at which a frame is shown, above those of its
 * last one. A closing frame lasts the file's last millisecond, so that the
 * file ends at t exactly.
 */
uint64_t session_frame_ms(
    const struct session *s, uint64_t t_ns, bool is_closing);

/*
 * Writes a frame; duration_ms of it is 0 but for the segment's last. Returns
 * as segment_write: ERR_LIMIT when it, and with has_reserve the repeats at
 * the segment's end, do not fit.
 */
#define SESSION_STILL_BYTES 96 /* of a repeat of the usual length */
#define SESSION_END_BYTES   (2 * (SESSION_STILL_BYTES + WEBM_FRAME_OVERHEAD))
int session_write_frame(
    struct session *s, const struct webm_frame *frame, bool has_reserve);

/* The next frame does not fit: the file ends at t, and the picture there
 * opens the next one. */
int session_split_on_size(struct session *s, uint64_t t_ns);

/* session_idle.c: no encoder while nothing moves */

/* When it is freed, or PACER_NEVER. The next picture gets another one. */
uint64_t session_idle_due(const struct session *s);
void session_free_encoder(struct session *s);

/* session_repeat.c: the last picture once more */

/* When a repeat is due, or PACER_NEVER. */
uint64_t session_repeat_due(const struct session *s);

/* That repeat, at t; once in a while a key frame in its place. */
int session_repeat(struct session *s, uint64_t t_ns);

/* Before the first segment, and after the last one. */
void session_repeat_init(struct session *s);
void session_repeat_release(struct session *s);

/* A segment without a frame: nothing to repeat. */
void session_repeat_reset(struct session *s);

/* The encoder has coded a picture; it was written, packet f. */
void session_repeat_encoded(struct session *s);
void session_repeat_written(struct session *s, const struct webm_frame *f);

/* Whether the last picture stood for a while until something changed, which a
 * picture at t will show. */
bool session_stood(const struct session *s, uint64_t t_ns);

/* Encodes the repeat of the last picture, while the canvas still shows it. */
int session_repeat_prepare(struct session *s);

/*
 * A picture at t is about to be encoded: the one before it once more, where it
 * stood or the encoder counts on it. ERR_LIMIT: then the picture cannot be
 * in this file either.
 */
int session_repeat_before(struct session *s, uint64_t t_ns, bool has_stood);

/*
 * The last picture once more, twice where there is time for it, so that the
 * file lasts until t. For VP8, and where there is no room, the header does.
 */
int session_repeat_to_end(struct session *s, uint64_t t_ns);

/* When a closing picture has to stand in the segment, for its repeat to follow
 * it where there is time for one. */
uint64_t session_closing_ms(const struct session *s, uint64_t t_ns);

/* session_replace.c: what stood for long enough has a frame */

/* r, a part of the area in its own coordinates, is about to be drawn. */
void session_before_draw(struct session *s, const struct area *r);

/* The recorded part of the screen is about to get another place or size. */
void session_before_move(struct session *s);

/* r was drawn. */
void session_drawn(struct session *s, const struct area *r);

/* No pixel waits: a frame shows all, or nothing is recorded of them. */
void session_none_pending(struct session *s);

/*
 * When the picture is due that keeps what the rectangle under way replaces
 * piece by piece, or PACER_NEVER.
 */
uint64_t session_losing_due(const struct session *s);

/* That picture, at t. */
int session_keep_picture(struct session *s, uint64_t t_ns);

/* session_join.c */

/* An update is complete: joins, or finds that it cannot stay joined. */
int session_join_update(struct session *s);

/* session.c */

/*
 * Keeps the first error; callbacks from the decoder cannot return one. Want
 * of space ends a recording by hand, not the session.
 */
void session_note_error(struct session *s, int rc);

/*
 * The recorded part of the screen gets another place or size. The file ends
 * here if `reason` is not NULL and one is open; the next one then waits for
 * pixels. A file without a picture goes on waiting, for those.
 */
int session_move(struct session *s, const char *reason);

/* The reason to split when a picture of this size follows, or NULL. */
const char *session_resize_reason(
    const struct session *s, unsigned width, unsigned height);

/* session_marks.c */

/* What the mark says, at its time. */
int session_apply_mark(struct session *s, const struct tee_mark *m);

#endif
