/* One monitor of several: lists, positions both ways, and what real servers
 * sent, moved to a monitor and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/edits.h"
#include "relay/pump/view.h"
#include "tests/unit/rfb_bytes.h"
#include "tests/vectors/vector.h"

#define AREA(...) ((struct view_area){ __VA_ARGS__ })

static const char *vectors_dir;

struct screen {
	uint32_t id;
	uint16_t x, y, w, h;
};

static int
note(struct view *v, uint16_t w, uint16_t h, const struct screen *s, unsigned n)
{
	static struct bytes b;

	b.len = 0;
	put32(&b, n << 24);
	for (unsigned i = 0; i < n; i++) {
		put32(&b, s[i].id);
		put16(&b, s[i].x);
		put16(&b, s[i].y);
		put16(&b, s[i].w);
		put16(&b, s[i].h);
		put32(&b, 0);
	}
	return view_note_screens(v, w, h, b.data, b.len);
}

static const struct screen three[] = { { 11, 0, 0, 800, 600 },
	{ 22, 800, 0, 512, 800 }, { 33, 1312, 0, 512, 400 } };

static void
make(struct view *v, unsigned index)
{
	assert_int_equal(view_init(v, 1824, 800), 0);
	assert_int_equal(note(v, 1824, 800, three, 3), 1);
	assert_int_equal(view_settle(v), 0);
	assert_int_equal(view_choose(v, index), 0);
}

static void
assert_area(struct view_area a, struct view_area want)
{
	assert_int_equal(a.x, want.x);
	assert_int_equal(a.y, want.y);
	assert_int_equal(a.w, want.w);
	assert_int_equal(a.h, want.h);
}

/* ---- the list ---- */

static void
one_monitor_without_a_list(void **state)
{
	struct view v;

	assert_int_equal(view_init(&v, 640, 480), 0);
	assert_int_equal(v.now.n, 1);
	assert_non_null(view_find(&v, 1));
	assert_null(view_find(&v, 2));
	assert_null(view_find(&v, 0));
	assert_int_equal(view_choose(&v, 2), ERR_NOTFOUND);
	assert_int_equal(view_choose(&v, 1), 0);
	assert_area(view_seen(&v), AREA(0, 0, 640, 480));
	view_release(&v);
	(void)state;
}

static void
monitors_are_in_the_server_s_order(void **state)
{
	struct view v;

	make(&v, 2);
	assert_int_equal(v.now.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(v.now.monitors[i].index, i + 1);
		assert_int_equal(v.now.monitors[i].id, three[i].id);
	}
	assert_area(view_seen(&v), AREA(0, 0, 512, 800));
	assert_int_equal(view_choose(&v, 0), 0);
	assert_area(view_seen(&v), AREA(0, 0, 1824, 800));
	view_release(&v);
	(void)state;
}

static void
hostile_lists(void **state)
{
	const struct screen odd[] = { { 1, 5000, 0, 10, 10 },
		{ 2, 90, 40, 500, 500 }, { 3, 0, 0, 0, 7 },
		{ 4, 65535, 65535, 65535, 65535 } };
	static uint8_t payload[4 + 16 * 255];
	struct view v;

	assert_int_equal(view_init(&v, 100, 50), 0);
	for (size_t len = 0; len < 4 + 16; len++) {
		payload[0] = 1;
		assert_int_equal(
		    view_note_screens(&v, 100, 50, payload, len), ERR_PROTOCOL);
	}
	payload[0] = 255;
	assert_int_equal(
	    view_note_screens(&v, 100, 50, payload, 20), ERR_PROTOCOL);
	assert_false(v.is_unsettled);
	/* what lies outside is cut off, or does not count */
	assert_int_equal(note(&v, 100, 50, odd, 4), 1);
	view_settle(&v);
	assert_int_equal(v.now.n, 1);
	assert_int_equal(v.now.monitors[0].id, 2);
	assert_int_equal(v.now.monitors[0].w, 10);
	assert_int_equal(v.now.monitors[0].h, 10);
	/* none at all: the whole of it */
	assert_int_equal(note(&v, 100, 50, odd, 1), 1);
	view_settle(&v);
	assert_int_equal(v.now.n, 1);
	assert_int_equal(v.now.monitors[0].w, 100);
	view_release(&v);
	(void)state;
}

/* What Xvnc sends at one change of mode: the first two are not true. */
static void
the_list_counts_when_it_has_settled(void **state)
{
	const struct screen whole = { 0, 0, 0, 1824, 800 };
	const struct screen turned[] = { { 11, 0, 0, 800, 600 },
		{ 77, 800, 0, 800, 512 }, { 33, 1600, 0, 512, 400 } };
	struct view v;

	make(&v, 2);
	assert_int_equal(note(&v, 1824, 800, three, 3), 0);
	assert_false(v.is_unsettled);
	assert_int_equal(note(&v, 1824, 800, &whole, 1), 1);
	assert_int_equal(note(&v, 2112, 600, turned, 3), 1);
	assert_int_equal(v.now.n, 3);
	assert_area(view_seen(&v), AREA(0, 0, 512, 800));
	assert_int_equal(view_settle(&v), 2);
	assert_area(view_seen(&v), AREA(0, 0, 512, 800));
	assert_int_equal(view_choose(&v, 2), 0);
	assert_area(view_seen(&v), AREA(0, 0, 800, 512));
	view_release(&v);
	(void)state;
}

static unsigned
followed(unsigned index, const struct screen *s, unsigned n)
{
	struct view v;

	make(&v, index);
	assert_int_equal(note(&v, 1824, 800, s, n), 1);
	index = view_settle(&v);
	view_release(&v);
	return index;
}

static void
a_monitor_is_followed(void **state)
{
	const struct screen swapped[] = { three[2], three[0], three[1] };
	const struct screen without_2[] = { three[0], three[2] };
	const struct screen new_ids[] = { { 1, 0, 0, 100, 100 },
		{ 2, 100, 0, 100, 100 }, { 3, 200, 0, 100, 100 } };
	const struct screen no_ids[] = { { 0, 0, 0, 100, 100 },
		{ 0, 100, 0, 100, 100 } };

	assert_int_equal(followed(1, swapped, 3), 2);
	assert_int_equal(followed(3, swapped, 3), 1);
	/* the third is not the second because it moved up */
	assert_int_equal(followed(2, without_2, 2), 0);
	assert_int_equal(followed(3, without_2, 2), 2);
	assert_int_equal(followed(2, new_ids, 3), 2);
	assert_int_equal(followed(2, no_ids, 2), 2);
	assert_int_equal(followed(3, no_ids, 2), 0);
	assert_int_equal(followed(0, swapped, 3), 0);
	(void)state;
}

static void
a_plain_resize_leaves_one_monitor(void **state)
{
	struct view v;

	make(&v, 1);
	assert_int_equal(view_note_size(&v, 300, 200), 1);
	assert_int_equal(view_note_size(&v, 300, 200), 0);
	assert_int_equal(view_settle(&v), 1);
	assert_int_equal(v.now.n, 1);
	view_release(&v);
	make(&v, 3);
	assert_int_equal(view_note_size(&v, 300, 200), 1);
	assert_int_equal(view_settle(&v), 0);
	view_release(&v);
	(void)state;
}

/* ---- to the viewer ---- */

static enum view_fate
translate(unsigned index, struct rfb_rect *r, struct view_area *redraw)
{
	struct view v;
	enum view_fate fate;

	*redraw = AREA(0);
	make(&v, index);
	fate = view_translate(&v, r, redraw);
	view_release(&v);
	return fate;
}

static void
inside_is_moved(void **state)
{
	static const int32_t pictures[] = { 0, 2, 4, 5, 6, 7, 16 };
	struct view_area redraw;

	for (size_t i = 0; i < N_ELEMENTS(pictures); i++) {
		struct rfb_rect r = { 800, 0, 512, 800, pictures[i] };

		assert_int_equal(translate(2, &r, &redraw), VIEW_MOVE);
		assert_int_equal(r.x, 0);
		assert_int_equal(r.y, 0);
		assert_int_equal(r.w, 512);
		assert_int_equal(r.h, 800);
		assert_int_equal(redraw.w, 0);
		/* the first one begins where the desktop does */
		r = (struct rfb_rect){ 799, 599, 1, 1, pictures[i] };
		assert_int_equal(translate(1, &r, &redraw), VIEW_PASS);
		assert_int_equal(r.x, 799);
	}
	(void)state;
}

/* Another monitor's pixels are not shown, and be it for a moment. */
static void
strays_are_left_out(void **state)
{
	static const int32_t pictures[] = { 0, 1, 2, 4, 5, 6, 7, 16 };
	struct view_area redraw;

	for (size_t i = 0; i < N_ELEMENTS(pictures); i++) {
		struct rfb_rect r = { 0, 0, 1824, 800, pictures[i] };

		assert_int_equal(translate(3, &r, &redraw), VIEW_DROP);
		assert_int_equal(r.encoding, RFB_ENC_RAW);
		assert_area(AREA(r.x, r.y, r.w, r.h), AREA(0, 0, 1, 1));
		assert_area(redraw, AREA(1312, 0, 512, 400));
		r = (struct rfb_rect){ 1300, 100, 20, 10, pictures[i] };
		assert_int_equal(translate(3, &r, &redraw), VIEW_DROP);
		assert_area(AREA(r.x, r.y, r.w, r.h), AREA(0, 100, 1, 1));
		assert_area(redraw, AREA(1312, 100, 8, 10));
		r = (struct rfb_rect){ 5, 6, 7, 8, pictures[i] };
		assert_int_equal(translate(3, &r, &redraw), VIEW_DROP);
		assert_area(redraw, AREA(1312, 0, 1, 1));
	}
	(void)state;
}

/* CopyRect is never moved: its source would have to be, too. */
static void
copies_are_left_out(void **state)
{
	struct rfb_rect r = { 810, 10, 50, 50, RFB_ENC_COPYRECT };
	struct view_area redraw;

	assert_int_equal(translate(2, &r, &redraw), VIEW_DROP);
	assert_area(redraw, AREA(810, 10, 50, 50));
	assert_area(AREA(r.x, r.y, r.w, r.h), AREA(10, 10, 1, 1));
	(void)state;
}

static void
pseudo_rectangles(void **state)
{
	static const int32_t kept[] = { RFB_ENC_CURSOR, RFB_ENC_XCURSOR,
		RFB_ENC_CURSOR_ALPHA, RFB_ENC_VMWARE_CURSOR, RFB_ENC_LAST_RECT,
		RFB_ENC_DESKTOP_NAME, RFB_ENC_QEMU_EXT_KEY, RFB_ENC_QEMU_LED };
	struct view_area redraw;
	struct rfb_rect r;

	for (size_t i = 0; i < N_ELEMENTS(kept); i++) {
		r = (struct rfb_rect){ 7, 9, 16, 16, kept[i] };
		assert_int_equal(translate(2, &r, &redraw), VIEW_PASS);
		assert_int_equal(r.x, 7); /* a hot spot */
	}
	r = (struct rfb_rect){ 900, 70, 0, 0, RFB_ENC_POINTER_POS };
	assert_int_equal(translate(2, &r, &redraw), VIEW_MOVE);
	assert_area(AREA(r.x, r.y, 0, 0), AREA(100, 70, 0, 0));
	r = (struct rfb_rect){ 10, 799, 0, 0, RFB_ENC_VMWARE_CURSOR_POS };
	assert_int_equal(translate(3, &r, &redraw), VIEW_MOVE);
	assert_area(AREA(r.x, r.y, 0, 0), AREA(0, 399, 0, 0));
	r = (struct rfb_rect){ 0, 0, 9, 9, RFB_ENC_DESKTOP_SIZE };
	assert_int_equal(translate(2, &r, &redraw), VIEW_RESIZE);
	r.encoding = RFB_ENC_EXT_DESKTOP_SIZE;
	assert_int_equal(translate(2, &r, &redraw), VIEW_RESIZE);
	(void)state;
}

static void
the_size_is_written(void **state)
{
	uint8_t out[VIEW_SIZE_LEN];
	struct view v;

	make(&v, 2);
	assert_int_equal(view_write_size(&v, true, out), 32);
	assert_int_equal(load_be16(out + 4), 512);
	assert_int_equal(load_be16(out + 6), 800);
	assert_int_equal(load_be32(out + 8), (uint32_t)-308);
	assert_int_equal(out[12], 1);
	assert_int_equal(load_be32(out + 16), 22);
	assert_int_equal(load_be32(out + 20), 0);
	assert_int_equal(load_be16(out + 24), 512);
	assert_int_equal(view_write_size(&v, false, out), 12);
	assert_int_equal(load_be32(out + 8), (uint32_t)-223);
	/* all of them: the server's own list, not one great screen */
	assert_int_equal(view_choose(&v, 0), 0);
	assert_int_equal(view_write_size(&v, true, out), 16 + 3 * 16);
	assert_int_equal(load_be16(out + 4), 1824);
	assert_int_equal(out[12], 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(load_be32(out + 16 + 16 * i), three[i].id);
		assert_int_equal(load_be16(out + 20 + 16 * i), three[i].x);
		assert_int_equal(load_be16(out + 26 + 16 * i), three[i].h);
	}
	view_release(&v);
	(void)state;
}

static void
what_is_visible(void **state)
{
	struct view_area a = AREA(790, 10, 20, 5);
	struct view v;

	make(&v, 2);
	assert_true(view_visible(&v, &a));
	assert_area(a, AREA(0, 10, 10, 5));
	a = AREA(0, 0, 800, 600);
	assert_false(view_visible(&v, &a));
	view_release(&v);
	(void)state;
}

/* ---- to the endpoint ---- */

static void
regions_of_the_viewer(void **state)
{
	struct view v;

	make(&v, 3);
	assert_area(
	    view_region(&v, AREA(0, 0, 512, 400)), AREA(1312, 0, 512, 400));
	/* of a desktop that it had before */
	assert_area(
	    view_region(&v, AREA(0, 0, 1824, 800)), AREA(1312, 0, 512, 400));
	assert_area(view_region(&v, AREA(500, 390, 65535, 65535)),
	    AREA(1812, 390, 12, 10));
	assert_area(view_region(&v, AREA(600, 0, 9, 9)), AREA(1312, 0, 1, 1));
	assert_area(view_region(&v, AREA(0, 0, 0, 9)), AREA(1312, 0, 1, 1));
	/* the desktop shrank under it */
	assert_int_equal(view_note_size(&v, 1400, 100), 1);
	assert_area(
	    view_region(&v, AREA(0, 0, 512, 400)), AREA(1312, 0, 88, 100));
	assert_int_equal(view_note_size(&v, 300, 100), 1);
	assert_area(view_region(&v, AREA(0, 0, 512, 400)), AREA(299, 0, 1, 1));
	assert_int_equal(view_choose(&v, 0), 0);
	/* of a desktop that was larger */
	assert_area(view_region(&v, AREA(1, 2, 65535, 4)), AREA(1, 2, 299, 4));
	assert_area(
	    view_region(&v, AREA(0, 0, 960, 540)), AREA(0, 0, 300, 100));
	assert_area(view_region(&v, AREA(400, 50, 9, 9)), AREA(299, 50, 1, 1));
	view_release(&v);
	(void)state;
}

static void
pointers_of_the_viewer(void **state)
{
	uint16_t x = 10, y = 20;
	struct view v;

	make(&v, 2);
	view_pointer(&v, &x, &y);
	assert_int_equal(x, 810);
	assert_int_equal(y, 20);
	x = y = 65535;
	view_pointer(&v, &x, &y);
	assert_int_equal(x, 1311);
	assert_int_equal(y, 799);
	assert_int_equal(view_choose(&v, 0), 0);
	x = y = 65535;
	view_pointer(&v, &x, &y);
	assert_int_equal(x, 65535);
	view_release(&v);
	(void)state;
}

static void
areas_are_joined(void **state)
{
	assert_area(view_join(AREA(0), AREA(5, 6, 7, 8)), AREA(5, 6, 7, 8));
	assert_area(view_join(AREA(5, 6, 7, 8), AREA(0)), AREA(5, 6, 7, 8));
	assert_area(view_join(AREA(5, 6, 7, 8), AREA(0, 10, 1, 40)),
	    AREA(0, 6, 12, 44));
	(void)state;
}

/* ---- real streams ---- */

#define ORIGIN_X 130
#define ORIGIN_Y 70

/* A vector as a server with a desktop around it would have sent it, and what
 * the relay makes of that. */
struct play {
	const struct vector *v;
	struct rfb_framer *framer;
	uint8_t *moved; /* the vector's stream, moved by the origin */
	struct view view;
	struct edits edits;
	unsigned n_moved;
	bool is_back;
};

static int
set_format(struct play *p, uint64_t offset)
{
	for (size_t i = 0; i < p->v->n_formats; i++) {
		if (p->v->formats[i].offset == offset)
			return rfb_framer_set_pixel_format(
			    p->framer, &p->v->formats[i].pf);
	}
	return 0;
}

static bool
has_place(int32_t encoding)
{
	return (encoding >= 0 && encoding <= RFB_ENC_ZRLE) ||
	    encoding == RFB_ENC_POINTER_POS;
}

static bool
is_resize(int32_t encoding)
{
	return encoding == RFB_ENC_DESKTOP_SIZE ||
	    encoding == RFB_ENC_EXT_DESKTOP_SIZE;
}

static int
move_away(void *arg, const struct rfb_framer_event *ev)
{
	struct play *p = arg;
	uint8_t *h = p->moved + ev->offset;

	if (ev->kind == RFB_FRAMER_MESSAGE)
		return set_format(p, ev->offset);
	if (ev->kind != RFB_FRAMER_RECT)
		return 0;
	if (has_place(ev->rect.encoding)) {
		store_be16(h, (uint16_t)(ev->rect.x + ORIGIN_X));
		store_be16(h + 2, (uint16_t)(ev->rect.y + ORIGIN_Y));
		p->n_moved++;
	}
	if (is_resize(ev->rect.encoding)) {
		store_be16(h + 4, (uint16_t)(ev->rect.w + 2 * ORIGIN_X));
		store_be16(h + 6, (uint16_t)(ev->rect.h + 2 * ORIGIN_Y));
	}
	return 0;
}

static int
resize_back(struct play *p, const struct rfb_framer_event *ev)
{
	uint8_t wh[4];

	p->view.area.w = (uint16_t)(ev->rect.w - 2 * ORIGIN_X);
	p->view.area.h = (uint16_t)(ev->rect.h - 2 * ORIGIN_Y);
	store_be16(wh, p->view.area.w);
	store_be16(wh + 2, p->view.area.h);
	return edits_add(&p->edits, 0, ev->offset + 4, ev->offset + 8, wh, 4);
}

static int
move_back(void *arg, const struct rfb_framer_event *ev)
{
	struct play *p = arg;
	struct view_area redraw;
	struct rfb_rect r = ev->rect;
	enum view_fate fate;
	uint8_t xy[4];

	if (ev->kind == RFB_FRAMER_MESSAGE)
		return set_format(p, ev->offset);
	if (ev->kind != RFB_FRAMER_RECT)
		return 0;
	if (is_resize(r.encoding))
		return resize_back(p, ev);
	if (r.encoding == RFB_ENC_COPYRECT)
		r.encoding = RFB_ENC_RAW; /* only its place is looked at */
	fate = view_translate(&p->view, &r, &redraw);
	assert_int_equal(fate, has_place(r.encoding) ? VIEW_MOVE : VIEW_PASS);
	if (fate != VIEW_MOVE)
		return 0;
	p->n_moved--;
	store_be16(xy, r.x);
	store_be16(xy + 2, r.y);
	return edits_add(&p->edits, 0, ev->offset, ev->offset + 4, xy, 4);
}

static void
assert_same_stream(struct play *p)
{
	struct edits_span span;
	size_t at = 0, out = 0;

	for (;;) {
		span = edits_next(&p->edits, at, p->v->len);
		if (span.step == EDITS_WAIT)
			break;
		if (span.step == EDITS_RING)
			span.bytes = p->moved + at;
		if (span.step != EDITS_SKIP) {
			assert_memory_equal(
			    p->v->data + out, span.bytes, span.len);
			out += span.len;
		}
		if (span.step == EDITS_BYTES)
			edits_sent(&p->edits, span.len);
		else
			at += span.len;
	}
	assert_int_equal(out, p->v->len);
}

static void
play_vector(const char *name)
{
	struct play p = { 0 };
	struct vector v;
	char path[512];
	unsigned n;

	snprintf(path, sizeof(path), "%s/%s.rfb", vectors_dir, name);
	assert_true(vector_load(&v, path));
	p.v = &v;
	p.moved = malloc(v.len);
	assert_non_null(p.moved);
	memcpy(p.moved, v.data, v.len);
	p.framer = rfb_framer_new(v.width, v.height, &v.pf, move_away, &p);
	assert_int_equal(feed_pieces(p.framer, v.data, v.len, 0, 1), 0);
	rfb_framer_free(p.framer);
	n = p.n_moved;
	assert_true(n > 0);
	assert_int_equal(view_init(&p.view, 5000, 5000), 0);
	assert_int_equal(view_choose(&p.view, 1), 0);
	p.view.area = AREA(ORIGIN_X, ORIGIN_Y, v.width, v.height);
	for (size_t piece = 1; piece <= 4096; piece = piece * 8 - 3) {
		edits_init(&p.edits);
		p.n_moved = n;
		p.view.area.w = v.width;
		p.view.area.h = v.height;
		p.framer = rfb_framer_new(v.width + 2 * ORIGIN_X,
		    v.height + 2 * ORIGIN_Y, &v.pf, move_back, &p);
		assert_int_equal(
		    feed_pieces(p.framer, p.moved, v.len, piece, 7), 0);
		assert_int_equal(p.n_moved, 0);
		assert_same_stream(&p);
		rfb_framer_free(p.framer);
		edits_release(&p.edits);
	}
	view_release(&p.view);
	free(p.moved);
	vector_release(&v);
}

/* There and back again: the viewer gets the server's very bytes. */
static void
real_streams_are_moved_back(void **state)
{
	static const char *const names[] = { "xvnc_tight", "xvnc_zrle",
		"xvnc_hextile", "xvnc_rre", "xvnc_raw", "xvnc_resize",
		"xvnc_session", "xvnc_switch", "x11vnc_corre", "x11vnc_zlib",
		"x11vnc_tight_jpeg", "qemu_zrle_16" };

	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		play_vector(names[i]);
	(void)state;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_monitor_without_a_list),
		cmocka_unit_test(monitors_are_in_the_server_s_order),
		cmocka_unit_test(hostile_lists),
		cmocka_unit_test(the_list_counts_when_it_has_settled),
		cmocka_unit_test(a_monitor_is_followed),
		cmocka_unit_test(a_plain_resize_leaves_one_monitor),
		cmocka_unit_test(inside_is_moved),
		cmocka_unit_test(strays_are_left_out),
		cmocka_unit_test(copies_are_left_out),
		cmocka_unit_test(pseudo_rectangles),
		cmocka_unit_test(the_size_is_written),
		cmocka_unit_test(what_is_visible),
		cmocka_unit_test(regions_of_the_viewer),
		cmocka_unit_test(pointers_of_the_viewer),
		cmocka_unit_test(areas_are_joined),
		cmocka_unit_test(real_streams_are_moved_back),
	};

	if (argc != 2)
		return 1;
	vectors_dir = argv[1];
	return cmocka_run_group_tests_name("view", tests, NULL, NULL);
}
