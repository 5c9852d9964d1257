#include <string.h>

#include "common/bytes.h"
#include "rfb/enc/enc.h"

void
enc_fill(struct enc *e, size_t x, size_t y, size_t w, size_t h, uint32_t pixel)
{
	uint32_t *row = e->at + y * e->stride + x;

	for (; h > 0; h--, row += e->stride)
		enc_run(row, w, pixel);
}

ssize_t
enc_draw_pixels(
    struct enc *e, const struct enc_pixels *px, const uint8_t *p, size_t n)
{
	size_t left = n / px->len, k;
	const uint8_t *from = p;

	while (left > 0 && !enc_is_drawn(e)) {
		k = min_size(left, (size_t)(e->w - e->x));
		px->row(px, e->at + e->y * e->stride + e->x, p, k);
		p += k * px->len;
		left -= k;
		e->x += k;
		if (e->x == e->w) {
			e->x = 0;
			e->y++;
		}
	}
	return p - from;
}
