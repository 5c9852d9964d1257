/*
 * The pump between a hostile endpoint and a hostile technician, while
 * monitors are switched, rates set, banners shown, and recorders die.
 * Whatever the endpoint sent that the framer took, a strict viewer has to be
 * able to read what comes out: every rectangle on its desktop, every message
 * whole. And no picture of the endpoint's comes out while no recorder is
 * ready, once the message under way has ended. What goes to the endpoint are
 * whole messages, optional ones only after it announced them.
 *
 * Input: operations of one byte and its arguments. The session around the
 * pump is made here; sockets and timers are arrays.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/db_retry_queue.h"
#include "relay/pump/pump_internal.h"
#include "relay/draw/text.h"
#include "tests/unit/rfb_bytes.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
#define W    400
#define H    200

static struct {
	struct session session;
	struct loop loop;
	struct relay relay;
	struct text_font *font;
	struct rfb_framer *viewer; /* as strict as one can be */
	struct rfb_framer *spoken; /* what the endpoint has said */
	bool has_screens, has_keys, has_buttons, has_text, has_fence, has_end;
	bool is_offered; /* -316, by the relay to the endpoint */
	size_t room;     /* bytes that the viewer's socket takes */
	event_callback_fn timers[16];
	struct event **slots[16];
	struct bytes out; /* what the endpoint sends next */
	bool is_dead;
	bool is_dark; /* no recorder is ready */
	bool is_tail; /* a message that began before */
	uint32_t random;
} w;

/* ---- what is around the pump ---- */

void
session_end(struct session *s, const char *code, const char *reason)
{
	s->state = SESSION_DEAD;
	w.is_dead = true;
}

void
session_refuse(struct session *s, const char *reason)
{
	session_end(s, "error", reason);
}

const char *
session_viewer_why(const struct session *s)
{
	return "the viewer closed the connection";
}

/* The same for the same input. */
uint32_t
randombytes_random(void)
{
	w.random = w.random * 1664525 + 1013904223;
	return w.random;
}

void
session_status_changed(struct session *s)
{
}

void
session_record_mark(struct session *s, enum tee_mark_kind kind, uint64_t offset,
    const void *value, size_t len)
{
	if (offset < s->ring.framed || len > TEE_MARK_VALUE)
		abort();
}

void
session_device_progress(struct session *s, bool is_tick)
{
}

void
session_audit_order(struct session *s, enum order_source from,
    const char *actor, const char *order, const char *value, const char *why)
{
}

void
db_retry_write(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params)
{
}

void
session_record_check(struct session *s)
{
}

/* A quarter of what put_screens makes is above this. */
bool
session_size_is_allowed(
    const struct session *s, unsigned width, unsigned height)
{
	return width * height <= 120000;
}

void
session_size_say(const struct session *s, unsigned width, unsigned height,
    char out[SESSION_SIZE_TEXT])
{
	strcpy(out, "too large");
}

void
session_size_changed(
    struct session *s, uint64_t offset, unsigned width, unsigned height)
{
	if (!session_size_is_allowed(s, width, height))
		abort();
	session_record_mark(s, TEE_MARK_CAPTURE, offset, NULL, 0);
}

void
session_warn(struct session *s, const char *text, unsigned seconds)
{
	session_show_banner(s, text, seconds);
}

void
session_restart_boundary(struct session *s, uint64_t offset)
{
}

void
pump_endpoint_failed(struct session *s, ssize_t rc)
{
	session_end(s, "error", "");
}

void
pump_drained(struct session *s)
{
	session_end(s, "endpoint", "");
}

int
pump_timer(
    struct session *s, struct event **timer, event_callback_fn fn, uint64_t ns)
{
	for (size_t i = 0; i < N_ELEMENTS(w.timers); i++) {
		if (w.slots[i] != NULL && w.slots[i] != timer)
			continue;
		w.slots[i] = timer;
		w.timers[i] = fn;
		*timer = (struct event *)&w.slots[i];
		return 0;
	}
	abort();
}

int
event_del(struct event *ev)
{
	struct event ***slot = (struct event ***)ev;

	w.timers[slot - w.slots] = NULL;
	return 0;
}

int
event_add(struct event *ev, const struct timeval *tv)
{
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
	if (d != &w.session.endpoint || buf_len(&d->out) == 0)
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

	rfb_framer_size(w.session.framer, &fw, &fh);
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
	rfb_client_messages_feed(w.session.client_messages, m, sizeof(m));
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
	rfb_client_messages_feed(w.session.client_messages, m, len);
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
		    w.session.client_messages, offer, sizeof(offer));
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
	rfb_client_messages_feed(w.session.client_messages, m, len);
}

/* What was on its way counts as sent before. */
static void
recorder_dies(struct session *s)
{
	if (w.is_dark)
		return;
	w.room = SIZE_MAX;
	pump_to_viewer(s);
	if (w.is_dead)
		return;
	w.is_dark = true;
	w.is_tail = !rfb_framer_is_between_messages(w.viewer) ||
	    !rfb_framer_is_between_messages(s->framer);
	s->restart = RESTART_BOUNDARY;
	session_withhold(s, true);
}

static void
recorder_is_ready(struct session *s)
{
	w.is_dark = false;
	s->restart = RESTART_STARTED;
	session_withhold(s, false);
	if (!w.is_dead)
		pump_cover_start(s);
}

static void
command(struct session *s, struct input *in)
{
	uint8_t what = next(in), value = next(in);

	switch (what % 8) {
	case 0:
		session_set_monitor(s, value % 5);
		break;
	case 1:
		session_set_frame_rate(s, value % 62);
		break;
	case 2:
		session_set_view_only(s, value & 1);
		break;
	case 3:
		session_show_banner(s, "This session ends.", value & 1);
		break;
	case 4:
		recorder_dies(s);
		break;
	case 5:
		recorder_is_ready(s);
		break;
	default:
		session_hide_banner(s);
		break;
	}
}

static void
fire(struct session *s, unsigned i)
{
	event_callback_fn fn = w.timers[i % N_ELEMENTS(w.timers)];

	w.timers[i % N_ELEMENTS(w.timers)] = NULL;
	if (fn != NULL)
		fn(-1, EV_TIMEOUT, s);
}

static void
step(struct session *s, struct input *in)
{
	uint8_t op = next(in);

	switch (op % 8) {
	case 0:
	case 1:
	case 2:
		put_message(&w.out, in);
		pump_from_endpoint(s);
		break;
	case 3:
		put_raw(&w.out, in);
		pump_from_endpoint(s);
		break;
	case 4:
		viewer_speaks(in);
		pump_size_tell(s);
		pump_to_endpoint(s);
		break;
	case 5:
		command(s, in);
		break;
	case 6:
		fire(s, op / 8);
		break;
	default:
		w.room = op / 8 == 0 ? SIZE_MAX : op;
		pump_to_viewer(s);
		break;
	}
}

/* ---- one run ---- */

static char clipboard[] = "both";

static void
begin(struct session *s)
{
	struct rfb_pixel_format pf = usual_format();

	if (w.font == NULL)
		text_font_open(FONT, &w.font);
	memset(s, 0, sizeof(*s));
	memset(w.timers, 0, sizeof(w.timers));
	memset(w.slots, 0, sizeof(w.slots));
	w.out.len = 0;
	w.is_dead = w.is_dark = w.is_tail = false;
	w.random = 0;
	w.room = SIZE_MAX;
	w.relay.font = w.font;
	w.loop.relay = &w.relay;
	s->loop = &w.loop;
	s->state = SESSION_RUNNING;
	s->account.clipboard = clipboard;
	s->is_recorded = s->is_recording = true;
	s->restart = RESTART_STARTED; /* recorded, without a ring to share */
	s->viewer.transport.fd = -1;
	ring_init(&s->ring, 0, NULL);
	rfb_format_switch_init(&s->format, &pf, true);
	s->framer = rfb_framer_new(W, H, &pf, pump_framer_event, s);
	s->client_messages = rfb_client_messages_new(pump_client_message, s);
	w.viewer = rfb_framer_new(W, H, &pf, viewer_event, NULL);
	w.spoken = rfb_framer_new(W, H, &pf, on_spoken, NULL);
	w.has_screens = w.has_keys = w.has_buttons = w.has_text = false;
	w.has_fence = w.has_end = w.is_offered = false;
	edits_init(&s->pump.edits);
	buf_init(&s->endpoint.out, 1 << 20);
	buf_init(&s->pump.offer, 4 + 4 * RFB_MAX_ENCODINGS);
	buf_init(&s->pump.screens, 4 + 16 * RFB_MAX_SCREENS);
	s->pump.hold_at = PUMP_NOTHING_HELD;
	pump_cover_drop_input(s);
	pump_cover_start(s);
	view_init(&s->pump.view, W, H);
}

static void
end(struct session *s)
{
	rfb_framer_free(s->framer);
	rfb_framer_free(w.viewer);
	rfb_framer_free(w.spoken);
	rfb_client_messages_free(s->client_messages);
	s->state = SESSION_DEAD;
	session_hide_banner(s);
	pump_cover_drop_input(s);
	edits_release(&s->pump.edits);
	view_release(&s->pump.view);
	buf_release(&s->pump.offer);
	buf_release(&s->pump.screens);
	buf_release(&s->endpoint.out);
	ring_release(&s->ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct session *s = &w.session;
	struct input in = { data, len };

	begin(s);
	while (in.left > 0 && !w.is_dead)
		step(s, &in);
	w.room = SIZE_MAX;
	if (!w.is_dead)
		pump_from_endpoint(s);
	if (!w.is_dead) {
		pump_to_viewer(s);
		/* whole messages become whole messages, all of them sent */
		if (rfb_framer_is_between_messages(s->framer) &&
		    (!edits_is_empty(&s->pump.edits) ||
			!rfb_framer_is_between_messages(w.viewer)))
			abort();
	}
	end(s);
	return 0;
}
