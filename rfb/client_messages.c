#include <stdlib.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "rfb/client_messages.h"

/* Kept memory above this goes back after a long message. */
#define KEEP_CAP 4096

struct rfb_client_messages {
	rfb_client_messages_cb *cb;
	void *arg;
	struct buf kept;
	bool has_ext_buttons; /* the last SetEncodings had -316 */
	bool may_ext_buttons; /* the server has confirmed it */
	int error;
	const char *why;
};

static int
fail(struct rfb_client_messages *m, int err, const char *why)
{
	m->why = why;
	return err;
}

/*
 * The length functions below are given a message of at least its kind's
 * head bytes and return its whole length, or an error. An answer above
 * what they were given means "ask again with that many".
 */
static ssize_t
encodings_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	uint16_t n = load_be16(p + 2);

	if (n > RFB_MAX_ENCODINGS)
		return fail(m, ERR_LIMIT, "too many encodings");
	return 4 + 4 * (ssize_t)n;
}

/* A set bit 7 announces a second byte of buttons, where -316 allows it. */
static ssize_t
pointer_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	return m->has_ext_buttons && m->may_ext_buttons && (p[1] & 0x80) != 0
	    ? 7
	    : 6;
}

static ssize_t
cut_text_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	int64_t len = (int32_t)load_be32(p + 4);
	bool is_extended = len < 0;

	/* 64 bits hold the absolute value of INT32_MIN too. */
	if (is_extended)
		len = -len;
	if (is_extended && len < 4)
		return fail(
		    m, ERR_PROTOCOL, "extended clipboard without flags");
	if (len > RFB_MAX_CUT_TEXT)
		return fail(m, ERR_LIMIT, "cut text too long");
	return 8 + (ssize_t)len;
}

static ssize_t
fence_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	if (p[8] > RFB_MAX_FENCE)
		return fail(m, ERR_PROTOCOL, "fence payload over 64 bytes");
	return 9 + p[8];
}

static ssize_t
desktop_size_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	if (p[6] > RFB_MAX_SCREENS)
		return fail(m, ERR_LIMIT, "too many screens");
	return 8 + 16 * (ssize_t)p[6];
}

/* Audio: enable, disable, or set a sample format. */
static ssize_t
qemu_audio_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	if (have < 4)
		return 4;
	switch (load_be16(p + 2)) {
	case 0:
	case 1:
		return 4;
	case 2:
		return 10;
	default:
		return fail(m, ERR_PROTOCOL, "unknown audio message");
	}
}

static ssize_t
qemu_len(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	switch (p[1]) {
	case RFB_QEMU_EXT_KEY:
		return 12;
	case RFB_QEMU_AUDIO:
		return qemu_audio_len(m, p, have);
	default:
		return fail(m, ERR_PROTOCOL, "unknown QEMU message");
	}
}

/* Messages by type: the bytes to look at first, and how long they are. */
static const struct kind {
	uint8_t type;
	uint8_t head;
	ssize_t (*len)(
	    struct rfb_client_messages *m, const uint8_t *p, size_t have);
} kinds[] = {
	{ RFB_SET_PIXEL_FORMAT, 20, NULL },
	{ RFB_SET_ENCODINGS, 4, encodings_len },
	{ RFB_FRAMEBUFFER_UPDATE_REQUEST, 10, NULL },
	{ RFB_KEY_EVENT, 8, NULL },
	{ RFB_POINTER_EVENT, 2, pointer_len },
	{ RFB_CLIENT_CUT_TEXT, 8, cut_text_len },
	{ RFB_ULTRA_SET_SCALE, 4, NULL },
	{ RFB_ULTRA_SET_SERVER_INPUT, 4, NULL },
	{ RFB_ULTRA_SET_WINDOW, 6, NULL },
	{ RFB_ULTRA_KEEP_ALIVE, 1, NULL },
	{ RFB_ULTRA_SET_PALM_SCALE, 4, NULL },
	{ RFB_ENABLE_CONTINUOUS_UPDATES, 10, NULL },
	{ RFB_CLIENT_FENCE, 9, fence_len },
	{ RFB_XVP, 4, NULL },
	{ RFB_SET_DESKTOP_SIZE, 8, desktop_size_len },
	{ RFB_QEMU, 2, qemu_len },
};

static const struct kind *
find_kind(uint8_t type)
{
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		if (kinds[i].type == type)
			return &kinds[i];
	}
	return NULL;
}

/*
 * How many bytes of the message at p are wanted, of which have (1 or more)
 * are there: an answer up to have is the message's length.
 */
static ssize_t
wanted(struct rfb_client_messages *m, const uint8_t *p, size_t have)
{
	const struct kind *k = find_kind(p[0]);

	if (k == NULL)
		return fail(m, ERR_PROTOCOL, "unknown message from the viewer");
	if (have < k->head || k->len == NULL)
		return k->head;
	return k->len(m, p, have);
}

static void
note_encodings(struct rfb_client_messages *m, const uint8_t *p, size_t n)
{
	m->has_ext_buttons = false;
	for (size_t i = 0; i < n; i++) {
		if ((int32_t)load_be32(p + 4 + 4 * i) ==
		    RFB_ENC_EXT_MOUSE_BUTTONS)
			m->has_ext_buttons = true;
	}
}

static void
read_qemu(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->qemu.subtype = p[1];
	if (p[1] != RFB_QEMU_EXT_KEY)
		return;
	ev->qemu.down = load_be16(p + 2) != 0;
	ev->qemu.keysym = load_be32(p + 4);
	ev->qemu.keycode = load_be32(p + 8);
}

/* Bits 0 to 6 of the first byte, 7 to 14 from the seventh. */
static void
read_pointer(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->pointer.buttons = p[1];
	ev->pointer.x = load_be16(p + 2);
	ev->pointer.y = load_be16(p + 4);
	if (ev->len == 7)
		ev->pointer.buttons =
		    (uint16_t)((p[1] & 0x7f) | (unsigned)p[6] << 7);
}

static void
read_cut_text(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->cut_text.is_extended = (p[4] & 0x80) != 0;
	ev->cut_text.data = p + 8;
	ev->cut_text.len = ev->len - 8;
}

static void
read_area(const uint8_t *p, uint16_t *x, uint16_t *y, uint16_t *w, uint16_t *h)
{
	*x = load_be16(p);
	*y = load_be16(p + 2);
	*w = load_be16(p + 4);
	*h = load_be16(p + 6);
}

static void
read_request(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->request.incremental = p[1] != 0;
	read_area(p + 2, &ev->request.x, &ev->request.y, &ev->request.w,
	    &ev->request.h);
}

static void
read_continuous(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->continuous.enable = p[1] != 0;
	read_area(p + 2, &ev->continuous.x, &ev->continuous.y,
	    &ev->continuous.w, &ev->continuous.h);
}

static void
read_fence(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->fence.flags = load_be32(p + 4);
	ev->fence.data = p + 9;
	ev->fence.len = p[8];
}

static void
read_desktop_size(struct rfb_client_event *ev, const uint8_t *p)
{
	ev->desktop_size.w = load_be16(p + 2);
	ev->desktop_size.h = load_be16(p + 4);
	ev->desktop_size.n_screens = p[6];
	ev->desktop_size.screens = p + 8;
}

static int
read_pixel_format(struct rfb_client_messages *m, struct rfb_client_event *ev,
    const uint8_t *p)
{
	int rc = rfb_pixel_format_parse(&ev->pixel_format, p + 4);

	if (rc == ERR_UNSUPPORTED && p[4] == 8) {
		ev->wants_colour_map = true;
		ev->pixel_format = rfb_pixel_format_bgr233;
		return 0;
	}
	if (rc != 0)
		return fail(m, rc,
		    "pixel format that is neither true colour nor a colour "
		    "map of 8 bits");
	return 0;
}

/* Reads the fields of the whole message in ev. */
static int
read_fields(struct rfb_client_messages *m, struct rfb_client_event *ev)
{
	const uint8_t *p = ev->bytes;

	switch (ev->type) {
	case RFB_SET_PIXEL_FORMAT:
		return read_pixel_format(m, ev, p);
	case RFB_SET_ENCODINGS:
		ev->encodings.n = load_be16(p + 2);
		note_encodings(m, p, ev->encodings.n);
		break;
	case RFB_FRAMEBUFFER_UPDATE_REQUEST:
		read_request(ev, p);
		break;
	case RFB_KEY_EVENT:
		ev->key.down = p[1] != 0;
		ev->key.keysym = load_be32(p + 4);
		break;
	case RFB_POINTER_EVENT:
		read_pointer(ev, p);
		break;
	case RFB_CLIENT_CUT_TEXT:
		read_cut_text(ev, p);
		break;
	case RFB_ENABLE_CONTINUOUS_UPDATES:
		read_continuous(ev, p);
		break;
	case RFB_CLIENT_FENCE:
		read_fence(ev, p);
		break;
	case RFB_XVP:
		ev->xvp.version = p[2];
		ev->xvp.action = p[3];
		break;
	case RFB_SET_DESKTOP_SIZE:
		read_desktop_size(ev, p);
		break;
	case RFB_QEMU:
		read_qemu(ev, p);
		break;
	case RFB_ULTRA_SET_SCALE:
	case RFB_ULTRA_SET_SERVER_INPUT:
	case RFB_ULTRA_SET_WINDOW:
	case RFB_ULTRA_KEEP_ALIVE:
	case RFB_ULTRA_SET_PALM_SCALE:
		ev->is_vendor = true;
		break;
	}
	return 0;
}

static int
deliver(struct rfb_client_messages *m, const uint8_t *p, size_t len)
{
	struct rfb_client_event ev = { .type = p[0], .bytes = p, .len = len };
	int rc = read_fields(m, &ev);

	if (rc != 0)
		return rc;
	rc = m->cb(m->arg, &ev);
	if (rc != 0)
		m->why = "stopped by the receiver";
	return rc;
}

/* Goes on with a message of which earlier pieces held the beginning. */
static int
feed_kept(struct rfb_client_messages *m, const uint8_t **p, size_t *left)
{
	ssize_t want = wanted(m, buf_head(&m->kept), buf_len(&m->kept));
	size_t n;
	int rc;

	if (want < 0)
		return (int)want;
	n = min_size((size_t)want - buf_len(&m->kept), *left);
	rc = buf_append(&m->kept, *p, n);
	if (rc != 0)
		return fail(m, rc, "no memory for a message");
	*p += n;
	*left -= n;
	if (buf_len(&m->kept) < (size_t)want)
		return 0;
	want = wanted(m, buf_head(&m->kept), buf_len(&m->kept));
	if (want < 0 || (size_t)want > buf_len(&m->kept))
		return want < 0 ? (int)want : 0;
	rc = deliver(m, buf_head(&m->kept), (size_t)want);
	buf_consume(&m->kept, (size_t)want);
	if (m->kept.cap > KEEP_CAP)
		buf_release(&m->kept);
	return rc;
}

/* A message that begins at p: handed on in place if it is whole. */
static int
feed_fresh(struct rfb_client_messages *m, const uint8_t **p, size_t *left)
{
	ssize_t want = wanted(m, *p, *left);
	int rc;

	if (want < 0)
		return (int)want;
	if ((size_t)want <= *left) {
		rc = deliver(m, *p, (size_t)want);
		*p += want;
		*left -= (size_t)want;
		return rc;
	}
	rc = buf_append(&m->kept, *p, *left);
	if (rc != 0)
		return fail(m, rc, "no memory for a message");
	*left = 0;
	return 0;
}

int
rfb_client_messages_feed(
    struct rfb_client_messages *m, const uint8_t *data, size_t len)
{
	while (len > 0 && m->error == 0) {
		if (buf_len(&m->kept) > 0)
			m->error = feed_kept(m, &data, &len);
		else
			m->error = feed_fresh(m, &data, &len);
	}
	return m->error;
}

struct rfb_client_messages *
rfb_client_messages_new(rfb_client_messages_cb *cb, void *arg)
{
	struct rfb_client_messages *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->cb = cb;
	m->arg = arg;
	m->why = "no error";
	buf_init(&m->kept, 8 + RFB_MAX_CUT_TEXT);
	return m;
}

void
rfb_client_messages_free(struct rfb_client_messages *m)
{
	if (m == NULL)
		return;
	buf_release(&m->kept);
	free(m);
}

void
rfb_client_messages_allow_ext_buttons(struct rfb_client_messages *m)
{
	m->may_ext_buttons = true;
}

bool
rfb_client_messages_is_between(const struct rfb_client_messages *m)
{
	return buf_len(&m->kept) == 0;
}

const char *
rfb_client_messages_why(const struct rfb_client_messages *m)
{
	return m->why;
}
