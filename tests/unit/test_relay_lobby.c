#include "relay/draw/lobby.h"
#include "relay/draw/lobby_screen.h"
#include "rfb/client_messages.h"
#include "rfb/colour_map.h"
#include "rfb/framer.h"
#include "tests/unit/draw_case.h"
#include "tests/unit/rfb_bytes.h"

#define INIT_LEN (24 + sizeof("Relaycam: desk1") - 1)

static const char *const words[LOBBY_N_BANDS] = { "Waiting for consent",
	"The person at desk1 is being asked.\nThe session will be recorded.",
	"28 s" };

/* A lobby, and a viewer that has read its ServerInit. */
struct hall {
	struct text_font *font;
	struct buf out;
	struct lobby *l;
	struct rfb_decoder *viewer;
	struct rfb_framer *framer;
	struct trace trace;
};

static struct hall hall;
static struct bytes in;

static void
hall_open_format(const struct rfb_pixel_format *pf)
{
	buf_init(&hall.out, 1000);
	hall.font = draw_font();
	hall.l = lobby_new(&hall.out, hall.font, "desk1", LOBBY_W, LOBBY_H);
	assert_non_null(hall.l);
	assert_int_equal(buf_len(&hall.out), INIT_LEN);
	buf_consume(&hall.out, INIT_LEN);
	hall.viewer = draw_viewer(LOBBY_W, LOBBY_H, pf);
	memset(&hall.trace, 0, sizeof(hall.trace));
	hall.trace.stop_at = -1;
	hall.framer =
	    rfb_framer_new(LOBBY_W, LOBBY_H, pf, trace_event, &hall.trace);
	assert_non_null(hall.framer);
	in.len = 0;
}

static void
hall_open(void)
{
	hall_open_format(&draw_formats[0]);
}

static void
hall_close(void)
{
	lobby_free(hall.l);
	buf_release(&hall.out);
	rfb_decoder_free(hall.viewer);
	rfb_framer_free(hall.framer);
	text_font_close(hall.font);
}

/* What the viewer has got since the last call; the trace is of this only. */
static size_t
receive(void)
{
	size_t len = buf_len(&hall.out);

	hall.trace.n = 0;
	if (len == 0)
		return 0;
	assert_int_equal(
	    rfb_decoder_feed(hall.viewer, buf_head(&hall.out), len), 0);
	assert_true(rfb_decoder_is_between_messages(hall.viewer));
	assert_int_equal(
	    rfb_framer_feed(hall.framer, buf_head(&hall.out), len), 0);
	buf_consume(&hall.out, len);
	return len;
}

static void
feed(const uint8_t *data, size_t len)
{
	size_t used;

	assert_int_equal(lobby_feed(hall.l, data, len, &used), 0);
	assert_int_equal(used, len);
}

/* Sends what was put into `in`. */
static void
say(void)
{
	feed(in.data, in.len);
	in.len = 0;
}

static void
put_request(bool incremental, unsigned y, unsigned h)
{
	put8(&in, RFB_FRAMEBUFFER_UPDATE_REQUEST);
	put8(&in, incremental);
	put16(&in, 0);
	put16(&in, y);
	put16(&in, LOBBY_W);
	put16(&in, h);
}

static void
put_encodings(const int32_t *encodings, size_t n)
{
	put16(&in, RFB_SET_ENCODINGS << 8);
	put16(&in, (unsigned)n);
	for (size_t i = 0; i < n; i++)
		put32(&in, (uint32_t)encodings[i]);
}

#define PUT_ENCODINGS(...)                                                     \
	do {                                                                   \
		static const int32_t list[] = { __VA_ARGS__ };                 \
		put_encodings(list, N_ELEMENTS(list));                         \
	} while (0)

static void
put_format(const struct rfb_pixel_format *pf)
{
	put32(&in, RFB_SET_PIXEL_FORMAT << 24);
	rfb_pixel_format_write(pf, in.data + in.len);
	in.len += RFB_PIXEL_FORMAT_LEN;
}

static void
set_words(const char *small)
{
	assert_int_equal(lobby_set_text(hall.l, words[0], words[1], small), 0);
}

/* The viewer sees one band as it was drawn. */
static void
assert_band(
    enum lobby_band band, const char *text, const struct rfb_pixel_format *pf)
{
	struct lobby_band_area a = lobby_screen_area(band, LOBBY_H);
	struct picture p;

	assert_int_equal(
	    lobby_screen_draw(band, LOBBY_W, LOBBY_H, hall.font, text, &p), 0);
	assert_int_equal(p.h, a.h);
	for (unsigned y = 0; y < p.h; y++) {
		for (unsigned x = 0; x < p.w; x++)
			assert_pixel(hall.viewer, pf, x, a.y + y,
			    p.rgb + (y * p.w + x) * 3);
	}
	picture_release(&p);
}

/* Rectangles of the trace, and the rows that they cover. */
static unsigned
rects(unsigned *top, unsigned *bottom)
{
	unsigned n = 0;

	*top = LOBBY_H;
	*bottom = 0;
	for (size_t i = 0; i < hall.trace.n; i++) {
		const struct traced *t = &hall.trace.events[i];

		assert_int_equal(t->type, RFB_FRAMEBUFFER_UPDATE);
		if (t->kind != RFB_FRAMER_RECT)
			continue;
		assert_true(t->rect.encoding == RFB_ENC_RAW ||
		    t->rect.encoding == RFB_ENC_HEXTILE);
		n++;
		if (t->rect.y < *top)
			*top = t->rect.y;
		if (t->rect.y + t->rect.h > *bottom)
			*bottom = t->rect.y + t->rect.h;
	}
	return n;
}

static void
assert_rows(unsigned top, unsigned bottom)
{
	unsigned got_top, got_bottom;

	assert_true(rects(&got_top, &got_bottom) > 0);
	assert_int_equal(got_top, top);
	assert_int_equal(got_bottom, bottom);
}

static void
test_server_init(void **state)
{
	static const uint8_t want[] = { 0x03, 0xc0, 0x02, 0x1c, 32, 24, 0, 1, 0,
		255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0, 0, 0, 0, 15, 'R', 'e',
		'l', 'a', 'y', 'c', 'a', 'm', ':', ' ', 'd', 'e', 's', 'k',
		'1' };
	struct buf out;
	struct lobby *l;

	buf_init(&out, 0);
	l = lobby_new(&out, NULL, "desk1", LOBBY_W, LOBBY_H);
	assert_non_null(l);
	assert_true(out.limit >= LOBBY_OUT_LIMIT);
	assert_int_equal(buf_len(&out), sizeof(want));
	assert_memory_equal(buf_head(&out), want, sizeof(want));
	lobby_free(l);
	buf_release(&out);
}

/* Bright pixels of a band: its words (and the title's line). */
static unsigned
brightness(enum lobby_band band, struct text_font *font, const char *text)
{
	struct picture p;
	unsigned n = 0;

	assert_int_equal(
	    lobby_screen_draw(band, LOBBY_W, LOBBY_H, font, text, &p), 0);
	for (size_t i = 0; i < (size_t)p.w * p.h; i++)
		n += p.rgb[3 * i + 1] > 120;
	picture_release(&p);
	return n;
}

/* There are words in each band, also when a text is so long that it has to
 * be small, and without a font a plain screen. */
static void
test_words(void **state)
{
	struct text_font *font = draw_font();
	char text[600];

	memset(text, 'W', sizeof(text));
	for (size_t i = 5; i < sizeof(text); i += 6)
		text[i] = ' ';
	text[sizeof(text) - 1] = '\0';
	for (unsigned i = 0; i < LOBBY_N_BANDS; i++) {
		assert_int_equal(brightness(i, font, ""), 0);
		assert_true(brightness(i, font, words[i]) > 60);
	}
	assert_int_equal(brightness(LOBBY_TEXT, NULL, words[1]), 0);
	assert_true(brightness(LOBBY_TEXT, font, words[1]) > 1500);
	assert_true(brightness(LOBBY_TEXT, font, text) > 10000);
	text[300] = '\0';
	assert_true(brightness(LOBBY_TEXT, font, text) > 10000);
	text_font_close(font);
}

/* In every format, Hextile or Raw: what was drawn is what is seen. */
static void
test_formats(void **state)
{
	for (size_t i = 0; i < 2 * N_ELEMENTS(draw_formats); i++) {
		const struct rfb_pixel_format *pf = &draw_formats[i / 2];

		hall_open_format(pf);
		set_words(words[2]);
		assert_int_equal(receive(), 0); /* nobody asked */
		put_format(pf);
		if (i % 2 != 0)
			PUT_ENCODINGS(7, 16, 5, 1, 0, -224);
		put_request(false, 0, LOBBY_H);
		say();
		assert_true(receive() > 0);
		assert_rows(0, LOBBY_H);
		for (unsigned b = 0; b < LOBBY_N_BANDS; b++)
			assert_band(b, words[b], pf);
		hall_close();
	}
}

/* Incremental requests wait for a change, and get only that. */
static void
test_incremental(void **state)
{
	struct lobby_band_area small = lobby_screen_area(LOBBY_SMALL, LOBBY_H);
	struct lobby_band_area text = lobby_screen_area(LOBBY_TEXT, LOBBY_H);

	hall_open();
	put_request(true, 0, LOBBY_H);
	say();
	assert_true(receive() > 0); /* the first picture is all new */
	put_request(true, 0, LOBBY_H);
	say();
	assert_int_equal(receive(), 0);
	set_words("28 s");
	assert_true(receive() > 0);
	assert_rows(0, LOBBY_H);
	set_words("27 s");
	assert_int_equal(receive(), 0); /* nobody waits */
	put_request(true, 0, LOBBY_H);
	say();
	assert_true(receive() > 0);
	assert_rows(small.y, LOBBY_H);
	assert_band(LOBBY_SMALL, "27 s", &draw_formats[0]);
	put_request(true, 0, LOBBY_H);
	say();
	set_words("27 s");
	assert_int_equal(receive(), 0); /* the same words */
	assert_int_equal(lobby_set_text(hall.l, words[0], "Declined", NULL), 0);
	assert_true(receive() > 0);
	assert_rows(text.y, LOBBY_H);
	assert_band(LOBBY_TEXT, "Declined", &draw_formats[0]);
	assert_band(LOBBY_SMALL, "", &draw_formats[0]);
	hall_close();
}

/* A request for everything in an area gets the bands that lie in it. */
static void
test_area(void **state)
{
	struct lobby_band_area text = lobby_screen_area(LOBBY_TEXT, LOBBY_H);

	hall_open();
	put_request(false, 0, LOBBY_H);
	say();
	receive();
	put_request(false, text.y, 1);
	say();
	receive();
	assert_rows(text.y, text.y + text.h);
	put_request(false, LOBBY_H, 100); /* outside: nothing to send */
	put_request(false, 0, 0);
	say();
	assert_int_equal(receive(), 0);
	put_request(false, 65535, 65535);
	put_request(false, 0, 65535);
	say();
	receive();
	assert_rows(0, LOBBY_H);
	hall_close();
}

/* A change of the pixel format between two updates. */
static void
test_format_changes(void **state)
{
	const struct rfb_pixel_format *pf = &draw_formats[9];

	hall_open();
	put_request(false, 0, LOBBY_H);
	say();
	receive();
	put_format(pf);
	put_request(true, 0, LOBBY_H);
	say();
	assert_int_equal(receive(), 0);
	assert_int_equal(rfb_decoder_set_pixel_format(hall.viewer, pf), 0);
	assert_int_equal(rfb_framer_set_pixel_format(hall.framer, pf), 0);
	set_words("9 s");
	assert_true(receive() > 0);
	assert_band(LOBBY_TITLE, words[0], pf);
	assert_band(LOBBY_SMALL, "9 s", pf);
	hall_close();
}

/* Keys, pointer, clipboard, fences and the like: read, never answered. */
static void
put_chatter(void)
{
	put32(&in, RFB_KEY_EVENT << 24 | 1 << 16);
	put32(&in, 0xff0d);
	put8(&in, RFB_POINTER_EVENT);
	put8(&in, 1);
	put32(&in, 0x00100020);
	put32(&in, RFB_CLIENT_CUT_TEXT << 24);
	put32(&in, 5);
	put_n(&in, 5, 'x');
	put32(&in, (uint32_t)RFB_CLIENT_FENCE << 24);
	put32(&in, RFB_FENCE_REQUEST | RFB_FENCE_SYNC_NEXT);
	put8(&in, 2);
	put16(&in, 0xabcd);
	put16(&in, RFB_ENABLE_CONTINUOUS_UPDATES << 8 | 1);
	put_n(&in, 8, 0);
	put16(&in, (unsigned)RFB_SET_DESKTOP_SIZE << 8);
	put32(&in, 0x04000300);
	put16(&in, 1 << 8);
	put_n(&in, 16, 0);
	put32(&in, (uint32_t)RFB_QEMU << 24 | 1);
	put_n(&in, 8, 0);
}

static void
test_chatter(void **state)
{
	struct lobby_viewer v;

	for (size_t piece = 1; piece < 40; piece += 19) {
		hall_open();
		put_chatter();
		put_chatter();
		for (size_t at = 0; at < in.len; at += piece)
			feed(in.data + at, min_size(piece, in.len - at));
		assert_int_equal(receive(), 0);
		in.len = 0;
		PUT_ENCODINGS(0);
		say();
		assert_int_equal(lobby_leave(hall.l, &v), 0);
		assert_false(v.has_request);
		hall_close();
	}
}

static void
assert_refused(int want)
{
	size_t used;

	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), want);
	assert_true(strlen(lobby_why(hall.l)) > 5);
	assert_string_not_equal(lobby_why(hall.l), "no error");
	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), want);
	hall_close();
}

static void
test_hostile(void **state)
{
	struct rfb_pixel_format pf = draw_formats[0];

	hall_open();
	put8(&in, 99);
	assert_refused(ERR_PROTOCOL);
	hall_open();
	pf.bits_per_pixel = 24;
	put_format(&pf);
	assert_refused(ERR_PROTOCOL);
	hall_open();
	pf = draw_formats[0];
	pf.true_colour = false;
	put_format(&pf);
	assert_refused(ERR_UNSUPPORTED);
	hall_open();
	put32(&in, RFB_CLIENT_CUT_TEXT << 24);
	put32(&in, RFB_MAX_CUT_TEXT + 1);
	assert_refused(ERR_LIMIT);
	hall_open();
	put32(&in, RFB_CLIENT_CUT_TEXT << 24);
	put32(&in, 0x80000000);
	assert_refused(ERR_LIMIT);
	hall_open();
	put32(&in, RFB_SET_ENCODINGS << 24 | 65535);
	assert_refused(ERR_LIMIT);
}

/* The most encodings that are legal fit. */
static void
test_most_encodings(void **state)
{
	static int32_t list[RFB_MAX_ENCODINGS];
	struct lobby_viewer v;

	hall_open();
	for (size_t i = 0; i < RFB_MAX_ENCODINGS; i++)
		list[i] = (int32_t)i + 100000;
	list[RFB_MAX_ENCODINGS - 1] = RFB_ENC_HEXTILE;
	put_encodings(list, RFB_MAX_ENCODINGS);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_int_equal(v.encodings_len, 4 + 4 * RFB_MAX_ENCODINGS);
	assert_true(v.has_hextile);
	hall_close();
}

/* A viewer that asks without end and reads nothing costs one answer. */
static void
test_flood(void **state)
{
	for (int has_hextile = 0; has_hextile < 2; has_hextile++) {
		size_t most = has_hextile ? 150000 : 2100000, first;

		hall_open();
		set_words(words[2]);
		if (has_hextile)
			PUT_ENCODINGS(5);
		for (int i = 0; i < 500; i++)
			put_request(i % 3 == 0, 0, LOBBY_H);
		say();
		first = buf_len(&hall.out);
		assert_in_range(first, LOBBY_OUT_HIGH / 4, most);
		for (int i = 0; i < 20; i++) {
			put_request(false, 0, LOBBY_H);
			say();
			set_words(i % 2 == 0 ? "1 s" : "2 s");
			assert_int_equal(lobby_resume(hall.l), 0);
		}
		assert_true(buf_len(&hall.out) <= LOBBY_OUT_HIGH + most);
		assert_true(hall.out.cap <= 2 * LOBBY_OUT_LIMIT);
		while (receive() > 0)
			assert_int_equal(lobby_resume(hall.l), 0);
		assert_band(LOBBY_SMALL, "2 s", &draw_formats[0]);
		hall_close();
	}
}

/* Leaving. */

static void
test_leave(void **state)
{
	static const uint8_t last[] = { 2, 0, 0, 3, 0, 0, 0, 7, 0xff, 0xff,
		0xff, 0x21, 0xff, 0xff, 0xfe, 0xcc };
	struct lobby_viewer v;

	hall_open();
	put_request(false, 0, LOBBY_H);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_null(v.encodings);
	assert_true(rfb_pixel_format_equal(&v.format, &draw_formats[0]));
	assert_false(v.has_request || v.has_desktop_size ||
	    v.has_ext_desktop_size || v.has_hextile);
	assert_int_equal(v.w, LOBBY_W);
	assert_int_equal(v.h, LOBBY_H);
	hall_close();

	hall_open();
	put_format(&draw_formats[3]);
	put_format(&draw_formats[8]);
	PUT_ENCODINGS(5, 16);
	PUT_ENCODINGS(7, -223, -308);
	put_request(false, 0, LOBBY_H);
	put_request(true, 0, LOBBY_H);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_true(rfb_pixel_format_equal(&v.format, &draw_formats[8]));
	assert_int_equal(v.encodings_len, sizeof(last));
	assert_memory_equal(v.encodings, last, sizeof(last));
	assert_true(v.has_desktop_size && v.has_ext_desktop_size);
	assert_false(v.has_hextile);
	/* both requests came before the answer to them */
	assert_false(v.has_request);
	hall_close();

	hall_open();
	put_request(false, 0, LOBBY_H);
	say();
	put_request(true, 0, LOBBY_H);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_true(v.has_request);
	hall_close();
}

/* Consent may come before the viewer has said what it can: it is waited for,
 * and what follows is left to the session. */
static void
test_leave_before_encodings(void **state)
{
	struct lobby_viewer v;
	size_t used, first;

	hall_open();
	assert_int_equal(lobby_leave(hall.l, &v), ERR_AGAIN);
	put_format(&draw_formats[3]);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), ERR_AGAIN);
	PUT_ENCODINGS(0, -223);
	first = in.len;
	put_request(false, 0, LOBBY_H);
	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), 0);
	assert_int_equal(used, first);
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_true(v.has_desktop_size);
	assert_true(rfb_pixel_format_equal(&v.format, &draw_formats[3]));
	hall_close();
}

/* Wherever the relay wants to leave in a stream of messages: it leaves at
 * the end of the one under way, and the rest is given back. */
static void
leave_at(size_t cut, const size_t *ends, size_t n_ends)
{
	struct lobby_viewer v;
	size_t used, end = 0;

	hall_open();
	PUT_ENCODINGS(0);
	say();
	put_chatter();
	feed(in.data, cut);
	for (size_t i = 0; i < n_ends && end < cut; i++)
		end = ends[i];
	if (end == cut) {
		assert_int_equal(lobby_leave(hall.l, &v), 0);
		hall_close();
		return;
	}
	assert_int_equal(lobby_leave(hall.l, &v), ERR_AGAIN);
	if (end > cut + 1) { /* still not the end */
		feed(in.data + cut, 1);
		cut++;
		assert_int_equal(lobby_leave(hall.l, &v), ERR_AGAIN);
	}
	assert_int_equal(
	    lobby_feed(hall.l, in.data + cut, in.len - cut, &used), 0);
	assert_int_equal(cut + used, end);
	assert_int_equal(
	    lobby_feed(hall.l, in.data + end, in.len - end, &used), 0);
	assert_int_equal(used, 0);
	set_words("still alive"); /* until it has left */
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	hall_close();
}

static void
test_leave_midway(void **state)
{
	static const size_t ends[] = { 0, 8, 14, 27, 38, 48, 72, 84 };

	for (size_t cut = 0; cut <= 84; cut++)
		leave_at(cut, ends, N_ELEMENTS(ends));
}

static void
enter_and_leave(const int32_t *encodings, size_t n)
{
	struct lobby_viewer v;

	hall_open();
	put_encodings(encodings, n);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
}

/* ExtendedDesktopSize would promise what the endpoint may not know. */
static void
test_resize(void **state)
{
	static const int32_t both[] = { -308, -223 }, ext_only[] = { 0, -308 },
			     none[] = { 0, 5, -224 };
	static const uint8_t ext[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0x07, 0x80, 0x04,
		0x38, 0xff, 0xff, 0xfe, 0xcc, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
		0, 0x07, 0x80, 0x04, 0x38, 0, 0, 0, 0 };
	static const uint8_t plain[] = { 0, 0, 0, 1, 0, 0, 0, 0, 0x07, 0x80,
		0x04, 0x38, 0xff, 0xff, 0xff, 0x21 };

	enter_and_leave(both, 2);
	assert_int_equal(lobby_resize(hall.l, 1920, 1080), 0);
	assert_int_equal(buf_len(&hall.out), sizeof(plain));
	assert_memory_equal(buf_head(&hall.out), plain, sizeof(plain));
	receive();
	assert_int_equal(rfb_decoder_width(hall.viewer), 1920);
	assert_int_equal(rfb_decoder_height(hall.viewer), 1080);
	assert_int_equal(lobby_resize(hall.l, 1920, 1080), 0);
	assert_int_equal(receive(), 0);
	hall_close();
	enter_and_leave(ext_only, 2);
	assert_int_equal(lobby_resize(hall.l, 1920, 1080), 0);
	assert_int_equal(buf_len(&hall.out), sizeof(ext));
	assert_memory_equal(buf_head(&hall.out), ext, sizeof(ext));
	hall_close();
	enter_and_leave(none, 3);
	assert_int_equal(lobby_resize(hall.l, LOBBY_W, LOBBY_H), 0);
	assert_int_equal(lobby_resize(hall.l, 1920, 1080), ERR_UNSUPPORTED);
	assert_int_equal(receive(), 0);
	hall_close();
}

/* A viewer that cannot be resized is told so: it stays. */
static void
test_stay(void **state)
{
	struct lobby_viewer v;
	size_t used;

	hall_open();
	PUT_ENCODINGS(0, -316); /* not confirmed: pointer events stay as long */
	put_request(false, 0, LOBBY_H);
	say();
	receive();
	put_request(true, 0, LOBBY_H);
	put8(&in, RFB_POINTER_EVENT);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), ERR_AGAIN);
	put8(&in, 0x80);
	put32(&in, 0x00100020);
	put_request(false, 0, LOBBY_H);
	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), 0);
	assert_int_equal(used, 5);
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_true(v.has_request);
	assert_int_equal(lobby_resize(hall.l, 1280, 800), ERR_UNSUPPORTED);
	assert_int_equal(lobby_set_text(hall.l, "No", "Sorry", ""), 0);
	assert_true(receive() > 0);
	assert_band(LOBBY_TEXT, "Sorry", &draw_formats[0]);
	/* the rest is still good */
	feed(in.data + used, in.len - used);
	assert_true(receive() > 0);
	in.len = 0;
	put8(&in, RFB_POINTER_EVENT);
	put8(&in, 0x80);
	put32(&in, 0x00100020);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_int_equal(v.encodings_len, 12);
	hall_close();
}

/* A viewer with a colour map has it before the first picture, once for each
 * time that it asks. */
static void
test_colour_map(void **state)
{
	struct lobby_viewer v;

	hall_open();
	put32(&in, RFB_SET_PIXEL_FORMAT << 24);
	put8(&in, 8);
	put8(&in, 8);
	put_n(&in, 14, 0);
	for (unsigned i = 0; i < 3; i++)
		say();
	assert_int_equal(buf_len(&hall.out), 0);
	in.len = 0;
	put_request(false, 0, LOBBY_H);
	say();
	assert_true(buf_len(&hall.out) > RFB_COLOUR_MAP_LEN);
	assert_int_equal(buf_head(&hall.out)[0], RFB_SET_COLOUR_MAP);
	assert_int_equal(load_be16(buf_head(&hall.out) + 4), 256);
	assert_int_equal(
	    buf_head(&hall.out)[RFB_COLOUR_MAP_LEN], RFB_FRAMEBUFFER_UPDATE);
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_true(
	    rfb_pixel_format_equal(&v.format, &rfb_pixel_format_bgr233));
	hall_close();
	hall_open();
	in.len = 0;
	put32(&in, RFB_SET_PIXEL_FORMAT << 24);
	put8(&in, 8);
	put8(&in, 8);
	put_n(&in, 14, 0);
	PUT_ENCODINGS(0);
	say();
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_int_equal(lobby_resize(hall.l, LOBBY_W, LOBBY_H), 0);
	assert_int_equal(buf_len(&hall.out), RFB_COLOUR_MAP_LEN);
	hall_close();
}

/* After the resize, too, words can be shown, on the new desktop. */
static void
test_stay_resized(void **state)
{
	static const int32_t ext[] = { 5, -308 };
	struct lobby_viewer v;
	size_t used;

	enter_and_leave(ext, 2);
	assert_int_equal(lobby_resize(hall.l, 1280, 800), 0);
	receive();
	put_request(true, 0, 800);
	say();
	assert_int_equal(
	    lobby_set_text(hall.l, "No", "The endpoint went away", ""), 0);
	assert_true(receive() > 0);
	assert_rows(0, 800);
	assert_int_equal(lobby_leave(hall.l, &v), 0);
	assert_int_equal(v.w, 1280);
	assert_int_equal(lobby_resize(hall.l, 16384, 16384), 0);
	put_request(true, 0, 800);
	receive();
	assert_int_equal(lobby_set_text(hall.l, "No", "", ""), 0);
	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), ERR_LIMIT);
	hall_close();
}

/* Sizes, and words, of any kind. */
static void
test_extremes(void **state)
{
	static const uint16_t sides[] = { 0, 64, 65, 333, 1280, 4096, 65535 };
	struct text_font *font = draw_font();
	char *text = malloc(20001);
	size_t used;
	struct lobby *l;
	struct buf out;

	memset(text, 'W', 20000);
	text[20000] = '\0';
	in.len = 0;
	put_request(false, 0, 65535);
	for (size_t i = 0; i < N_ELEMENTS(sides); i++) {
		buf_init(&out, 0);
		l = lobby_new(&out, i % 2 == 0 ? font : NULL, text, sides[i],
		    sides[N_ELEMENTS(sides) - 1 - i]);
		assert_non_null(l);
		assert_int_equal(lobby_set_text(l, text, text, text), 0);
		assert_int_equal(lobby_set_text(l, NULL, text, "\xff"), 0);
		assert_int_equal(lobby_feed(l, in.data, in.len, &used), 0);
		assert_true(buf_len(&out) > 64 * 64 * 4);
		lobby_free(l);
		buf_release(&out);
	}
	free(text);
	text_font_close(font);
}

static void
test_no_room(void **state)
{
	size_t used;

	hall_open();
	hall.out.limit = 100000;
	put_request(false, 0, LOBBY_H);
	assert_int_equal(lobby_feed(hall.l, in.data, in.len, &used), ERR_LIMIT);
	assert_string_not_equal(lobby_why(hall.l), "no error");
	hall_close();
}

static void
test_out_of_memory(void **state)
{
	struct text_font *font = draw_font();
	struct lobby *l = NULL;
	struct buf out;
	size_t used;
	int rc = ERR_NOMEM;

	buf_init(&out, 0);
	for (long n = 0; l == NULL; n++) {
		buf_release(&out);
		draw_allocs_left = n;
		l = lobby_new(&out, font, "desk1", LOBBY_W, LOBBY_H);
		draw_allocs_left = -1;
		assert_true(n < 5);
	}
	lobby_free(l);
	for (long n = 0; rc != 0; n++) {
		buf_release(&out);
		l = lobby_new(&out, font, "desk1", LOBBY_W, LOBBY_H);
		assert_non_null(l);
		in.len = 0;
		put_request(false, 0, LOBBY_H);
		draw_allocs_left = n;
		rc = lobby_set_text(l, "Title", "Text", "Small");
		if (rc == 0)
			rc = lobby_feed(l, in.data, in.len, &used);
		draw_allocs_left = -1;
		assert_true(rc == 0 || rc == ERR_NOMEM);
		lobby_free(l);
		assert_true(n < 100);
	}
	buf_release(&out);
	text_font_close(font);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_init),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_incremental),
		cmocka_unit_test(test_area),
		cmocka_unit_test(test_format_changes),
		cmocka_unit_test(test_chatter),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_most_encodings),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_leave_before_encodings),
		cmocka_unit_test(test_leave_midway),
		cmocka_unit_test(test_resize),
		cmocka_unit_test(test_stay),
		cmocka_unit_test(test_colour_map),
		cmocka_unit_test(test_stay_resized),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
