#include "recorder/frame/poster.h"

#include <libyuv/convert_argb.h>
#include <libyuv/scale.h>
#include <stdlib.h>
#include <turbojpeg.h>

#define QUALITY 80

/* Luma looked at: one pixel in so many, both ways. */
#define SAMPLE_STEP 8

/*
 * Luma steps told apart, and the share of samples outside of the two most
 * frequent neighbours that makes a frame worth showing.
 */
#define LEVEL_SHIFT   3
#define N_LEVELS      (256 >> LEVEL_SHIFT)
#define CONTENT_SHARE 200

bool
poster_has_content(const struct canvas *c)
{
	uint32_t n[N_LEVELS + 1] = { 0 }, total = 0, most = 0;

	for (unsigned y = 0; y < c->height; y += SAMPLE_STEP) {
		const uint8_t *row = c->y + y * c->stride_y;

		for (unsigned x = 0; x < c->width; x += SAMPLE_STEP) {
			n[row[x] >> LEVEL_SHIFT]++;
			total++;
		}
	}
	/* one colour with a little noise may lie on both sides of a step */
	for (unsigned i = 0; i < N_LEVELS; i++)
		if (n[i] + n[i + 1] > most)
			most = n[i] + n[i + 1];
	return (total - most) * CONTENT_SHARE > total;
}

struct size {
	unsigned w, h;
};

static struct size
fit(unsigned w, unsigned h)
{
	unsigned side = w > h ? w : h;

	if (side <= POSTER_SIDE_MAX)
		return (struct size){ w, h };
	w = w * POSTER_SIDE_MAX / side;
	h = h * POSTER_SIDE_MAX / side;
	return (struct size){ w > 0 ? w : 1, h > 0 ? h : 1 };
}

/* Scaled first: colours then cost next to nothing. BGRX into out. */
static bool
shrink(const struct canvas *c, struct size to, uint8_t *planes, uint8_t *out)
{
	int w = (int)to.w, h = (int)to.h, cw = (w + 1) / 2, ch = (h + 1) / 2;
	uint8_t *y = planes, *u = y + w * h, *v = u + cw * ch;

	return I420Scale(c->y, (int)c->stride_y, c->u, (int)c->stride_uv, c->v,
		   (int)c->stride_uv, (int)c->width, (int)c->height, y, w, u,
		   cw, v, cw, w, h, kFilterBox) == 0 &&
	    I420ToARGB(y, w, u, cw, v, cw, out, w * 4, w, h) == 0;
}

uint8_t *
poster_make(const struct canvas *c, size_t *len)
{
	struct size to = fit(c->width, c->height);
	size_t n = (size_t)to.w * to.h, n_uv = (to.w / 2 + 1) * (to.h / 2 + 1);
	uint8_t *planes = malloc(n + 2 * n_uv), *pixels = malloc(n * 4);
	tjhandle tj = tjInitCompress();
	unsigned char *jpeg = NULL;
	unsigned long n_jpeg = 0;

	if (planes == NULL || pixels == NULL || tj == NULL ||
	    !shrink(c, to, planes, pixels) ||
	    tjCompress2(tj, pixels, (int)to.w, 0, (int)to.h, TJPF_BGRX, &jpeg,
		&n_jpeg, TJSAMP_420, QUALITY, 0) != 0) {
		tjFree(jpeg);
		jpeg = NULL;
	}
	if (tj != NULL)
		tjDestroy(tj);
	free(planes);
	free(pixels);
	*len = n_jpeg;
	return jpeg;
}

void
poster_free(uint8_t *jpeg)
{
	tjFree(jpeg);
}
