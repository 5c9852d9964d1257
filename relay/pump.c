/* Bytes both ways while a session runs: the hot path. */
#include <errno.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/session_internal.h"
#include "rfb/client_messages.h"
#include "rfb/framer.h"
#include "rfb/handshake_server.h"

#define TIME_MARK_NS (5 * NS_PER_MS)
#define PIECE_MAX    (8 * LEG_RECORD_LEN)
#define OUT_HIGH     (256 * 1024) /* to the endpoint: stop reading */
#define OUT_LOW      (64 * 1024)
#define OUT_KEEP     1024
/* a cut text of the greatest size, and what may be before it */
#define TO_ENDPOINT_MAX (RFB_MAX_CUT_TEXT + 2 * OUT_HIGH)

/* ---- endpoint -> technician ---- */

/* The message under way is swallowed: the technician never sees it. */
static int
skip_message(struct session *s, uint64_t end)
{
	if (s->n_skips == SESSION_SKIPS)
		return ERR_LIMIT; /* more answers than we ever ask for */
	s->skips[s->n_skips++] = (struct skip){ s->message_at, end };
	return 0;
}

static int
on_server_fence(struct session *s, const struct rfb_framer_event *ev)
{
	uint32_t flags;

	s->endpoint_has_fence = true;
	rfb_format_switch_set_fence(&s->format, s->viewer_has_fence);
	/* padding 3, flags 4, length 1, payload: one span, rfb/framer.h */
	if (ev->len < 8 || ev->len < 8u + ev->data[7])
		return 0;
	flags = load_be32(ev->data + 3);
	if (!rfb_format_switch_on_fence(
		&s->format, flags, ev->data + 8, ev->data[7]))
		return 0;
	return skip_message(s, ev->offset + ev->len);
}

static int
on_update_begins(struct session *s, uint64_t offset)
{
	uint8_t pf[RFB_PIXEL_FORMAT_LEN];

	if (!rfb_format_switch_on_update(&s->format))
		return 0;
	rfb_pixel_format_write(&s->format.current, pf);
	session_record_mark(s, TEE_MARK_PIXEL_FORMAT, offset, pf, sizeof(pf));
	return rfb_framer_set_pixel_format(s->framer, &s->format.current);
}

static int
on_framer_event(void *arg, const struct rfb_framer_event *ev)
{
	struct session *s = arg;

	switch (ev->kind) {
	case RFB_FRAMER_MESSAGE:
		s->message_at = ev->offset;
		s->is_fence_open = ev->type == RFB_SERVER_FENCE;
		if (ev->type == RFB_FRAMEBUFFER_UPDATE)
			return on_update_begins(s, ev->offset);
		if (ev->type == RFB_END_OF_CONTINUOUS_UPDATES)
			rfb_format_switch_on_end_of_continuous(&s->format);
		return 0;
	case RFB_FRAMER_PAYLOAD:
		if (ev->type == RFB_SERVER_FENCE)
			return on_server_fence(s, ev);
		return 0;
	case RFB_FRAMER_MESSAGE_END:
		s->is_fence_open = false;
		return 0;
	default:
		return 0;
	}
}

/* Bytes from `published` on arrived now. */
static void
mark_time(struct session *s)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME,
		.mono_ns = clock_mono_ns() };

	if (m.mono_ns - s->last_mark_ns < TIME_MARK_NS ||
	    tee_writer_marks_free(s->ring.tee) < TEE_MARKS_RESERVED)
		return;
	s->last_mark_ns = m.mono_ns;
	m.offset = tee_writer_get_published(s->ring.tee);
	tee_writer_mark(s->ring.tee, &m);
}

/* The ring is full: whoever makes room resumes us. */
static void
stall(struct session *s)
{
	s->is_stalled = true;
	side_read(&s->endpoint, false);
	if (s->has_recorder)
		tee_writer_want_room(
		    s->ring.tee, (size_t)s->loop->relay->conf.ring_bytes / 4);
}

/* Checks n new bytes at p: what is whole may be forwarded and recorded. */
static int
take_new(struct session *s, const uint8_t *p, size_t n)
{
	int rc;

	ring_received(&s->ring, n);
	rc = rfb_framer_feed(s->framer, p, n);
	/* what was right before an error is still recorded */
	ring_framed(&s->ring, rfb_framer_checked_offset(s->framer));
	return rc != 0 ? ERR_PROTOCOL : 0;
}

static void
go_on_reading(struct session *s)
{
	s->is_stalled = false;
	side_read(&s->endpoint, true);
}

/*
 * Reads into the ring what fits, at most PIECE_MAX: more would only push the
 * bytes out of the cache before they are forwarded. *got: bytes. Returns 0
 * (there may be more), ERR_AGAIN, or why there will never be more.
 */
static int
read_piece(struct session *s, size_t *got)
{
	size_t room, n = 0;
	uint8_t *p = ring_room(&s->ring, &room);
	ssize_t rc = 1;

	*got = 0;
	if (p == NULL)
		return ERR_NOMEM;
	room = min_size(room, PIECE_MAX);
	while (n < room && rc > 0) {
		rc = leg_read(&s->endpoint.leg, p + n, room - n);
		if (rc > 0)
			n += (size_t)rc;
	}
	*got = n;
	if (n > 0) {
		if (s->has_recorder)
			mark_time(s);
		if (take_new(s, p, n) != 0)
			return ERR_PROTOCOL;
	}
	return rc < 0 ? (int)rc : 0;
}

static void
endpoint_failed(struct session *s, ssize_t rc)
{
	char reason[200];

	if (s->state == SESSION_DEAD)
		return;
	if (rc == ERR_PROTOCOL) {
		snprintf(reason, sizeof(reason),
		    "the endpoint broke the protocol: %s",
		    rfb_framer_why(s->framer));
		session_end(s, "error", reason);
	} else if (rc == ERR_NOMEM) {
		session_end(s, "error", "the relay is out of memory");
	} else {
		session_end(s, "endpoint",
		    rc == ERR_EOF ? "the endpoint closed the connection"
				  : "the connection to the endpoint broke");
	}
}

/* Is there no room for more, and nobody else to look for some? */
static bool
is_full(struct session *s)
{
	size_t room;

	ring_room(&s->ring, &room);
	if (room > 0)
		return false;
	stall(s);
	ring_room(&s->ring, &room);
	if (room > 0)
		go_on_reading(s);
	return room == 0;
}

void
pump_from_endpoint(struct session *s)
{
	size_t budget = SESSION_PUMP_MAX, got;
	int rc = 0;

	session_ref(s);
	go_on_reading(s);
	while (rc == 0 && budget > 0 && s->state == SESSION_RUNNING &&
	    !is_full(s)) {
		rc = read_piece(s, &got);
		budget -= min_size(budget, got);
		session_record_check(s);
		/* what came before the end is still forwarded */
		if (s->state == SESSION_RUNNING)
			pump_to_viewer(s);
	}
	if (s->state == SESSION_RUNNING && rc != 0 && rc != ERR_AGAIN)
		endpoint_failed(s, rc);
	else if (s->state == SESSION_RUNNING && rc == 0 && !s->is_stalled)
		/* others first, then more of this one */
		event_active(s->endpoint.readable, EV_READ, 0);
	session_unref(s);
}

/* How many bytes may go out before the next swallowed message; 0 when one
 * begins here (it is passed over). */
static size_t
until_skip(struct session *s, size_t len)
{
	struct skip *k = &s->skips[0];

	if (s->n_skips == 0 || s->ring.forwarded + len <= k->from)
		return len;
	if (s->ring.forwarded < k->from)
		return (size_t)(k->from - s->ring.forwarded);
	if (s->ring.forwarded + len < k->to)
		return 0; /* wait until all of it is framed */
	ring_forwarded(&s->ring, (size_t)(k->to - s->ring.forwarded));
	s->n_skips--;
	memmove(k, k + 1, s->n_skips * sizeof(*k));
	return 0;
}

/*
 * What is framed, less a fence that is not complete: whether it answers one
 * of ours is known at its end, and not a byte of it may be out by then.
 */
static const uint8_t *
span_to_send(const struct session *s, size_t *len)
{
	const uint8_t *p = ring_span(&s->ring, len);

	if (s->is_fence_open)
		*len = (size_t)(s->message_at - s->ring.forwarded);
	return p;
}

/* Sends what is framed. Returns 0 or ERR_IO. */
static int
forward(struct session *s)
{
	size_t len, go;
	ssize_t n;

	for (;;) {
		const uint8_t *p = span_to_send(s, &len);
		unsigned skips = s->n_skips;

		if (len == 0)
			return 0;
		go = until_skip(s, len);
		if (go == 0) {
			if (s->n_skips == skips)
				return 0;
			continue;
		}
		n = side_send(&s->viewer, p, go);
		if (n < 0)
			return (int)n;
		ring_forwarded(&s->ring, (size_t)n);
		if ((size_t)n < go)
			return 0;
	}
}

void
pump_to_viewer(struct session *s)
{
	int rc = side_flush(&s->viewer);
	size_t left;

	if (rc == 0 && buf_len(&s->viewer.out) == 0 &&
	    !side_wants_write(&s->viewer))
		rc = forward(s);
	if (rc != 0) {
		session_end(s, "normal", "the viewer closed the connection");
		return;
	}
	span_to_send(s, &left);
	if (left > 0 || side_wants_write(&s->viewer))
		event_add(s->viewer.writable, NULL);
	ring_idle(&s->ring);
	if (s->is_stalled) {
		ring_room(&s->ring, &left);
		if (left > 0)
			event_active(s->endpoint.readable, EV_READ, 0);
	}
}

/* ---- technician -> endpoint ---- */

static int
to_endpoint(struct session *s, const void *data, size_t len)
{
	return buf_append(&s->endpoint.out, data, len);
}

static int
on_set_encodings(struct session *s, const struct rfb_client_event *ev)
{
	uint8_t out[4 + 4 * RFB_MAX_ENCODINGS];
	struct rfb_encodings_offer offer;
	ssize_t n = rfb_set_encodings_narrow(
	    ev->bytes, ev->len, &s->encodings_policy, out, sizeof(out), &offer);

	if (n < 0)
		return (int)n;
	s->viewer_has_fence = offer.has_fence_and_continuous;
	rfb_format_switch_set_fence(
	    &s->format, s->viewer_has_fence && s->endpoint_has_fence);
	return to_endpoint(s, out, (size_t)n);
}

static int
on_set_format(struct session *s, const struct rfb_client_event *ev)
{
	uint8_t fence[RFB_FORMAT_FENCE_LEN];
	size_t fence_len;
	int rc = rfb_format_switch_on_set_format(
	    &s->format, &ev->pixel_format, fence, &fence_len);

	if (rc == 0 && fence_len != 0)
		rc = to_endpoint(s, fence, fence_len);
	return rc != 0 ? rc : to_endpoint(s, ev->bytes, ev->len);
}

static int
on_client_message(void *arg, const struct rfb_client_event *ev)
{
	struct session *s = arg;

	if (ev->is_vendor)
		return 0;
	switch (ev->type) {
	case RFB_SET_PIXEL_FORMAT:
		return on_set_format(s, ev);
	case RFB_SET_ENCODINGS:
		return on_set_encodings(s, ev);
	case RFB_FRAMEBUFFER_UPDATE_REQUEST:
		rfb_format_switch_on_request(&s->format);
		break;
	case RFB_ENABLE_CONTINUOUS_UPDATES:
		rfb_format_switch_on_continuous(
		    &s->format, ev->continuous.enable);
		break;
	case RFB_KEY_EVENT:
		s->n_keys++;
		break;
	case RFB_POINTER_EVENT:
		s->n_pointers++;
		break;
	case RFB_SET_DESKTOP_SIZE:
		if (s->encodings_policy.is_ultravnc)
			return 0;
		break;
	case RFB_QEMU:
		if (ev->qemu.subtype != RFB_QEMU_EXT_KEY)
			return 0;
		s->n_keys++;
		break;
	case RFB_CLIENT_CUT_TEXT:
	case RFB_CLIENT_FENCE:
		break;
	default:
		return 0; /* power control and whatever comes: not forwarded */
	}
	return to_endpoint(s, ev->bytes, ev->len);
}

static void
viewer_failed(struct session *s, int rc)
{
	char reason[200];

	if (rc == ERR_EOF || rc == ERR_IO) {
		session_end(s, "normal", "the viewer closed the connection");
		return;
	}
	snprintf(reason, sizeof(reason), "the viewer broke the protocol: %s",
	    rfb_client_messages_why(s->client_messages));
	session_end(s, "error", reason);
}

void
pump_from_viewer(struct session *s)
{
	struct loop *l = s->loop;
	size_t budget = SESSION_PUMP_MAX, most = 0;
	ssize_t n = 1;
	int rc = 0;

	session_ref(s);
	while (rc == 0 && budget > 0 && s->state == SESSION_RUNNING &&
	    buf_len(&s->endpoint.out) < OUT_HIGH) {
		n = side_recv(&s->viewer, l->scratch, sizeof(l->scratch));
		if (n <= 0)
			break;
		budget -= min_size(budget, (size_t)n);
		most = (size_t)n > most ? (size_t)n : most;
		rc = rfb_client_messages_feed(
		    s->client_messages, l->scratch, (size_t)n);
	}
	if (s->state == SESSION_RUNNING)
		pump_to_endpoint(s);
	if (s->state == SESSION_RUNNING && rc != 0)
		viewer_failed(s, rc);
	else if (s->state == SESSION_RUNNING && n < 0 && n != ERR_AGAIN)
		viewer_failed(s, (int)n);
	else if (s->state == SESSION_RUNNING && n > 0 && s->viewer.is_reading)
		/* not read to the end: TLS may hold what no event reports */
		event_active(s->viewer.readable, EV_READ, 0);
	wipe(l->scratch, most); /* key strokes */
	session_unref(s);
}

void
pump_to_endpoint(struct session *s)
{
	size_t left;

	if (side_flush(&s->endpoint) != 0) {
		endpoint_failed(s, ERR_IO);
		return;
	}
	left = buf_len(&s->endpoint.out);
	/* small ones stay: no allocation a key stroke */
	if (left == 0 && s->endpoint.out.cap > OUT_KEEP)
		buf_release(&s->endpoint.out);
	if (left >= OUT_HIGH) {
		side_read(&s->viewer, false);
	} else if (left <= OUT_LOW && !s->viewer.is_reading) {
		side_read(&s->viewer, true);
		if (side_has_buffered(&s->viewer))
			event_active(s->viewer.readable, EV_READ, 0);
	}
}

/* ---- start ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	session_ref(s);
	session_record_tick(s);
	/* a ring of marks that was full has no event of its own */
	if (s->state == SESSION_RUNNING && s->is_stalled)
		pump_from_endpoint(s);
	session_unref(s);
}

/* What the endpoint sent right behind its ServerInit begins the stream. */
static int
take_early_bytes(struct session *s)
{
	size_t room, len = buf_len(&s->endpoint.in);
	uint8_t *p;

	if (len == 0)
		return 0;
	p = ring_room(&s->ring, &room);
	if (p == NULL || room < len)
		return ERR_NOMEM;
	memcpy(p, buf_head(&s->endpoint.in), len);
	ring_received(&s->ring, len);
	if (rfb_framer_feed(s->framer, p, len) != 0)
		return ERR_PROTOCOL;
	ring_framed(&s->ring, rfb_framer_checked_offset(s->framer));
	return 0;
}

void
pump_start(struct session *s)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(s->endpoint_handshake);
	struct timeval second = { 1, 0 };

	s->framer = rfb_framer_new(
	    init->width, init->height, &init->pf, on_framer_event, s);
	s->client_messages = rfb_client_messages_new(on_client_message, s);
	s->encodings_policy.is_ultravnc =
	    rfb_handshake_client_is_ultra(s->endpoint_handshake);
	if (s->framer == NULL || s->client_messages == NULL) {
		session_end(s, "error", "the relay is out of memory");
		return;
	}
	rfb_format_switch_init(&s->format, &init->pf);
	s->endpoint.out.limit = TO_ENDPOINT_MAX;
	log_info("session_start", LOG_S("session", s->id),
	    LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint),
	    LOG_S("client", s->client_addr), LOG_U("width", init->width),
	    LOG_U("height", init->height),
	    LOG_S(
		"security", rfb_handshake_client_chosen(s->endpoint_handshake)),
	    LOG_S("recorded", s->is_recorded ? "yes" : "no"));
	atomic_fetch_add(&s->loop->relay->stats.sessions, 1);
	rfb_handshake_server_free(s->viewer_handshake);
	rfb_handshake_client_free(s->endpoint_handshake);
	s->viewer_handshake = NULL;
	s->endpoint_handshake = NULL;
	session_set_state(s, SESSION_RUNNING, s->account.max_session_s);
	if (s->has_recorder) {
		/* standing still is counted from now, not from the epoch */
		s->watch_since_ns = clock_mono_ns();
		s->tick = event_new(s->loop->base, -1, EV_PERSIST, on_tick, s);
		if (s->tick == NULL || event_add(s->tick, &second) != 0) {
			session_end(s, "error", "the relay is out of memory");
			return;
		}
	}
	/* both sides may have sent more than their handshakes took */
	if (take_early_bytes(s) != 0) {
		endpoint_failed(s, ERR_PROTOCOL);
		return;
	}
	buf_release(&s->endpoint.in);
	if (buf_len(&s->viewer.in) > 0 &&
	    rfb_client_messages_feed(s->client_messages,
		buf_head(&s->viewer.in), buf_len(&s->viewer.in)) != 0) {
		viewer_failed(s, ERR_PROTOCOL);
		return;
	}
	buf_release(&s->viewer.in);
	if (side_flush(&s->viewer) != 0) {
		session_end(s, "normal", "the viewer closed the connection");
		return;
	}
	side_read(&s->viewer, true);
	if (side_has_buffered(&s->viewer))
		event_active(s->viewer.readable, EV_READ, 0);
	pump_to_endpoint(s);
	if (s->state == SESSION_RUNNING)
		pump_from_endpoint(s);
}
