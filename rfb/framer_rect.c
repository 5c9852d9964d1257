/*
 * The framer's rectangle headers and the encodings whose payload length
 * stands at its beginning. Source: RFC 6143 section 7.6.1, 7.7, 7.8; the
 * community specification for what the RFC does not have.
 */
#include <stdio.h>

#include "common/bytes.h"
#include "common/err.h"
#include "rfb/framer_internal.h"

static int
begin_fixed(struct rfb_framer *f, uint64_t len)
{
	framer_next(f, len, 0, NULL);
	return 0;
}

/* Count, background, then subrectangles: at most one a pixel. */
static int
rre_header(struct rfb_framer *f, const uint8_t *h)
{
	uint64_t n = load_be32(h);
	size_t place_len = f->picture == RFB_ENC_RRE ? 8 : 4;

	if (n > framer_area(f))
		return rfb_framer_fail(
		    f, ERR_LIMIT, "more subrectangles than pixels");
	return begin_fixed(f, f->pixel_len + n * (f->pixel_len + place_len));
}

/* Zlib and ZRLE: a length, then that many bytes. */
static int
packed_header(struct rfb_framer *f, const uint8_t *h)
{
	uint64_t len = load_be32(h);

	if (len > framer_packed_max(framer_area(f) * f->pixel_len))
		return rfb_framer_fail(
		    f, ERR_LIMIT, "compressed data too long for its size");
	return begin_fixed(f, len);
}

/* The payload of a picture encoding, in the pixel sizes now set. */
static int
begin_picture(struct rfb_framer *f, int32_t encoding)
{
	f->picture = encoding;
	switch (encoding) {
	case RFB_ENC_RAW:
		return begin_fixed(f, framer_area(f) * f->pixel_len);
	case RFB_ENC_RRE:
	case RFB_ENC_CORRE:
		framer_next(f, 0, 4, rre_header);
		return 0;
	case RFB_ENC_HEXTILE:
		return rfb_framer_hextile_begin(f);
	case RFB_ENC_ZLIB:
	case RFB_ENC_ZRLE:
		framer_next(f, 0, 4, packed_header);
		return 0;
	case RFB_ENC_TIGHT:
		return rfb_framer_tight_begin(f);
	default:
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "unknown encoding from the server");
	}
}

/* Bytes of a one-bit mask of the rectangle's size. */
static uint64_t
mask_len(const struct rfb_framer *f)
{
	return (uint64_t)((f->rect.w + 7) / 8) * f->rect.h;
}

/* Two colours and two masks, or nothing at all for an empty cursor. */
static int
begin_xcursor(struct rfb_framer *f)
{
	return begin_fixed(f, framer_area(f) == 0 ? 0 : 6 + 2 * mask_len(f));
}

/* The cursor in another encoding, which has 32-bit RGBA whatever is set. */
static int
alpha_cursor_header(struct rfb_framer *f, const uint8_t *h)
{
	f->pixel_len = 4;
	f->tpixel_len = 4;
	return begin_picture(f, (int32_t)load_be32(h));
}

/* Type 0: two masks of pixels. Type 1: RGBA. */
static int
vmware_cursor_header(struct rfb_framer *f, const uint8_t *h)
{
	switch (h[0]) {
	case 0:
		return begin_fixed(f, 2 * framer_area(f) * f->pixel_len);
	case 1:
		return begin_fixed(f, 4 * framer_area(f));
	default:
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "unknown type of VMware cursor");
	}
}

static int
begin_cursor(struct rfb_framer *f)
{
	if (f->rect.w > RFB_MAX_CURSOR || f->rect.h > RFB_MAX_CURSOR)
		return rfb_framer_fail(f, ERR_LIMIT, "cursor too large");
	switch (f->rect.encoding) {
	case RFB_ENC_CURSOR:
		return begin_fixed(
		    f, framer_area(f) * f->pixel_len + mask_len(f));
	case RFB_ENC_XCURSOR:
		return begin_xcursor(f);
	case RFB_ENC_CURSOR_ALPHA:
		framer_next(f, 0, 4, alpha_cursor_header);
		return 0;
	default:
		framer_next(f, 0, 2, vmware_cursor_header);
		return 0;
	}
}

static int
resize(struct rfb_framer *f)
{
	if (f->rect.w == 0 || f->rect.h == 0)
		return rfb_framer_fail(
		    f, ERR_PROTOCOL, "framebuffer resized to nothing");
	if (f->rect.w > RFB_MAX_SIDE || f->rect.h > RFB_MAX_SIDE)
		return rfb_framer_fail(f, ERR_LIMIT, "framebuffer too large");
	f->width = f->rect.w;
	f->height = f->rect.h;
	return 0;
}

static int
begin_desktop_size(struct rfb_framer *f)
{
	framer_next(f, 0, 0, NULL);
	return resize(f);
}

/* Number of screens, 3 bytes of padding, 16 bytes a screen. */
static int
screens_header(struct rfb_framer *f, const uint8_t *h)
{
	if (h[0] > RFB_MAX_SCREENS)
		return rfb_framer_fail(f, ERR_LIMIT, "too many screens");
	return begin_fixed(f, 16 * (uint64_t)h[0]);
}

/*
 * x is the reason, y the status. A refused request of this client's
 * (reason 1, status not 0) leaves width and height undefined.
 */
static int
begin_ext_desktop_size(struct rfb_framer *f)
{
	framer_next(f, 0, 4, screens_header);
	if (f->rect.x == 1 && f->rect.y != 0)
		return 0;
	return resize(f);
}

static int
name_header(struct rfb_framer *f, const uint8_t *h)
{
	uint32_t len = load_be32(h);

	if (len > RFB_MAX_NAME)
		return rfb_framer_fail(f, ERR_LIMIT, "desktop name too long");
	return begin_fixed(f, len);
}

static int
begin_name(struct rfb_framer *f)
{
	framer_next(f, 0, 4, name_header);
	return 0;
}

static int
begin_last_rect(struct rfb_framer *f)
{
	f->rects_left = 0;
	return begin_fixed(f, 0);
}

/* Each side alone, so that no product can hide an excess. */
static bool
is_outside(const struct rfb_framer *f)
{
	const struct rfb_rect *r = &f->rect;

	return (uint32_t)r->x + r->w > f->width ||
	    (uint32_t)r->y + r->h > f->height;
}

static int
fail_outside(struct rfb_framer *f)
{
	const struct rfb_rect *r = &f->rect;

	snprintf(f->why_text, sizeof(f->why_text),
	    "rectangle %ux%u+%u+%u, encoding %d, outside the framebuffer "
	    "of %ux%u",
	    r->w, r->h, r->x, r->y, (int)r->encoding, f->width, f->height);
	return rfb_framer_fail(f, ERR_PROTOCOL, f->why_text);
}

/* Rectangles that draw: these alone have a place on the screen. */
static int
begin_drawing(struct rfb_framer *f)
{
	if (is_outside(f))
		return fail_outside(f);
	if (f->rect.encoding == RFB_ENC_COPYRECT)
		return begin_fixed(f, 4);
	return begin_picture(f, f->rect.encoding);
}

static int
begin_rect(struct rfb_framer *f)
{
	switch (f->rect.encoding) {
	case RFB_ENC_CURSOR:
	case RFB_ENC_XCURSOR:
	case RFB_ENC_CURSOR_ALPHA:
	case RFB_ENC_VMWARE_CURSOR:
		return begin_cursor(f);
	case RFB_ENC_DESKTOP_SIZE:
		return begin_desktop_size(f);
	case RFB_ENC_EXT_DESKTOP_SIZE:
		return begin_ext_desktop_size(f);
	case RFB_ENC_DESKTOP_NAME:
		return begin_name(f);
	case RFB_ENC_QEMU_LED:
		return begin_fixed(f, 1);
	case RFB_ENC_VMWARE_LED:
		return begin_fixed(f, 4);
	case RFB_ENC_LAST_RECT:
		return begin_last_rect(f);
	case RFB_ENC_POINTER_POS:
	case RFB_ENC_VMWARE_CURSOR_POS:
	case RFB_ENC_QEMU_POINTER_CHANGE:
	case RFB_ENC_QEMU_EXT_KEY:
	case RFB_ENC_EXT_MOUSE_BUTTONS:
		return begin_fixed(f, 0);
	default:
		return begin_drawing(f);
	}
}

int
rfb_framer_rect_header(struct rfb_framer *f, const uint8_t *h)
{
	int rc;

	f->rect = (struct rfb_rect){
		.x = load_be16(h),
		.y = load_be16(h + 2),
		.w = load_be16(h + 4),
		.h = load_be16(h + 6),
		.encoding = (int32_t)load_be32(h + 8),
	};
	f->pixel_len = (uint8_t)rfb_pixel_len(&f->pf);
	f->tpixel_len = (uint8_t)rfb_tpixel_len(&f->pf);
	f->rects_left--;
	rc = begin_rect(f);
	if (rc != 0)
		return rc;
	f->in_rect = true;
	rc = rfb_framer_emit(f, RFB_FRAMER_RECT, 0);
	f->is_payload = true;
	return rc;
}
