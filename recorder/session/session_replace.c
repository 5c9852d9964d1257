/*
 * What stood on the screen for min_visible_ms is in a frame, however little
 * it is and however rarely pictures are taken (X2). It costs a picture only
 * where pixels are replaced that no frame shows yet:
 *
 *	drawn         about to be replaced
 *	  |---- stood ----|        long enough: a picture first, of the screen
 *as it is, with the time when it came to look so
 *	  |- too short -|          counted in the segment's activity
 *	  |- too short -[=====]    the rectangle takes so long to arrive that
 *	                           some of it stands: a picture in the midst
 *
 * All times are those of marks, so a recorder that is behind, or replays a
 * capture, decides as one that is not.
 */
#include "common/tee.h"
#include "recorder/session/session_internal.h"

static uint64_t
visible_ns(const struct session *s)
{
	return s->meta->min_visible_ms * NS_PER_MS - TEE_TIME_NS;
}

static bool
is_recording(const struct session *s)
{
	return s->state == SESSION_OPENING || s->state == SESSION_RUNNING;
}

static uint64_t
later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int
session_keep_picture(struct session *s, uint64_t t_ns)
{
	if (s->state == SESSION_OPENING)
		return session_first_picture(s);
	return session_take_picture(
	    s, later(t_ns, s->pacer.last_ns), PICTURE_DAMAGE);
}

/* Once an update: it is the change that nobody will see. */
static void
count_merged(struct session *s)
{
	if (s->has_merged)
		return;
	s->has_merged = true;
	activity_merged(&s->activity, session_second(s, s->came_ns), 1);
}

void
session_before_draw(struct session *s, const struct area *r)
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
		session_note_error(s, session_keep_picture(s, s->shown_ns));
		return;
	}
	if (was_shown)
		count_merged(s);
	s->losing_ns = since;
}

/*
 * That is rare, so a picture more costs nothing; but a file that has none is
 * not begun for a size that lasted for a moment only.
 */
void
session_before_move(struct session *s)
{
	const struct area all = { 0, 0, s->canvas.width, s->canvas.height };

	if (s->state == SESSION_RUNNING && !pending_is_empty(&s->pending))
		session_note_error(s, session_keep_picture(s, s->shown_ns));
	else
		session_before_draw(s, &all);
	s->losing_ns = PACER_NEVER;
}

void
session_drawn(struct session *s, const struct area *r)
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
session_none_pending(struct session *s)
{
	pending_clear(&s->pending);
	s->losing_ns = PACER_NEVER;
}

uint64_t
session_losing_due(const struct session *s)
{
	return s->losing_ns != PACER_NEVER && is_recording(s)
	    ? s->losing_ns + visible_ns(s)
	    : PACER_NEVER;
}
