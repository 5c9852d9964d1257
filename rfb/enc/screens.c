/*
 * ExtendedDesktopSize: which screens the picture has. Its size was the
 * framer's to check. Source: community specification, pseudo-encoding -308.
 */
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/enc/enc.h"

#define SCREEN_LEN 16

static int
screens_begin(struct enc *e)
{
	e->n_screens = 0;
	return 0;
}

/* side: of the picture. A server may place a screen anywhere; whoever crops
 * to one must stay inside the picture. */
static uint16_t
clip(uint16_t at, uint16_t len, uint16_t side)
{
	return at >= side ? 0 : (uint16_t)min_size(len, (size_t)(side - at));
}

static void
add_screen(struct enc *e, const uint8_t *p)
{
	struct rfb_screen s = {
		.id = load_be32(p),
		.x = load_be16(p + 4),
		.y = load_be16(p + 6),
		.w = load_be16(p + 8),
		.h = load_be16(p + 10),
		.flags = load_be32(p + 12),
	};

	s.w = clip(s.x, s.w, e->width);
	s.h = clip(s.y, s.h, e->height);
	if (s.w == 0 || s.h == 0)
		s.x = s.y = s.w = s.h = 0;
	e->screens[e->n_screens++] = s;
}

static bool
header(struct enc *e, struct enc_span *s)
{
	const uint8_t *p = enc_want(e, s, 4);

	if (p == NULL)
		return false;
	e->n_left = p[0];
	e->has_header = true;
	enc_done(e, s, 4);
	return true;
}

static int
screens_payload(struct enc *e, struct enc_span *s)
{
	const uint8_t *p;

	if (!e->has_header && !header(e, s))
		return 0;
	for (; e->n_left > 0 && e->n_screens < RFB_MAX_SCREENS; e->n_left--) {
		p = enc_want(e, s, SCREEN_LEN);
		if (p == NULL)
			return 0;
		add_screen(e, p);
		enc_done(e, s, SCREEN_LEN);
	}
	return 0;
}

static int
screens_end(struct enc *e)
{
	return 0;
}

const struct enc_codec enc_screens = {
	.encoding = RFB_ENC_EXT_DESKTOP_SIZE,
	.begin = screens_begin,
	.payload = screens_payload,
	.end = screens_end,
};
