/*
 * The decoder on any bytes: in one piece and in pieces it must end with the
 * same picture, each pixel opaque or 0, and neither may read outside its piece.
 *
 * Input: 16 bytes pixel format, width - 1 and height - 1 (16 bits each), one
 * byte for the size of the pieces; then what the server sends.
 */
#include <stdlib.h>

#include "rfb/decoder.h"
#include "tests/unit/rfb_bytes.h"

#define HEAD (RFB_PIXEL_FORMAT_LEN + 5)

/* Larger pictures are legal, but only cost time here. */
#define SIDE_MAX 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
	int rc;
	uint32_t events;
	uint16_t w, h;
	uint32_t *pixels;
};

struct size_watch {
	struct rfb_framer *f;
	uint64_t stop;
};

static int
watch_size(void *arg, const struct rfb_framer_event *ev)
{
	struct size_watch *w = arg;
	uint16_t width, height;

	if (ev->kind != RFB_FRAMER_RECT)
		return 0;
	rfb_framer_size(w->f, &width, &height);
	if (width <= SIDE_MAX && height <= SIDE_MAX)
		return 0;
	w->stop = ev->offset;
	return 1;
}

/* The length up to the header of a resize that is too large. */
static size_t
useful_len(const struct rfb_pixel_format *pf, uint16_t w, uint16_t h,
    const uint8_t *data, size_t len)
{
	struct size_watch watch = { .stop = len };

	watch.f = rfb_framer_new(w, h, pf, watch_size, &watch);
	if (watch.f == NULL)
		abort();
	rfb_framer_feed(watch.f, data, len);
	rfb_framer_free(watch.f);
	return min_size(len, (size_t)watch.stop);
}

static void
on_event(void *arg, const struct rfb_decoder_event *ev)
{
	struct outcome *o = arg;

	o->events = o->events * 31 + ev->kind;
	o->events = o->events * 31 + ev->x + ev->y * 7u;
	o->events = o->events * 31 + ev->w + ev->h * 7u;
	for (unsigned i = 0; i < ev->n_screens; i++)
		o->events = o->events * 31 + ev->screens[i].id;
}

static int
feed(struct rfb_decoder *d, const uint8_t *data, size_t len, size_t piece_max)
{
	size_t done = 0, n;
	uint8_t *piece;
	int rc = 0;

	while (rc == 0 && done < len) {
		n = min_size(piece_max, len - done);
		piece = malloc(n);
		if (piece == NULL)
			abort();
		memcpy(piece, data + done, n);
		rc = rfb_decoder_feed(d, piece, n);
		free(piece);
		done += n;
	}
	return rc;
}

static void
keep_pixels(struct outcome *o, const struct rfb_decoder *d)
{
	size_t n;

	o->w = rfb_decoder_width(d);
	o->h = rfb_decoder_height(d);
	n = (size_t)o->w * o->h;
	o->pixels = malloc(n * sizeof(*o->pixels));
	if (o->pixels == NULL)
		abort();
	memcpy(o->pixels, rfb_decoder_pixels(d), n * sizeof(*o->pixels));
	for (size_t i = 0; i < n; i++) {
		if (o->pixels[i] != 0 && o->pixels[i] >> 24 != 255)
			abort();
	}
}

static struct outcome
run(const struct rfb_pixel_format *pf, uint16_t w, uint16_t h,
    const uint8_t *data, size_t len, size_t piece_max)
{
	struct outcome o = { 0 };
	struct rfb_decoder *d = rfb_decoder_new(w, h, pf, on_event, &o);

	if (d == NULL)
		abort();
	o.rc = feed(d, data, len, piece_max);
	keep_pixels(&o, d);
	rfb_decoder_free(d);
	return o;
}

static bool
is_same(const struct outcome *a, const struct outcome *b)
{
	if (a->rc != b->rc || a->events != b->events || a->w != b->w ||
	    a->h != b->h)
		return false;
	/* Of a rectangle that is refused, or not complete, less may be
	 * drawn when it came in smaller pieces. */
	return a->rc != 0 ||
	    memcmp(a->pixels, b->pixels,
		(size_t)a->w * a->h * sizeof(*a->pixels)) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rfb_pixel_format pf = usual_format();
	struct outcome whole, cut;
	uint16_t w, h;

	if (len < HEAD)
		return 0;
	rfb_pixel_format_parse(&pf, data);
	w = load_be16(data + 16) % SIDE_MAX + 1;
	h = load_be16(data + 18) % SIDE_MAX + 1;
	len = HEAD + useful_len(&pf, w, h, data + HEAD, len - HEAD);
	whole = run(&pf, w, h, data + HEAD, len - HEAD, SIZE_MAX);
	cut = run(&pf, w, h, data + HEAD, len - HEAD, 1 + data[20] % 64u);
	if (!is_same(&whole, &cut))
		abort();
	free(whole.pixels);
	free(cut.pixels);
	return 0;
}
