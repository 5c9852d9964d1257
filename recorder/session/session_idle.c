/*
 * A screen on which nothing moves needs no encoder: the packet that repeats its
 * picture is encoded already, and what comes after so long is a key frame
 * anyway, which builds on nothing (recorder/picture/pacer.h). So most of a
 * recorder's memory is free while nobody does anything.
 */
#include <malloc.h>

#include "recorder/session/session_internal.h"

/* Since the last picture. */
#define IDLE_NS PACER_KEY_NS

/* Whether the file shows all there is to show, and the encoder owes it
 * nothing. */
static bool
is_all_shown(const struct session *s)
{
	return s->dirty_ns == PACER_NEVER &&
	    pacer_due(&s->pacer) == PACER_NEVER &&
	    pacer_quiet_due(&s->pacer) == PACER_NEVER && !s->is_ahead &&
	    !s->is_still_owed && buf_len(&s->still) > 0;
}

uint64_t
session_idle_due(const struct session *s)
{
	if (s->state != SESSION_RUNNING || s->encoder == NULL || !is_all_shown(s))
		return PACER_NEVER;
	return s->pacer.last_ns + IDLE_NS;
}

void
session_free_encoder(struct session *s)
{
	encoder_free(s->encoder);
	s->encoder = NULL;
	malloc_trim(0);
}
