/* Where bytes begin to go both ways, and where they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/draw/banner.h"
#include "relay/pump/pump_internal.h"
#include "rfb/handshake_server.h"

/* a cut text of the greatest size, and what may be before it */
#define TO_ENDPOINT_MAX (RFB_MAX_CUT_TEXT + 512 * 1024)
#define DRAIN_NS        (2 * NS_PER_S)

int
pump_timer(
    struct session *s, struct event **timer, event_callback_fn fn, uint64_t ns)
{
	struct timeval tv = { (time_t)(ns / NS_PER_S),
		(suseconds_t)(ns % NS_PER_S / 1000) };

	if (*timer == NULL)
		*timer = evtimer_new(s->loop->base, fn, s);
	if (*timer == NULL || event_add(*timer, &tv) != 0)
		return ERR_NOMEM;
	return 0;
}

/* ---- end ---- */

static void
describe_end(
    struct session *s, ssize_t rc, const char **code, char *reason, size_t size)
{
	const char *why =
	    s->pump.why != NULL ? s->pump.why : rfb_framer_why(s->framer);

	*code = "error";
	if (rc == ERR_PROTOCOL && s->pump.why != NULL) {
		snprintf(reason, size, "the endpoint cannot be shown: %s", why);
	} else if (rc == ERR_PROTOCOL) {
		snprintf(
		    reason, size, "the endpoint broke the protocol: %s", why);
	} else if (rc == ERR_NOMEM) {
		snprintf(reason, size, "the relay is out of memory");
	} else {
		*code = "endpoint";
		snprintf(reason, size, "the endpoint %s",
		    session_endpoint_why(s, rc == ERR_EOF));
	}
}

void
pump_drained(struct session *s)
{
	session_end(s, s->pump.end_code, s->pump.end_reason);
}

static void
on_drain_time(evutil_socket_t fd, short what, void *arg)
{
	pump_drained(arg);
}

/* What the technician has not got yet is still his, for a short while. */
static void
drain(struct session *s, const char *code, const char *reason)
{
	struct pump *p = &s->pump;

	p->end_reason = strdup(reason);
	if (p->end_reason == NULL ||
	    pump_timer(s, &p->drain_timer, on_drain_time, DRAIN_NS) != 0) {
		session_end(s, code, reason);
		return;
	}
	p->end_code = code;
	p->is_stalled = false; /* nothing is read any more */
	channel_read(&s->endpoint, false);
	pump_to_viewer(s);
}

void
pump_endpoint_failed(struct session *s, ssize_t rc)
{
	char reason[200];
	const char *code;

	if (s->state != SESSION_RUNNING || pump_is_draining(s))
		return;
	describe_end(s, rc, &code, reason, sizeof(reason));
	drain(s, code, reason);
}

bool
pump_may_part(const struct session *s)
{
	uint64_t offset;

	return pump_is_draining(s) || pump_is_between(s, &offset);
}

void
pump_part(struct session *s, const char *code, const char *reason)
{
	uint64_t offset;

	if (pump_is_draining(s)) {
		session_end(s, code, reason);
		return;
	}
	pump_let_go(s);
	/* in the middle of a message nothing can be inserted any more */
	if (pump_is_between(s, &offset) &&
	    session_show_banner(s, reason, 0) == 0)
		s->pump.is_parting = true;
	if (s->state == SESSION_RUNNING)
		drain(s, code, reason);
}

static void
free_timer(struct event **timer)
{
	if (*timer != NULL)
		event_free(*timer);
	*timer = NULL;
}

void
pump_release(struct session *s)
{
	struct pump *p = &s->pump;

	free_timer(&p->drain_timer);
	free_timer(&p->settle_timer);
	free_timer(&p->probe_timer);
	free_timer(&p->sw.timer);
	free_timer(&p->pace_timer);
	free_timer(&p->meter_timer);
	free_timer(&p->banner_timer);
	free_timer(&p->clipboard.timer);
	free_timer(&p->format.timer);
	free_timer(&p->format.deadline);
	free_timer(&p->cover.timer);
	pump_cover_drop_input(s);
	free(p->end_reason);
	free(p->banner_text);
	p->end_reason = p->banner_text = NULL;
	banner_free(p->banner);
	p->banner = NULL;
	edits_release(&p->edits);
	view_release(&p->view);
	buf_release(&p->offer);
	buf_release(&p->screens);
	wipe(&p->held, sizeof(p->held));
}

/* ---- start ---- */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	session_record_tick(s);
	if (s->state == SESSION_RUNNING)
		session_clocks_set(s);
	/* a ring of marks that was full has no event of its own */
	if (s->state == SESSION_RUNNING && s->pump.is_stalled)
		pump_from_endpoint(s);
	if (s->state == SESSION_RUNNING) {
		channel_shrink(&s->viewer);
		channel_shrink(&s->endpoint);
	}
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

/* Before any request: every picture is drawn in it. */
static int
ask_for_format(struct session *s, const struct rfb_pixel_format *pf)
{
	uint8_t m[4 + RFB_PIXEL_FORMAT_LEN] = { RFB_SET_PIXEL_FORMAT };

	rfb_pixel_format_write(pf, m + 4);
	return pump_send(s, m, sizeof(m));
}

static int
init(struct session *s, const struct rfb_server_init *init)
{
	struct pump *p = &s->pump;

	s->framer = rfb_framer_new(
	    init->width, init->height, &init->pf, pump_framer_event, s);
	s->client_messages = rfb_client_messages_new(pump_client_message, s);
	s->encodings_policy.is_ultravnc =
	    rfb_handshake_client_is_ultra(s->endpoint_handshake);
	rfb_format_switch_init(&s->format, &init->pf, s->ring.tee != NULL);
	s->endpoint.out.limit = TO_ENDPOINT_MAX;
	if (init->is_own_format_unknown && ask_for_format(s, &init->pf) != 0)
		return ERR_NOMEM;
	edits_init(&p->edits);
	buf_init(&p->offer, 4 + 4 * RFB_MAX_ENCODINGS);
	buf_init(&p->screens, 4 + 16 * RFB_MAX_SCREENS);
	pump_cover_drop_input(s);
	p->hold_at = PUMP_NOTHING_HELD;
	p->has_wish = s->name.monitor != 0;
	pace_set(&p->pace, s->rate);
	p->is_rate_mark_due = s->rate != 0;
	if (s->framer == NULL || s->client_messages == NULL)
		return ERR_NOMEM;
	return view_init(&p->view, init->width, init->height);
}

static int
start_tick(struct session *s)
{
	struct timeval second = { 1, 0 };

	/* standing still is counted from now, not from the epoch */
	s->watch_since_ns = clock_mono_ns();
	s->tick = event_new(s->loop->base, -1, EV_PERSIST, on_tick, s);
	if (s->tick == NULL || event_add(s->tick, &second) != 0)
		return ERR_NOMEM;
	return 0;
}

/* Both sides may have sent more than their handshakes took. Returns false
 * when the session is over. */
static bool
begin_both(struct session *s)
{
	if (take_early_bytes(s) != 0) {
		pump_endpoint_failed(s, ERR_PROTOCOL);
		return false;
	}
	buf_release(&s->endpoint.in);
	if (buf_len(&s->viewer.in) > 0 &&
	    rfb_client_messages_feed(s->client_messages,
		buf_head(&s->viewer.in), buf_len(&s->viewer.in)) != 0) {
		pump_viewer_failed(s, ERR_PROTOCOL);
		return false;
	}
	buf_release(&s->viewer.in);
	if (channel_flush(&s->viewer) != 0) {
		session_end(s, "normal", session_viewer_why(s));
		return false;
	}
	return true;
}

static void
log_start(struct session *s, const struct rfb_server_init *init)
{
	log_info("session_start", LOG_S("session", s->id),
	    LOG_S("person", s->name.person),
	    LOG_S("endpoint", s->name.endpoint),
	    LOG_S("client", s->client_addr), LOG_U("width", init->width),
	    LOG_U("height", init->height),
	    LOG_S(
		"security", rfb_handshake_client_chosen(s->endpoint_handshake)),
	    LOG_S("recorded", s->is_recorded ? "yes" : "no"));
	atomic_fetch_add(&s->loop->relay->stats.sessions, 1);
}

void
pump_start(struct session *s)
{
	const struct rfb_server_init *server =
	    rfb_handshake_client_init(s->endpoint_handshake);

	if (init(s, server) != 0) {
		session_end(s, "error", "the relay is out of memory");
		return;
	}
	log_start(s, server);
	rfb_handshake_server_free(s->viewer_handshake);
	rfb_handshake_client_free(s->endpoint_handshake);
	s->viewer_handshake = NULL;
	s->endpoint_handshake = NULL;
	session_set_state(s, SESSION_RUNNING, s->account.max_session_s);
	if (start_tick(s) != 0) {
		session_end(s, "error", "the relay is out of memory");
		return;
	}
	if (!begin_both(s))
		return;
	channel_read(&s->viewer, true);
	if (channel_has_buffered(&s->viewer))
		channel_wake(&s->viewer);
	pump_cover_start(s);
	pump_to_endpoint(s);
	if (s->state == SESSION_RUNNING)
		pump_from_endpoint(s);
}
