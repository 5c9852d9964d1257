/*
 * The recording shows what happens at the endpoint, not what the viewer
 * cares to ask for (T1, X2). While a session is recorded, all that is
 * recorded is asked for: by the viewer, as every usual one does after each
 * update, or else by the relay, after TICK_NS to 2 * TICK_NS.
 *
 *   covered ....... one request for all of it is not answered, or continuous
 *                   updates of all of it are on
 *   input ......... waits until a picture has come after all was asked for
 *                   (at most INPUT_WAITS ticks: a screen that sleeps sends
 *                   none before a key is pressed), and while the viewer does
 *                   not read and nothing is asked for
 *   a viewer that has never asked for anything gets no picture; the endpoint
 *                   is offered stateless encodings until it asks, so that
 *                   leaving out updates spoils no zlib stream
 *
 * A viewer that has asked once gets what the relay asks for, too: rectangles
 * cannot be taken out of the zlib streams.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/pump/pump_internal.h"

#define TICK_NS     (150 * NS_PER_MS)
#define INPUT_WAITS 33
#define INPUT_MAX   (256 * 1024)
#define LENGTH_LEN  4 /* in front of each message that waits */

static bool
is_recorded(const struct session *s)
{
	return (s->is_recorded || s->is_recording) &&
	    (s->has_recorder || s->device.is_on || s->restart != RESTART_NONE);
}

/* All that is recorded, of the framebuffer. */
static struct view_area
recorded_area(const struct session *s)
{
	return view_region(&s->pump.view, view_seen(&s->pump.view));
}

static bool
holds(struct view_area outer, struct view_area inner)
{
	return outer.x <= inner.x && outer.y <= inner.y &&
	    outer.x + outer.w >= inner.x + inner.w &&
	    outer.y + outer.h >= inner.y + inner.h;
}

static bool
is_covered(const struct session *s)
{
	return s->pump.cover.is_asked ||
	    (s->pump.is_continuous &&
		holds(s->pump.cover.continuous, recorded_area(s)));
}

static void on_time(evutil_socket_t fd, short what, void *arg);

static int
arm(struct session *s)
{
	struct pump_cover *c = &s->pump.cover;

	if (c->is_armed || !is_recorded(s))
		return 0;
	c->is_armed = true;
	c->was_covered = false;
	return pump_timer(s, &c->timer, on_time, TICK_NS);
}

/* ---- input ---- */

static bool
must_wait(const struct session *s)
{
	const struct pump_cover *c = &s->pump.cover;

	return is_recorded(s) &&
	    (c->is_behind || (!c->has_picture && c->n_waits < INPUT_WAITS));
}

static int
release_input(struct session *s)
{
	struct pump_cover *c = &s->pump.cover;
	const uint8_t *p, *end;
	int rc = 0;

	if (buf_len(&c->input) == 0 || must_wait(s))
		return 0;
	p = buf_head(&c->input);
	end = p + buf_len(&c->input);
	for (size_t len; rc == 0 && p < end; p += LENGTH_LEN + len) {
		len = load_be32(p);
		rc = pump_pass_input(s, p + LENGTH_LEN, len);
	}
	pump_cover_drop_input(s);
	return rc;
}

bool
pump_cover_holds_input(const struct session *s)
{
	return must_wait(s);
}

/* Too much waits: all of it is dropped, and nothing stays down. */
static int
drop_overflow(struct session *s)
{
	log_warn("input_dropped", LOG_S("session", s->id),
	    LOG_U("bytes", buf_len(&s->pump.cover.input)));
	pump_cover_drop_input(s);
	return pump_release_input(s);
}

int
pump_cover_input(struct session *s, const void *message, size_t len)
{
	struct buf *b = &s->pump.cover.input;
	uint8_t head[LENGTH_LEN];
	int rc = 0;

	if (!must_wait(s) ||
	    (buf_len(b) == 0 &&
		held_input_lets_go(&s->pump.held, message, len)))
		return pump_pass_input(s, message, len);
	if (len > INPUT_MAX - LENGTH_LEN) { /* a text */
		log_warn("input_dropped", LOG_S("session", s->id),
		    LOG_U("bytes", len));
		return 0;
	}
	if (buf_len(b) + LENGTH_LEN + len > INPUT_MAX)
		rc = drop_overflow(s);
	store_be32(head, (uint32_t)len);
	if (rc == 0)
		rc = buf_append(b, head, LENGTH_LEN);
	return rc != 0 ? rc : buf_append(b, message, len);
}

void
pump_cover_drop_input(struct session *s)
{
	struct buf *b = &s->pump.cover.input;

	if (b->data != NULL)
		wipe(b->data, b->cap); /* key strokes */
	buf_release(b);
	buf_init(b, INPUT_MAX);
}

/* ---- what is asked for ---- */

void
pump_cover_start(struct session *s)
{
	if (arm(s) != 0)
		session_end(s, "error", "the relay is out of memory");
}

void
pump_cover_request(struct session *s, bool incremental, struct view_area a)
{
	struct pump_cover *c = &s->pump.cover;

	if (!holds(a, recorded_area(s)))
		return;
	c->is_asked = c->was_asked = c->was_covered = true;
	c->has_asked |= !incremental;
}

struct view_area
pump_cover_area(const struct session *s, struct view_area a)
{
	return is_recorded(s) ? recorded_area(s) : a;
}

int
pump_cover_update(struct session *s)
{
	struct pump_cover *c = &s->pump.cover;

	c->is_asked = false;
	return is_covered(s) ? 0 : arm(s);
}

int
pump_cover_picture(struct session *s)
{
	struct pump_cover *c = &s->pump.cover;

	c->has_picture |= c->was_asked;
	return release_input(s);
}

void
pump_cover_resize(struct session *s)
{
	s->pump.cover.is_asked = false;
	pump_cover_start(s);
}

/* ---- a viewer that does not ask ---- */

/* What comes is left out from the next update on. */
static int
hide(struct session *s)
{
	s->pump.cover.is_hidden = true;
	s->encodings_policy.stateless_only = true;
	pump_watch(s);
	return pump_send_offer(s);
}

int
pump_cover_viewer_asks(struct session *s)
{
	struct pump *p = &s->pump;

	p->cover.has_viewer_asked = true;
	p->cover.is_behind = false;
	if (!p->cover.is_hidden)
		return 0;
	p->cover.is_hidden = false;
	if (!p->are_streams_lost)
		s->encodings_policy.stateless_only = false;
	pump_watch(s);
	return pump_send_offer(s);
}

/* Has the viewer not read what it was sent? */
static bool
has_backlog(const struct session *s)
{
	int unread = 0;

	if (s->ring.forwarded < s->ring.framed || buf_len(&s->viewer.out) > 0)
		return true;
	return ioctl(s->viewer.transport.fd, SIOCOUTQ, &unread) == 0 &&
	    unread > 0;
}

static int
ask(struct session *s)
{
	struct pump *p = &s->pump;
	struct pump_cover *c = &p->cover;
	struct view_area a = recorded_area(s);
	int rc = 0;

	/* the viewer's own rate is kept, by a request for all of it */
	if (pace_is_on(&p->pace) && c->has_viewer_asked)
		return pump_pace_request(s, c->has_asked, view_seen(&p->view));
	c->is_behind = c->has_viewer_asked && has_backlog(s) && !p->is_withheld;
	if (c->is_behind)
		return 0;
	/* Xvnc ignores incremental requests while they are on */
	if (p->is_continuous)
		return pump_send_continuous(s, true, a);
	if (!c->has_viewer_asked && !c->is_hidden)
		rc = hide(s);
	return rc != 0 ? rc : pump_send_request(s, c->has_asked, a);
}

/* Is it the relay's turn, and may it ask now? */
static bool
is_due(const struct session *s)
{
	return !is_covered(s) && !s->pump.cover.was_covered &&
	    !s->pump.format.is_held && !s->pump.sw.is_active;
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;
	struct pump_cover *c = &s->pump.cover;
	int rc = 0;

	c->is_armed = false;
	if (pump_is_draining(s) || !is_recorded(s))
		return;
	c->n_waits += !c->has_picture;
	if (is_due(s))
		rc = ask(s);
	if (rc == 0 && is_covered(s))
		c->is_behind = false;
	if (rc == 0)
		rc = release_input(s);
	if (rc == 0 &&
	    (!is_covered(s) || (!c->has_picture && c->n_waits < INPUT_WAITS)))
		rc = arm(s);
	if (rc != 0)
		session_end(s, "error", "the relay is out of memory");
	else
		pump_settle(s);
}
