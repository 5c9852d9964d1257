#include "recorder/session/recorder_session.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "recorder/session/recorder_session_internal.h"

/*
 * A frame waits for the end of an update, so that none is torn; an update
 * that takes longer than this to arrive is shown as it comes, as a viewer
 * does.
 */
#define TORN_AFTER_NS (500 * NS_PER_MS)

/* Screens that change size faster than this share a segment's opening. */
#define SETTLE_NS (2 * NS_PER_S)
/* They are done with it when nothing more came so long after the pixels. */
#define CALM_NS (200 * NS_PER_MS)

#define DISK_CHECK_NS NS_PER_S

/* A recording by hand has no room: its file ends, its session does not. */
static void
stop_for_space(struct recorder_session *s)
{
	if (s->segment != NULL)
		recorder_session_end_segment(s, s->now_ns, "nospace");
	s->state = RECORDER_SESSION_STOPPED;
	s->cb(s->arg, RECORDER_SESSION_NOSPACE, NULL);
}

void
recorder_session_note_error(struct recorder_session *s, int rc)
{
	if (rc == 0 || s->error != 0)
		return;
	if (rc == ERR_NOSPACE && s->meta->is_manual)
		stop_for_space(s);
	else
		s->error = rc;
}

/* ---- what the decoder tells ---- */

static void
on_draw(struct recorder_session *s, const struct rfb_decoder_event *ev)
{
	struct area r = { ev->x, ev->y, ev->w, ev->h };

	if (area_clip(&r, &s->area))
		recorder_session_before_draw(s, &r);
	else
		s->losing_ns = PACER_NEVER;
}

static void
on_damage(struct recorder_session *s, const struct rfb_decoder_event *ev)
{
	struct area r = { ev->x, ev->y, ev->w, ev->h };

	if (!area_clip(&r, &s->area))
		return; /* on another monitor: nothing to do, nothing to pay */
	canvas_damage(&s->canvas, r.x, r.y, r.w, r.h);
	recorder_session_drawn(s, &r);
	s->has_damage = true;
	s->is_blank = false;
	if (s->dirty_ns == PACER_NEVER)
		s->dirty_ns = s->now_ns;
}

static bool
is_settled(const struct recorder_session *s)
{
	return s->last_open_ns == 0 || s->segment != NULL ||
	    s->open_ns >= s->last_open_ns + SETTLE_NS;
}

static void
on_update_end(struct recorder_session *s)
{
	if (s->meta->is_resumed)
		recorder_session_note_error(s, recorder_session_join_update(s));
	if (s->error != 0)
		return;
	/* the capture that follows begins with this frame */
	if (s->is_leaving && recorder_session_is_unopened(s))
		return;
	if (s->state == RECORDER_SESSION_OPENING) {
		if (s->has_damage && is_settled(s))
			recorder_session_note_error(
			    s, recorder_session_first_frame(s));
		else if (s->has_damage)
			s->open_by_ns =
			    min_u64(s->open_by_ns, s->dirty_ns + CALM_NS);
		return;
	}
	if (s->state != RECORDER_SESSION_RUNNING || s->canvas.n_dirty == 0)
		return;
	pacer_damage(&s->pacer, s->now_ns, s->canvas.n_dirty, s->tiles.n);
	if (pacer_due(&s->pacer) <= s->now_ns)
		recorder_session_note_error(
		    s, recorder_session_take_frame(s, s->now_ns, FRAME_DAMAGE));
}

const char *
recorder_session_resize_reason(
    const struct recorder_session *s, unsigned width, unsigned height)
{
	bool was_portrait = s->canvas.height > s->canvas.width;

	if (width == s->canvas.width && height == s->canvas.height)
		return NULL;
	return (height > width) != was_portrait ? "orientation" : "resolution";
}

int
recorder_session_move(struct recorder_session *s, const char *reason)
{
	int rc = 0;

	bool is_unbegun = recorder_session_is_unbegun(s);

	if (reason != NULL && s->segment != NULL && !is_unbegun)
		rc = recorder_session_split(s, s->now_ns, reason, true);
	if (rc == 0)
		rc = recorder_session_set_area(s);
	if (rc == 0 && reason != NULL && is_unbegun)
		rc = recorder_session_restate(s);
	if (reason != NULL) {
		s->has_damage = false;
		s->open_by_ns = s->open_ns + RECORDER_SESSION_OPEN_WAIT_NS;
		s->dirty_ns = PACER_NEVER;
		s->pacer.damage_ns = PACER_NEVER;
	}
	return rc;
}

/*
 * The screen has another size (T10): the file ends here, unless the monitor
 * that it shows keeps its own. Before the file of an earlier resize was
 * opened, that one simply gets the newest size.
 */
static int
on_resize(struct recorder_session *s, unsigned w, unsigned h)
{
	struct area next = monitor_area(&s->monitor, w, h);

	return recorder_session_move(
	    s, recorder_session_resize_reason(s, next.w, next.h));
}

static void
on_decoder(void *arg, const struct rfb_decoder_event *ev)
{
	struct recorder_session *s = arg;

	if (s->error != 0)
		return;
	switch (ev->kind) {
	case RFB_DECODER_DRAW:
		on_draw(s, ev);
		break;
	case RFB_DECODER_DAMAGE:
		on_damage(s, ev);
		break;
	case RFB_DECODER_RESIZING:
		recorder_session_before_move(s);
		break;
	case RFB_DECODER_RESIZE:
		recorder_session_note_error(s, on_resize(s, ev->w, ev->h));
		break;
	case RFB_DECODER_UPDATE_END:
		on_update_end(s);
		s->update++;
		s->has_merged = false;
		break;
	case RFB_DECODER_LAYOUT:
		break;
	}
}

/* ---- life ---- */

struct recorder_session *
recorder_session_new(
    const struct meta *meta, int spool_fd, recorder_session_cb *cb, void *arg)
{
	struct recorder_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->meta = meta;
	s->cb = cb;
	s->arg = arg;
	s->why = "";
	s->state = RECORDER_SESSION_OPENING;
	s->now_ns = s->came_ns = s->open_ns = meta->start_mono_ns;
	s->open_by_ns = s->open_ns + RECORDER_SESSION_OPEN_WAIT_NS;
	s->dirty_ns = s->losing_ns = PACER_NEVER;
	s->seq = meta->first_seq;
	s->next_frame = meta->first_frame;
	s->reason = meta->split_reason;
	s->monitor = meta->monitor;
	s->frame_rate = meta->frame_rate;
	pacer_init(&s->pacer, meta->frame_rate);
	segment_store_init(&s->store, spool_fd, meta);
	recorder_session_repeat_init(s);
	s->decoder = rfb_decoder_new(
	    meta->width, meta->height, &meta->pixel_format, on_decoder, s);
	if (s->decoder != NULL)
		rfb_decoder_limit_pixels(s->decoder, meta->max_pixels);
	if (s->decoder != NULL && meta->is_resumed)
		rfb_decoder_skip_stateful(s->decoder);
	if (s->decoder == NULL || recorder_session_set_area(s) != 0) {
		recorder_session_free(s);
		return NULL;
	}
	return s;
}

void
recorder_session_free(struct recorder_session *s)
{
	if (s == NULL)
		return;
	/* a segment still open stays as after a crash: storage repairs it */
	segment_abandon(s->segment);
	recorder_session_repeat_release(s);
	rfb_decoder_free(s->decoder);
	encoder_free(s->encoder);
	canvas_release(&s->canvas);
	tiles_release(&s->tiles);
	pending_release(&s->pending);
	activity_release(&s->activity);
	free(s);
}

void
recorder_session_set_flush(
    struct recorder_session *s, const struct spool_flush_page *page)
{
	s->store.flush = page;
}

int
recorder_session_start(struct recorder_session *s)
{
	int rc = 0;

	if (s->meta->is_resumed) {
		s->state = RECORDER_SESSION_JOINING;
		s->is_wanted = !s->meta->is_manual;
		return s->is_wanted ? segment_store_check(&s->store) : 0;
	}
	if (s->meta->is_manual)
		s->state = RECORDER_SESSION_STOPPED;
	else
		rc = recorder_session_open_segment(s);
	if (rc == 0)
		s->cb(s->arg, RECORDER_SESSION_READY, NULL);
	return rc;
}

/* ---- time ---- */

static bool
is_torn(const struct recorder_session *s)
{
	return !rfb_decoder_is_between_messages(s->decoder);
}

/* The next segment is the capture's. A message that takes long is shown as it
 * comes, though: it cannot be handed over in its middle. */
static bool
is_left_to_capture(const struct recorder_session *s)
{
	return s->is_leaving && recorder_session_is_unopened(s) && !is_torn(s);
}

/* When a frame is due, or PACER_NEVER. */
static uint64_t
frame_due(const struct recorder_session *s)
{
	uint64_t due =
	    min_u64(pacer_due(&s->pacer), pacer_quiet_due(&s->pacer));
	uint64_t late;

	if (!is_torn(s))
		return due;
	late = min_u64(due, s->dirty_ns);
	return late == PACER_NEVER ? PACER_NEVER : late + TORN_AFTER_NS;
}

uint64_t
recorder_session_due(const struct recorder_session *s)
{
	uint64_t due = PACER_NEVER;

	if (s->state == RECORDER_SESSION_OPENING)
		due = min_u64(recorder_session_losing_due(s),
		    is_left_to_capture(s) && s->open_by_ns <= s->now_ns
			? PACER_NEVER
			: s->open_by_ns);
	else if (s->state == RECORDER_SESSION_RUNNING)
		due = min_u64(
		    min_u64(frame_due(s), recorder_session_losing_due(s)),
		    min_u64(recorder_session_repeat_due(s),
			recorder_session_idle_due(s)));
	return s->segment == NULL ? due
				  : min_u64(due, segment_sync_due(s->segment));
}

/* Takes the frame, or the repeat of one, that is due at t, if one is. */
static int
run_frame(struct recorder_session *s, uint64_t t)
{
	if (recorder_session_losing_due(s) <= t)
		return recorder_session_keep_frame(s, t);
	if (s->state == RECORDER_SESSION_OPENING)
		return s->open_by_ns <= t && !is_left_to_capture(s)
		    ? recorder_session_first_frame(s)
		    : 0;
	if (s->state != RECORDER_SESSION_RUNNING)
		return 0;
	if (recorder_session_idle_due(s) <= t)
		recorder_session_free_encoder(s);
	if (frame_due(s) > t)
		return recorder_session_repeat_due(s) <= t
		    ? recorder_session_repeat(s, t)
		    : 0;
	return recorder_session_take_frame(
	    s, t, s->dirty_ns == PACER_NEVER ? FRAME_QUIET : FRAME_DAMAGE);
}

/* Disk matters: free space once a second, and syncing. */
static int
check_disk(struct recorder_session *s)
{
	int rc;

	if (s->segment == NULL ||
	    (s->now_ns < s->disk_checked_ns + DISK_CHECK_NS &&
		s->now_ns < segment_sync_due(s->segment)))
		return 0;
	s->disk_checked_ns = s->now_ns;
	rc = segment_tick(s->segment, s->now_ns);
	if (rc != 0)
		s->why = rc == ERR_NOSPACE ? "too little free disk space"
					   : "the spool cannot be synced";
	return rc;
}

/* Takes what is due until t, which becomes the time of the stream. */
static int
advance(struct recorder_session *s, uint64_t t)
{
	uint64_t due;

	while (s->error == 0 && (due = recorder_session_due(s)) <= t) {
		if (due > s->now_ns)
			s->now_ns = due;
		recorder_session_note_error(s, run_frame(s, s->now_ns));
		if (s->error == 0)
			recorder_session_note_error(s, check_disk(s));
	}
	if (t > s->now_ns)
		s->now_ns = t;
	if (s->error == 0)
		recorder_session_note_error(s, check_disk(s));
	return s->error;
}

int
recorder_session_tick(struct recorder_session *s, uint64_t now_ns)
{
	return s->state == RECORDER_SESSION_OVER ? 0 : advance(s, now_ns);
}

int
recorder_session_feed(
    struct recorder_session *s, const uint8_t *data, size_t len)
{
	size_t used;
	int rc;

	do {
		rc =
		    recorder_session_feed_some(s, data, len, UINT64_MAX, &used);
		data += used;
		len -= used;
	} while (rc == 0 && len > 0);
	return rc;
}

int
recorder_session_feed_some(struct recorder_session *s, const uint8_t *data,
    size_t len, uint64_t max_work, size_t *used)
{
	int rc;

	*used = len;
	if (s->state == RECORDER_SESSION_OVER || s->error != 0)
		return s->error;
	rc = rfb_decoder_feed_some(s->decoder, data, len, max_work, used);
	if (s->error == 0 && rc != 0) {
		s->why = rfb_decoder_why(s->decoder);
		s->error = rc;
	}
	return s->error;
}

int
recorder_session_mark(struct recorder_session *s, const struct tee_mark *m)
{
	if (s->state == RECORDER_SESSION_OVER || advance(s, m->mono_ns) != 0)
		return s->error;
	if (m->mono_ns > s->came_ns)
		s->came_ns = m->mono_ns;
	recorder_session_note_error(s, recorder_session_apply_mark(s, m));
	return s->error;
}

int
recorder_session_close(
    struct recorder_session *s, const char *end, uint64_t end_ns)
{
	const char *why = s->why; /* the first error is the one to tell */
	bool had_error = s->error != 0;
	int rc;

	if (s->state == RECORDER_SESSION_OVER)
		return 0;
	if (end_ns < s->now_ns)
		end_ns = s->now_ns;
	/* after an error the frame is what it is: the file ends here */
	s->error = 0;
	rc = s->state == RECORDER_SESSION_STOPPED
	    ? 0
	    : recorder_session_end_segment(s, end_ns, end);
	s->state = RECORDER_SESSION_OVER;
	if (had_error)
		s->why = why;
	return rc;
}

bool
recorder_session_can_hand_over(const struct recorder_session *s)
{
	return s->error == 0 && !s->meta->is_manual &&
	    (s->state == RECORDER_SESSION_OPENING ||
		s->state == RECORDER_SESSION_RUNNING) &&
	    rfb_decoder_can_save(s->decoder);
}

bool
recorder_session_is_leaving(const struct recorder_session *s)
{
	return s->is_leaving;
}

bool
recorder_session_wants_capture(const struct recorder_session *s)
{
	if (!s->is_leaving || !recorder_session_can_hand_over(s))
		return false;
	/* a screen that is new waits for its pixels, as a segment does */
	return !recorder_session_is_unopened(s) || s->has_damage ||
	    s->open_by_ns <= s->now_ns;
}

uint64_t
recorder_session_bytes_to_boundary(const struct recorder_session *s)
{
	return rfb_decoder_bytes_to_boundary(s->decoder);
}

uint64_t
recorder_session_work(const struct recorder_session *s)
{
	return rfb_decoder_work(s->decoder);
}

uint64_t
recorder_session_now_ns(const struct recorder_session *s)
{
	return s->now_ns;
}

void
recorder_session_get_place(
    const struct recorder_session *s, struct recorder_session_place *p)
{
	bool is_unopened = recorder_session_is_unopened(s);

	*p = (struct recorder_session_place){
		.is_unopened = is_unopened,
		.start_ns = is_unopened ? s->open_ns : s->now_ns,
		.split_reason = is_unopened ? s->reason : "overload",
		.seq = s->seq,
		.next_frame = s->next_frame,
		.frame_rate = s->frame_rate,
		.monitor = &s->monitor,
		.decoder = s->decoder,
	};
}

int
recorder_session_restore(
    struct recorder_session *s, const uint8_t *state, size_t len)
{
	int rc = s->state == RECORDER_SESSION_JOINING
	    ? rfb_decoder_restore(s->decoder, state, len)
	    : ERR_CORRUPT;

	if (rc != 0)
		s->why = "the state of its streams makes no sense";
	recorder_session_note_error(s, rc);
	return s->error;
}

void
recorder_session_set_slowdown(struct recorder_session *s, unsigned n)
{
	pacer_set_slowdown(&s->pacer, n);
}

bool
recorder_session_is_over(const struct recorder_session *s)
{
	return s->state == RECORDER_SESSION_OVER;
}

uint64_t
recorder_session_frames(const struct recorder_session *s)
{
	return s->frames;
}

uint64_t
recorder_session_bytes(const struct recorder_session *s)
{
	return s->bytes;
}

void
recorder_session_get_checkpoint(
    const struct recorder_session *s, struct tee_checkpoint *checkpoint)
{
	const struct segment *sg = s->segment;

	uint64_t frames = sg != NULL ? segment_frames(sg) : 0;

	memset(checkpoint, 0, sizeof(*checkpoint));
	checkpoint->seq = s->seq - 1;
	/* a file without a frame is thrown away: its number is free */
	if (sg != NULL && frames == 0)
		checkpoint->seq--;
	checkpoint->next_frame = s->next_frame + frames;
	if (s->state == RECORDER_SESSION_JOINING)
		checkpoint->last_ns = s->meta->gap_start_ns;
	else if (s->state != RECORDER_SESSION_STOPPED)
		checkpoint->last_ns = max_u64(s->pacer.last_ns, s->repeated_ns);
	if (sg != NULL)
		memcpy(checkpoint->segment, segment_id(sg), META_UUID_LEN);
}

const char *
recorder_session_why(const struct recorder_session *s)
{
	return s->why;
}
