/*
 * What stood on the screen for min_visible_ms is in a frame, however little
 * it is and however rarely frames are taken (X2). It costs a frame only
 * where pixels are replaced that no frame shows yet:
 *
 *	drawn         about to be replaced
 *	  |---- stood ----|        long enough: a frame first, of the screen
 *as it is, with the time when it came to look so
 *	  |- too short -|          counted in the segment's activity
 *	  |- too short -[=====]    the rectangle takes so long to arrive that
 *	                           some of it stands: a frame in the midst
 *
 * All times are those of marks, so a recorder that is behind, or replays a
 * capture, decides as one that is not.
 */
#include "common/tee.h"
#include "recorder/session/recorder_session_internal.h"

static uint64_t
visible_ns(const struct recorder_session *s)
{
	return s->meta->min_visible_ms * NS_PER_MS - TEE_TIME_NS;
}

static bool
is_recording(const struct recorder_session *s)
{
	return s->state == RECORDER_SESSION_OPENING ||
	    s->state == RECORDER_SESSION_RUNNING;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int
recorder_session_keep_frame(struct recorder_session *s, uint64_t t_ns)
{
	if (s->state == RECORDER_SESSION_OPENING)
		return recorder_session_first_frame(s);
	return recorder_session_take_frame(
	    s, later(t_ns, s->pacer.last_ns), FRAME_DAMAGE);
}

/* Once an update: it is the change that nobody will see. */
static void
count_merged(struct recorder_session *s)
{
	if (s->has_merged)
		return;
	s->has_merged = true;
	activity_merged(
	    &s->activity, recorder_session_second(s, s->came_ns), 1);
}

void
recorder_session_before_draw(struct recorder_session *s, const struct area *r)
{
	const struct pending_moment now = { s->came_ns, s->update };
	uint64_t since;
	bool was_shown;

	s->draw_ns = s->came_ns;
	s->losing_ns = PACER_NEVER;
	if (!is_recording(s) ||
	    !pending_find(&s->pending, r, &now, &since, &was_shown))
		return;
	if (s->came_ns >= since + visible_ns(s)) {
		recorder_session_note_error(
		    s, recorder_session_keep_frame(s, s->shown_ns));
		return;
	}
	if (was_shown)
		count_merged(s);
	s->losing_ns = since;
}

/*
 * That is rare, so a frame more costs nothing; but a file that has none is
 * not begun for a size that lasted for a moment only.
 */
void
recorder_session_before_move(struct recorder_session *s)
{
	const struct area all = { 0, 0, s->canvas.width, s->canvas.height };

	if (s->state == RECORDER_SESSION_RUNNING &&
	    !pending_is_empty(&s->pending))
		recorder_session_note_error(
		    s, recorder_session_keep_frame(s, s->shown_ns));
	else
		recorder_session_before_draw(s, &all);
	s->losing_ns = PACER_NEVER;
}

void
recorder_session_drawn(struct recorder_session *s, const struct area *r)
{
	/* a rectangle that took long was seen in parts before it was whole */
	const struct pending_moment since = { s->draw_ns, s->update };

	s->losing_ns = PACER_NEVER;
	if (!is_recording(s))
		return;
	s->shown_ns = s->came_ns;
	pending_add(&s->pending, r, &since);
}

void
recorder_session_none_pending(struct recorder_session *s)
{
	pending_clear(&s->pending);
	s->losing_ns = PACER_NEVER;
}

uint64_t
recorder_session_losing_due(const struct recorder_session *s)
{
	return s->losing_ns != PACER_NEVER && is_recording(s)
	    ? s->losing_ns + visible_ns(s)
	    : PACER_NEVER;
}
