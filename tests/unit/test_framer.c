#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "tests/unit/rfb_bytes.h"

#define WIDTH  100
#define HEIGHT 60

static struct bytes in;
static struct trace whole, cut;

/* Each of these appends one rectangle's payload, or a whole message. */
typedef void sample(struct bytes *b);

static void
raw(struct bytes *b)
{
	put_rect(b, 3, 2, 9, 7, RFB_ENC_RAW);
	put_n(b, 9 * 7 * 4, 0xa1);
}

static void
copyrect(struct bytes *b)
{
	put_rect(b, 3, 2, 9, 7, RFB_ENC_COPYRECT);
	put16(b, 5);
	put16(b, 6);
}

static void
rre(struct bytes *b)
{
	put_rect(b, 0, 0, 10, 10, RFB_ENC_RRE);
	put32(b, 3);
	put_n(b, 4 + 3 * 12, 0x11);
}

static void
corre(struct bytes *b)
{
	put_rect(b, 0, 0, 10, 10, RFB_ENC_CORRE);
	put32(b, 5);
	put_n(b, 4 + 5 * 8, 0x12);
}

/* Tiles 16x16 and 4x16 above 16x3 and 4x3: each kind of subencoding. */
static void
hextile(struct bytes *b)
{
	put_rect(b, 80, 40, 20, 19, RFB_ENC_HEXTILE);
	put8(b, 2 | 4 | 8);
	put_n(b, 8, 0x21);
	put8(b, 200);
	put_n(b, 200 * 2, 0x22);
	put8(b, 1 | 8 | 16);
	put_n(b, 4 * 16 * 4, 0x23);
	put8(b, 8 | 16);
	put8(b, 255);
	put_n(b, 255 * 6, 0x24);
	put8(b, 0);
}

static void
hextile_last_tile_raw(struct bytes *b)
{
	put_rect(b, 0, 0, 17, 16, RFB_ENC_HEXTILE);
	put8(b, 4);
	put_n(b, 4, 0x25);
	put8(b, 1);
	put_n(b, 16 * 4, 0x26);
}

static void
hextile_last_tile_has_no_subrects(struct bytes *b)
{
	put_rect(b, 0, 0, 17, 17, RFB_ENC_HEXTILE);
	put_n(b, 3, 0);
	put8(b, 8);
	put8(b, 0);
}

static void
hextile_without_area(struct bytes *b)
{
	put_rect(b, 5, 5, 0, 9, RFB_ENC_HEXTILE);
}

static void
zlib(struct bytes *b)
{
	put_rect(b, 0, 0, 30, 30, RFB_ENC_ZLIB);
	put32(b, 333);
	put_n(b, 333, 0x31);
}

static void
zrle(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_ZRLE);
	put32(b, 1021);
	put_n(b, 1021, 0x32);
}

static void
zrle_empty(struct bytes *b)
{
	put_rect(b, 1, 1, 0, 0, RFB_ENC_ZRLE);
	put32(b, 0);
}

static void
tight_fill(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_TIGHT);
	put8(b, 0x8f);
	put_n(b, 3, 0x41);
}

static void
tight_jpeg(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_TIGHT);
	put8(b, 0x90);
	put8(b, 0x90);
	put8(b, 0x4e); /* 10,000, the example of the specification */
	put_n(b, 10000, 0x42);
}

static void
tight_basic_short(struct bytes *b)
{
	put_rect(b, 0, 0, 3, 1, RFB_ENC_TIGHT);
	put8(b, 0x00);
	put_n(b, 9, 0x43);
}

static void
tight_basic_packed(struct bytes *b)
{
	put_rect(b, 0, 0, 4, 1, RFB_ENC_TIGHT);
	put8(b, 0x30);
	put8(b, 20);
	put_n(b, 20, 0x44);
}

/* 4 + 1 * 128 + 1 * 16384: a length of three bytes. */
static void
tight_three_byte_length(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_TIGHT);
	put8(b, 0x00);
	put8(b, 0x84);
	put8(b, 0x81);
	put8(b, 0x01);
	put_n(b, 16516, 0x45);
}

static void
tight_copy_filter(struct bytes *b)
{
	put_rect(b, 0, 0, 2, 2, RFB_ENC_TIGHT);
	put8(b, 0x40);
	put8(b, 0);
	put8(b, 5);
	put_n(b, 5, 0x46);
}

/* Two colours: a bit a pixel, rows padded: 2 bytes in 5 rows, unpacked. */
static void
tight_two_colours(struct bytes *b)
{
	put_rect(b, 0, 0, 9, 5, RFB_ENC_TIGHT);
	put8(b, 0x50);
	put8(b, 1);
	put8(b, 1);
	put_n(b, 2 * 3, 0x47);
	put_n(b, 10, 0x48);
}

static void
tight_palette(struct bytes *b)
{
	put_rect(b, 0, 0, 20, 20, RFB_ENC_TIGHT);
	put8(b, 0x60);
	put8(b, 1);
	put8(b, 255);
	put_n(b, 256 * 3, 0x49);
	put8(b, 0xac);
	put8(b, 0x02);
	put_n(b, 300, 0x4a);
}

static void
tight_palette_short(struct bytes *b)
{
	put_rect(b, 0, 0, 11, 1, RFB_ENC_TIGHT);
	put8(b, 0x60);
	put8(b, 1);
	put8(b, 2);
	put_n(b, 3 * 3 + 11, 0x4b);
}

static void
tight_gradient(struct bytes *b)
{
	put_rect(b, 0, 0, 8, 8, RFB_ENC_TIGHT);
	put8(b, 0x70);
	put8(b, 2);
	put8(b, 100);
	put_n(b, 100, 0x4c);
}

static void
cursor(struct bytes *b)
{
	put_rect(b, 4, 4, 9, 10, RFB_ENC_CURSOR);
	put_n(b, 9 * 10 * 4 + 2 * 10, 0x51);
}

static void
cursor_empty(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 0, RFB_ENC_CURSOR);
}

static void
xcursor(struct bytes *b)
{
	put_rect(b, 4, 4, 17, 3, RFB_ENC_XCURSOR);
	put_n(b, 6 + 2 * 3 * 3, 0x52);
}

static void
xcursor_empty(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 5, RFB_ENC_XCURSOR);
}

static void
alpha_cursor_raw(struct bytes *b)
{
	put_rect(b, 90, 90, 16, 16, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_RAW);
	put_n(b, 16 * 16 * 4, 0x53);
}

static void
alpha_cursor_zrle(struct bytes *b)
{
	put_rect(b, 0, 0, 16, 16, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_ZRLE);
	put32(b, 50);
	put_n(b, 50, 0x54);
}

static void
alpha_cursor_rre(struct bytes *b)
{
	put_rect(b, 0, 0, 16, 16, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_RRE);
	put32(b, 2);
	put_n(b, 4 + 2 * 12, 0x55);
}

/* RGBA has no packed pixel: the fill takes 4 bytes. */
static void
alpha_cursor_tight(struct bytes *b)
{
	put_rect(b, 0, 0, 16, 16, RFB_ENC_CURSOR_ALPHA);
	put32(b, RFB_ENC_TIGHT);
	put8(b, 0x80);
	put_n(b, 4, 0x56);
}

static void
vmware_cursor_masks(struct bytes *b)
{
	put_rect(b, 0, 0, 7, 5, RFB_ENC_VMWARE_CURSOR);
	put16(b, 0);
	put_n(b, 2 * 7 * 5 * 4, 0x57);
}

static void
vmware_cursor_rgba(struct bytes *b)
{
	put_rect(b, 0, 0, 7, 5, RFB_ENC_VMWARE_CURSOR);
	put16(b, 0x0100);
	put_n(b, 7 * 5 * 4, 0x58);
}

static void
desktop_name(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 0, RFB_ENC_DESKTOP_NAME);
	put32(b, 11);
	put_n(b, 11, 'n');
}

static void
ext_desktop_size(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_EXT_DESKTOP_SIZE);
	put8(b, 2);
	put_n(b, 3 + 2 * 16, 0x61);
}

/* A refused request: the size means nothing, and is not looked at. */
static void
ext_desktop_size_refused(struct bytes *b)
{
	put_rect(b, 1, 3, 0, 65535, RFB_ENC_EXT_DESKTOP_SIZE);
	put8(b, 1);
	put_n(b, 3 + 16, 0x62);
}

static void
desktop_size(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_DESKTOP_SIZE);
}

static void
qemu_led(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 0, RFB_ENC_QEMU_LED);
	put8(b, 7);
}

static void
vmware_led(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 0, RFB_ENC_VMWARE_LED);
	put32(b, 7);
}

static void
pointer_pos(struct bytes *b)
{
	put_rect(b, 70, 50, 0, 0, RFB_ENC_POINTER_POS);
}

static void
vmware_cursor_pos(struct bytes *b)
{
	put_rect(b, 70, 50, 0, 0, RFB_ENC_VMWARE_CURSOR_POS);
}

static void
qemu_pointer_change(struct bytes *b)
{
	put_rect(b, 1, 0, WIDTH, HEIGHT, RFB_ENC_QEMU_POINTER_CHANGE);
}

static void
qemu_ext_key(struct bytes *b)
{
	put_rect(b, 0, 0, WIDTH, HEIGHT, RFB_ENC_QEMU_EXT_KEY);
}

static void
ext_mouse_buttons(struct bytes *b)
{
	put_rect(b, 0, 0, 0, 0, RFB_ENC_EXT_MOUSE_BUTTONS);
}

static sample *const rects[] = { raw, copyrect, rre, corre, hextile,
	hextile_last_tile_raw, hextile_last_tile_has_no_subrects,
	hextile_without_area, zlib, zrle, zrle_empty, tight_fill, tight_jpeg,
	tight_basic_short, tight_basic_packed, tight_three_byte_length,
	tight_copy_filter, tight_two_colours, tight_palette,
	tight_palette_short, tight_gradient, cursor, cursor_empty, xcursor,
	xcursor_empty, alpha_cursor_raw, alpha_cursor_zrle, alpha_cursor_rre,
	alpha_cursor_tight, vmware_cursor_masks, vmware_cursor_rgba,
	desktop_name, ext_desktop_size, ext_desktop_size_refused, desktop_size,
	qemu_led, vmware_led, pointer_pos, vmware_cursor_pos,
	qemu_pointer_change, qemu_ext_key, ext_mouse_buttons };

static void
colour_map(struct bytes *b)
{
	put8(b, RFB_SET_COLOUR_MAP);
	put_n(b, 3, 0);
	put16(b, 20);
	put_n(b, 20 * 6, 0x71);
}

static void
bell(struct bytes *b)
{
	put8(b, RFB_BELL);
}

static void
cut_text(struct bytes *b)
{
	put8(b, RFB_SERVER_CUT_TEXT);
	put_n(b, 3, 0);
	put32(b, 500);
	put_n(b, 500, 't');
}

static void
cut_text_empty(struct bytes *b)
{
	put8(b, RFB_SERVER_CUT_TEXT);
	put_n(b, 3 + 4, 0);
}

static void
cut_text_extended(struct bytes *b)
{
	put8(b, RFB_SERVER_CUT_TEXT);
	put_n(b, 3, 0);
	put32(b, (uint32_t)-24);
	put_n(b, 24, 0x72);
}

static void
end_of_continuous_updates(struct bytes *b)
{
	put8(b, RFB_END_OF_CONTINUOUS_UPDATES);
}

static void
fence(struct bytes *b)
{
	put8(b, RFB_SERVER_FENCE);
	put_n(b, 3, 0);
	put32(b, 0x80000001);
	put8(b, 64);
	put_n(b, 64, 0x73);
}

static void
fence_empty(struct bytes *b)
{
	put8(b, RFB_SERVER_FENCE);
	put_n(b, 3 + 4 + 1, 0);
}

static void
update_without_rects(struct bytes *b)
{
	put_update(b, 0);
}

static sample *const messages[] = { colour_map, bell, cut_text, cut_text_empty,
	cut_text_extended, end_of_continuous_updates, fence, fence_empty,
	update_without_rects };

static struct rfb_framer *
open_framer(struct trace *tr)
{
	struct rfb_pixel_format pf = usual_format();
	struct rfb_framer *f;

	tr->n = 0;
	tr->n_spans = 0;
	tr->stop_at = -1;
	f = rfb_framer_new(WIDTH, HEIGHT, &pf, trace_event, tr);
	assert_non_null(f);
	return f;
}

static int
run(struct trace *tr, size_t piece_max, uint32_t seed)
{
	struct rfb_framer *f = open_framer(tr);
	int rc = feed_pieces(f, in.data, in.len, piece_max, seed);

	if (rc == 0) {
		assert_int_equal(rfb_framer_offset(f), in.len);
		assert_true(rfb_framer_is_between_messages(f));
		assert_int_equal(rfb_framer_checked_offset(f), in.len);
	}
	rfb_framer_free(f);
	return rc;
}

/* The stream in `in`, however it is cut, is reported in the same way. */
static void
assert_cuts_do_not_matter(void)
{
	assert_int_equal(run(&whole, 0, 0), 0);
	for (uint32_t seed = 0; seed < 24; seed++) {
		assert_int_equal(run(&cut, 1 + seed * seed, seed), 0);
		assert_true(is_same_trace(&whole, &cut));
	}
}

static void
assert_kinds(const enum rfb_framer_event_kind *kinds, size_t n)
{
	assert_int_equal(whole.n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(whole.events[i].kind, kinds[i]);
}

/* One rectangle in `in` behind the update's header. */
static void
assert_rect_is_framed(void)
{
	static const enum rfb_framer_event_kind full[] = { RFB_FRAMER_MESSAGE,
		RFB_FRAMER_RECT, RFB_FRAMER_PAYLOAD, RFB_FRAMER_RECT_END,
		RFB_FRAMER_MESSAGE_END };
	static const enum rfb_framer_event_kind bare[] = { RFB_FRAMER_MESSAGE,
		RFB_FRAMER_RECT, RFB_FRAMER_RECT_END, RFB_FRAMER_MESSAGE_END };
	bool has_payload = in.len > 4 + 12;

	assert_kinds(has_payload ? full : bare, has_payload ? 5 : 4);
	assert_int_equal(whole.events[0].n_rects, 1);
	assert_int_equal(whole.events[0].offset, 0);
	assert_int_equal(whole.events[1].offset, 4);
	assert_int_equal(
	    whole.events[1].rect.encoding, (int32_t)load_be32(in.data + 12));
	if (has_payload) {
		assert_int_equal(whole.events[2].offset, 16);
		assert_int_equal(whole.events[2].len, in.len - 16);
		assert_int_equal(whole.n_spans, 1);
	}
	assert_int_equal(whole.events[whole.n - 2].offset, in.len);
	assert_int_equal(whole.events[whole.n - 1].offset, in.len);
}

static void
each_encoding_is_framed_at_any_cut(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(rects); i++) {
		in.len = 0;
		put_update(&in, 1);
		rects[i](&in);
		assert_cuts_do_not_matter();
		assert_rect_is_framed();
	}
}

static void
each_message_is_framed_at_any_cut(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(messages); i++) {
		in.len = 0;
		messages[i](&in);
		assert_cuts_do_not_matter();
		assert_int_equal(whole.events[0].kind, RFB_FRAMER_MESSAGE);
		assert_int_equal(whole.events[0].type, in.data[0]);
		assert_int_equal(
		    whole.events[whole.n - 1].kind, RFB_FRAMER_MESSAGE_END);
		assert_int_equal(whole.events[whole.n - 1].offset, in.len);
		if (whole.n == 3)
			assert_int_equal(whole.events[1].len, in.len - 1);
		else
			assert_int_equal(whole.n, 2);
	}
}

static void
put_everything(struct bytes *b)
{
	put_update(b, N_ELEMENTS(rects));
	for (size_t i = 0; i < N_ELEMENTS(rects); i++)
		rects[i](b);
	for (size_t i = 0; i < N_ELEMENTS(messages); i++)
		messages[i](b);
	put_update(b, 65535);
	for (size_t i = 0; i < N_ELEMENTS(rects); i++)
		rects[N_ELEMENTS(rects) - 1 - i](b);
	put_rect(b, 0, 0, 0, 0, RFB_ENC_LAST_RECT);
	bell(b);
}

static void
a_long_stream_is_framed_at_any_cut(void **state)
{
	in.len = 0;
	put_everything(&in);
	assert_cuts_do_not_matter();
	assert_int_equal(whole.events[whole.n - 1].type, RFB_BELL);
	assert_int_equal(whole.events[whole.n - 1].offset, in.len);
}

/* Whatever is missing, nothing is wrong and nothing is complete. */
static void
assert_truncated_is_incomplete(size_t len)
{
	struct rfb_framer *f = open_framer(&cut);

	assert_int_equal(rfb_framer_feed(f, in.data, len), 0);
	assert_false(rfb_framer_is_between_messages(f));
	assert_int_equal(rfb_framer_offset(f), len);
	if (cut.n > 0)
		assert_int_not_equal(
		    cut.events[cut.n - 1].kind, RFB_FRAMER_MESSAGE_END);
	rfb_framer_free(f);
}

static void
truncated_streams_are_incomplete(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(rects); i++) {
		in.len = 0;
		put_update(&in, 1);
		rects[i](&in);
		for (size_t n = 1; n < in.len; n += 1 + n / 64)
			assert_truncated_is_incomplete(n);
		assert_truncated_is_incomplete(in.len - 1);
	}
	for (size_t i = 0; i < N_ELEMENTS(messages); i++) {
		in.len = 0;
		messages[i](&in);
		for (size_t n = 1; n < in.len; n++)
			assert_truncated_is_incomplete(n);
	}
}

static void
last_rect_ends_any_update(void **state)
{
	in.len = 0;
	put_update(&in, 5);
	raw(&in);
	put_rect(&in, 0, 0, 0, 0, RFB_ENC_LAST_RECT);
	bell(&in);
	assert_cuts_do_not_matter();
	assert_int_equal(whole.events[0].n_rects, 5);
	assert_int_equal(whole.events[4].rect.encoding, RFB_ENC_LAST_RECT);
	assert_int_equal(whole.events[6].kind, RFB_FRAMER_MESSAGE_END);
	assert_int_equal(whole.events[7].type, RFB_BELL);
}

static void
large_payload_is_one_span_and_not_copied(void **state)
{
	in.len = 0;
	put_update(&in, 1);
	put_rect(&in, 0, 0, WIDTH, HEIGHT, RFB_ENC_RAW);
	put_n(&in, WIDTH * HEIGHT * 4, 1);
	assert_int_equal(run(&cut, 0, 0), 0);
	assert_int_equal(cut.n_spans, 1);
	in.len = 0;
	put_update(&in, 1);
	hextile(&in);
	assert_int_equal(run(&cut, 0, 0), 0);
	assert_int_equal(cut.n_spans, 1);
}

static void
fence_body_is_always_one_span(void **state)
{
	in.len = 0;
	fence(&in);
	assert_int_equal(run(&cut, 1, 1), 0);
	assert_int_equal(cut.n_spans, 1);
	assert_int_equal(cut.events[1].len, 8 + 64);
}

static void
resizes_are_followed(void **state)
{
	struct rfb_framer *f = open_framer(&whole);
	uint16_t w, h;

	in.len = 0;
	put_update(&in, 3);
	put_rect(&in, 0, 0, 300, 200, RFB_ENC_DESKTOP_SIZE);
	ext_desktop_size_refused(&in);
	put_rect(&in, 299, 199, 1, 1, RFB_ENC_RAW);
	put_n(&in, 4, 0);
	assert_int_equal(rfb_framer_feed(f, in.data, in.len), 0);
	rfb_framer_size(f, &w, &h);
	assert_int_equal(w, 300);
	assert_int_equal(h, 200);
	in.len = 0;
	put_update(&in, 1);
	put_rect(&in, 1, 0, 50, 20, RFB_ENC_EXT_DESKTOP_SIZE);
	put32(&in, 0);
	assert_int_equal(rfb_framer_feed(f, in.data, in.len), 0);
	rfb_framer_size(f, &w, &h);
	assert_int_equal(w, 50);
	assert_int_equal(h, 20);
	rfb_framer_free(f);
}

struct switcher {
	struct rfb_framer *f;
	struct rfb_pixel_format pf;
	int at_message, at_rect, at_end;
};

static int
switch_format(void *arg, const struct rfb_framer_event *ev)
{
	struct switcher *s = arg;
	int rc = rfb_framer_set_pixel_format(s->f, &s->pf);

	if (ev->kind == RFB_FRAMER_MESSAGE)
		s->at_message = rc;
	if (ev->kind == RFB_FRAMER_RECT)
		s->at_rect = rc;
	if (ev->kind == RFB_FRAMER_MESSAGE_END)
		s->at_end = rc;
	return 0;
}

/* In a callback at the update's start the format holds for this update. */
static void
format_switches_between_updates_only(void **state)
{
	struct switcher s = { .pf = usual_format(), .at_rect = 1 };
	struct rfb_pixel_format pf = s.pf;

	s.pf.bits_per_pixel = 8;
	s.pf.depth = 8;
	s.f = rfb_framer_new(WIDTH, HEIGHT, &pf, switch_format, &s);
	assert_non_null(s.f);
	in.len = 0;
	put_update(&in, 1);
	put_rect(&in, 0, 0, 10, 10, RFB_ENC_RAW);
	put_n(&in, 100, 0);
	assert_int_equal(feed_pieces(s.f, in.data, in.len, 1, 0), 0);
	assert_true(rfb_framer_is_between_messages(s.f));
	assert_int_equal(s.at_message, 0);
	assert_int_equal(s.at_rect, ERR_PROTOCOL);
	assert_int_equal(s.at_end, 0);
	assert_int_equal(rfb_framer_feed(s.f, in.data, 1), 0);
	assert_int_equal(rfb_framer_set_pixel_format(s.f, &pf), ERR_PROTOCOL);
	rfb_framer_free(s.f);
}

static void
receiver_can_stop_the_stream(void **state)
{
	struct rfb_framer *f;
	struct trace *tr = &cut;

	in.len = 0;
	put_update(&in, 1);
	hextile(&in);
	bell(&in);
	for (int at = 0; at < 7; at++) {
		f = open_framer(tr);
		tr->stop_at = at;
		assert_int_equal(feed_pieces(f, in.data, in.len, 5, 1), 7);
		assert_int_equal(tr->n, at);
		assert_int_equal(rfb_framer_feed(f, in.data, 1), 7);
		assert_string_equal(
		    rfb_framer_why(f), "stopped by the receiver");
		rfb_framer_free(f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_encoding_is_framed_at_any_cut),
		cmocka_unit_test(each_message_is_framed_at_any_cut),
		cmocka_unit_test(a_long_stream_is_framed_at_any_cut),
		cmocka_unit_test(truncated_streams_are_incomplete),
		cmocka_unit_test(last_rect_ends_any_update),
		cmocka_unit_test(large_payload_is_one_span_and_not_copied),
		cmocka_unit_test(fence_body_is_always_one_span),
		cmocka_unit_test(resizes_are_followed),
		cmocka_unit_test(format_switches_between_updates_only),
		cmocka_unit_test(receiver_can_stop_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
