/*
 * The RFB pixel format: parse, check, write, compare, and the size rules
 * that framing depends on. Source: RFC 6143 section 7.4; hostile cases:
 * docs/rfb.md. Pure functions, no I/O, thread-safe.
 */
#ifndef RFB_PIXEL_FORMAT_H
#define RFB_PIXEL_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RFB_PIXEL_FORMAT_LEN 16

struct rfb_pixel_format {
	uint8_t bits_per_pixel; /* 8, 16 or 32 */
	uint8_t depth;
	bool big_endian;
	bool true_colour;
	uint16_t red_max, green_max, blue_max; /* 2^n - 1, or 2 */
	uint8_t red_shift, green_shift, blue_shift;
};

/* 32 bits, depth 24, red 16, green 8, blue 0, little-endian. */
extern const struct rfb_pixel_format rfb_pixel_format_usual;
/* 8 bits: red in bits 0 to 2, green in 3 to 5, blue in 6 and 7. */
extern const struct rfb_pixel_format rfb_pixel_format_bgr233;

/*
 * Reads the 16 wire bytes at p into *pf. Returns 0, ERR_PROTOCOL (a size
 * other than 8, 16 or 32, a depth above it, a maximum that is not 2^n - 1
 * with n >= 1, or 2, a shift that leaves the pixel) or ERR_UNSUPPORTED (a
 * colour map); *pf is written on success only. True-colour is any non-zero
 * byte: x11vnc sends 255.
 */
int rfb_pixel_format_parse(struct rfb_pixel_format *pf, const uint8_t *p);

/* Writes the 16 wire bytes of *pf, padding zero. */
void rfb_pixel_format_write(const struct rfb_pixel_format *pf, uint8_t *p);

bool rfb_pixel_format_equal(
    const struct rfb_pixel_format *a, const struct rfb_pixel_format *b);

/*
 * The bits that a colour with this maximum takes, at shift 0. Of an overlap
 * (SSVNC's eight colours) each colour has all its bits: nothing that a server
 * sends is lost.
 */
static inline uint16_t
rfb_channel_mask(uint16_t max)
{
	return max | max >> 1;
}

/*
 * Whether ZRLE and Tight in it can be read for certain: whether all servers
 * agree how many bytes its CPIXEL and TPIXEL have. The specification looks at
 * the depth, but QEMU never does, and most do not for a CPIXEL.
 */
bool rfb_pixel_format_is_clear(const struct rfb_pixel_format *pf);

/* Bytes of a pixel, of a ZRLE CPIXEL, and of a Tight TPIXEL. */
size_t rfb_pixel_len(const struct rfb_pixel_format *pf);
size_t rfb_cpixel_len(const struct rfb_pixel_format *pf);
size_t rfb_tpixel_len(const struct rfb_pixel_format *pf);

#endif
