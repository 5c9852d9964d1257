#include "relay/draw/picture.h"

#include <stdlib.h>

#include "common/err.h"
#include "relay/draw/text.h"

int
picture_init(struct picture *p, unsigned w, unsigned h, uint32_t colour)
{
	*p = (struct picture){ 0 };
	if (w == 0 || h == 0 || w > PICTURE_MAX_SIDE || h > PICTURE_MAX_SIDE)
		return ERR_LIMIT;
	p->rgb = malloc((size_t)w * h * 3);
	if (p->rgb == NULL)
		return ERR_NOMEM;
	p->w = (uint16_t)w;
	p->h = (uint16_t)h;
	picture_fill(p, 0, 0, (int)w, (int)h, colour);
	return 0;
}

void
picture_release(struct picture *p)
{
	free(p->rgb);
	*p = (struct picture){ 0 };
}

static void
store_rgb(uint8_t *p, uint32_t colour)
{
	p[0] = (uint8_t)(colour >> 16);
	p[1] = (uint8_t)(colour >> 8);
	p[2] = (uint8_t)colour;
}

static int
clip(int v, int max)
{
	if (v < 0)
		return 0;
	return v > max ? max : v;
}

void
picture_fill(struct picture *p, int x, int y, int w, int h, uint32_t colour)
{
	int right = clip(x + w, p->w), bottom = clip(y + h, p->h);

	x = clip(x, p->w);
	for (int row = clip(y, p->h); row < bottom; row++) {
		uint8_t *at = p->rgb + ((size_t)row * p->w + (size_t)x) * 3;

		for (int i = x; i < right; i++, at += 3)
			store_rgb(at, colour);
	}
}

static void
blend(uint8_t *p, uint32_t colour, unsigned ink)
{
	uint8_t c[3];

	store_rgb(c, colour);
	for (int i = 0; i < 3; i++)
		p[i] = (uint8_t)((c[i] * ink + p[i] * (255 - ink) + 127) / 255);
}

void
picture_text(struct picture *p, int x, int y, const struct text_bitmap *text,
    uint32_t colour)
{
	const uint8_t *ink = text->coverage;

	for (int row = y; row < y + text->h; row++) {
		for (int i = x; i < x + text->w; i++, ink++) {
			if (*ink == 0 || i < 0 || row < 0 || i >= p->w ||
			    row >= p->h)
				continue;
			blend(p->rgb + ((size_t)row * p->w + (size_t)i) * 3,
			    colour, *ink);
		}
	}
}
