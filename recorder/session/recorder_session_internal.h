/*
 * Inside recorder/session*.c only: what session.c (bytes, marks, time) and
 * session_picture.c (frames, segments) share.
 */
#ifndef RECORDER_SESSION_RECORDER_SESSION_INTERNAL_H
#define RECORDER_SESSION_RECORDER_SESSION_INTERNAL_H

#include "common/buf.h"
#include "recorder/frame/activity.h"
#include "recorder/frame/canvas.h"
#include "recorder/frame/encoder.h"
#include "recorder/frame/pacer.h"
#include "recorder/frame/pending.h"
#include "recorder/session/recorder_session.h"
#include "recorder/frame/tiles.h"
#include "rfb/decoder.h"

/* How long a segment waits for the first pixels; they count from its start. */
#define RECORDER_SESSION_OPEN_WAIT_NS NS_PER_S

enum recorder_session_state {
	RECORDER_SESSION_JOINING, /* midway: the screen is not known yet */
	RECORDER_SESSION_OPENING, /* the segment waits for its first frame */
	RECORDER_SESSION_RUNNING,
	RECORDER_SESSION_STOPPED, /* by hand: decode only */
	RECORDER_SESSION_OVER,
};

enum frame_kind {
	FRAME_DAMAGE,  /* what changed */
	FRAME_QUIET,   /* coarse tiles once more */
	FRAME_REFINE,  /* what changed, and coarse ones that rested; fine */
	FRAME_CLOSING, /* both, at the segment's end time */
	FRAME_KEY,     /* all once more, for players to start from */
};

struct recorder_session {
	const struct meta *meta;
	recorder_session_cb *cb;
	void *arg;
	enum recorder_session_state state;
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
	int last_quantizer;                   /* of the last frame */
	uint64_t refined_ns; /* when coarse tiles got a second helping */
	struct pacer pacer;
	struct encoder *encoder; /* NULL: made for the next frame */
	uint64_t pts_ms;         /* last one the encoder saw */

	uint64_t now_ns;    /* time of the stream */
	uint64_t came_ns;   /* when the bytes at hand arrived: marks only */
	uint32_t update;    /* number of the one under way, or the next */
	uint64_t draw_ns;   /* when the rectangle under way began */
	uint64_t shown_ns;  /* when the newest pixels in `pending` came */
	uint64_t losing_ns; /* since when the oldest pixels stand that the
			     * rectangle under way replaces, or NEVER */
	bool has_merged;    /* the update under way is counted */
	uint64_t dirty_ns;  /* oldest damage not in a frame, or NEVER */
	uint64_t disk_checked_ns; /* last look at disk and sync */
	bool has_damage;          /* pixels came since the segment's split */
	bool is_blank;            /* none came at all for this canvas */
	bool has_poster;          /* the segment does, or never will */

	struct segment_store store;
	struct segment *segment; /* NULL while none is open */
	const char *reason;      /* of the segment that opens */
	uint64_t open_ns;        /* its start */
	uint64_t open_by_ns;     /* waits for pixels until then */
	uint64_t last_open_ns;   /* start of the one before */
	uint64_t last_time_ms;   /* last frame of the open segment */
	struct buf still;        /* packet that shows the last frame once more;
				  * empty: not encoded yet */
	bool is_still_owed; /* the encoder counts on it, the file has none */
	bool is_ahead;      /* the encoder's last frame is not in the file */
	uint8_t repeat[ENCODER_REPEAT_MAX]; /* the same without the encoder */
	size_t repeat_len; /* 0: the last frame cannot be repeated */
	uint64_t
	    repeated_ns; /* time of the last repeat that was due, 0: none */
	uint64_t seq, next_frame;
	bool is_leaving; /* goes on as a capture, recorder_session_wants_capture
			  */
	bool is_wanted;  /* while joining: record then */
	uint64_t gap_start_ns; /* of the segment that opens; 0: none */
	uint64_t n_skipped;    /* of the decoder, when it was looked at */
	unsigned frame_rate;
	uint64_t frames, bytes;
};

/* session_picture.c: all return 0 or a negative enum err. */

int recorder_session_open_segment(struct recorder_session *s);

/* A file is open that has no frame yet. */
bool recorder_session_is_unbegun(const struct recorder_session *s);

/* Its last file ended, the next one is not there yet. */
bool recorder_session_is_unopened(const struct recorder_session *s);

/* Such a file is of another monitor or size than it was opened for. */
int recorder_session_restate(struct recorder_session *s);

/* Which second of the segment that is open, or about to be, t is in. */
uint64_t recorder_session_second(
    const struct recorder_session *s, uint64_t t_ns);

/* The first frame of an opening segment, at its start time. */
int recorder_session_first_frame(struct recorder_session *s);

int recorder_session_take_frame(
    struct recorder_session *s, uint64_t t_ns, enum frame_kind kind);

/*
 * Ends the segment at t and lets the next one begin there for `reason`
 * (T10). wait: its first frame may wait for pixels, because the screen
 * is about to be sent again; else it is taken at once, showing the screen
 * as it stands.
 */
int recorder_session_split(
    struct recorder_session *s, uint64_t t_ns, const char *reason, bool wait);

/* Closing frame, then file and manifest. */
int recorder_session_end_segment(
    struct recorder_session *s, uint64_t t_ns, const char *end);

/*
 * The area for the screen and the monitor as they are now, with a canvas of
 * its size.
 */
int recorder_session_set_area(struct recorder_session *s);

/*
 * Milliseconds of the segment at which a frame is shown, above those of its
 * last one. A closing frame lasts the file's last millisecond, so that the
 * file ends at t exactly.
 */
uint64_t recorder_session_frame_ms(
    const struct recorder_session *s, uint64_t t_ns, bool is_closing);

/*
 * Writes a frame; duration_ms of it is 0 but for the segment's last. Returns
 * as segment_write: ERR_LIMIT when it, and with has_reserve the repeats at
 * the segment's end, do not fit.
 */
#define RECORDER_SESSION_STILL_BYTES 96 /* of a repeat of the usual length */
#define RECORDER_SESSION_END_BYTES                                             \
	(2 * (RECORDER_SESSION_STILL_BYTES + WEBM_FRAME_OVERHEAD))
int recorder_session_write_frame(struct recorder_session *s,
    const struct webm_frame *frame, bool has_reserve);

/* The next frame does not fit: the file ends at t, and the frame there
 * opens the next one. */
int recorder_session_split_on_size(struct recorder_session *s, uint64_t t_ns);

/* session_idle.c: no encoder while nothing moves */

/* When it is freed, or PACER_NEVER. The next frame gets another one. */
uint64_t recorder_session_idle_due(const struct recorder_session *s);
void recorder_session_free_encoder(struct recorder_session *s);

/* recorder_session_repeat.c: the last frame once more */

/* When a repeat is due, or PACER_NEVER. */
uint64_t recorder_session_repeat_due(const struct recorder_session *s);

/* That repeat, at t; once in a while a key frame in its place. */
int recorder_session_repeat(struct recorder_session *s, uint64_t t_ns);

/* Before the first segment, and after the last one. */
void recorder_session_repeat_init(struct recorder_session *s);
void recorder_session_repeat_release(struct recorder_session *s);

/* A segment without a frame: nothing to repeat. */
void recorder_session_repeat_reset(struct recorder_session *s);

/* The encoder has coded a frame; it was written, packet f. */
void recorder_session_repeat_encoded(struct recorder_session *s);
void recorder_session_repeat_written(
    struct recorder_session *s, const struct webm_frame *f);

/* Whether the last frame stood for a while until something changed, which a
 * frame at t will show. */
bool recorder_session_stood(const struct recorder_session *s, uint64_t t_ns);

/* Encodes the repeat of the last frame, while the canvas still shows it. */
int recorder_session_repeat_prepare(struct recorder_session *s);

/*
 * A frame at t is about to be encoded: the one before it once more, where it
 * stood or the encoder counts on it. ERR_LIMIT: then the frame cannot be
 * in this file either.
 */
int recorder_session_repeat_before(
    struct recorder_session *s, uint64_t t_ns, bool has_stood);

/*
 * The last frame once more, twice where there is time for it, so that the
 * file lasts until t. For VP8, and where there is no room, the header does.
 */
int recorder_session_repeat_to_end(struct recorder_session *s, uint64_t t_ns);

/* When a closing frame has to stand in the segment, for its repeat to follow
 * it where there is time for one. */
uint64_t recorder_session_closing_ms(
    const struct recorder_session *s, uint64_t t_ns);

/* session_replace.c: what stood for long enough has a frame */

/* r, a part of the area in its own coordinates, is about to be drawn. */
void recorder_session_before_draw(
    struct recorder_session *s, const struct area *r);

/* The recorded part of the screen is about to get another place or size. */
void recorder_session_before_move(struct recorder_session *s);

/* r was drawn. */
void recorder_session_drawn(struct recorder_session *s, const struct area *r);

/* No pixel waits: a frame shows all, or nothing is recorded of them. */
void recorder_session_none_pending(struct recorder_session *s);

/*
 * When the frame is due that keeps what the rectangle under way replaces
 * piece by piece, or PACER_NEVER.
 */
uint64_t recorder_session_losing_due(const struct recorder_session *s);

/* That frame, at t. */
int recorder_session_keep_frame(struct recorder_session *s, uint64_t t_ns);

/* session_join.c */

/* An update is complete: joins, or finds that it cannot stay joined. */
int recorder_session_join_update(struct recorder_session *s);

/* session.c */

/*
 * Keeps the first error; callbacks from the decoder cannot return one. Want
 * of space ends a recording by hand, not the session.
 */
void recorder_session_note_error(struct recorder_session *s, int rc);

/*
 * The recorded part of the screen gets another place or size. The file ends
 * here if `reason` is not NULL and one is open; the next one then waits for
 * pixels. A file without a frame goes on waiting, for those.
 */
int recorder_session_move(struct recorder_session *s, const char *reason);

/* The reason to split when a frame of this size follows, or NULL. */
const char *recorder_session_resize_reason(
    const struct recorder_session *s, unsigned width, unsigned height);

/* session_marks.c */

/* What the mark says, at its time. */
int recorder_session_apply_mark(
    struct recorder_session *s, const struct tee_mark *m);

#endif
