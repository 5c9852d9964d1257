#include "relay/draw/lobby.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"
#include "relay/draw/lobby_screen.h"
#include "rfb/client_messages.h"
#include "rfb/colour_map.h"
#include "rfb/handshake_server.h"

#define ENCODINGS_MAX (4 + 4 * RFB_MAX_ENCODINGS)
#define WORDS_MAX     1024
#define ALL_BANDS     ((1u << LOBBY_N_BANDS) - 1)

struct lobby {
	struct buf *out;
	struct text_font *font;
	uint16_t w, h;
	char words[LOBBY_N_BANDS][WORDS_MAX];
	unsigned stale; /* a bit a band: the viewer does not have it */

	struct rfb_client_messages *messages;
	struct rfb_pixel_format format;
	uint8_t encodings[ENCODINGS_MAX];
	size_t encodings_len; /* 0: none has come */
	bool has_hextile, has_desktop_size, has_ext_desktop_size;
	bool has_request;
	bool has_spoken; /* its encodings or a request: what it can is known */
	bool is_map_due; /* the viewer asked for a colour map */

	uint64_t n_fed, n_read; /* bytes taken; bytes of whole messages */
	bool is_leaving;        /* stop behind the message under way */
	bool is_stopped;        /* there; the parser has ended with it */
	const char *why;
};

static int
fail(struct lobby *l, int rc, const char *why)
{
	l->why = why;
	return rc;
}

/* Answers. */

static unsigned
n_rects(const struct lobby *l, unsigned bands)
{
	unsigned n = 0;

	for (unsigned i = 0; i < LOBBY_N_BANDS; i++) {
		struct picture p = { .w = l->w,
			.h = lobby_screen_area(i, l->h).h };

		if ((bands & 1u << i) != 0)
			n += picture_n_rects(&p);
	}
	return n;
}

static int
append_band(struct lobby *l, enum lobby_band band)
{
	struct picture p;
	int rc;

	rc = lobby_screen_draw(band, l->w, l->h, l->font, l->words[band], &p);
	if (rc != 0)
		return rc;
	rc = picture_append(&p, 0, lobby_screen_area(band, l->h).y, &l->format,
	    l->has_hextile, l->out);
	picture_release(&p);
	return rc;
}

static int
append_update_header(struct buf *out, unsigned n)
{
	uint8_t header[4] = { RFB_FRAMEBUFFER_UPDATE };

	store_be16(header + 2, (uint16_t)n);
	return buf_append(out, header, sizeof(header));
}

/* For a viewer that asked for one, before what is drawn with it. */
static int
append_map(struct lobby *l)
{
	uint8_t map[RFB_COLOUR_MAP_LEN];

	if (!l->is_map_due)
		return 0;
	l->is_map_due = false;
	rfb_colour_map_write(map);
	return buf_append(l->out, map, sizeof(map));
}

/* Sends what changed to a viewer that waits for it; not more than one answer
 * is ever queued behind what has not been sent yet. */
static int
answer(struct lobby *l)
{
	int rc;

	if (!l->has_request || l->stale == 0 ||
	    buf_len(l->out) > LOBBY_OUT_HIGH)
		return 0;
	if (l->w > LOBBY_MAX_SIDE || l->h > LOBBY_MAX_SIDE)
		return fail(l, ERR_LIMIT, "a desktop too large to draw on");
	rc = append_map(l);
	if (rc == 0)
		rc = append_update_header(l->out, n_rects(l, l->stale));
	for (unsigned i = 0; i < LOBBY_N_BANDS && rc == 0; i++) {
		if ((l->stale & 1u << i) != 0)
			rc = append_band(l, i);
	}
	l->has_request = false;
	l->stale = 0;
	return rc != 0 ? fail(l, rc, "no room for the waiting picture") : 0;
}

int
lobby_resume(struct lobby *l)
{
	return answer(l);
}

/* What the viewer says. */

static void
note_encodings(struct lobby *l, const struct rfb_client_event *ev)
{
	memcpy(l->encodings, ev->bytes, ev->len);
	l->encodings_len = ev->len;
	l->has_hextile = false;
	l->has_desktop_size = false;
	l->has_ext_desktop_size = false;
	for (size_t i = 4; i < ev->len; i += 4) {
		switch ((int32_t)load_be32(ev->bytes + i)) {
		case RFB_ENC_HEXTILE:
			l->has_hextile = true;
			break;
		case RFB_ENC_DESKTOP_SIZE:
			l->has_desktop_size = true;
			break;
		case RFB_ENC_EXT_DESKTOP_SIZE:
			l->has_ext_desktop_size = true;
			break;
		default:
			break;
		}
	}
}

/* Everything that lies in the area is wanted, changed or not. */
static void
note_request(struct lobby *l, const struct rfb_client_event *ev)
{
	unsigned top = ev->request.y, bottom = top + ev->request.h;

	l->has_request = true;
	if (ev->request.incremental || ev->request.w == 0)
		return;
	for (unsigned i = 0; i < LOBBY_N_BANDS; i++) {
		struct lobby_band_area a = lobby_screen_area(i, l->h);

		if (top < (unsigned)a.y + a.h && a.y < bottom)
			l->stale |= 1u << i;
	}
}

/* Keys, pointer, clipboard and the rest have no endpoint to go to. */
static int
on_message(void *arg, const struct rfb_client_event *ev)
{
	struct lobby *l = arg;

	l->n_read += ev->len;
	switch (ev->type) {
	case RFB_SET_PIXEL_FORMAT:
		l->format = ev->pixel_format;
		l->is_map_due = ev->wants_colour_map;
		break;
	case RFB_SET_ENCODINGS:
		if (ev->len > sizeof(l->encodings))
			return ERR_LIMIT;
		note_encodings(l, ev);
		l->has_spoken = true;
		break;
	case RFB_FRAMEBUFFER_UPDATE_REQUEST:
		note_request(l, ev);
		l->has_spoken = true;
		break;
	case RFB_KEY_EVENT:
	case RFB_POINTER_EVENT:
	case RFB_CLIENT_CUT_TEXT:
	case RFB_CLIENT_FENCE:
	case RFB_ENABLE_CONTINUOUS_UPDATES:
	case RFB_SET_DESKTOP_SIZE:
	case RFB_QEMU:
	case RFB_XVP:
	case RFB_ULTRA_KEEP_ALIVE:
	case RFB_ULTRA_SET_PALM_SCALE:
	case RFB_ULTRA_SET_SCALE:
	case RFB_ULTRA_SET_SERVER_INPUT:
	case RFB_ULTRA_SET_WINDOW:
		break;
	}
	return l->is_leaving && l->has_spoken ? ERR_CANCELLED : 0;
}

int
lobby_feed(struct lobby *l, const uint8_t *data, size_t len, size_t *used)
{
	int rc;

	*used = 0;
	if (l->is_stopped)
		return 0;
	rc = rfb_client_messages_feed(l->messages, data, len);
	*used = len;
	if (rc == ERR_CANCELLED) {
		*used = (size_t)(l->n_read - l->n_fed);
		l->is_stopped = true;
		rc = 0;
	}
	l->n_fed += *used;
	if (rc != 0)
		return fail(l, rc, rfb_client_messages_why(l->messages));
	return answer(l);
}

/* Words. */

/* Goes on after all with a viewer that was about to leave: a new parser. What
 * the old one had learnt is of no use without a server that confirms it. */
static int
stay(struct lobby *l)
{
	l->is_leaving = false;
	if (!l->is_stopped)
		return 0;
	rfb_client_messages_free(l->messages);
	l->messages = rfb_client_messages_new(on_message, l);
	if (l->messages == NULL)
		return fail(l, ERR_NOMEM, "no memory for the viewer");
	l->is_stopped = false;
	return 0;
}

static void
set_words(struct lobby *l, enum lobby_band band, const char *words)
{
	char *have = l->words[band];

	if (words == NULL)
		words = "";
	if (strncmp(have, words, WORDS_MAX - 1) == 0)
		return;
	snprintf(have, WORDS_MAX, "%s", words);
	l->stale |= 1u << band;
}

int
lobby_set_text(
    struct lobby *l, const char *title, const char *text, const char *small)
{
	int rc = stay(l);

	if (rc != 0)
		return rc;
	set_words(l, LOBBY_TITLE, title);
	set_words(l, LOBBY_TEXT, text);
	set_words(l, LOBBY_SMALL, small);
	return answer(l);
}

/* Leaving. */

int
lobby_leave(struct lobby *l, struct lobby_viewer *viewer)
{
	if (!l->has_spoken || !rfb_client_messages_is_between(l->messages)) {
		l->is_leaving = true;
		return ERR_AGAIN;
	}
	*viewer = (struct lobby_viewer){
		.format = l->format,
		.encodings = l->encodings_len != 0 ? l->encodings : NULL,
		.encodings_len = l->encodings_len,
		.has_request = l->has_request,
		.has_desktop_size = l->has_desktop_size,
		.has_ext_desktop_size = l->has_ext_desktop_size,
		.has_hextile = l->has_hextile,
		.w = l->w,
		.h = l->h,
	};
	return 0;
}

/* ExtendedDesktopSize, the server's own doing: one screen with id 1. */
static size_t
put_screens(uint8_t *p, uint16_t w, uint16_t h)
{
	memset(p, 0, 20);
	p[0] = 1;
	store_be32(p + 4, 1);
	store_be16(p + 12, w);
	store_be16(p + 14, h);
	return 20;
}

int
lobby_resize(struct lobby *l, uint16_t w, uint16_t h)
{
	uint8_t msg[4 + 12 + 20] = { RFB_FRAMEBUFFER_UPDATE, 0, 0, 1 };
	int32_t encoding = RFB_ENC_DESKTOP_SIZE;
	size_t len = 4 + 12;
	int rc;

	rc = append_map(l);
	if (rc != 0 || (w == l->w && h == l->h))
		return rc;
	if (!l->has_desktop_size && !l->has_ext_desktop_size)
		return ERR_UNSUPPORTED;
	if (!l->has_desktop_size) {
		encoding = RFB_ENC_EXT_DESKTOP_SIZE;
		len += put_screens(msg + len, w, h);
	}
	store_be16(msg + 8, w);
	store_be16(msg + 10, h);
	store_be32(msg + 12, (uint32_t)encoding);
	rc = buf_append(l->out, msg, len);
	if (rc != 0)
		return rc;
	l->w = w;
	l->h = h;
	l->has_request = false; /* this was the answer */
	l->stale = ALL_BANDS;
	return 0;
}

/* Beginning and end. */

static uint16_t
clamp_side(uint16_t side)
{
	if (side < LOBBY_MIN_SIDE)
		return LOBBY_MIN_SIDE;
	return side > LOBBY_MAX_SIDE ? LOBBY_MAX_SIDE : side;
}

/* out must hold one whole picture in Raw behind what it may hold already. */
static void
raise_limit(const struct lobby *l)
{
	size_t need = LOBBY_OUT_HIGH + (size_t)l->w * l->h * 4 +
	    (size_t)n_rects(l, ALL_BANDS) * 12 + 4;

	need = need > LOBBY_OUT_LIMIT ? need : LOBBY_OUT_LIMIT;
	if (l->out->limit < need)
		l->out->limit = need;
}

static int
write_init(struct lobby *l, const char *endpoint)
{
	char name[RFB_MAX_NAME + 1];
	int n = snprintf(name, sizeof(name), "Relaycam: %s", endpoint);

	return rfb_server_init_write(l->out, l->w, l->h, &l->format, name,
	    min_size((size_t)n, RFB_MAX_NAME));
}

struct lobby *
lobby_new(struct buf *out, struct text_font *font, const char *endpoint,
    uint16_t w, uint16_t h)
{
	struct lobby *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->out = out;
	l->font = font;
	l->w = clamp_side(w);
	l->h = clamp_side(h);
	l->format = rfb_pixel_format_usual;
	l->stale = ALL_BANDS;
	l->why = "no error";
	l->messages = rfb_client_messages_new(on_message, l);
	raise_limit(l);
	if (l->messages == NULL || write_init(l, endpoint) != 0) {
		lobby_free(l);
		return NULL;
	}
	return l;
}

void
lobby_free(struct lobby *l)
{
	if (l == NULL)
		return;
	rfb_client_messages_free(l->messages);
	free(l);
}

const char *
lobby_why(const struct lobby *l)
{
	return l->why;
}
