/* From the endpoint to the technician: the hot path. */

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

#define PIECE_MAX (8 * TRANSPORT_RECORD_LEN)

/* ---- reading ---- */

/* Bytes from `published` on arrived now. */
static void
mark_time(struct pump *p)
{
	struct tee_mark m = { .kind = TEE_MARK_TIME,
		.mono_ns = clock_mono_ns() };

	if (m.mono_ns - p->last_mark_ns < TEE_TIME_NS ||
	    tee_writer_marks_free(p->ring.tee) < TEE_MARKS_RESERVED)
		return;
	p->last_mark_ns = m.mono_ns;
	m.offset = tee_writer_get_published(p->ring.tee);
	tee_writer_mark(p->ring.tee, &m);
}

/* The ring is full: whoever makes room resumes us. */
static void
stall(struct pump *p)
{
	p->is_stalled = true;
	channel_read(&p->endpoint, false);
	if (p->has_recorder)
		tee_writer_want_room(p->ring.tee, p->conf.room_bytes);
}

/* Checks n new bytes: what is whole may be forwarded and recorded. */
static int
take_new(struct pump *p, const uint8_t *data, size_t n)
{
	int rc;

	ring_received(&p->ring, n);
	rc = rfb_framer_feed(p->framer, data, n);
	/* what was right before an error is still recorded */
	ring_framed(&p->ring, rfb_framer_checked_offset(p->framer));
	pump_measure_read(p, p->looked_ns);
	return rc != 0 ? ERR_PROTOCOL : 0;
}

static void
go_on_reading(struct pump *p)
{
	p->is_stalled = false;
	channel_read(&p->endpoint, true);
}

/*
 * Reads into the ring what fits, at most PIECE_MAX: more would only push the
 * bytes out of the cache before they are forwarded. *got: bytes. Returns 0
 * (there may be more), ERR_AGAIN, or why there will never be more.
 */
static int
read_piece(struct pump *p, size_t *got)
{
	size_t room, n = 0;
	uint8_t *data = ring_room(&p->ring, &room);
	ssize_t rc = 1;

	*got = 0;
	if (data == NULL)
		return ERR_NOMEM;
	room = min_size(
	    room, meter_is_low(&p->meter) ? TRANSPORT_RECORD_LEN : PIECE_MAX);
	while (n < room && rc > 0) {
		rc = channel_recv(&p->endpoint, data + n, room - n);
		if (rc > 0)
			n += (size_t)rc;
	}
	*got = n;
	if (n > 0) {
		if (p->has_recorder)
			mark_time(p);
		if (take_new(p, data, n) != 0)
			return ERR_PROTOCOL;
		p->conf.ops->changed(p->conf.arg, PUMP_CHANGED_STREAM);
	}
	return rc < 0 ? (int)rc : 0;
}

/* Room for more bytes, and for what has to be said about them. */
static size_t
room_left(struct pump *p)
{
	size_t room;

	if (edits_is_full(&p->edits))
		return 0;
	ring_room(&p->ring, &room);
	return room;
}

/* Is there no room for more, and nobody else to look for some? */
static bool
is_full(struct pump *p)
{
	if (room_left(p) > 0)
		return false;
	stall(p);
	if (room_left(p) == 0)
		return true;
	go_on_reading(p);
	return false;
}

static void
on_meter_time(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;

	if (p->is_running)
		pump_from_endpoint(p);
}

/* It drew more than there was time for: the rest waits in its socket. */
static bool
is_early(struct pump *p)
{
	uint64_t ns;

	p->looked_ns = clock_mono_ns();
	ns = meter_wait(&p->meter, p->looked_ns);
	if (ns == 0)
		return false;
	p->is_stalled = true;
	channel_read(&p->endpoint, false);
	return pump_timer(p, &p->meter_timer, on_meter_time, ns) == 0;
}

/* What the bytes just read have brought about. */
static void
after_reading(struct pump *p)
{
	if (p->is_running && buf_len(&p->endpoint.out) > 0)
		pump_to_endpoint(p);
	if (p->is_running && p->is_status_due) {
		p->is_status_due = false;
		p->conf.ops->changed(p->conf.arg, PUMP_CHANGED_STATUS);
	}
}

void
pump_from_endpoint(struct pump *p)
{
	size_t budget = PUMP_TURN_MAX, got;
	int rc = 0;

	if (pump_is_draining(p))
		return;
	go_on_reading(p);
	while (rc == 0 && budget > 0 && p->is_running && !is_full(p) &&
	    !is_early(p)) {
		rc = read_piece(p, &got);
		budget -= min_size(budget, got);
		p->conf.ops->changed(p->conf.arg, PUMP_CHANGED_MARKS);
		/* what came before the end is still forwarded */
		if (p->is_running)
			pump_to_viewer(p);
	}
	after_reading(p);
	if (p->is_running && rc != 0 && rc != ERR_AGAIN)
		pump_endpoint_failed(p, rc);
	else if (p->is_running && rc == 0 && !p->is_stalled)
		/* others first, then more of this one */
		channel_wake(&p->endpoint);
}

/* ---- forwarding ---- */

/* The end of what may be forwarded, a stream offset. */
static uint64_t
free_until(const struct pump *p)
{
	return min_u64(p->ring.framed, p->hold_at);
}

/* Sends len bytes of the ring. Returns 1 (go on), 0 (no room) or ERR_IO. */
static int
send_ring(struct pump *p, size_t len)
{
	size_t all;
	const uint8_t *data = ring_span(&p->ring, &all);
	ssize_t n = channel_send(&p->viewer, data, len);

	if (n < 0)
		return (int)n;
	ring_forwarded(&p->ring, (size_t)n);
	return (size_t)n == len;
}

static int
send_bytes(struct pump *p, const uint8_t *data, size_t len)
{
	ssize_t n = channel_send(&p->viewer, data, len);

	if (n < 0)
		return (int)n;
	edits_sent(&p->edits, (size_t)n);
	return (size_t)n == len;
}

/* One step where there are edits. Returns as above; 0 also when all is
 * sent. */
static int
forward_edited(struct pump *p)
{
	struct edits_span span =
	    edits_next(&p->edits, p->ring.forwarded, free_until(p));

	switch (span.step) {
	case EDITS_RING:
		return send_ring(p, span.len);
	case EDITS_BYTES:
		return send_bytes(p, span.bytes, span.len);
	case EDITS_SKIP:
		ring_forwarded(&p->ring, span.len);
		return 1;
	case EDITS_WAIT:
		break;
	}
	return 0;
}

/* Sends what is framed. Returns 0 or ERR_IO. */
static int
forward(struct pump *p)
{
	int rc = 1;

	while (rc > 0) {
		size_t len = (size_t)(free_until(p) - p->ring.forwarded);

		if (!edits_is_empty(&p->edits))
			rc = forward_edited(p);
		else if (len > 0)
			rc = send_ring(p, len);
		else
			rc = 0;
	}
	return rc;
}

/* Something could go to the viewer if it took more. */
static bool
has_output(struct pump *p)
{
	if (channel_wants_write(&p->viewer) || buf_len(&p->viewer.out) > 0)
		return true;
	if (edits_is_empty(&p->edits))
		return free_until(p) > p->ring.forwarded;
	return edits_next(&p->edits, p->ring.forwarded, free_until(p)).step !=
	    EDITS_WAIT;
}

static int
flush(struct pump *p)
{
	int rc = channel_flush(&p->viewer);

	if (rc == 0 && buf_len(&p->viewer.out) == 0 &&
	    !channel_wants_write(&p->viewer))
		rc = forward(p);
	return rc;
}

void
pump_to_viewer(struct pump *p)
{
	uint64_t offset;
	int rc = flush(p);

	/* a banner that had to wait for a slow viewer */
	if (rc == 0 && p->is_banner_due && edits_is_empty(&p->edits) &&
	    pump_is_between(p, &offset) && pump_banner_boundary(p, offset) == 0)
		rc = flush(p);
	if (rc != 0) {
		p->conf.ops->ended(p->conf.arg, "normal", pump_viewer_why(p));
		return;
	}
	pump_measure_forwarded(p);
	if (has_output(p)) {
		event_add(p->viewer.writable, NULL);
	} else if (pump_is_draining(p) && !p->is_parting) {
		pump_drained(p);
		return;
	}
	ring_idle(&p->ring);
	if (p->is_stalled && room_left(p) > 0)
		channel_wake(&p->endpoint);
}
