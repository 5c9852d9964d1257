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
is_recorded(const struct pump *p)
{
	return p->conf.ops->is_recorded(p->conf.arg);
}

/* All that is recorded, of the framebuffer. */
static struct view_area
recorded_area(const struct pump *p)
{
	return view_region(&p->view, view_seen(&p->view));
}

static bool
holds(struct view_area outer, struct view_area inner)
{
	return outer.x <= inner.x && outer.y <= inner.y &&
	    outer.x + outer.w >= inner.x + inner.w &&
	    outer.y + outer.h >= inner.y + inner.h;
}

static bool
is_covered(const struct pump *p)
{
	return p->cover.is_asked ||
	    (p->is_continuous && holds(p->cover.continuous, recorded_area(p)));
}

static void on_time(evutil_socket_t fd, short what, void *arg);

static int
arm(struct pump *p)
{
	struct pump_cover *c = &p->cover;

	if (c->is_armed || !is_recorded(p))
		return 0;
	c->is_armed = true;
	c->was_covered = false;
	return pump_timer(p, &c->timer, on_time, TICK_NS);
}

/* ---- input ---- */

static bool
must_wait(const struct pump *p)
{
	const struct pump_cover *c = &p->cover;

	return is_recorded(p) &&
	    (c->is_behind || (!c->has_picture && c->n_waits < INPUT_WAITS));
}

static int
release_input(struct pump *p)
{
	struct pump_cover *c = &p->cover;
	const uint8_t *at, *end;
	int rc = 0;

	if (buf_len(&c->input) == 0 || must_wait(p))
		return 0;
	at = buf_head(&c->input);
	end = at + buf_len(&c->input);
	for (size_t len; rc == 0 && at < end; at += LENGTH_LEN + len) {
		len = load_be32(at);
		rc = pump_pass_input(p, at + LENGTH_LEN, len);
	}
	pump_cover_drop_input(p);
	return rc;
}

bool
pump_cover_holds_input(const struct pump *p)
{
	return must_wait(p);
}

/* Too much waits: all of it is dropped, and nothing stays down. */
static int
drop_overflow(struct pump *p)
{
	log_warn("input_dropped", LOG_S("session", p->conf.id),
	    LOG_U("bytes", buf_len(&p->cover.input)));
	pump_cover_drop_input(p);
	return pump_release_input(p);
}

int
pump_cover_input(struct pump *p, const void *message, size_t len)
{
	struct buf *b = &p->cover.input;
	uint8_t head[LENGTH_LEN];
	int rc = 0;

	if (!must_wait(p) ||
	    (buf_len(b) == 0 && held_input_lets_go(&p->held, message, len)))
		return pump_pass_input(p, message, len);
	if (len > INPUT_MAX - LENGTH_LEN) { /* a text */
		log_warn("input_dropped", LOG_S("session", p->conf.id),
		    LOG_U("bytes", len));
		return 0;
	}
	if (buf_len(b) + LENGTH_LEN + len > INPUT_MAX)
		rc = drop_overflow(p);
	store_be32(head, (uint32_t)len);
	if (rc == 0)
		rc = buf_append(b, head, LENGTH_LEN);
	return rc != 0 ? rc : buf_append(b, message, len);
}

void
pump_cover_drop_input(struct pump *p)
{
	struct buf *b = &p->cover.input;

	if (b->data != NULL)
		wipe(b->data, b->cap); /* key strokes */
	buf_release(b);
	buf_init(b, INPUT_MAX);
}

/* ---- what is asked for ---- */

void
pump_cover_start(struct pump *p)
{
	if (arm(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
}

void
pump_cover_request(struct pump *p, bool incremental, struct view_area a)
{
	struct pump_cover *c = &p->cover;

	if (!holds(a, recorded_area(p)))
		return;
	c->is_asked = c->was_asked = c->was_covered = true;
	c->has_asked |= !incremental;
}

struct view_area
pump_cover_area(const struct pump *p, struct view_area a)
{
	return is_recorded(p) ? recorded_area(p) : a;
}

int
pump_cover_update(struct pump *p)
{
	struct pump_cover *c = &p->cover;

	c->is_asked = false;
	return is_covered(p) ? 0 : arm(p);
}

int
pump_cover_picture(struct pump *p)
{
	struct pump_cover *c = &p->cover;

	c->has_picture |= c->was_asked;
	return release_input(p);
}

void
pump_cover_resize(struct pump *p)
{
	p->cover.is_asked = false;
	pump_cover_start(p);
}

/* ---- a viewer that does not ask ---- */

/* What comes is left out from the next update on. */
static int
hide(struct pump *p)
{
	p->cover.is_hidden = true;
	p->encodings.stateless_only = true;
	pump_watch(p);
	return pump_send_offer(p);
}

int
pump_cover_viewer_asks(struct pump *p)
{

	p->cover.has_viewer_asked = true;
	p->cover.is_behind = false;
	if (!p->cover.is_hidden)
		return 0;
	p->cover.is_hidden = false;
	if (!p->are_streams_lost)
		p->encodings.stateless_only = false;
	pump_watch(p);
	return pump_send_offer(p);
}

/* Has the viewer not read what it was sent? */
static bool
has_backlog(const struct pump *p)
{
	int unread = 0;

	if (p->ring.forwarded < p->ring.framed || buf_len(&p->viewer.out) > 0)
		return true;
	return ioctl(p->viewer.transport.fd, SIOCOUTQ, &unread) == 0 &&
	    unread > 0;
}

static int
ask(struct pump *p)
{
	struct pump_cover *c = &p->cover;
	struct view_area a = recorded_area(p);
	int rc = 0;

	/* the viewer's own rate is kept, by a request for all of it */
	if (pace_is_on(&p->pace) && c->has_viewer_asked)
		return pump_pace_request(p, c->has_asked, view_seen(&p->view));
	c->is_behind = c->has_viewer_asked && has_backlog(p) && !p->is_withheld;
	if (c->is_behind)
		return 0;
	/* Xvnc ignores incremental requests while they are on */
	if (p->is_continuous)
		return pump_send_continuous(p, true, a);
	if (!c->has_viewer_asked && !c->is_hidden)
		rc = hide(p);
	return rc != 0 ? rc : pump_send_request(p, c->has_asked, a);
}

/* Is it the relay's turn, and may it ask now? */
static bool
is_due(const struct pump *p)
{
	return !is_covered(p) && !p->cover.was_covered && !p->format.is_held &&
	    !p->sw.is_active;
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct pump *p = arg;
	struct pump_cover *c = &p->cover;
	int rc = 0;

	c->is_armed = false;
	if (pump_is_draining(p) || !is_recorded(p))
		return;
	c->n_waits += !c->has_picture;
	if (is_due(p))
		rc = ask(p);
	if (rc == 0 && is_covered(p))
		c->is_behind = false;
	if (rc == 0)
		rc = release_input(p);
	if (rc == 0 &&
	    (!is_covered(p) || (!c->has_picture && c->n_waits < INPUT_WAITS)))
		rc = arm(p);
	if (rc != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}
