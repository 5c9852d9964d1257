/* From the endpoint to the technician: the hot path. */

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

#define PIECE_MAX (8 * TRANSPORT_RECORD_LEN)

/* ---- reading ---- */

/* Bytes from `published` on arrived now. */
static void
mark_time(struct session *s)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME,
		.mono_ns = clock_mono_ns() };

	if (m.mono_ns - s->last_mark_ns < TEE_TIME_NS ||
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
	s->pump.is_stalled = true;
	channel_read(&s->endpoint, false);
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
	measure_read(s, s->pump.looked_ns);
	return rc != 0 ? ERR_PROTOCOL : 0;
}

static void
go_on_reading(struct session *s)
{
	s->pump.is_stalled = false;
	channel_read(&s->endpoint, true);
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
	room = min_size(room,
	    meter_is_low(&s->pump.meter) ? TRANSPORT_RECORD_LEN : PIECE_MAX);
	while (n < room && rc > 0) {
		rc = channel_recv(&s->endpoint, p + n, room - n);
		if (rc > 0)
			n += (size_t)rc;
	}
	*got = n;
	if (n > 0) {
		if (s->has_recorder)
			mark_time(s);
		if (take_new(s, p, n) != 0)
			return ERR_PROTOCOL;
		session_device_progress(s, false);
	}
	return rc < 0 ? (int)rc : 0;
}

/* Room for more bytes, and for what has to be said about them. */
static size_t
room_left(struct session *s)
{
	size_t room;

	if (edits_is_full(&s->pump.edits))
		return 0;
	ring_room(&s->ring, &room);
	return room;
}

/* Is there no room for more, and nobody else to look for some? */
static bool
is_full(struct session *s)
{
	if (room_left(s) > 0)
		return false;
	stall(s);
	if (room_left(s) == 0)
		return true;
	go_on_reading(s);
	return false;
}

static void
on_meter_time(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == SESSION_RUNNING)
		pump_from_endpoint(s);
}

/* It drew more than there was time for: the rest waits in its socket. */
static bool
is_early(struct session *s)
{
	uint64_t ns;

	s->pump.looked_ns = clock_mono_ns();
	ns = meter_wait(&s->pump.meter, s->pump.looked_ns);
	if (ns == 0)
		return false;
	s->pump.is_stalled = true;
	channel_read(&s->endpoint, false);
	return pump_timer(s, &s->pump.meter_timer, on_meter_time, ns) == 0;
}

/* What the bytes just read have brought about. */
static void
after_reading(struct session *s)
{
	if (s->state == SESSION_RUNNING && buf_len(&s->endpoint.out) > 0)
		pump_to_endpoint(s);
	if (s->state == SESSION_RUNNING && s->pump.is_status_due) {
		s->pump.is_status_due = false;
		session_status_changed(s);
	}
}

void
pump_from_endpoint(struct session *s)
{
	size_t budget = SESSION_PUMP_MAX, got;
	int rc = 0;

	if (pump_is_draining(s))
		return;
	go_on_reading(s);
	while (rc == 0 && budget > 0 && s->state == SESSION_RUNNING &&
	    !is_full(s) && !is_early(s)) {
		rc = read_piece(s, &got);
		budget -= min_size(budget, got);
		session_record_check(s);
		/* what came before the end is still forwarded */
		if (s->state == SESSION_RUNNING)
			pump_to_viewer(s);
	}
	after_reading(s);
	if (s->state == SESSION_RUNNING && rc != 0 && rc != ERR_AGAIN)
		pump_endpoint_failed(s, rc);
	else if (s->state == SESSION_RUNNING && rc == 0 && !s->pump.is_stalled)
		/* others first, then more of this one */
		channel_wake(&s->endpoint);
}

/* ---- forwarding ---- */

/* The end of what may be forwarded, a stream offset. */
static uint64_t
free_until(const struct session *s)
{
	return min_u64(s->ring.framed, s->pump.hold_at);
}

/* Sends len bytes of the ring. Returns 1 (go on), 0 (no room) or ERR_IO. */
static int
send_ring(struct session *s, size_t len)
{
	size_t all;
	const uint8_t *p = ring_span(&s->ring, &all);
	ssize_t n = channel_send(&s->viewer, p, len);

	if (n < 0)
		return (int)n;
	ring_forwarded(&s->ring, (size_t)n);
	return (size_t)n == len;
}

static int
send_bytes(struct session *s, const uint8_t *p, size_t len)
{
	ssize_t n = channel_send(&s->viewer, p, len);

	if (n < 0)
		return (int)n;
	edits_sent(&s->pump.edits, (size_t)n);
	return (size_t)n == len;
}

/* One step where there are edits. Returns as above; 0 also when all is
 * sent. */
static int
forward_edited(struct session *s)
{
	struct edits_span span =
	    edits_next(&s->pump.edits, s->ring.forwarded, free_until(s));

	switch (span.step) {
	case EDITS_RING:
		return send_ring(s, span.len);
	case EDITS_BYTES:
		return send_bytes(s, span.bytes, span.len);
	case EDITS_SKIP:
		ring_forwarded(&s->ring, span.len);
		return 1;
	case EDITS_WAIT:
		break;
	}
	return 0;
}

/* Sends what is framed. Returns 0 or ERR_IO. */
static int
forward(struct session *s)
{
	int rc = 1;

	while (rc > 0) {
		size_t len = (size_t)(free_until(s) - s->ring.forwarded);

		if (!edits_is_empty(&s->pump.edits))
			rc = forward_edited(s);
		else if (len > 0)
			rc = send_ring(s, len);
		else
			rc = 0;
	}
	return rc;
}

/* Something could go to the viewer if it took more. */
static bool
has_output(struct session *s)
{
	if (channel_wants_write(&s->viewer) || buf_len(&s->viewer.out) > 0)
		return true;
	if (edits_is_empty(&s->pump.edits))
		return free_until(s) > s->ring.forwarded;
	return edits_next(&s->pump.edits, s->ring.forwarded, free_until(s))
		   .step != EDITS_WAIT;
}

static int
flush(struct session *s)
{
	int rc = channel_flush(&s->viewer);

	if (rc == 0 && buf_len(&s->viewer.out) == 0 &&
	    !channel_wants_write(&s->viewer))
		rc = forward(s);
	return rc;
}

void
pump_to_viewer(struct session *s)
{
	uint64_t offset;
	int rc = flush(s);

	/* a banner that had to wait for a slow viewer */
	if (rc == 0 && s->pump.is_banner_due &&
	    edits_is_empty(&s->pump.edits) && pump_is_between(s, &offset) &&
	    pump_banner_boundary(s, offset) == 0)
		rc = flush(s);
	if (rc != 0) {
		session_end(s, "normal", session_viewer_why(s));
		return;
	}
	measure_forwarded(s);
	if (has_output(s)) {
		event_add(s->viewer.writable, NULL);
	} else if (pump_is_draining(s) && !s->pump.is_parting) {
		pump_drained(s);
		return;
	}
	ring_idle(&s->ring);
	if (s->pump.is_stalled && room_left(s) > 0)
		channel_wake(&s->endpoint);
}
