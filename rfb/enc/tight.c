/*
 * Tight: a fill, a JPEG, or filtered pixels, deflated in one of four
 * streams. Source: community specification, "Tight Encoding".
 *
 *      control | [filter | [count | palette]] | plain, or length | packed
 *
 * Two controls have plain data behind the length: servers on libvncserver
 * send them, asked or not, at compression level 0.
 */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

#define MIN_PACKED 12 /* shorter data is not deflated */

enum tight_control {
	TIGHT_FILL = 8,
	TIGHT_JPEG = 9,
	TIGHT_HAS_FILTER = 4, /* a bit of those below Fill */
	TIGHT_PLAIN = 10,     /* Copy, not deflated */
	TIGHT_PLAIN_FILTER = TIGHT_PLAIN | TIGHT_HAS_FILTER,
};

enum tight_filter {
	TIGHT_COPY = 0,
	TIGHT_PALETTE = 1,
	TIGHT_GRADIENT = 2,
};

/* A step returns 0 to go on, MORE, or an error. */
#define MORE 1

static int
tight_begin(struct enc *e)
{
	memset(&e->tight, 0, sizeof(e->tight));
	return 0;
}

static const struct enc_pixels *
tpixel(const struct enc *e)
{
	return &e->format->tpixel;
}

/* data_len bytes before compression follow, for sink. */
static int
expect_data(struct enc *e, size_t data_len, enc_sink *sink)
{
	e->tight.sink = sink;
	e->tight.data_len = data_len;
	e->tight.step =
	    data_len < MIN_PACKED ? TIGHT_STEP_PLAIN : TIGHT_STEP_LENGTH;
	return 0;
}

static int
expect_pixels(struct enc *e, enc_sink *sink)
{
	return expect_data(e, (size_t)e->w * e->h * tpixel(e)->len, sink);
}

static int
control(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, 1);

	if (p == NULL)
		return MORE;
	for (unsigned i = 0; i < N_ELEMENTS(e->tight_streams); i++) {
		if ((p[0] >> i & 1) != 0)
			enc_inflater_reset(&e->tight_streams[i]);
	}
	e->tight.control = p[0] >> 4;
	enc_done(e, s, 1);
	e->tight.is_plain = e->tight.control == TIGHT_PLAIN ||
	    e->tight.control == TIGHT_PLAIN_FILTER;
	if (e->tight.control > TIGHT_JPEG && !e->tight.is_plain)
		return enc_fail(e, ERR_PROTOCOL, "unknown Tight compression");
	if (e->tight.control == TIGHT_FILL)
		e->tight.step = TIGHT_STEP_FILL;
	else if (e->tight.control == TIGHT_JPEG)
		e->tight.step = TIGHT_STEP_LENGTH;
	else if ((e->tight.control & TIGHT_HAS_FILTER) != 0)
		e->tight.step = TIGHT_STEP_FILTER;
	else
		return expect_pixels(e, enc_tight_copy);
	return 0;
}

static int
begin_filter(struct enc *e, uint8_t filter)
{
	switch (filter) {
	case TIGHT_COPY:
		return expect_pixels(e, enc_tight_copy);
	case TIGHT_PALETTE:
		e->tight.step = TIGHT_STEP_PALETTE_COUNT;
		return 0;
	case TIGHT_GRADIENT:
		if (e->w > ENC_TIGHT_MAX_WIDTH || tpixel(e)->len == 1)
			return enc_fail(e, ERR_PROTOCOL,
			    "Tight gradient of an illegal rectangle");
		return expect_pixels(e, enc_tight_gradient);
	default:
		return enc_fail(e, ERR_PROTOCOL, "unknown Tight filter");
	}
}

static int
filter_id(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, 1);
	uint8_t filter;

	if (p == NULL)
		return MORE;
	filter = p[0];
	enc_done(e, s, 1);
	return begin_filter(e, filter);
}

static int
palette_count(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, 1);

	if (p == NULL)
		return MORE;
	e->tight.n_colours = p[0] + 1u;
	e->tight.step = TIGHT_STEP_PALETTE;
	enc_done(e, s, 1);
	return 0;
}

static int
palette(struct enc *e, struct enc_span *s)
{
	const struct enc_pixels *px = tpixel(e);
	size_t n = e->tight.n_colours, row = (e->w + 7u) / 8;
	const uint8_t *p = enc_want(e, s, n * px->len);

	if (p == NULL)
		return MORE;
	px->row(px, e->palette, p, n);
	/* An index beyond is refused after its row was drawn. */
	enc_run(e->palette + n, N_ELEMENTS(e->palette) - n, ENC_BLACK);
	enc_done(e, s, n * px->len);
	if (n <= 2)
		return expect_data(e, row * e->h, enc_tight_mono);
	return expect_data(e, (size_t)e->w * e->h, enc_tight_indexed);
}

/* 7, 7 and 8 bits, low ones first; bit 7 of the first two: more. */
static int
length(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = NULL;
	size_t len = 0, n;

	for (n = 1; n <= 3; n++) {
		if (e->n_kept > n)
			continue; /* read on where the last piece ended */
		p = enc_want(e, s, n);
		if (p == NULL)
			return MORE;
		if (n == 3 || (p[n - 1] & 0x80) == 0)
			break;
	}
	for (size_t i = 0; i < n; i++)
		/* NOLINTNEXTLINE: fewer than three bytes are kept, p is set */
		len |= (size_t)(i < 2 ? p[i] & 0x7f : p[i]) << 7 * i;
	enc_done(e, s, n);
	if (e->tight.is_plain && len != e->tight.data_len)
		return enc_fail(e, ERR_PROTOCOL,
		    "plain Tight data of another length than its pixels");
	e->tight.left = len;
	e->tight.step = e->tight.control == TIGHT_JPEG ? TIGHT_STEP_JPEG
						       : TIGHT_STEP_PACKED;
	return 0;
}

static int
fill(struct enc *e, struct enc_span *s)
{
	const struct enc_pixels *px = tpixel(e);
	const uint8_t *p = enc_want(e, s, px->len);

	if (p == NULL)
		return MORE;
	enc_fill(e, 0, 0, e->w, e->h, enc_pixel(px, p));
	enc_done(e, s, px->len);
	e->tight.step = TIGHT_STEP_DONE;
	return 0;
}

static int
plain(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, e->tight.data_len);
	ssize_t used;

	if (p == NULL)
		return MORE;
	used = e->tight.sink(e, p, e->tight.data_len);
	if (used < 0)
		return (int)used;
	enc_done(e, s, e->tight.data_len);
	e->tight.step = TIGHT_STEP_DONE;
	return 0;
}

/* The part of s that belongs to the data under way, consumed. */
static size_t
take(struct enc *e, struct enc_span *s, const uint8_t **p)
{
	size_t n = min_size((size_t)(s->end - s->p), e->tight.left);

	*p = s->p;
	s->p += n;
	e->tight.left -= n;
	return n;
}

static int
packed(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;
	size_t n = take(e, s, &p);

	if (e->tight.left == 0)
		e->tight.step = TIGHT_STEP_DONE;
	if (e->tight.is_plain)
		return enc_pass(e, p, n, e->tight.sink);
	return enc_inflate(
	    e, &e->tight_streams[e->tight.control & 3], p, n, e->tight.sink);
}

/* One that lies whole in a piece is not copied. */
static int
jpeg(struct enc *e, struct enc_span *s)
{
	size_t total = e->tight.jpeg_len + e->tight.left, n;
	const uint8_t *p;
	int rc;

	n = take(e, s, &p);
	if (n < total) {
		rc = enc_grow(e, (void **)&e->jpeg, &e->jpeg_cap, total);
		if (rc != 0)
			return rc;
		memcpy(e->jpeg + e->tight.jpeg_len, p, n);
		e->tight.jpeg_len += n;
		p = e->jpeg;
	}
	if (e->tight.left > 0)
		return 0;
	e->tight.step = TIGHT_STEP_DONE;
	return enc_tight_jpeg(e, p, total);
}

static int
step(struct enc *e, struct enc_span *s)
{
	switch (e->tight.step) {
	case TIGHT_STEP_CONTROL:
		return control(e, s);
	case TIGHT_STEP_FILTER:
		return filter_id(e, s);
	case TIGHT_STEP_PALETTE_COUNT:
		return palette_count(e, s);
	case TIGHT_STEP_PALETTE:
		return palette(e, s);
	case TIGHT_STEP_LENGTH:
		return length(e, s);
	case TIGHT_STEP_FILL:
		return fill(e, s);
	case TIGHT_STEP_PLAIN:
		return plain(e, s);
	case TIGHT_STEP_PACKED:
		return packed(e, s);
	case TIGHT_STEP_JPEG:
		return jpeg(e, s);
	case TIGHT_STEP_DONE:
	default:
		return MORE;
	}
}

static int
tight_payload(struct enc *e, struct enc_span *s)
{
	int rc = 0;

	while (rc == 0 && s->p < s->end)
		rc = step(e, s);
	return rc == MORE ? 0 : rc;
}

static int
tight_end(struct enc *e)
{
	if (e->tight.step == TIGHT_STEP_DONE &&
	    (e->tight.sink == NULL || enc_is_drawn(e)))
		return 0;
	return enc_fail(e, ERR_PROTOCOL, "Tight data too short");
}

const struct enc_codec enc_tight = {
	.encoding = RFB_ENC_TIGHT,
	.begin = tight_begin,
	.payload = tight_payload,
	.end = tight_end,
};
