#include "recorder/capture/handover.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "capture/capture.h"
#include "recorder/ring_reader.h"
#include "rfb/decoder.h"
#include "rfb/protocol.h"

#define UPDATE_LEN (4 + 12) /* with one rectangle's header */

struct handover {
	struct recorder_session *session;
	struct recorder_session_place place;
	struct meta meta; /* of the capture */
	char *json;
	size_t state_len;
	uint8_t state[RFB_DECODER_STATE_MAX];
};

/* The decoder's pixels as a format: bytes B, G, R and one of no meaning. */
static const struct rfb_pixel_format own_format = {
	.bits_per_pixel = 32,
	.depth = 24,
	.true_colour = true,
	.red_max = 255,
	.green_max = 255,
	.blue_max = 255,
	.red_shift = 16,
	.green_shift = 8,
};

/* ---- what the session is from here on ---- */

static json_t *
pack_monitor(const struct monitor *m)
{
	return json_pack("{s:i s:i s:i s:i s:i s:s}", "index", (int)m->index,
	    "x", (int)m->area.x, "y", (int)m->area.y, "w", (int)m->area.w, "h",
	    (int)m->area.h, "name", m->name);
}

static int
restate(json_t *o, const struct recorder_session_place *p)
{
	uint8_t wire[RFB_PIXEL_FORMAT_LEN];
	char hex[2 * RFB_PIXEL_FORMAT_LEN + 1];
	json_t *now;
	int rc;

	rfb_pixel_format_write(&own_format, wire);
	http_hex(wire, sizeof(wire), hex);
	now = json_pack("{s:s s:b s:s s:s s:i s:i s:I s:I s:i s:o}", "mode",
	    "capture", "resume", 1, "split_reason", p->split_reason,
	    "pixel_format", hex, "width", (int)rfb_decoder_width(p->decoder),
	    "height", (int)rfb_decoder_height(p->decoder), "first_seq",
	    (json_int_t)p->seq, "first_frame", (json_int_t)p->next_frame,
	    "frame_rate", (int)p->frame_rate, "monitor",
	    pack_monitor(p->monitor));
	rc = now == NULL ? ERR_NOMEM : json_object_update(o, now);
	json_decref(now);
	return rc == 0 ? 0 : ERR_NOMEM;
}

static int
make_meta(struct handover *h, const struct capture_run *c)
{
	json_t *o = json_loadb(c->json, c->json_len, 0, NULL);
	const char *why;
	int rc = o == NULL ? ERR_NOMEM : restate(o, &h->place);

	h->json = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (h->json == NULL)
		return ERR_NOMEM;
	return meta_parse(&h->meta, h->json, strlen(h->json), &why);
}

/* ---- the first records ---- */

static int
write_frame(struct capture_writer *w, const struct rfb_decoder *d)
{
	uint16_t width = rfb_decoder_width(d), height = rfb_decoder_height(d);
	uint8_t head[UPDATE_LEN] = { RFB_FRAMEBUFFER_UPDATE };
	uint64_t now = clock_mono_ns();
	int rc;

	store_be16(head + 2, 1);
	store_be16(head + 8, width);
	store_be16(head + 10, height);
	store_be32(head + 12, RFB_ENC_RAW);
	rc = capture_writer_bytes(w, head, sizeof(head), now);
	for (size_t y = 0; rc == 0 && y < height; y++)
		rc = capture_writer_bytes(w,
		    rfb_decoder_pixels(d) + y * rfb_decoder_stride(d),
		    (size_t)width * 4, now);
	return rc;
}

static int
write_place(void *arg, struct capture_writer *w)
{
	struct handover *h = arg;
	const struct rfb_decoder *d = h->place.decoder;
	struct rfb_pixel_format format = rfb_decoder_pixel_format(d);
	struct tee_mark m = { .kind = TEE_MARK_TIME,
		.mono_ns = h->place.start_ns };
	uint64_t now = clock_mono_ns();
	int rc = capture_writer_mark(w, &m, now);

	if (rc == 0)
		rc = capture_writer_state(w, h->state, h->state_len, now);
	if (rc == 0)
		rc = write_frame(w, d);
	m.kind = TEE_MARK_PIXEL_FORMAT;
	rfb_pixel_format_write(&format, m.value);
	if (rc == 0)
		rc = capture_writer_mark(w, &m, now);
	/* its memory is what the capture is for */
	recorder_session_free(h->session);
	h->session = NULL;
	return rc;
}

/* ---- the way ---- */

static int
prepare(struct handover *h, const struct capture_run *c)
{
	ssize_t n;
	int rc;

	recorder_session_get_place(h->session, &h->place);
	n = rfb_decoder_save(h->place.decoder, h->state);
	if (n < 0)
		return (int)n;
	h->state_len = (size_t)n;
	if (!h->place.is_unopened) {
		rc = recorder_session_close(h->session, "overload", 0);
		if (rc != 0)
			return rc;
		recorder_session_get_place(h->session, &h->place);
	}
	return make_meta(h, c);
}

int
handover_run(struct recorder_session *s, const struct capture_run *c,
    struct capture_run_result *res)
{
	struct handover *h = calloc(1, sizeof(*h));
	struct capture_run run = *c;
	int rc = ERR_NOMEM;

	memset(res, 0, sizeof(*res));
	res->why = "the session could not be handed over to a capture";
	if (h == NULL) {
		recorder_session_free(s);
		return rc;
	}
	h->session = s;
	rc = prepare(h, c);
	if (rc == 0) {
		log_info("recorder_behind", LOG_S("session", c->meta->session),
		    LOG_U("segment", h->meta.first_seq));
		run.meta = &h->meta;
		run.json = h->json;
		run.json_len = strlen(h->json);
		run.start_ns = h->place.start_ns;
		run.begin = write_place;
		run.arg = h;
		rc = capture_run(&run, res);
	}
	recorder_session_free(h->session);
	free(h->json);
	free(h);
	return rc;
}
