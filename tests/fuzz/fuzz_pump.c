/*
 * The pump between a hostile endpoint and a hostile technician, while
 * monitors are switched, rates set, banners shown, and recorders die.
 * Whatever the endpoint sent that the framer took, a strict viewer has to be
 * able to read what comes out: every rectangle on its desktop, every message
 * whole. And no picture of the endpoint's comes out while no recorder is
 * ready, once the message under way has ended. What goes to the endpoint are
 * whole messages, optional ones only after it announced them.
 *
 * Input: operations of one byte and its arguments. All of the pump is the real
 * one; what is around it is here: its owner, its channels, and timers.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/histogram.h"
#include "relay/pump/pump_internal.h"
#include "rfb/handshake_client.h"
#include "relay/draw/text.h"
#include "tests/unit/rfb_bytes.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
#define W    400
#define H    200

static struct {
	struct pump pump;
	struct histogram latency;
	uint8_t scratch[TRANSPORT_RECORD_LEN];
	struct text_font *font;
	struct rfb_framer *viewer; /* as strict as one can be */
	struct rfb_framer *spoken; /* what the endpoint has said */
	bool has_screens, has_keys, has_buttons, has_text, has_fence, has_end;
	bool is_offered; /* -316, by the relay to the endpoint */
	size_t room;     /* bytes that the viewer's socket takes */
	struct timer {
		event_callback_fn fn;
		bool is_made, is_set;
	} timers[16];
	struct bytes out; /* what the endpoint sends next */
	bool is_dead;
	bool is_dark; /* no recorder is ready */
	bool is_tail; /* a message that began before */
	uint32_t random;
} w;

/* ---- what is around the pump ---- */

static void
on_ended(void *arg, const char *code, const char *why)
{
	w.pump.is_running = false;
	w.is_dead = true;
}

static void
on_refused(void *arg, const char *why)
{
	on_ended(arg, "error", why);
}

/* The same for the same input. */
uint32_t
randombytes_random(void)
{
	w.random = w.random * 1664525 + 1013904223;
	return w.random;
}

static void
on_mark(void *arg, enum tee_mark_kind kind, uint64_t offset, const void *value,
    size_t len)
{
	if (offset < w.pump.ring.framed || len > TEE_MARK_VALUE)
		abort();
}

static void
on_boundary(void *arg, uint64_t offset)
{
}

static void
on_changed(void *arg, enum pump_change what)
{
}

static bool
is_recorded(void *arg)
{
	return true;
}

/* A quarter of what put_screens makes is above this. */
static bool
may_resize(void *arg, unsigned width, unsigned height, char why[PUMP_SIZE_TEXT])
{
	if (width * height <= 120000)
		return true;
	strcpy(why, "too large");
	return false;
}

static void
on_resized(void *arg, uint64_t offset, unsigned width, unsigned height)
{
	char why[PUMP_SIZE_TEXT];

	if (!may_resize(arg, width, height, why))
		abort();
	on_mark(arg, TEE_MARK_CAPTURE, offset, NULL, 0);
}

static void
on_warn(void *arg, const char *text)
{
	pump_show_banner(&w.pump, text, 30);
}

static void
on_wished(void *arg, const char *what, const char *value, const char *why)
{
}

static void
on_clipboard_used(void *arg, const struct pump_clipboard *use)
{
}

static const struct pump_ops ops = { .ended = on_ended,
	.refused = on_refused,
	.mark = on_mark,
	.boundary = on_boundary,
	.changed = on_changed,
	.is_recorded = is_recorded,
	.may_resize = may_resize,
	.resized = on_resized,
	.warn = on_warn,
	.wished = on_wished,
	.clipboard_used = on_clipboard_used };

/* Timers that a step of the input fires, in the order they were made. */
struct event *
event_new(struct event_base *base, evutil_socket_t fd, short what,
    event_callback_fn fn, void *arg)
{
	for (size_t i = 0; i < N_ELEMENTS(w.timers); i++) {
		if (w.timers[i].is_made)
			continue;
		w.timers[i] = (struct timer){ .fn = fn, .is_made = true };
		return (struct event *)&w.timers[i];
	}
	abort();
}

void
event_free(struct event *ev)
{
	*(struct timer *)ev = (struct timer){ .is_made = false };
}

int
event_del(struct event *ev)
{
	((struct timer *)ev)->is_set = false;
	return 0;
}

/* tv is NULL for a channel's own events, which are not made here. */
int
event_add(struct event *ev, const struct timeval *tv)
{
	if (tv != NULL)
		((struct timer *)ev)->is_set = true;
	return 0;
}

void
event_active(struct event *ev, int res, short n)
{
}

void
channel_read(struct channel *d, bool on)
{
	d->is_reading = on;
}

void
channel_wake(struct channel *d)
{
	d->is_reading = true;
}

/* ---- an endpoint that knows nothing but what it announced ---- */

static int
on_spoken(void *arg, const struct rfb_framer_event *ev)
{
	int32_t encoding = ev->rect.encoding;

	if (ev->kind == RFB_FRAMER_RECT) {
		w.has_screens |= encoding == RFB_ENC_EXT_DESKTOP_SIZE;
		w.has_keys |= encoding == RFB_ENC_QEMU_EXT_KEY;
		w.has_buttons |= encoding == RFB_ENC_EXT_MOUSE_BUTTONS;
	}
	if (ev->kind == RFB_FRAMER_MESSAGE) {
		w.has_text |= ev->type == RFB_SERVER_CUT_TEXT;
		w.has_fence |= ev->type == RFB_SERVER_FENCE;
		w.has_end |= ev->type == RFB_END_OF_CONTINUOUS_UPDATES;
	}
	return 0;
}

static void
must(bool is_true)
{
	if (!is_true)
		abort();
}

static size_t
encodings_len(const uint8_t *p)
{
	size_t n = load_be16(p + 2);

	w.is_offered = false;
	for (size_t i = 0; i < n; i++)
		w.is_offered |= (int32_t)load_be32(p + 4 + 4 * i) ==
		    RFB_ENC_EXT_MOUSE_BUTTONS;
	return 4 + 4 * n;
}

/* It may go by what it was offered, whatever it confirmed. */
static size_t
pointer_len(const uint8_t *p)
{
	bool is_long = w.is_offered && (p[1] & 0x80) != 0;

	must(!is_long || w.has_buttons);
	return is_long ? 7 : 6;
}

static size_t
heard_len(const uint8_t *p)
{
	switch (p[0]) {
	case RFB_SET_PIXEL_FORMAT:
		return 20;
	case RFB_SET_ENCODINGS:
		return encodings_len(p);
	case RFB_FRAMEBUFFER_UPDATE_REQUEST:
		return 10;
	case RFB_KEY_EVENT:
		return 8;
	case RFB_POINTER_EVENT:
		return pointer_len(p);
	case RFB_CLIENT_CUT_TEXT:
		must((int32_t)load_be32(p + 4) >= 0 || w.has_text);
		return 8 + (size_t)abs((int32_t)load_be32(p + 4));
	case RFB_ENABLE_CONTINUOUS_UPDATES:
		must(w.has_end);
		return 10;
	case RFB_CLIENT_FENCE:
		must(w.has_fence);
		return 9 + (size_t)p[8];
	case RFB_SET_DESKTOP_SIZE:
		must(w.has_screens);
		return 8 + 16 * (size_t)p[6];
	case RFB_QEMU:
		must(w.has_keys && p[1] == RFB_QEMU_EXT_KEY);
		return 12;
	default:
		abort();
	}
}

static void
hear(const uint8_t *p, size_t len)
{
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = heard_len(p);
		must(n <= len);
	}
}

int
channel_flush(struct channel *d)
{
	if (d != &w.pump.endpoint || buf_len(&d->out) == 0)
		return 0;
	hear(buf_head(&d->out), buf_len(&d->out));
	buf_consume(&d->out, buf_len(&d->out));
	return 0;
}

ssize_t
channel_recv(struct channel *d, uint8_t *data, size_t len)
{
	size_t n = min_size(w.out.len, len);

	if (n == 0)
		return ERR_AGAIN;
	memcpy(data, w.out.data, n);
	memmove(w.out.data, w.out.data + n, w.out.len - n);
	w.out.len -= n;
	rfb_framer_feed(w.spoken, data, n);
	return (ssize_t)n;
}

ssize_t
transport_read(struct transport *l, uint8_t *data, size_t len)
{
	return channel_recv(NULL, data, len);
}

/* The viewer: takes what it has room for, and dies of what is wrong. */
ssize_t
channel_send(struct channel *d, const uint8_t *data, size_t len)
{
	size_t n = min_size(len, w.room);

	w.room -= n;
	if (rfb_framer_feed(w.viewer, data, n) != 0)
		abort();
	return (ssize_t)n;
}

void
channel_shrink(struct channel *d)
{
}

bool
channel_has_buffered(const struct channel *d)
{
	return false;
}

bool
channel_wants_write(const struct channel *d)
{
	return false;
}

/* ---- what happens ---- */

struct input {
	const uint8_t *p;
	size_t left;
};

static uint8_t
next(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

/* Banner: at the top, in the middle, docs/rfb.md. */
static bool
is_ours(const struct rfb_rect *r)
{
	uint16_t width, height;

	rfb_framer_size(w.viewer, &width, &height);
	if (r->w <= 1 && r->h <= 1)
		return true;
	if (r->encoding == RFB_ENC_RRE)
		return r->x == 0 && r->y == 0 && r->w == width &&
		    r->h == height;
	return (r->encoding == RFB_ENC_RAW || r->encoding == RFB_ENC_HEXTILE) &&
	    r->x + 1 >= width / 5 && r->y + r->h <= height / 4 + 1;
}

static int
viewer_event(void *arg, const struct rfb_framer_event *ev)
{
	if (ev->kind == RFB_FRAMER_MESSAGE_END)
		w.is_tail = false;
	must(ev->type != RFB_SET_COLOUR_MAP);
	if (!w.is_dark || w.is_tail)
		return 0;
	if (ev->kind == RFB_FRAMER_RECT && pump_is_picture(ev->rect.encoding) &&
	    !is_ours(&ev->rect))
		abort();
	/* ours is black, the endpoint's is not */
	if (ev->kind == RFB_FRAMER_PAYLOAD && ev->rect.encoding == RFB_ENC_RRE)
		for (size_t i = 0; i < ev->len; i++)
			if (ev->data[i] != 0)
				abort();
	return 0;
}

static void
put_screens(struct bytes *b, struct input *in)
{
	unsigned n = next(in) % 4, width = 100 + 3 * next(in),
		 height = 50 + next(in);

	put_rect(b, next(in) % 2, next(in) % 2, width, height,
	    RFB_ENC_EXT_DESKTOP_SIZE);
	put32(b, n << 24);
	for (unsigned i = 0; i < n; i++) {
		put32(b, next(in));
		put16(b, 3 * next(in));
		put16(b, next(in));
		put16(b, 3 * next(in));
		put16(b, next(in));
		put32(b, 0);
	}
}

static const int32_t announcements[4] = { RFB_ENC_POINTER_POS,
	RFB_ENC_QEMU_EXT_KEY, RFB_ENC_EXT_MOUSE_BUTTONS,
	RFB_ENC_VMWARE_CURSOR_POS };

/* A small rectangle of an encoding whose payload is easy to make. */
static void
put_picture(struct bytes *b, struct input *in)
{
	uint8_t what = next(in);
	unsigned x = 3 * next(in), y = next(in), side = 1 + what / 8 % 8;
	uint16_t fw, fh;

	rfb_framer_size(w.pump.framer, &fw, &fh);
	x = (unsigned)min_size(x, fw > side ? fw - side : 0u);
	y = (unsigned)min_size(y, fh > side ? fh - side : 0u);
	switch (what % 8) {
	case 0:
		put_rect(b, x, y, side, side, RFB_ENC_RAW);
		put_n(b, 4 * side * side, what);
		break;
	case 1:
		put_rect(b, x, y, side, side, RFB_ENC_COPYRECT);
		put32(b, 0);
		break;
	case 2:
		put_rect(b, x, y, side, side, RFB_ENC_ZRLE);
		put32(b, what);
		put_n(b, what, 7);
		break;
	case 3:
		put_rect(b, x, y, side, side, RFB_ENC_HEXTILE);
		put8(b, 2);
		put32(b, 1234);
		break;
	case 4:
		put_rect(b, x, y, side, side, RFB_ENC_TIGHT);
		put8(b, 0x80);
		put_n(b, 3, what);
		break;
	case 5:
		put_rect(b, x, y, 0, 0, announcements[what / 8 % 4]);
		break;
	case 6:
		put_rect(b, 0, 0, fw, side, RFB_ENC_ZRLE);
		put32(b, 0);
		break;
	default:
		put_rect(b, 0, 0, fw, fh, RFB_ENC_RRE);
		put32(b, 0);
		put32(b, 5);
		break;
	}
}

/* view only decides what becomes of it */
static void
put_cut_text(struct bytes *b, bool is_extended, uint8_t what)
{
	unsigned len = what % 32;

	put8(b, RFB_SERVER_CUT_TEXT);
	put_n(b, 3, 0);
	put32(b, is_extended ? 0u - (4 + len) : len);
	if (is_extended)
		put32(b, (uint32_t)what << 24);
	put_n(b, len, what);
}

/* Never for the viewer. */
static void
put_colour_map(struct bytes *b, uint8_t n)
{
	put8(b, RFB_SET_COLOUR_MAP);
	put8(b, 0);
	put16(b, 0);
	put16(b, n);
	put_n(b, 6u * n, 0x55);
}

static void
put_message(struct bytes *b, struct input *in)
{
	uint8_t what = next(in);
	unsigned n = what / 8 % 4;

	switch (what % 8) {
	case 0:
		put_update(b, 1);
		put_screens(b, in);
		break;
	case 1:
		put8(b, RFB_END_OF_CONTINUOUS_UPDATES);
		break;
	case 2:
		if (n == 0)
			put8(b, RFB_BELL);
		else if (n == 3)
			put_colour_map(b, next(in));
		else
			put_cut_text(b, n > 1, next(in));
		break;
	case 3:
		put8(b, RFB_SERVER_FENCE);
		put_n(b, 3, 0);
		put32(b, 0x80000000);
		put8(b, n);
		put_n(b, n, 1);
		break;
	default:
		put_update(b, n);
		while (n-- > 0)
			put_picture(b, in);
		break;
	}
}

static void
put_raw(struct bytes *b, struct input *in)
{
	for (unsigned n = next(in); n > 0; n--)
		put8(b, next(in));
}

/* Red and blue change places: all lengths stay. */
static void
set_format(bool is_swapped)
{
	struct rfb_pixel_format pf = usual_format();
	uint8_t m[20] = { RFB_SET_PIXEL_FORMAT };
	uint8_t red = pf.red_shift;

	if (is_swapped) {
		pf.red_shift = pf.blue_shift;
		pf.blue_shift = red;
	}
	rfb_pixel_format_write(&pf, m + 4);
	rfb_client_messages_feed(w.pump.client_messages, m, sizeof(m));
}

/* What a viewer may send to servers that know it. */
static void
speak_of_more(uint8_t what, uint8_t m[12])
{
	size_t len = 12;

	switch (what % 4) {
	case 0:
		m[0] = RFB_QEMU;
		m[1] = RFB_QEMU_EXT_KEY;
		break;
	case 1:
		m[0] = RFB_CLIENT_FENCE;
		m[8] %= 4;
		len = 9 + (size_t)m[8];
		break;
	case 2:
		m[0] = RFB_CLIENT_CUT_TEXT;
		store_be32(m + 4, 0u - 4);
		break;
	default: /* of 7 bytes once that was confirmed */
		m[0] = RFB_POINTER_EVENT;
		m[1] = 0x80;
		len = w.has_buttons && w.is_offered ? 7 : 6;
		break;
	}
	rfb_client_messages_feed(w.pump.client_messages, m, len);
}

static void
viewer_speaks(struct input *in)
{
	static const uint8_t offer[] = { RFB_SET_ENCODINGS, 0, 0, 10, 0, 0, 0,
		5, 0, 0, 0, 2, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 0, 0xff, 0xff,
		0xfe, 0xcc, 0xff, 0xff, 0xff, 0x21, 0xff, 0xff, 0xfe, 0xc8,
		0xff, 0xff, 0xfe, 0xc7, 0xff, 0xff, 0xfe, 0xc4 };
	uint8_t what = next(in), m[12] = { 0 };
	size_t len = 10;

	for (size_t i = 2; i < 10; i++)
		m[i] = next(in);
	m[1] = what / 8 & 1;
	if (what >= 128) {
		speak_of_more(what, m);
		return;
	}
	switch (what % 8) {
	case 0:
		rfb_client_messages_feed(
		    w.pump.client_messages, offer, sizeof(offer));
		return;
	case 1:
	case 2:
		m[0] = RFB_FRAMEBUFFER_UPDATE_REQUEST;
		break;
	case 3:
		m[0] = RFB_ENABLE_CONTINUOUS_UPDATES;
		break;
	case 4:
		m[0] = RFB_KEY_EVENT;
		len = 8;
		break;
	case 5:
		m[0] = RFB_POINTER_EVENT;
		len = 6;
		break;
	case 6:
		m[0] = RFB_SET_DESKTOP_SIZE;
		len = 8;
		m[6] = 0;
		break;
	default:
		set_format(what / 8 & 1);
		return;
	}
	rfb_client_messages_feed(w.pump.client_messages, m, len);
}

/* What was on its way counts as sent before. */
static void
recorder_dies(struct pump *p)
{
	if (w.is_dark)
		return;
	w.room = SIZE_MAX;
	pump_to_viewer(p);
	if (w.is_dead)
		return;
	w.is_dark = true;
	w.is_tail = !rfb_framer_is_between_messages(w.viewer) ||
	    !rfb_framer_is_between_messages(p->framer);
	pump_withhold(p, true);
}

static void
recorder_is_ready(struct pump *p)
{
	w.is_dark = false;
	pump_withhold(p, false);
	if (!w.is_dead)
		pump_cover_start(p);
}

static void
command(struct pump *p, struct input *in)
{
	uint8_t what = next(in), value = next(in);

	switch (what % 8) {
	case 0:
		pump_set_monitor(p, value % 5);
		break;
	case 1:
		pump_set_frame_rate(p, value % 62);
		break;
	case 2:
		pump_set_view_only(p, value & 1);
		break;
	case 3:
		pump_show_banner(p, "This session ends.", value & 1);
		break;
	case 4:
		recorder_dies(p);
		break;
	case 5:
		recorder_is_ready(p);
		break;
	default:
		pump_hide_banner(p);
		break;
	}
}

static void
fire(struct pump *p, unsigned i)
{
	struct timer *at = &w.timers[i % N_ELEMENTS(w.timers)];

	if (!at->is_set)
		return;
	at->is_set = false;
	at->fn(-1, EV_TIMEOUT, p);
}

static void
step(struct pump *p, struct input *in)
{
	uint8_t op = next(in);

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		put_message(&w.out, in);
		pump_from_endpoint(p);
		break;
	case 3:
		put_raw(&w.out, in);
		pump_from_endpoint(p);
		break;
	case 4:
		viewer_speaks(in);
		pump_size_tell(p);
		pump_to_endpoint(p);
		break;
	case 5:
		command(p, in);
		break;
	case 6:
		fire(p, op / 8);
		break;
	default:
		w.room = op / 8 == 0 ? SIZE_MAX : op;
		pump_to_viewer(p);
		break;
	}
}

/* ---- one run ---- */

static char clipboard[] = "both";

static void
begin(struct pump *p)
{
	struct rfb_pixel_format pf = usual_format();
	const struct rfb_server_init server = {
		.width = W, .height = H, .pf = pf
	};

	if (w.font == NULL)
		text_font_open(FONT, &w.font);
	memset(p, 0, sizeof(*p));
	memset(w.timers, 0, sizeof(w.timers));
	w.out.len = 0;
	w.is_dead = w.is_dark = w.is_tail = false;
	w.random = 0;
	w.room = SIZE_MAX;
	w.viewer = rfb_framer_new(W, H, &pf, viewer_event, NULL);
	w.spoken = rfb_framer_new(W, H, &pf, on_spoken, NULL);
	w.has_screens = w.has_keys = w.has_buttons = w.has_text = false;
	w.has_fence = w.has_end = w.is_offered = false;
	p->conf = (struct pump_conf){ .ops = &ops,
		.scratch = w.scratch,
		.scratch_len = sizeof(w.scratch),
		.font = w.font,
		.latency = &w.latency,
		.id = "fuzz",
		.clipboard = clipboard };
	p->viewer.transport.fd = p->endpoint.transport.fd = -1;
	ring_init(&p->ring, 0, NULL);
	buf_init(&p->endpoint.out, 1 << 20);
	if (pump_start(p, &server) != 0)
		abort();
	/* recorded, without a ring to share */
	rfb_format_switch_init(&p->pixel_format, &pf, true);
	p->is_running = true;
	pump_begin(p);
}

static void
end(struct pump *p)
{
	rfb_framer_free(w.viewer);
	rfb_framer_free(w.spoken);
	p->is_running = false;
	pump_release(p);
	buf_release(&p->endpoint.out);
	ring_release(&p->ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct pump *p = &w.pump;
	struct input in = { data, len };

	begin(p);
	while (in.left > 0 && !w.is_dead)
		step(p, &in);
	w.room = SIZE_MAX;
	if (!w.is_dead)
		pump_from_endpoint(p);
	if (!w.is_dead)
		pump_to_viewer(p);
	/* whole messages become whole messages, all of them sent */
	if (!w.is_dead && rfb_framer_is_between_messages(p->framer) &&
	    (!edits_is_empty(&p->edits) ||
		!rfb_framer_is_between_messages(w.viewer)))
		abort();
	end(p);
	return 0;
}
