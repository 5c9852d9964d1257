#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/decoder.h"
#include "rfb/enc/enc.h"
#include "rfb/framer.h"
#include "rfb/work.h"

/* Screens smaller than this may be drawn more often in an update. */
#define LEAST_SCREEN ((uint64_t)1 << 20)

/* Lengths inside are 32 bits: longer input is taken in parts. */
#define PIECE_MAX ((size_t)1 << 30)

struct rfb_decoder {
	struct rfb_framer *framer;
	rfb_decoder_cb *cb;
	void *arg;
	struct enc_format format;
	const struct enc_codec *codec; /* of the rectangle; NULL: ignored */
	bool skips_stateful;
	bool is_skipped; /* the rectangle under way */
	uint64_t n_skipped;
	uint64_t max_pixels;  /* 0: what the protocol allows */
	uint64_t work;        /* pixels so far, rfb/work.h */
	uint64_t update_work; /* of the update under way */
	uint64_t pause_at;    /* of work: feeding stops */
	struct enc enc;
};

static void
emit(struct rfb_decoder *d, const struct rfb_decoder_event *ev)
{
	d->cb(d->arg, ev);
}

/* What both sizes have in common stays. */
static void
copy_overlap(const struct enc *e, uint32_t *to, uint16_t w, uint16_t h)
{
	size_t n_rows = min_size(h, e->height);
	size_t n = min_size(w, e->width);

	for (size_t y = 0; y < n_rows; y++)
		memcpy(to + y * w, e->pixels + y * e->width, n * sizeof(*to));
}

static void
emit_resizing(struct rfb_decoder *d)
{
	struct rfb_decoder_event ev = {
		.kind = RFB_DECODER_RESIZING,
		.w = d->enc.width,
		.h = d->enc.height,
	};

	emit(d, &ev);
}

static int
resize(struct rfb_decoder *d, uint16_t w, uint16_t h)
{
	struct rfb_decoder_event ev = {
		.kind = RFB_DECODER_RESIZE,
		.w = w,
		.h = h,
	};
	struct enc *e = &d->enc;
	uint32_t *to;

	if (w == e->width && h == e->height)
		return 0;
	if (d->max_pixels != 0 && (uint64_t)w * h > d->max_pixels)
		return enc_fail(
		    e, ERR_LIMIT, "the screen is larger than the site allows");
	emit_resizing(d);
	to = calloc((size_t)w * h, sizeof(*to));
	if (to == NULL)
		return enc_fail(e, ERR_NOMEM, "out of memory");
	copy_overlap(e, to, w, h);
	free(e->pixels);
	e->pixels = to;
	e->width = w;
	e->height = h;
	emit(d, &ev);
	return 0;
}

/* A change of size is in force from its rectangle's header on. */
static int
follow_size(struct rfb_decoder *d)
{
	uint16_t w, h;

	rfb_framer_size(d->framer, &w, &h);
	return resize(d, w, h);
}

static const struct enc_codec *
find_codec(int32_t encoding)
{
	switch (encoding) {
	case RFB_ENC_EXT_DESKTOP_SIZE:
		return &enc_screens;
	case RFB_ENC_CURSOR_ALPHA:
		return &enc_cursor_alpha;
	default:
		return enc_find_picture(encoding);
	}
}

static bool
is_drawing(const struct rfb_rect *r)
{
	return enc_find_picture(r->encoding) != NULL;
}

/* Their zlib streams go on from rectangle to rectangle. */
static bool
is_stateful(int32_t encoding)
{
	return encoding == RFB_ENC_ZLIB || encoding == RFB_ENC_ZRLE ||
	    encoding == RFB_ENC_TIGHT || encoding == RFB_ENC_CURSOR_ALPHA;
}

/* What a rectangle that is left out would have drawn. */
static void
forget(struct enc *e, const struct rfb_rect *r)
{
	for (size_t y = r->y; y < (size_t)r->y + r->h; y++) {
		uint32_t *line = e->pixels + y * e->width + r->x;

		for (size_t x = 0; x < r->w; x++)
			line[x] &= ~ENC_BLACK;
	}
}

static void
skip(struct rfb_decoder *d, const struct rfb_rect *r)
{
	d->codec = NULL;
	d->is_skipped = true;
	if (!is_drawing(r))
		return;
	d->n_skipped++;
	forget(&d->enc, r);
}

static void
start(struct rfb_decoder *d, const struct rfb_rect *r)
{
	struct enc *e = &d->enc;

	e->at = e->pixels;
	if (is_drawing(r))
		e->at += (size_t)r->y * e->width + r->x;
	e->stride = e->width;
	e->w = r->w;
	e->h = r->h;
	e->format = &d->format;
	e->x = e->y = 0;
	e->has_header = false;
	e->n_left = 0;
	e->n_kept = 0;
	e->n_rest = 0;
}

/* DRAW or DAMAGE, of a rectangle that has pixels. */
static void
emit_rect(struct rfb_decoder *d, enum rfb_decoder_event_kind kind,
    const struct rfb_rect *r)
{
	struct rfb_decoder_event ev = {
		.kind = kind,
		.x = r->x,
		.y = r->y,
		.w = r->w,
		.h = r->h,
	};

	if (r->w > 0 && r->h > 0)
		emit(d, &ev);
}

/* A few bytes that draw everything, over and over: rfb/work.h. */
static int
count_work(struct rfb_decoder *d, const struct rfb_rect *r)
{
	struct enc *e = &d->enc;
	uint64_t screen = (uint64_t)e->width * e->height;
	uint64_t n = rfb_rect_work(r);

	d->work += n;
	d->update_work += n;
	if (screen < LEAST_SCREEN)
		screen = LEAST_SCREEN;
	if (d->update_work - n > RFB_WORK_PER_UPDATE * screen)
		return enc_fail(e, ERR_LIMIT,
		    "an update draws more than 64 times the screen");
	return 0;
}

static int
begin_rect(struct rfb_decoder *d, const struct rfb_rect *r)
{
	struct enc *e = &d->enc;
	int rc = count_work(d, r);

	if (rc == 0)
		rc = follow_size(d);
	if (rc != 0)
		return rc;
	/* The framer refuses these; nothing is drawn on its word alone. */
	if (is_drawing(r) &&
	    (r->x + r->w > e->width || r->y + r->h > e->height))
		return enc_fail(
		    e, ERR_PROTOCOL, "rectangle outside the framebuffer");
	if (d->skips_stateful && is_stateful(r->encoding)) {
		skip(d, r);
		return 0;
	}
	if (is_drawing(r))
		emit_rect(d, RFB_DECODER_DRAW, r);
	d->codec = find_codec(r->encoding);
	d->is_skipped = false;
	start(d, r);
	return d->codec == NULL ? 0 : d->codec->begin(e);
}

static int
payload(struct rfb_decoder *d, const struct rfb_framer_event *ev)
{
	struct enc_span s = { ev->data, ev->data + ev->len };

	if (d->codec == NULL)
		return 0;
	return d->codec->payload(&d->enc, &s);
}

/* A refused request (reason 1, a status) says nothing about the screens. */
static void
emit_layout(struct rfb_decoder *d, const struct rfb_rect *r)
{
	struct rfb_decoder_event ev = {
		.kind = RFB_DECODER_LAYOUT,
		.w = d->enc.width,
		.h = d->enc.height,
		.screens = d->enc.screens,
		.n_screens = d->enc.n_screens,
	};

	if (r->x != 1 || r->y == 0)
		emit(d, &ev);
}

static int
end_rect(struct rfb_decoder *d, const struct rfb_rect *r)
{
	int rc = d->codec == NULL ? 0 : d->codec->end(&d->enc);

	d->codec = NULL;
	if (rc != 0)
		return rc;
	if (d->is_skipped)
		return 0;
	if (is_drawing(r))
		emit_rect(d, RFB_DECODER_DAMAGE, r);
	else if (r->encoding == RFB_ENC_EXT_DESKTOP_SIZE)
		emit_layout(d, r);
	return 0;
}

static void
end_update(struct rfb_decoder *d)
{
	struct rfb_decoder_event ev = { .kind = RFB_DECODER_UPDATE_END };

	emit(d, &ev);
}

/* Messages that are no update draw nothing: sound, text, fences. */
static int
on_framer(void *arg, const struct rfb_framer_event *ev)
{
	struct rfb_decoder *d = arg;

	if (ev->type != RFB_FRAMEBUFFER_UPDATE)
		return 0;
	switch (ev->kind) {
	case RFB_FRAMER_MESSAGE:
		d->update_work = 0;
		return 0;
	case RFB_FRAMER_RECT:
		return begin_rect(d, &ev->rect);
	case RFB_FRAMER_PAYLOAD:
		return payload(d, ev);
	case RFB_FRAMER_RECT_END:
		if (d->work >= d->pause_at)
			rfb_framer_pause(d->framer);
		return end_rect(d, &ev->rect);
	case RFB_FRAMER_MESSAGE_END:
		end_update(d);
		return 0;
	default:
		return 0;
	}
}

struct rfb_decoder *
rfb_decoder_new(uint16_t width, uint16_t height,
    const struct rfb_pixel_format *pf, rfb_decoder_cb *cb, void *arg)
{
	struct rfb_decoder *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->cb = cb;
	d->arg = arg;
	d->enc.width = width;
	d->enc.height = height;
	/* black, but no page of it is touched before it is drawn on */
	d->enc.pixels = calloc((size_t)width * height, sizeof(uint32_t));
	d->framer = rfb_framer_new(width, height, pf, on_framer, d);
	if (d->enc.pixels == NULL || d->framer == NULL ||
	    enc_format_set(&d->format, pf) != 0) {
		rfb_decoder_free(d);
		return NULL;
	}
	return d;
}

void
rfb_decoder_free(struct rfb_decoder *d)
{
	if (d == NULL)
		return;
	rfb_framer_free(d->framer);
	enc_release(&d->enc);
	enc_format_release(&d->format);
	free(d->enc.pixels);
	free(d);
}

int
rfb_decoder_feed(struct rfb_decoder *d, const uint8_t *data, size_t len)
{
	size_t used;
	int rc;

	do {
		rc = rfb_decoder_feed_some(d, data, len, UINT64_MAX, &used);
		data += used;
		len -= used;
	} while (rc == 0 && len > 0);
	return rc;
}

int
rfb_decoder_feed_some(struct rfb_decoder *d, const uint8_t *data, size_t len,
    uint64_t max_work, size_t *used)
{
	d->pause_at = d->work + min_u64(max_work, UINT64_MAX - d->work);
	return rfb_framer_feed_some(
	    d->framer, data, min_size(len, PIECE_MAX), used);
}

uint64_t
rfb_decoder_work(const struct rfb_decoder *d)
{
	return d->work;
}

int
rfb_decoder_set_pixel_format(
    struct rfb_decoder *d, const struct rfb_pixel_format *pf)
{
	int rc = rfb_framer_set_pixel_format(d->framer, pf);

	if (rc != 0)
		return rc;
	if (rfb_pixel_format_equal(&d->format.pf, pf))
		return 0;
	if (enc_format_set(&d->format, pf) != 0)
		return enc_fail(&d->enc, ERR_NOMEM, "out of memory");
	return 0;
}

void
rfb_decoder_skip_stateful(struct rfb_decoder *d)
{
	d->skips_stateful = true;
}

void
rfb_decoder_limit_pixels(struct rfb_decoder *d, uint64_t n)
{
	d->max_pixels = n;
}

bool
rfb_decoder_is_known(
    const struct rfb_decoder *d, unsigned x, unsigned y, unsigned w, unsigned h)
{
	const struct enc *e = &d->enc;
	uint32_t all;

	if (!d->skips_stateful)
		return true;
	for (size_t row = y; row < (size_t)y + h; row++) {
		const uint32_t *line = e->pixels + row * e->width + x;

		all = ENC_BLACK;
		for (size_t i = 0; i < w; i++)
			all &= line[i];
		if (all != ENC_BLACK)
			return false;
	}
	return true;
}

bool
rfb_decoder_can_save(const struct rfb_decoder *d)
{
	return rfb_decoder_is_between_messages(d) &&
	    enc_state_can_save(&d->enc);
}

ssize_t
rfb_decoder_save(const struct rfb_decoder *d, uint8_t *out)
{
	ssize_t n;

	if (!rfb_decoder_is_between_messages(d))
		return ERR_AGAIN;
	out[0] = d->skips_stateful;
	n = enc_state_save(&d->enc, out + 1);
	return n < 0 ? n : n + 1;
}

int
rfb_decoder_restore(struct rfb_decoder *d, const uint8_t *p, size_t len)
{
	if (len < 1 || p[0] > 1)
		return ERR_CORRUPT;
	d->skips_stateful = p[0] == 1;
	return enc_state_restore(&d->enc, p + 1, len - 1);
}

uint64_t
rfb_decoder_n_skipped(const struct rfb_decoder *d)
{
	return d->n_skipped;
}

const uint8_t *
rfb_decoder_pixels(const struct rfb_decoder *d)
{
	return (const uint8_t *)d->enc.pixels;
}

size_t
rfb_decoder_stride(const struct rfb_decoder *d)
{
	return d->enc.width * sizeof(*d->enc.pixels);
}

uint16_t
rfb_decoder_width(const struct rfb_decoder *d)
{
	return d->enc.width;
}

uint16_t
rfb_decoder_height(const struct rfb_decoder *d)
{
	return d->enc.height;
}

bool
rfb_decoder_is_between_messages(const struct rfb_decoder *d)
{
	return rfb_framer_is_between_messages(d->framer);
}

uint64_t
rfb_decoder_bytes_to_boundary(const struct rfb_decoder *d)
{
	return rfb_framer_wanted(d->framer);
}

struct rfb_pixel_format
rfb_decoder_pixel_format(const struct rfb_decoder *d)
{
	return d->format.pf;
}

const char *
rfb_decoder_why(const struct rfb_decoder *d)
{
	return d->enc.why != NULL ? d->enc.why : rfb_framer_why(d->framer);
}
