/*
 * Where a Hextile rectangle ends: found by walking its tiles, as no length
 * stands in the stream. Source: RFC 6143 section 7.7.4.
 *
 *      subencoding | [background] | [foreground] | [count | subrectangles]
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/framer_internal.h"

#define TILE 16

enum hextile_bit {
	HEXTILE_RAW = 1,
	HEXTILE_BACKGROUND = 2,
	HEXTILE_FOREGROUND = 4,
	HEXTILE_SUBRECTS = 8,
	HEXTILE_COLOURED = 16,
	HEXTILE_ALL = 31,
};

static size_t
tile_side(uint16_t at, uint16_t side)
{
	return min_size(TILE, (size_t)(side - at));
}

/* Bytes up to and with the subrectangles' count. */
static size_t
head_len(uint8_t bits, size_t pixel_len)
{
	size_t colours;

	if ((bits & HEXTILE_RAW) != 0)
		return 1;
	colours = (bits >> 1 & 1) + (bits >> 2 & 1);
	return 1 + colours * pixel_len + (bits >> 3 & 1);
}

/* Bytes after the head h of head_len bytes. */
static size_t
body_len(const struct rfb_framer *f, const uint8_t *h, size_t head)
{
	size_t each;

	if ((h[0] & HEXTILE_RAW) != 0)
		return tile_side(f->tile_x, f->rect.w) *
		    tile_side(f->tile_y, f->rect.h) * f->pixel_len;
	if ((h[0] & HEXTILE_SUBRECTS) == 0)
		return 0;
	each = 2 + ((h[0] & HEXTILE_COLOURED) != 0 ? f->pixel_len : 0u);
	return h[head - 1] * each;
}

/* Left to right, top to bottom; false after the last tile. */
static bool
next_tile(struct rfb_framer *f)
{
	f->tile_x += TILE;
	if (f->tile_x < f->rect.w)
		return true;
	f->tile_x = 0;
	f->tile_y += TILE;
	return f->tile_y < f->rect.h;
}

static void
expect_tile(struct rfb_framer *f, size_t skip, bool has_tile)
{
	framer_next(f, skip, has_tile ? 1 : 0,
	    has_tile ? rfb_framer_hextile_tile : NULL);
}

int
rfb_framer_hextile_tile(struct rfb_framer *f, const uint8_t *h)
{
	size_t head = head_len(h[0], f->pixel_len), body;

	if (h[0] > HEXTILE_ALL)
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "unknown Hextile subencoding");
	if (f->need < head) {
		f->need = head;
		return FRAMER_MORE;
	}
	body = body_len(f, h, head);
	expect_tile(f, body, next_tile(f));
	return 0;
}

/*
 * The quick way over tiles that lie whole in the piece. It stops at the
 * first one that does not, or that the step above will refuse.
 */
size_t
rfb_framer_hextile_scan(struct rfb_framer *f, const uint8_t *p, size_t left)
{
	size_t done = 0, head, len;
	bool has_tile = true;

	while (has_tile && done < left && p[done] <= HEXTILE_ALL) {
		head = head_len(p[done], f->pixel_len);
		if (left - done < head)
			break;
		len = head + body_len(f, p + done, head);
		if (left - done < len)
			break;
		done += len;
		has_tile = next_tile(f);
	}
	if (!has_tile)
		expect_tile(f, 0, false);
	return done;
}

int
rfb_framer_hextile_begin(struct rfb_framer *f)
{
	f->tile_x = 0;
	f->tile_y = 0;
	expect_tile(f, 0, framer_area(f) != 0);
	return 0;
}
