#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/err.h"
#include "rfb/client_messages.h"
#include "tests/unit/rfb_bytes.h"

#define MAX_EVENTS 64

/* What was reported: the messages' bytes in a row, and the last event. */
struct seen {
	size_t n;
	size_t len[MAX_EVENTS];
	struct bytes all;
	struct rfb_client_event last;
	int refuse;
};

static struct bytes in;
static struct seen seen;

static int
on_message(void *arg, const struct rfb_client_event *ev)
{
	struct seen *s = arg;

	if (s->refuse != 0)
		return s->refuse;
	assert_int_equal(ev->type, ev->bytes[0]);
	assert_true(s->n < MAX_EVENTS);
	s->len[s->n++] = ev->len;
	for (size_t i = 0; i < ev->len; i++)
		put8(&s->all, ev->bytes[i]);
	s->last = *ev;
	return 0;
}

/* The server knows extended mouse buttons. */
static bool is_confirmed = true;

static struct rfb_client_messages *
open_parser(void)
{
	struct rfb_client_messages *m;

	memset(&seen, 0, sizeof(seen));
	m = rfb_client_messages_new(on_message, &seen);
	assert_non_null(m);
	if (is_confirmed)
		rfb_client_messages_allow_ext_buttons(m);
	return m;
}

static int
feed_cut(struct rfb_client_messages *m, size_t piece_max)
{
	uint32_t seed = (uint32_t)piece_max;
	size_t done = 0, n;
	uint8_t *piece;
	int rc = 0;

	while (done < in.len && rc == 0) {
		seed = seed * 1664525 + 1013904223;
		n = piece_max == 0 ? in.len : 1 + (seed >> 8) % piece_max;
		n = min_size(n, in.len - done);
		piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, in.data + done, n);
		rc = rfb_client_messages_feed(m, piece, n);
		free(piece);
		done += n;
	}
	return rc;
}

static int
run(size_t piece_max)
{
	struct rfb_client_messages *m = open_parser();
	int rc = feed_cut(m, piece_max);

	if (rc != 0)
		assert_string_not_equal(rfb_client_messages_why(m), "no error");
	rfb_client_messages_free(m);
	return rc;
}

typedef void sample(struct bytes *b);

static void
set_pixel_format(struct bytes *b)
{
	struct rfb_pixel_format pf = usual_format();

	put32(b, 0);
	rfb_pixel_format_write(&pf, b->data + b->len);
	b->len += RFB_PIXEL_FORMAT_LEN;
}

static void
set_colour_map(struct bytes *b)
{
	put32(b, 0);
	put8(b, 8);
	put8(b, 8);
	put_n(b, 14, 0);
}

static void
set_encodings(struct bytes *b)
{
	put16(b, RFB_SET_ENCODINGS << 8);
	put16(b, 3);
	put32(b, 7);
	put32(b, (uint32_t)-316);
	put32(b, 0);
}

static void
set_encodings_empty(struct bytes *b)
{
	put32(b, RFB_SET_ENCODINGS << 24);
}

static void
request(struct bytes *b)
{
	put8(b, RFB_FRAMEBUFFER_UPDATE_REQUEST);
	put8(b, 1);
	put16(b, 1);
	put16(b, 2);
	put16(b, 3);
	put16(b, 4);
}

static void
key(struct bytes *b)
{
	put16(b, RFB_KEY_EVENT << 8 | 1);
	put16(b, 0);
	put32(b, 0xff0d);
}

static void
pointer(struct bytes *b)
{
	put16(b, RFB_POINTER_EVENT << 8 | 5);
	put16(b, 300);
	put16(b, 200);
}

static void
cut_text(struct bytes *b)
{
	put32(b, RFB_CLIENT_CUT_TEXT << 24);
	put32(b, 6000);
	put_n(b, 6000, 'c');
}

static void
cut_text_extended(struct bytes *b)
{
	put32(b, RFB_CLIENT_CUT_TEXT << 24);
	put32(b, (uint32_t)-9);
	put_n(b, 9, 'e');
}

static void
continuous(struct bytes *b)
{
	put16(b, RFB_ENABLE_CONTINUOUS_UPDATES << 8 | 1);
	put32(b, 0);
	put16(b, 640);
	put16(b, 480);
}

static void
fence(struct bytes *b)
{
	put32(b, (uint32_t)RFB_CLIENT_FENCE << 24);
	put32(b, 0x80000004);
	put8(b, 3);
	put_n(b, 3, 'f');
}

static void
xvp(struct bytes *b)
{
	put32(b, 0xfa000102);
}

static void
desktop_size(struct bytes *b)
{
	put16(b, RFB_SET_DESKTOP_SIZE << 8);
	put16(b, 1024);
	put16(b, 768);
	put16(b, 0x0200);
	put_n(b, 2 * 16, 's');
}

static void
qemu_key(struct bytes *b)
{
	put16(b, 0xff00);
	put16(b, 1);
	put32(b, 0x61);
	put32(b, 0x1e);
}

static void
qemu_audio_enable(struct bytes *b)
{
	put32(b, 0xff010000);
}

static void
qemu_audio_format(struct bytes *b)
{
	put32(b, 0xff010002);
	put_n(b, 6, 1);
}

static sample *const samples[] = { set_pixel_format, request,
	set_encodings_empty, key, pointer, cut_text, cut_text_extended,
	continuous, fence, xvp, desktop_size, qemu_key, qemu_audio_enable,
	qemu_audio_format, set_encodings };

static void
each_message_is_whole_at_any_cut(void **state)
{
	static const size_t cuts[] = { 0, 1, 2, 3, 5, 100 };

	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		in.len = 0;
		samples[i](&in);
		for (size_t k = 0; k < N_ELEMENTS(cuts); k++) {
			assert_int_equal(run(cuts[k]), 0);
			assert_int_equal(seen.n, 1);
			assert_int_equal(seen.len[0], in.len);
			assert_memory_equal(seen.all.data, in.data, in.len);
		}
	}
}

static void
a_long_stream_is_cut_into_its_messages(void **state)
{
	size_t lens[N_ELEMENTS(samples)];

	in.len = 0;
	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		lens[i] = in.len;
		samples[i](&in);
		lens[i] = in.len - lens[i];
	}
	for (size_t k = 0; k < 30; k++) {
		assert_int_equal(run(k * k), 0);
		assert_int_equal(seen.n, N_ELEMENTS(samples));
		assert_memory_equal(seen.len, lens, sizeof(lens));
		assert_int_equal(seen.all.len, in.len);
		assert_memory_equal(seen.all.data, in.data, in.len);
	}
}

static void
truncated_messages_are_not_reported(void **state)
{
	struct rfb_client_messages *m;

	for (size_t i = 0; i < N_ELEMENTS(samples); i++) {
		in.len = 0;
		samples[i](&in);
		for (size_t n = 1; n < in.len; n += 1 + n / 50) {
			m = open_parser();
			assert_int_equal(
			    rfb_client_messages_feed(m, in.data, n), 0);
			assert_int_equal(seen.n, 0);
			assert_false(rfb_client_messages_is_between(m));
			rfb_client_messages_free(m);
		}
	}
}

static const struct rfb_client_event *
read_one(sample *s)
{
	in.len = 0;
	s(&in);
	assert_int_equal(run(0), 0);
	assert_int_equal(seen.n, 1);
	return &seen.last;
}

static void
fields_of_the_relays_messages_are_read(void **state)
{
	struct rfb_pixel_format pf = usual_format();
	const struct rfb_client_event *ev;

	ev = read_one(set_pixel_format);
	assert_true(rfb_pixel_format_equal(&ev->pixel_format, &pf));
	ev = read_one(set_encodings);
	assert_int_equal(ev->encodings.n, 3);
	ev = read_one(request);
	assert_true(ev->request.incremental);
	assert_int_equal(ev->request.y, 2);
	assert_int_equal(ev->request.h, 4);
	ev = read_one(continuous);
	assert_true(ev->continuous.enable);
	assert_int_equal(ev->continuous.w, 640);
	ev = read_one(fence);
	assert_int_equal(
	    ev->fence.flags, RFB_FENCE_REQUEST | RFB_FENCE_SYNC_NEXT);
	assert_int_equal(ev->fence.len, 3);
	assert_ptr_equal(ev->fence.data, ev->bytes + 9);
	ev = read_one(desktop_size);
	assert_int_equal(ev->desktop_size.w, 1024);
	assert_int_equal(ev->desktop_size.n_screens, 2);
}

static void
fields_of_input_are_read(void **state)
{
	const struct rfb_client_event *ev;

	ev = read_one(key);
	assert_true(ev->key.down);
	assert_int_equal(ev->key.keysym, 0xff0d);
	ev = read_one(pointer);
	assert_int_equal(ev->pointer.buttons, 5);
	assert_int_equal(ev->pointer.x, 300);
	ev = read_one(cut_text);
	assert_false(ev->cut_text.is_extended);
	assert_int_equal(ev->cut_text.len, 6000);
	ev = read_one(cut_text_extended);
	assert_true(ev->cut_text.is_extended);
	assert_int_equal(ev->cut_text.len, 9);
	ev = read_one(qemu_key);
	assert_int_equal(ev->qemu.subtype, RFB_QEMU_EXT_KEY);
	assert_true(ev->qemu.down);
	assert_int_equal(ev->qemu.keycode, 0x1e);
	ev = read_one(qemu_audio_format);
	assert_int_equal(ev->qemu.subtype, RFB_QEMU_AUDIO);
	ev = read_one(xvp);
	assert_int_equal(ev->xvp.version, 1);
	assert_int_equal(ev->xvp.action, 2);
}

static void
ultravnc_messages_are_marked_to_be_swallowed(void **state)
{
	static const uint8_t type[] = { 8, 9, 10, 13, 15 };
	static const size_t len[] = { 4, 4, 6, 1, 4 };

	for (size_t i = 0; i < N_ELEMENTS(type); i++) {
		in.len = 0;
		put8(&in, type[i]);
		put_n(&in, len[i] - 1, 0xee);
		assert_int_equal(run(1), 0);
		assert_int_equal(seen.n, 1);
		assert_true(seen.last.is_vendor);
		assert_int_equal(seen.last.len, len[i]);
		key(&in);
		assert_int_equal(run(3), 0);
		assert_int_equal(seen.n, 2);
		assert_false(seen.last.is_vendor);
	}
}

static void
put_back_button(struct bytes *b)
{
	put16(b, RFB_POINTER_EVENT << 8 | 0x81);
	put16(b, 10);
	put16(b, 20);
}

static void
pointer_has_a_seventh_byte_only_where_offered(void **state)
{
	for (size_t cut = 0; cut < 4; cut++) {
		in.len = 0;
		put_back_button(&in);
		assert_int_equal(run(cut), 0);
		assert_int_equal(seen.last.len, 6);
		assert_int_equal(seen.last.pointer.buttons, 0x81);
		in.len = 0;
		set_encodings(&in);
		put_back_button(&in);
		put8(&in, 3);
		assert_int_equal(run(cut), 0);
		assert_int_equal(seen.last.len, 7);
		assert_int_equal(seen.last.pointer.buttons, 0x181);
		pointer(&in);
		assert_int_equal(run(cut), 0);
		assert_int_equal(seen.last.len, 6);
	}
}

static void
a_later_offer_without_it_takes_the_seventh_byte_away(void **state)
{
	in.len = 0;
	set_encodings(&in);
	set_encodings_empty(&in);
	put_back_button(&in);
	assert_int_equal(run(1), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.last.len, 6);
}

static void
assert_refused(const uint8_t *data, size_t len, int expected)
{
	in.len = 0;
	key(&in);
	for (size_t i = 0; i < len; i++)
		put8(&in, data[i]);
	for (size_t cut = 0; cut < 4; cut++) {
		assert_int_equal(run(cut), expected);
		assert_int_equal(seen.n, 1);
	}
}

static void
unknown_messages_are_refused(void **state)
{
	static const uint8_t known[] = { 0, 2, 3, 4, 5, 6, 8, 9, 10, 13, 15,
		150, 248, 250, 251, 255 };

	for (unsigned type = 0; type < 256; type++) {
		if (memchr(known, (int)type, sizeof(known)) == NULL)
			assert_refused(
			    (uint8_t[]){ (uint8_t)type }, 1, ERR_PROTOCOL);
	}
	assert_refused((uint8_t[]){ 255, 2 }, 2, ERR_PROTOCOL);
	assert_refused((uint8_t[]){ 255, 1, 0, 3 }, 4, ERR_PROTOCOL);
	assert_refused((uint8_t[]){ 255, 1, 1, 0 }, 4, ERR_PROTOCOL);
}

static void
assert_cut_text(uint32_t len, int expected)
{
	uint8_t msg[8] = { RFB_CLIENT_CUT_TEXT };

	store_be32(msg + 4, len);
	assert_refused(msg, sizeof(msg), expected);
}

static void
lengths_are_bounded(void **state)
{
	assert_cut_text(RFB_MAX_CUT_TEXT, 0);
	assert_cut_text(RFB_MAX_CUT_TEXT + 1, ERR_LIMIT);
	assert_cut_text(INT32_MAX, ERR_LIMIT);
	assert_cut_text((uint32_t)-RFB_MAX_CUT_TEXT, 0);
	assert_cut_text((uint32_t)-RFB_MAX_CUT_TEXT - 1, ERR_LIMIT);
	assert_cut_text((uint32_t)-3, ERR_PROTOCOL);
	assert_cut_text(0x80000000, ERR_LIMIT);
	assert_refused((uint8_t[]){ 2, 0, 4, 0 }, 4, 0);
	assert_refused((uint8_t[]){ 2, 0, 4, 1 }, 4, ERR_LIMIT);
	assert_refused((uint8_t[]){ 2, 0, 255, 255 }, 4, ERR_LIMIT);
	assert_refused((uint8_t[]){ 248, 0, 0, 0, 0, 0, 0, 0, 64 }, 9, 0);
	assert_refused(
	    (uint8_t[]){ 248, 0, 0, 0, 0, 0, 0, 0, 65 }, 9, ERR_PROTOCOL);
	assert_refused((uint8_t[]){ 251, 0, 0, 9, 0, 9, 64, 0 }, 8, 0);
	assert_refused((uint8_t[]){ 251, 0, 0, 9, 0, 9, 65, 0 }, 8, ERR_LIMIT);
}

static void
formats_that_cannot_be_recorded_are_refused(void **state)
{
	in.len = 0;
	set_pixel_format(&in);
	in.data[4 + 3] = 0;
	assert_int_equal(run(0), ERR_UNSUPPORTED);
	assert_int_equal(run(1), ERR_UNSUPPORTED);
	in.data[4] = in.data[5] = 16;
	assert_int_equal(run(1), ERR_UNSUPPORTED);
	in.data[4 + 3] = 1;
	in.data[4] = 24;
	assert_int_equal(run(1), ERR_PROTOCOL);
}

/* The endpoint is asked for true colour in its place. */
static void
colour_map_of_8_bits_becomes_true_colour(void **state)
{
	const struct rfb_client_event *ev;

	ev = read_one(set_pixel_format);
	assert_false(ev->wants_colour_map);
	ev = read_one(set_colour_map);
	assert_true(ev->wants_colour_map);
	assert_true(rfb_pixel_format_equal(
	    &ev->pixel_format, &rfb_pixel_format_bgr233));
}

/* Offered and not confirmed, bit 7 is the eighth button and no more. */
static void
buttons_are_extended_when_the_server_says_so(void **state)
{
	in.len = 0;
	set_encodings(&in);
	put16(&in, RFB_POINTER_EVENT << 8 | 0x80);
	put32(&in, 0x00100020);
	is_confirmed = false;
	assert_int_equal(run(0), 0);
	assert_int_equal(seen.n, 2);
	is_confirmed = true;
	assert_int_equal(run(0), 0);
	assert_int_equal(seen.n, 1);
}

static void
receiver_can_stop_the_stream(void **state)
{
	struct rfb_client_messages *m = open_parser();

	in.len = 0;
	key(&in);
	seen.refuse = 9;
	assert_int_equal(feed_cut(m, 0), 9);
	seen.refuse = 0;
	assert_int_equal(feed_cut(m, 1), 9);
	assert_int_equal(seen.n, 0);
	rfb_client_messages_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_message_is_whole_at_any_cut),
		cmocka_unit_test(a_long_stream_is_cut_into_its_messages),
		cmocka_unit_test(truncated_messages_are_not_reported),
		cmocka_unit_test(fields_of_the_relays_messages_are_read),
		cmocka_unit_test(fields_of_input_are_read),
		cmocka_unit_test(ultravnc_messages_are_marked_to_be_swallowed),
		cmocka_unit_test(pointer_has_a_seventh_byte_only_where_offered),
		cmocka_unit_test(
		    a_later_offer_without_it_takes_the_seventh_byte_away),
		cmocka_unit_test(unknown_messages_are_refused),
		cmocka_unit_test(lengths_are_bounded),
		cmocka_unit_test(formats_that_cannot_be_recorded_are_refused),
		cmocka_unit_test(colour_map_of_8_bits_becomes_true_colour),
		cmocka_unit_test(buttons_are_extended_when_the_server_says_so),
		cmocka_unit_test(receiver_can_stop_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
