/*
 * Replays a capture (capture.py) in its own time, without waiting, and
 * writes the screen at each instant as raw frames to stdout: as it was after
 * the last complete update, never torn; black before the first. This is what
 * a recorder that grabs the screen would be given.
 *
 *	stream_frames CAPTURE bgr0|i420 FPS         every 1/FPS s, from 0
 *	stream_frames CAPTURE bgr0|i420 @FILE       at the seconds in FILE,
 *	                                            one a line, rising
 *
 * I420 is BT.601 limited range, chroma rounded up. Exits with 1 and a
 * sentence for a stream or a file that is not what it should be.
 */
#include <libyuv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "rfb/decoder.h"

#define HEAD_LEN 28

struct record {
	uint64_t ns;
	uint32_t len;
} __attribute__((packed));

/* Instants, from a rate or from a file; the rate's end with the capture. */
struct times {
	double fps;
	FILE *file;
	uint64_t n;
};

struct frames {
	struct rfb_decoder *d;
	uint16_t width, height;
	uint8_t *shown;       /* B, G, R, 255, packed: after the last update */
	unsigned top, bottom; /* rows that changed since; none: top >= bottom */
	uint8_t *i420;        /* NULL: pixels as they are */
	size_t len;           /* of a frame */
	bool is_stale;        /* i420 is older than shown */
};

static void
die(const char *what)
{
	fprintf(stderr, "stream_frames: %s\n", what);
	exit(1);
}

static bool
next_time(struct times *t, uint64_t *ns)
{
	double s;

	if (t->file == NULL) {
		*ns = (uint64_t)((double)t->n++ / t->fps * NS_PER_S);
		return true;
	}
	if (fscanf(t->file, "%lf", &s) != 1)
		return false;
	*ns = s > 0 ? (uint64_t)(s * NS_PER_S) : 0;
	return true;
}

/* An update is complete: its rows become visible. */
static void
show(struct frames *f)
{
	size_t stride = rfb_decoder_stride(f->d), row = (size_t)f->width * 4;

	for (unsigned y = f->top; y < f->bottom; y++)
		memcpy(f->shown + y * row,
		    rfb_decoder_pixels(f->d) + y * stride, row);
	f->is_stale |= f->top < f->bottom;
	f->top = f->height;
	f->bottom = 0;
}

static void
on_decoder(void *arg, const struct rfb_decoder_event *ev)
{
	struct frames *f = arg;

	switch (ev->kind) {
	case RFB_DECODER_DAMAGE:
		f->top = f->top < ev->y ? f->top : ev->y;
		if (f->bottom < (unsigned)ev->y + ev->h)
			f->bottom = (unsigned)ev->y + ev->h;
		break;
	case RFB_DECODER_UPDATE_END:
		show(f);
		break;
	case RFB_DECODER_RESIZE:
		die("the screen changes its size");
	case RFB_DECODER_DRAW:
	case RFB_DECODER_LAYOUT:
	case RFB_DECODER_RESIZING:
	default:
		break;
	}
}

static void
convert(struct frames *f)
{
	int w = f->width, h = f->height, half = (w + 1) / 2;
	uint8_t *u = f->i420 + (size_t)w * (size_t)h;
	uint8_t *v = u + (size_t)half * (size_t)((h + 1) / 2);

	ARGBToI420(f->shown, w * 4, f->i420, w, u, half, v, half, w, h);
	f->is_stale = false;
}

static void
write_all(const uint8_t *p, size_t len)
{
	ssize_t n;

	for (; len > 0; p += n, len -= (size_t)n) {
		n = write(STDOUT_FILENO, p, len);
		if (n <= 0)
			die("the reader is gone");
	}
}

static void
put(struct frames *f)
{
	if (f->i420 != NULL && f->is_stale)
		convert(f);
	write_all(f->i420 != NULL ? f->i420 : f->shown, f->len);
}

static void
frames_init(struct frames *f, const uint8_t head[HEAD_LEN], bool is_i420)
{
	struct rfb_pixel_format pf;
	size_t w, h;

	if (memcmp(head, "RCCAP1\0", 8) != 0 ||
	    rfb_pixel_format_parse(&pf, head + 12) != 0)
		die("this is not a capture");
	memset(f, 0, sizeof(*f));
	w = f->width = (uint16_t)(head[8] | head[9] << 8);
	h = f->height = (uint16_t)(head[10] | head[11] << 8);
	f->d = rfb_decoder_new(f->width, f->height, &pf, on_decoder, f);
	f->top = f->height;
	f->len = w * h * 4;
	f->shown = calloc(1, f->len);
	if (is_i420) {
		f->len = w * h + (w + 1) / 2 * ((h + 1) / 2) * 2;
		f->i420 = malloc(f->len);
		f->is_stale = true;
	}
	if (f->d == NULL || f->shown == NULL || (is_i420 && f->i420 == NULL))
		die("not enough memory");
}

/* Bytes of one record to the decoder. */
static void
feed(struct frames *f, FILE *in, size_t len)
{
	static uint8_t buf[64 * 1024];
	size_t n;

	for (; len > 0; len -= n) {
		n = len < sizeof(buf) ? len : sizeof(buf);
		if (fread(buf, 1, n, in) != n)
			die("the capture is cut off");
		if (rfb_decoder_feed(f->d, buf, n) != 0)
			die(rfb_decoder_why(f->d));
	}
}

static void
replay(struct frames *f, FILE *in, struct times *t)
{
	struct record r = { 0 };
	uint64_t due = 0;
	bool has_due = next_time(t, &due);

	while (has_due && fread(&r, sizeof(r), 1, in) == 1) {
		for (; has_due && due < r.ns; has_due = next_time(t, &due))
			put(f);
		feed(f, in, r.len);
	}
	/* instants of a file may lie at the very end */
	for (; has_due && t->file != NULL; has_due = next_time(t, &due))
		put(f);
}

int
main(int argc, char **argv)
{
	uint8_t head[HEAD_LEN];
	struct times t = { 0 };
	struct frames f;
	FILE *in;

	if (argc != 4)
		die("usage: CAPTURE bgr0|i420 FPS|@FILE");
	in = fopen(argv[1], "rb");
	if (in == NULL || fread(head, sizeof(head), 1, in) != 1)
		die("the capture cannot be read");
	if (argv[3][0] == '@')
		t.file = fopen(argv[3] + 1, "r");
	else
		t.fps = atof(argv[3]);
	if (t.file == NULL && t.fps <= 0)
		die("no such rate or list of times");
	frames_init(&f, head, strcmp(argv[2], "i420") == 0);
	replay(&f, in, &t);
	rfb_decoder_free(f.d);
	free(f.shown);
	free(f.i420);
	fclose(in);
	return 0;
}
