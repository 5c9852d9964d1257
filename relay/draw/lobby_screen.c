#include "relay/draw/lobby_screen.h"

#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/text.h"

#define NIGHT 0x1b2430
#define LINE  0xffb300

#define MIN_SIZE 11

/* Parts of the screen's height in percent, the size of a letter in parts of
 * the height, and where in the band the words stand. */
static const struct look {
	uint8_t top, bottom;
	uint8_t em; /* the height is so many */
	uint8_t max_size;
	enum { AT_BOTTOM, AT_TOP } place;
	uint32_t colour;
} looks[LOBBY_N_BANDS] = {
	[LOBBY_TITLE] = { 0, 38, 15, 64, AT_BOTTOM, 0xffffff },
	[LOBBY_TEXT] = { 38, 80, 24, 38, AT_TOP, 0xd5dde6 },
	[LOBBY_SMALL] = { 80, 100, 30, 32, AT_TOP, 0x9fb0c3 },
};

struct lobby_band_area
lobby_screen_area(enum lobby_band band, uint16_t h)
{
	unsigned top = h * looks[band].top / 100u;
	unsigned bottom = h * looks[band].bottom / 100u;

	return (struct lobby_band_area){ .y = (uint16_t)top,
		.h = (uint16_t)(bottom - top) };
}

/* Letters are smaller on a narrow screen; the words keep clear of the
 * edges. */
static struct text_box
box_of(const struct look *look, unsigned w, unsigned h, unsigned band_h)
{
	size_t short_side = min_size(h, w * 9 / 16);
	struct text_box box = { .is_centred = true };

	box.size = (uint16_t)min_size(short_side / look->em, look->max_size);
	if (box.size < MIN_SIZE)
		box.size = MIN_SIZE;
	box.min_size = MIN_SIZE;
	box.max_w = (uint16_t)(w * 9 / 10);
	box.max_h = (uint16_t)(band_h - band_h / 8);
	return box;
}

/* The line between title and text. */
static void
underline(struct picture *p)
{
	int w = p->w / 8, thick = 1 + p->h / 70;

	picture_fill(p, (p->w - w) / 2, p->h - thick, w, thick, LINE);
}

int
lobby_screen_draw(enum lobby_band band, uint16_t w, uint16_t h,
    struct text_font *font, const char *words, struct picture *p)
{
	const struct look *look = &looks[band];
	unsigned band_h = lobby_screen_area(band, h).h;
	struct text_box box = box_of(look, w, h, band_h);
	struct text_bitmap bitmap;
	int gap = (int)band_h / 10, y, rc;

	rc = picture_init(p, w, band_h, NIGHT);
	if (rc != 0)
		return rc;
	if (band == LOBBY_TITLE && words[0] != '\0')
		underline(p);
	rc = text_draw(font, words, &box, &bitmap);
	if (rc == ERR_NOMEM) {
		picture_release(p);
		return rc;
	}
	if (rc != 0)
		return 0; /* no font: a plain screen is all there can be */
	y = look->place == AT_TOP ? gap : (int)band_h - gap - bitmap.h;
	picture_text(p, (w - bitmap.w) / 2, y, &bitmap, look->colour);
	text_release(&bitmap);
	return 0;
}
