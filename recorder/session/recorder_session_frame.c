#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "recorder/frame/poster.h"
#include "recorder/session/recorder_session_internal.h"

/*
 * While frames come out fine, tiles that rest get their second helping
 * with what moves. While they do not, one frame this often is made fine,
 * if some wait so long.
 */
#define REFINE_NS      NS_PER_S
#define REFINE_REST_MS 1000

static int
make_canvas(struct recorder_session *s, unsigned width, unsigned height)
{
	encoder_free(s->encoder);
	s->encoder = NULL;
	canvas_release(&s->canvas);
	tiles_release(&s->tiles);
	pending_release(&s->pending);
	if (canvas_init(&s->canvas, width, height) != 0 ||
	    pending_init(&s->pending, s->canvas.cols, s->canvas.rows) != 0)
		return ERR_NOMEM;
	activity_set_tiles(&s->activity, canvas_n_tiles(&s->canvas));
	return tiles_init(&s->tiles, canvas_n_tiles(&s->canvas),
	    encoder_fine_quantizer(s->meta->quality));
}

int
recorder_session_set_area(struct recorder_session *s)
{
	int rc;

	s->screen_width = rfb_decoder_width(s->decoder);
	s->screen_height = rfb_decoder_height(s->decoder);
	s->area = monitor_area(&s->monitor, s->screen_width, s->screen_height);
	recorder_session_none_pending(s);
	if (s->tiles.n > 0 && s->area.w == s->canvas.width &&
	    s->area.h == s->canvas.height) {
		canvas_damage_all(&s->canvas);
		return 0;
	}
	s->is_blank = true;
	rc = make_canvas(s, s->area.w, s->area.h);
	if (rc != 0)
		s->why = "not enough memory for this screen";
	return rc;
}

static struct segment_params
segment_params(const struct recorder_session *s, uint64_t seq)
{
	return (struct segment_params){
		.seq = seq,
		.first_frame = s->next_frame,
		.split_reason = s->reason,
		.monitor = monitor_number(&s->monitor),
		.monitor_name = s->monitor.name,
		.frame_rate = s->frame_rate,
		.width = s->canvas.width,
		.height = s->canvas.height,
		.start_mono_ns = s->open_ns,
		.gap_start_ns = s->gap_start_ns,
	};
}

bool
recorder_session_is_unbegun(const struct recorder_session *s)
{
	return s->segment != NULL && s->state == RECORDER_SESSION_OPENING &&
	    segment_frames(s->segment) == 0;
}

bool
recorder_session_is_unopened(const struct recorder_session *s)
{
	return s->segment == NULL && s->state == RECORDER_SESSION_OPENING;
}

int
recorder_session_restate(struct recorder_session *s)
{
	struct segment_params p = segment_params(s, s->seq - 1);
	int rc = segment_restate(s->segment, &p);

	if (rc == 0)
		return 0;
	segment_abandon(s->segment);
	s->segment = NULL;
	s->state = RECORDER_SESSION_STOPPED;
	s->why = "a segment could not be opened in the spool";
	return rc;
}

int
recorder_session_open_segment(struct recorder_session *s)
{
	struct segment_params p = segment_params(s, s->seq);
	int rc = segment_open(&s->segment, &s->store, &p);

	if (rc != 0) {
		s->why = rc == ERR_NOSPACE
		    ? "too little free disk space"
		    : "a segment could not be opened in the spool";
		return rc;
	}
	s->seq++;
	s->gap_start_ns = 0;
	s->last_open_ns = s->open_ns;
	s->last_time_ms = 0;
	recorder_session_repeat_reset(s);
	s->has_poster = false;
	return 0;
}

/* Milliseconds of the session; rounded alike for frames and segments. */
static uint64_t
recorder_session_ms(const struct recorder_session *s, uint64_t t_ns)
{
	uint64_t start = s->meta->start_mono_ns;

	return t_ns > start ? (t_ns - start) / NS_PER_MS : 0;
}

uint64_t
recorder_session_second(const struct recorder_session *s, uint64_t t_ns)
{
	uint64_t start = recorder_session_ms(s, s->open_ns),
		 now = recorder_session_ms(s, t_ns);

	return now > start ? (now - start) / 1000 : 0;
}

uint64_t
recorder_session_frame_ms(
    const struct recorder_session *s, uint64_t t_ns, bool is_closing)
{
	uint64_t start = recorder_session_ms(s, segment_start_ns(s->segment));
	uint64_t now = recorder_session_ms(s, t_ns);
	uint64_t ms = now > start ? now - start : 0;

	if (is_closing && ms > 0)
		ms--;
	if (segment_frames(s->segment) > 0 && ms <= s->last_time_ms)
		ms = s->last_time_ms + 1;
	return ms;
}

/* Whether the last frame stands at the segment's end t already. */
static bool
is_at_end(const struct recorder_session *s, uint64_t t_ns)
{
	return recorder_session_frame_ms(s, t_ns, true) == s->last_time_ms + 1;
}

/* Brings the canvas up to date, unless the screen has another size now. */
static void
sync_canvas(struct recorder_session *s)
{
	size_t stride = rfb_decoder_stride(s->decoder);

	if (rfb_decoder_width(s->decoder) != s->screen_width ||
	    rfb_decoder_height(s->decoder) != s->screen_height)
		canvas_clean(&s->canvas);
	else
		canvas_convert(&s->canvas,
		    rfb_decoder_pixels(s->decoder) + s->area.y * stride +
			(size_t)s->area.x * 4,
		    stride);
}

/* Fills the active map; returns whether any tile is. */
static bool
choose_tiles(struct recorder_session *s, enum frame_kind kind)
{
	uint32_t now_ms = (uint32_t)recorder_session_ms(s, s->now_ns);
	const uint8_t *dirty = s->canvas.dirty;
	bool was_fine = s->last_quantizer <= s->tiles.fine;

	switch (kind) {
	case FRAME_DAMAGE:
		return tiles_choose(&s->tiles, dirty, now_ms, TILES_REST_MS,
			   was_fine ? TILES_REFINE_MAX : 0) > 0;
	case FRAME_KEY:
		return true;
	case FRAME_QUIET:
		return tiles_choose(&s->tiles, NULL, now_ms, 0, SIZE_MAX) > 0;
	case FRAME_REFINE:
		return tiles_choose(&s->tiles, dirty, now_ms, TILES_REST_MS,
			   TILES_REFINE_MAX) > 0;
	case FRAME_CLOSING:
	default:
		return tiles_choose(&s->tiles, dirty, now_ms, 0, SIZE_MAX) > 0;
	}
}

int
recorder_session_write_frame(
    struct recorder_session *s, const struct webm_frame *f, bool has_reserve)
{
	int rc = segment_write(
	    s->segment, f, has_reserve ? RECORDER_SESSION_END_BYTES : 0);

	if (rc != 0)
		return rc;
	s->frames++;
	s->last_time_ms = f->time_ms;
	if (!f->is_repeat)
		recorder_session_repeat_written(s, f);
	return 0;
}

/* The encoder, which a new canvas and a session that was idle have not got. */
static int
need_encoder(struct recorder_session *s)
{
	if (s->encoder != NULL)
		return 0;
	s->encoder = encoder_new(s->meta->codec, s->meta->quality,
	    s->canvas.width, s->canvas.height);
	s->pts_ms = 0;
	return s->encoder != NULL ? 0 : ERR_NOMEM;
}

static int
encode_frame(struct recorder_session *s, uint64_t t_ns, bool key,
    struct encoder_packet *pkt)
{
	uint64_t pts = recorder_session_ms(s, t_ns);

	if (pts <= s->pts_ms)
		pts = s->pts_ms + 1;
	s->pts_ms = pts;
	recorder_session_repeat_encoded(s);
	return encoder_encode(s->encoder, &s->canvas, pts,
	    pacer_interval_ns(&s->pacer) / NS_PER_MS + 1, key, s->tiles.active,
	    pkt);
}

/* A key frame that was too large for an empty file, as small as it gets. */
static int
encode_coarsely(
    struct recorder_session *s, uint64_t t_ns, struct encoder_packet *pkt)
{
	int rc = encoder_set_range(s->encoder, RANGE_COARSE);

	if (rc == 0)
		rc = encode_frame(s, t_ns, true, pkt);
	if (rc == 0)
		rc = encoder_set_range(s->encoder, RANGE_USUAL);
	return rc;
}

/* What cannot be had is left out: no recording ends for a frame of it. */
static void
make_poster(struct recorder_session *s)
{
	size_t len;
	uint8_t *jpeg = poster_make(&s->canvas, &len);
	int rc = jpeg != NULL ? segment_set_poster(s->segment, jpeg, len)
			      : ERR_NOMEM;

	poster_free(jpeg);
	s->has_poster = true;
	if (rc != 0)
		log_warn("poster_failed",
		    LOG_S("segment", segment_id(s->segment)), LOG_ERR(rc));
}

static int
close_files(struct recorder_session *s, uint64_t t_ns, const char *end)
{
	struct segment_result res;
	int rc;

	if (!s->has_poster && segment_frames(s->segment) > 0)
		make_poster(s);
	rc = segment_close(s->segment, end, t_ns, &s->activity, &res);
	activity_reset(&s->activity);
	s->segment = NULL;
	/* a file that could not be closed will be repaired: its frames count */
	s->next_frame += res.frames;
	if (rc != 0) {
		s->why = "a segment could not be closed";
		return rc;
	}
	s->bytes += res.bytes;
	s->cb(s->arg, RECORDER_SESSION_SEGMENT, &res);
	return 0;
}

int
recorder_session_split_on_size(struct recorder_session *s, uint64_t t_ns)
{
	int rc = recorder_session_repeat_to_end(s, t_ns);

	if (rc == 0)
		rc = close_files(s, t_ns, "size");
	if (rc != 0)
		return rc;
	s->reason = "size";
	s->open_ns = t_ns;
	rc = recorder_session_open_segment(s);
	return rc != 0 ? rc
		       : recorder_session_take_frame(s, t_ns, FRAME_DAMAGE);
}

/* The file has no room for the frame at t, nor for a repeat before it. */
static int
file_is_full(struct recorder_session *s, uint64_t t_ns, enum frame_kind kind)
{
	return kind == FRAME_CLOSING ? recorder_session_repeat_to_end(s, t_ns)
				     : recorder_session_split_on_size(s, t_ns);
}

/*
 * Writes a frame's packet; when it does not fit, finds it another place.
 * *is_done: that took care of everything.
 */
static int
place_packet(struct recorder_session *s, uint64_t t_ns, enum frame_kind kind,
    struct encoder_packet *pkt, bool *is_done)
{
	bool is_closing = kind == FRAME_CLOSING;
	bool is_first = segment_frames(s->segment) == 0;
	struct webm_frame f = {
		.data = pkt->data,
		.len = pkt->len,
		.time_ms = is_closing
		    ? recorder_session_closing_ms(s, t_ns)
		    : recorder_session_frame_ms(s, t_ns, false),
		.is_key = pkt->is_key,
	};
	int rc;

	if (is_closing && f.time_ms == recorder_session_frame_ms(s, t_ns, true))
		f.duration_ms = 1; /* it is the last one */
	rc = recorder_session_write_frame(s, &f, true);

	*is_done = rc == ERR_LIMIT && !is_first;
	if (*is_done)
		return file_is_full(s, t_ns, kind);
	if (rc == ERR_LIMIT) {
		rc = encode_coarsely(s, t_ns, pkt);
		f.data = pkt->data;
		f.len = pkt->len;
		f.is_key = true;
		if (rc == 0)
			rc = recorder_session_write_frame(s, &f, false);
	}
	if (rc != 0)
		s->why = rc == ERR_LIMIT
		    ? "one picture is larger than a segment may be"
		    : "the spool cannot be written";
	return rc;
}

/* As encode_frame, in the range that this kind of frame has. */
static int
encode_kind(struct recorder_session *s, uint64_t t_ns, enum frame_kind kind,
    bool key, struct encoder_packet *pkt)
{
	int rc = need_encoder(s), usual = 0;

	if (rc != 0)
		return rc;
	if (kind != FRAME_REFINE && kind != FRAME_KEY)
		return encode_frame(s, t_ns, key, pkt);
	s->refined_ns = t_ns;
	rc = encoder_set_range(s->encoder, RANGE_FINE);
	if (rc == 0)
		rc = encode_frame(s, t_ns, key, pkt);
	usual = encoder_set_range(s->encoder, RANGE_USUAL);
	return rc != 0 ? rc : usual;
}

/*
 * Much moves and comes out coarse: tiles that rested would stay so for as
 * long as it does.
 */
static bool
wants_refinement(const struct recorder_session *s, uint64_t t_ns)
{
	return s->last_quantizer > s->tiles.fine && s->pacer.slowdown == 1 &&
	    t_ns >= s->refined_ns + REFINE_NS &&
	    tiles_has_rested(&s->tiles, (uint32_t)recorder_session_ms(s, t_ns),
		REFINE_REST_MS);
}

/* Whether the frame at t is to be a key frame; one after a pause leaves it
 * to the next, unless it would build on one that could not be written, or that
 * the encoder does not know. */
static bool
wants_key(const struct recorder_session *s, uint64_t t_ns, enum frame_kind kind)
{
	if (segment_frames(s->segment) == 0 || kind == FRAME_KEY ||
	    s->is_ahead || s->encoder == NULL)
		return true;
	return kind == FRAME_DAMAGE && pacer_is_key_due(&s->pacer, t_ns) &&
	    !segment_is_pause(
		s->segment, recorder_session_frame_ms(s, t_ns, false));
}

/* A file that ends at t gets a frame there if it cannot have a repeat. */
static bool
needs_last(
    const struct recorder_session *s, uint64_t t_ns, enum frame_kind kind)
{
	return kind == FRAME_CLOSING && s->repeat_len == 0 &&
	    !is_at_end(s, t_ns);
}

/* No tile needs a frame at t. */
static int
no_frame(struct recorder_session *s, uint64_t t_ns, enum frame_kind kind)
{
	pacer_nothing(&s->pacer, t_ns, kind == FRAME_QUIET);
	s->dirty_ns = PACER_NEVER;
	return kind == FRAME_CLOSING ? recorder_session_repeat_to_end(s, t_ns)
				     : 0;
}

/* A frame was written: what it shows is done. */
static void
frame_taken(struct recorder_session *s, uint64_t t_ns, enum frame_kind kind,
    const struct encoder_packet *pkt)
{
	bool is_coarse;

	s->last_quantizer = pkt->quantizer;
	is_coarse = tiles_coded(&s->tiles, pkt->is_key, pkt->quantizer);
	if (s->canvas.n_dirty > 0)
		activity_changed(&s->activity, recorder_session_second(s, t_ns),
		    s->canvas.dirty);
	if (!s->has_poster && poster_has_content(&s->canvas))
		make_poster(s);
	canvas_clean(&s->canvas);
	s->dirty_ns = PACER_NEVER;
	pacer_taken(
	    &s->pacer, t_ns, pkt->is_key, kind == FRAME_QUIET, is_coarse);
}

int
recorder_session_take_frame(
    struct recorder_session *s, uint64_t t_ns, enum frame_kind kind)
{
	bool is_first = segment_frames(s->segment) == 0, is_done, key;
	bool has_stood = recorder_session_stood(s, t_ns);
	struct encoder_packet pkt;
	int rc = has_stood ? recorder_session_repeat_prepare(s) : 0;

	if (rc != 0) {
		s->why = "the encoder failed";
		return rc;
	}
	sync_canvas(s);
	recorder_session_none_pending(s);
	pacer_found(&s->pacer, s->canvas.n_dirty);
	key = wants_key(s, t_ns, kind);
	if (!key && kind == FRAME_DAMAGE && wants_refinement(s, t_ns))
		kind = FRAME_REFINE;
	if (!choose_tiles(s, kind) && !is_first && !needs_last(s, t_ns, kind))
		return no_frame(s, t_ns, kind);
	rc = recorder_session_repeat_before(s, t_ns, has_stood);
	if (rc == ERR_LIMIT)
		return file_is_full(s, t_ns, kind);
	if (rc != 0)
		return rc;
	rc = encode_kind(s, t_ns, kind, key, &pkt);
	if (rc != 0) {
		s->why = "the encoder failed";
		return rc;
	}
	rc = place_packet(s, t_ns, kind, &pkt, &is_done);
	if (rc != 0 || is_done)
		return rc;
	frame_taken(s, t_ns, kind, &pkt);
	return kind == FRAME_CLOSING ? recorder_session_repeat_to_end(s, t_ns)
				     : 0;
}

int
recorder_session_first_frame(struct recorder_session *s)
{
	int rc = s->segment != NULL ? 0 : recorder_session_open_segment(s);

	if (rc != 0)
		return rc;
	s->state = RECORDER_SESSION_RUNNING;
	return recorder_session_take_frame(s, s->open_ns, FRAME_DAMAGE);
}

int
recorder_session_end_segment(
    struct recorder_session *s, uint64_t t_ns, const char *end)
{
	int rc = 0, closed = 0;

	if (s->tiles.n == 0)
		return ERR_NOMEM; /* no canvas, hence no segment either */
	if (s->state == RECORDER_SESSION_OPENING)
		rc = recorder_session_first_frame(s);
	if (rc == 0 && s->segment != NULL)
		rc = recorder_session_take_frame(s, t_ns, FRAME_CLOSING);
	/* without its closing frame a file is still worth closing */
	if (s->segment != NULL)
		closed = close_files(s, t_ns, end);
	return rc != 0 ? rc : closed;
}

int
recorder_session_split(
    struct recorder_session *s, uint64_t t_ns, const char *reason, bool wait)
{
	int rc = recorder_session_end_segment(s, t_ns, reason);

	if (rc != 0)
		return rc;
	s->reason = reason;
	s->open_ns = t_ns;
	s->open_by_ns = t_ns;
	s->has_damage = false;
	s->state = RECORDER_SESSION_OPENING;
	if (!wait)
		return recorder_session_first_frame(s);
	s->open_by_ns += RECORDER_SESSION_OPEN_WAIT_NS;
	return 0;
}
