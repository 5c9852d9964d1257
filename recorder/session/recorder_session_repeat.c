/*
 * The last frame once more: a packet that changes nothing, encoded once
 * after each frame that stands for a while. A still screen would else be a
 * long distance between two frames, which players make less of: they drop what
 * follows, show it too early, or end. docs/webm.md has what each of them needs.
 *
 *	frame          quiet: one a second        changes  frame     end
 *	   |......r......r......r......r.......r.....x.......|... r r|
 *	                                 10 ms before      10 ms apart
 */
#include "common/bytes.h"
#include "common/err.h"
#include "recorder/session/recorder_session_internal.h"

/*
 * Who asks for the frame at a time gets the first frame from there on. So
 * one that stood for a while is there until the next begins to come. Encoders
 * of a fixed rate drop the second of two frames that are closer than theirs
 * are: that would be the frame.
 */
#define STOOD_MS  250
#define BEFORE_MS 10
#define BEFORE_NS (BEFORE_MS * NS_PER_MS)

/* A repeat that is due stands a little earlier: should the segment end right
 * now, there is room for its last frame. */
#define DUE_BACK_NS ((BEFORE_MS + 1) * NS_PER_MS)

/*
 * A player that jumps decodes all repeats from the last key frame on: about
 * 1 ms each at 1920x1080. So a key frame comes this often.
 */
#define KEY_NS (600 * NS_PER_S)

/* Of such a packet; that of 16384 x 16384 pixels has a few KiB. */
#define STILL_BYTES_MAX (1 << 20)

void
recorder_session_repeat_init(struct recorder_session *s)
{
	buf_init(&s->still, STILL_BYTES_MAX);
}

void
recorder_session_repeat_release(struct recorder_session *s)
{
	buf_release(&s->still);
}

void
recorder_session_repeat_reset(struct recorder_session *s)
{
	buf_consume(&s->still, buf_len(&s->still));
	s->is_still_owed = false;
	s->repeat_len = 0;
}

void
recorder_session_repeat_encoded(struct recorder_session *s)
{
	buf_consume(&s->still, buf_len(&s->still));
	s->is_still_owed = false;
	s->is_ahead = true;
}

void
recorder_session_repeat_written(
    struct recorder_session *s, const struct webm_frame *f)
{
	s->is_ahead = false;
	s->repeat_len =
	    encoder_repeat(s->meta->codec, f->data, f->len, s->repeat);
}

/*
 * For the encoder it comes right behind the frame: it takes the distance
 * to the next one for the rate at which frames come.
 */
int
recorder_session_repeat_prepare(struct recorder_session *s)
{
	struct encoder_packet pkt;
	int rc;

	if (s->is_ahead || s->repeat_len == 0 || buf_len(&s->still) > 0)
		return 0;
	rc = encoder_encode_still(s->encoder, &s->canvas, ++s->pts_ms,
	    pacer_interval_ns(&s->pacer) / NS_PER_MS + 1, &pkt);
	if (rc != 0)
		return rc;
	s->is_still_owed = true;
	return buf_append(&s->still, pkt.data, pkt.len);
}

/* Where the encoder's last frame is not in the file, its repeat is not
 * either: then one byte says it. */
static int
write_repeat(struct recorder_session *s, uint64_t ms, uint32_t duration_ms,
    bool has_reserve)
{
	struct webm_frame f = {
		.data = s->repeat,
		.len = s->repeat_len,
		.time_ms = ms,
		.duration_ms = duration_ms,
		.is_repeat = true,
	};
	int rc = recorder_session_repeat_prepare(s);

	if (rc != 0) {
		s->why = "the encoder failed";
		return rc;
	}
	if (!s->is_ahead) {
		f.data = buf_head(&s->still);
		f.len = buf_len(&s->still);
	}
	rc = recorder_session_write_frame(s, &f, has_reserve);
	if (rc == 0)
		s->is_still_owed = false;
	else if (rc != ERR_LIMIT)
		s->why = "the spool cannot be written";
	return rc;
}

/* Milliseconds of the segment until which the last frame is true. */
static uint64_t
stood_until_ms(const struct recorder_session *s, uint64_t t_ns)
{
	uint64_t start_ns = segment_start_ns(s->segment);

	if (s->dirty_ns != PACER_NEVER)
		t_ns = min_u64(t_ns, s->dirty_ns - BEFORE_NS);
	return t_ns > start_ns ? (t_ns - start_ns) / NS_PER_MS : 0;
}

uint64_t
recorder_session_repeat_due(const struct recorder_session *s)
{
	if (s->state != RECORDER_SESSION_RUNNING || s->segment == NULL ||
	    s->repeat_len == 0)
		return PACER_NEVER;
	return segment_start_ns(s->segment) +
	    (s->last_time_ms + SEGMENT_GAP_MS) * NS_PER_MS;
}

/* Whether the repeat at t should be a key frame that leaves no hole. */
static bool
wants_key(const struct recorder_session *s, uint64_t t_ns)
{
	return s->dirty_ns == PACER_NEVER &&
	    t_ns >= s->pacer.last_key_ns + KEY_NS &&
	    !segment_is_pause(
		s->segment, recorder_session_frame_ms(s, t_ns, false));
}

int
recorder_session_repeat(struct recorder_session *s, uint64_t t_ns)
{
	uint64_t at_ns = t_ns - DUE_BACK_NS;
	uint64_t ms = stood_until_ms(s, at_ns);
	int rc;

	if (wants_key(s, at_ns))
		return recorder_session_take_frame(s, at_ns, FRAME_KEY);
	if (ms <= s->last_time_ms)
		ms = recorder_session_frame_ms(s, at_ns, false);
	rc = write_repeat(s, ms, 0, true);
	if (rc == ERR_LIMIT)
		return recorder_session_split_on_size(s, t_ns);
	s->repeated_ns = segment_start_ns(s->segment) + ms * NS_PER_MS;
	return rc;
}

bool
recorder_session_stood(const struct recorder_session *s, uint64_t t_ns)
{
	return s->repeat_len > 0 && s->dirty_ns != PACER_NEVER &&
	    stood_until_ms(s, t_ns) >= s->last_time_ms + STOOD_MS;
}

int
recorder_session_repeat_before(
    struct recorder_session *s, uint64_t t_ns, bool has_stood)
{
	uint64_t ms =
	    max_u64(stood_until_ms(s, t_ns - BEFORE_NS), s->last_time_ms + 1);

	if (!has_stood && !s->is_still_owed)
		return 0;
	return write_repeat(s, ms, 0, true);
}

/* Whether a frame more can stand before t. */
static bool
has_room(const struct recorder_session *s, uint64_t t_ns)
{
	return recorder_session_frame_ms(s, t_ns, true) <
	    recorder_session_frame_ms(s, t_ns, false);
}

uint64_t
recorder_session_closing_ms(const struct recorder_session *s, uint64_t t_ns)
{
	uint64_t end = recorder_session_frame_ms(s, t_ns, true);

	return s->repeat_len > 0 && end > s->last_time_ms + BEFORE_MS
	    ? end - BEFORE_MS
	    : end;
}

int
recorder_session_repeat_to_end(struct recorder_session *s, uint64_t t_ns)
{
	uint64_t end = recorder_session_frame_ms(s, t_ns, true);
	int rc = 0;

	if (s->repeat_len == 0 || !has_room(s, t_ns))
		return 0;
	if (end > s->last_time_ms + BEFORE_MS)
		rc = write_repeat(s, end - BEFORE_MS, 0, false);
	if (rc == 0)
		rc = write_repeat(s, end, 1, false);
	return rc == ERR_LIMIT ? 0 : rc; /* the header has the duration */
}
