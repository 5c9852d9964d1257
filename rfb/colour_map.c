#include "common/bytes.h"
#include "rfb/colour_map.h"
#include "rfb/pixel_format.h"
#include "rfb/protocol.h"

/* To 16 bits. */
static void
put_colour(uint8_t *p, unsigned value, uint8_t shift, uint16_t max)
{
	store_be16(p, (uint16_t)((value >> shift & max) * 65535u / max));
}

void
rfb_colour_map_write(uint8_t out[RFB_COLOUR_MAP_LEN])
{
	const struct rfb_pixel_format *pf = &rfb_pixel_format_bgr233;
	uint8_t *p = out + 6;

	out[0] = RFB_SET_COLOUR_MAP;
	out[1] = 0;
	store_be16(out + 2, 0); /* first colour */
	store_be16(out + 4, 256);
	for (unsigned i = 0; i < 256; i++, p += 6) {
		put_colour(p, i, pf->red_shift, pf->red_max);
		put_colour(p + 2, i, pf->green_shift, pf->green_max);
		put_colour(p + 4, i, pf->blue_shift, pf->blue_max);
	}
}
