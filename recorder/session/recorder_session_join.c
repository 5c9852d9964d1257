/*
 * A recorder that takes a dead one's place cannot read zlib streams that it
 * did not see begin. It follows the stream until everything recorded was
 * painted anew, by rectangles that stand for themselves, then records. From
 * there on the endpoint must go on like that.
 */
#include "common/err.h"
#include "recorder/session/recorder_session_internal.h"

static bool
is_area_known(const struct recorder_session *s)
{
	const struct area *a = &s->area;

	return rfb_decoder_is_known(s->decoder, a->x, a->y, a->w, a->h);
}

/* The screen is known: the file begins here, unless START will. */
static int
join(struct recorder_session *s)
{
	int rc = 0;

	s->n_skipped = rfb_decoder_n_skipped(s->decoder);
	s->state = RECORDER_SESSION_STOPPED;
	if (s->is_wanted) {
		s->open_ns = s->open_by_ns = s->now_ns;
		s->gap_start_ns = s->meta->gap_start_ns;
		s->state = RECORDER_SESSION_OPENING;
		rc = recorder_session_first_frame(s);
	}
	if (rc == 0)
		s->cb(s->arg, RECORDER_SESSION_READY, NULL);
	return rc;
}

int
recorder_session_join_update(struct recorder_session *s)
{
	uint64_t n = rfb_decoder_n_skipped(s->decoder);

	if (s->state == RECORDER_SESSION_JOINING)
		return is_area_known(s) ? join(s) : 0;
	if (n == s->n_skipped)
		return 0;
	s->n_skipped = n;
	if (is_area_known(s))
		return 0;
	s->why = "the endpoint goes on with streams that began before";
	return ERR_UNSUPPORTED;
}
