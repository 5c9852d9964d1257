/*
 * A screen on which nothing moves needs no encoder: the packet that repeats its
 * frame is encoded already, and what comes after so long is a key frame
 * anyway, which builds on nothing (recorder/frame/pacer.h). So most of a
 * recorder's memory is free while nobody does anything.
 */
#include <malloc.h>

#include "recorder/session/recorder_session_internal.h"

/* Since the last frame. */
#define IDLE_NS PACER_KEY_NS

/* Whether the file shows all there is to show, and the encoder owes it
 * nothing. */
static bool
is_all_shown(const struct recorder_session *s)
{
	return s->dirty_ns == PACER_NEVER &&
	    pacer_due(&s->pacer) == PACER_NEVER &&
	    pacer_quiet_due(&s->pacer) == PACER_NEVER && !s->is_ahead &&
	    !s->is_still_owed && buf_len(&s->still) > 0;
}

uint64_t
recorder_session_idle_due(const struct recorder_session *s)
{
	if (s->state != RECORDER_SESSION_RUNNING || s->encoder == NULL ||
	    !is_all_shown(s))
		return PACER_NEVER;
	return s->pacer.last_ns + IDLE_NS;
}

void
recorder_session_free_encoder(struct recorder_session *s)
{
	encoder_free(s->encoder);
	s->encoder = NULL;
	malloc_trim(0);
}
