/*
 * The lobby on any bytes of a viewer, with the words changing, slow and fast
 * readers, and a farewell at any moment. Out holds no more than promised,
 * what is sent is whole updates that a viewer can decode, and no byte is
 * lost when the viewer is handed over.
 *
 * Input: one byte for the size of the pieces and the habits of the reader,
 * one for when to leave, then what the viewer sends.
 */
#include <stdlib.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/lobby.h"
#include "relay/draw/text.h"
#include "rfb/framer.h"

#define FONT "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
#define SIDE 96 /* small, so that many inputs are tried */
#define NAME "Relaycam: fuzz"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct run {
	struct lobby *l;
	struct buf out;
	const uint8_t *data;
	size_t len, at, piece;
	bool is_slow, has_words, may_stay;
};

static struct text_font *
font_once(void)
{
	static struct text_font *font;

	if (font == NULL && text_font_open(FONT, &font) == ERR_NOMEM)
		abort();
	return font;
}

static void
check(bool is_true)
{
	if (!is_true)
		abort();
}

/* Takes what was sent. Its framing is checked in the lobby's own format
 * only, as the viewer's changes in between. */
static void
drain(struct run *r)
{
	check(buf_len(&r->out) <= LOBBY_OUT_LIMIT);
	check(buf_len(&r->out) == 0 ||
	    buf_head(&r->out)[0] == RFB_FRAMEBUFFER_UPDATE ||
	    buf_head(&r->out)[0] == RFB_SET_COLOUR_MAP);
	buf_consume(&r->out, buf_len(&r->out));
}

static int
step(struct run *r)
{
	size_t n = min_size(r->piece, r->len - r->at), used;
	uint8_t *copy = malloc(n);
	int rc;

	check(copy != NULL);
	memcpy(copy, r->data + r->at, n);
	rc = lobby_feed(r->l, copy, n, &used);
	free(copy);
	if (rc != 0)
		return rc;
	check(used == n);
	r->at += n;
	if (r->has_words && r->at % 5 == 0)
		rc = lobby_set_text(
		    r->l, "Title", r->at % 2 == 0 ? "a" : "b", NULL);
	check(buf_len(&r->out) <= LOBBY_OUT_LIMIT);
	if (!r->is_slow || r->at % 7 == 0)
		drain(r);
	return rc != 0 ? rc : lobby_resume(r->l);
}

/* A viewer that cannot go is told why; what it said before is known. */
static void
stay(struct run *r)
{
	size_t used;

	if (lobby_set_text(r->l, "No", "Another viewer, please", "") != 0)
		return;
	drain(r);
	if (lobby_feed(r->l, r->data + r->at, r->len - r->at, &used) == 0)
		check(used == r->len - r->at);
	drain(r);
}

/* Once leaving is wanted, the lobby takes no byte beyond the message under
 * way, and then it ends. */
static void
leave(struct run *r)
{
	struct lobby_viewer v;
	size_t used;
	int rc = lobby_leave(r->l, &v);

	while (rc == ERR_AGAIN && r->at < r->len) {
		if (lobby_feed(r->l, r->data + r->at, r->len - r->at, &used) !=
		    0)
			return;
		check(used > 0 && used <= r->len - r->at);
		r->at += used;
		rc = lobby_leave(r->l, &v);
		check(rc == 0 || r->at == r->len);
	}
	if (rc != 0)
		return;
	drain(r);
	check(v.format.true_colour);
	check(v.encodings == NULL || v.encodings_len % 4 == 0);
	rc = lobby_resize(r->l, 1024, 768);
	check(rc ==
	    (v.has_desktop_size || v.has_ext_desktop_size ? 0
							  : ERR_UNSUPPORTED));
	drain(r);
	if (r->may_stay)
		stay(r);
}

/* The first answer to whatever was said, framed as a viewer would. */
static int
on_event(void *arg, const struct rfb_framer_event *ev)
{
	check(ev->type == RFB_FRAMEBUFFER_UPDATE ||
	    ev->type == RFB_SET_COLOUR_MAP);
	if (ev->type == RFB_SET_COLOUR_MAP)
		return 0;
	if (ev->kind == RFB_FRAMER_RECT)
		check(ev->rect.encoding == RFB_ENC_RAW ||
		    ev->rect.encoding == RFB_ENC_HEXTILE);
	*(size_t *)arg += ev->kind == RFB_FRAMER_MESSAGE_END;
	return 0;
}

/* All of it at once, read at the end: one answer, in the last format. */
static void
run_at_once(const uint8_t *data, size_t len)
{
	struct buf out;
	struct lobby_viewer v;
	struct rfb_framer *f;
	struct lobby *l;
	size_t used, n = 0;

	buf_init(&out, 0);
	l = lobby_new(&out, font_once(), "fuzz", SIDE, SIDE);
	check(l != NULL);
	buf_consume(&out, 24 + sizeof(NAME) - 1);
	if (lobby_feed(l, data, len, &used) == 0 && lobby_leave(l, &v) == 0) {
		f = rfb_framer_new(SIDE, SIDE, &v.format, on_event, &n);
		check(f != NULL);
		if (buf_len(&out) > 0)
			check(rfb_framer_feed(
				  f, buf_head(&out), buf_len(&out)) == 0);
		check(n == (buf_len(&out) > 0));
		rfb_framer_free(f);
	}
	lobby_free(l);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct run r = { 0 };
	size_t leave_at;

	if (len < 3)
		return 0;
	r.data = data + 2;
	r.len = len - 2;
	r.piece = 1 + data[0] % 32;
	r.may_stay = (data[0] & 0x20) != 0;
	r.is_slow = (data[0] & 0x40) != 0;
	r.has_words = (data[0] & 0x80) != 0;
	leave_at = data[1] == 255 ? len : data[1];
	buf_init(&r.out, 0);
	r.l = lobby_new(&r.out, font_once(), "fuzz", SIDE, SIDE);
	check(r.l != NULL);
	buf_consume(&r.out, 24 + sizeof(NAME) - 1);
	while (r.at < r.len && r.at < leave_at) {
		if (step(&r) != 0)
			break;
	}
	if (r.at == r.len || r.at >= leave_at)
		leave(&r);
	lobby_free(r.l);
	buf_release(&r.out);
	run_at_once(r.data, r.len);
	return 0;
}
