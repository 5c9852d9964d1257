#include "common/bytes.h"
#include "common/err.h"
#include "recorder/session/recorder_session_internal.h"

static const char *
end_word(uint32_t end)
{
	static const char *const words[] = {
		[TEE_END_NORMAL] = "normal",
		[TEE_END_ENDPOINT] = "endpoint",
		[TEE_END_MAX_DURATION] = "max_duration",
		[TEE_END_COMMAND] = "command",
		[TEE_END_ERROR] = "error",
	};

	return end < N_ELEMENTS(words) ? words[end] : "error";
}

static int
mark_pixel_format(struct recorder_session *s, const struct tee_mark *m)
{
	struct rfb_pixel_format pf;
	int rc = rfb_pixel_format_parse(&pf, m->value);

	if (rc == 0)
		rc = rfb_decoder_set_pixel_format(s->decoder, &pf);
	if (rc != 0)
		s->why = "a pixel format cannot be decoded";
	return rc;
}

static int
mark_frame_rate(struct recorder_session *s, uint32_t rate)
{
	if (rate < 1 || rate > META_FRAME_RATE_MAX || rate == s->frame_rate)
		return 0;
	s->frame_rate = rate;
	pacer_set_rate(&s->pacer, rate);
	return s->state == RECORDER_SESSION_RUNNING
	    ? recorder_session_split(s, s->now_ns, "frame_rate", false)
	    : 0;
}

/* Why a file must end when this monitor is shown from here on, or NULL. */
static const char *
monitor_reason(const struct recorder_session *s, const struct monitor *next)
{
	struct area area =
	    monitor_area(next, s->screen_width, s->screen_height);
	const char *reason = NULL;

	if (monitor_number(next) != monitor_number(&s->monitor))
		return "monitor";
	if (next->index != s->monitor.index && !area_equal(&area, &s->area))
		return "monitor";
	/* the screen's size may follow only now: what was said comes first */
	if (next->index != 0 && next->area.w > 0 && next->area.h > 0)
		reason = recorder_session_resize_reason(
		    s, next->area.w, next->area.h);
	return reason != NULL
	    ? reason
	    : recorder_session_resize_reason(s, area.w, area.h);
}

static int
mark_monitor(struct recorder_session *s, const struct tee_mark *m)
{
	struct monitor next, old = s->monitor;
	const char *reason;
	int rc;

	monitor_parse(&next, m->value);
	reason = monitor_reason(s, &next);
	if (next.index == old.index && area_equal(&next.area, &old.area))
		return 0;
	recorder_session_before_move(s);
	if (s->error != 0)
		return s->error;
	if (reason != NULL && s->segment != NULL &&
	    !recorder_session_is_unbegun(s)) {
		rc = recorder_session_split(s, s->now_ns, reason, true);
		if (rc != 0)
			return rc;
	}
	s->monitor = next;
	return recorder_session_move(s, reason);
}

/* A screen that was not painted yet gets the time to be. */
static int
mark_start(struct recorder_session *s)
{
	int rc;

	if (s->state == RECORDER_SESSION_JOINING)
		s->is_wanted = true;
	if (s->state != RECORDER_SESSION_STOPPED)
		return 0;
	rc = segment_store_check(&s->store);
	if (rc != 0) {
		s->why = "too little free disk space";
		return rc;
	}
	s->reason = "manual";
	s->open_ns = s->open_by_ns = s->now_ns;
	s->state = RECORDER_SESSION_OPENING;
	recorder_session_none_pending(s);
	if (!s->is_blank)
		return recorder_session_first_frame(s);
	s->open_by_ns += RECORDER_SESSION_OPEN_WAIT_NS;
	s->has_damage = false;
	return 0;
}

static int
mark_stop(struct recorder_session *s)
{
	int rc;

	s->is_wanted = false;
	if (s->state == RECORDER_SESSION_STOPPED ||
	    s->state == RECORDER_SESSION_JOINING)
		return 0;
	rc = recorder_session_end_segment(s, s->now_ns, "manual");
	s->state = RECORDER_SESSION_STOPPED;
	return rc;
}

/*
 * Counted for the segment that is open or about to be; what keys and pointer
 * do shows by small changes that do not wait like those of a clock.
 */
static void
mark_input(struct recorder_session *s, const struct tee_mark *m)
{
	uint64_t keys = load_be32(m->value), pointer = load_be32(m->value + 4);

	if (s->state != RECORDER_SESSION_OPENING &&
	    s->state != RECORDER_SESSION_RUNNING)
		return;
	activity_input(&s->activity, recorder_session_second(s, s->now_ns),
	    keys + pointer);
	if (keys + pointer > 0)
		pacer_input(&s->pacer, s->now_ns);
}

int
recorder_session_apply_mark(
    struct recorder_session *s, const struct tee_mark *m)
{
	switch (m->kind) {
	case TEE_MARK_PIXEL_FORMAT:
		return mark_pixel_format(s, m);
	case TEE_MARK_MONITOR:
		return mark_monitor(s, m);
	case TEE_MARK_FRAME_RATE:
		return mark_frame_rate(s, load_be32(m->value));
	case TEE_MARK_INPUT:
		mark_input(s, m);
		return 0;
	case TEE_MARK_START:
		return mark_start(s);
	case TEE_MARK_STOP:
		return mark_stop(s);
	case TEE_MARK_CAPTURE:
		s->is_leaving = !s->meta->is_manual && !s->meta->is_capture;
		return 0;
	case TEE_MARK_END:
		return recorder_session_close(
		    s, end_word(load_be32(m->value)), s->now_ns);
	default: /* TIME has said all by its time; others are for others */
		return 0;
	}
}
