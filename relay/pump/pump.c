/* Where bytes begin to go both ways, and where they end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/tcp_liveness.h"
#include "relay/draw/banner.h"
#include "relay/pump/pump_internal.h"
#include "rfb/handshake_client.h"

/* a cut text of the greatest size, and what may be before it */
#define TO_ENDPOINT_MAX (RFB_MAX_CUT_TEXT + 512 * 1024)
#define DRAIN_NS        (2 * NS_PER_S)

int
pump_timer(
    struct pump *p, struct event **timer, event_callback_fn fn, uint64_t ns)
{
	struct timeval tv = { (time_t)(ns / NS_PER_S),
		(suseconds_t)(ns % NS_PER_S / 1000) };

	if (*timer == NULL)
		*timer = evtimer_new(p->conf.base, fn, p);
	if (*timer == NULL || event_add(*timer, &tv) != 0)
		return ERR_NOMEM;
	return 0;
}

/* ---- end ---- */

const char *
pump_viewer_why(const struct pump *p)
{
	return tcp_liveness_is_lost(p->viewer.transport.error)
	    ? "the viewer does not answer any more: its machine or network is "
	      "gone"
	    : "the viewer closed the connection";
}

const char *
pump_endpoint_why(const struct pump *p, bool is_orderly)
{
	if (tcp_liveness_is_lost(p->endpoint.transport.error))
		return "does not answer any more: its machine or network is "
		       "gone";
	return is_orderly ? "closed the connection"
			  : "broke the connection off";
}

static void
describe_end(
    struct pump *p, ssize_t rc, const char **code, char *reason, size_t size)
{
	const char *why = p->why != NULL ? p->why : rfb_framer_why(p->framer);

	*code = "error";
	if (rc == ERR_PROTOCOL && p->why != NULL) {
		snprintf(reason, size, "the endpoint cannot be shown: %s", why);
	} else if (rc == ERR_PROTOCOL) {
		snprintf(
		    reason, size, "the endpoint broke the protocol: %s", why);
	} else if (rc == ERR_NOMEM) {
		snprintf(reason, size, "the relay is out of memory");
	} else {
		*code = "endpoint";
		snprintf(reason, size, "the endpoint %s",
		    pump_endpoint_why(p, rc == ERR_EOF));
	}
}

void
pump_drained(struct pump *p)
{
	p->conf.ops->ended(p->conf.arg, p->end_code, p->end_reason);
}

static void
on_drain_time(evutil_socket_t fd, short what, void *arg)
{
	pump_drained(arg);
}

/* What the technician has not got yet is still his, for a short while. */
static void
drain(struct pump *p, const char *code, const char *reason)
{

	p->end_reason = strdup(reason);
	if (p->end_reason == NULL ||
	    pump_timer(p, &p->drain_timer, on_drain_time, DRAIN_NS) != 0) {
		p->conf.ops->ended(p->conf.arg, code, reason);
		return;
	}
	p->end_code = code;
	p->is_stalled = false; /* nothing is read any more */
	channel_read(&p->endpoint, false);
	pump_to_viewer(p);
}

void
pump_endpoint_failed(struct pump *p, ssize_t rc)
{
	char reason[200];
	const char *code;

	if (!p->is_running || pump_is_draining(p))
		return;
	describe_end(p, rc, &code, reason, sizeof(reason));
	drain(p, code, reason);
}

bool
pump_may_part(const struct pump *p)
{
	uint64_t offset;

	return pump_is_draining(p) || pump_is_between(p, &offset);
}

void
pump_part(struct pump *p, const char *code, const char *reason)
{
	uint64_t offset;

	if (pump_is_draining(p)) {
		p->conf.ops->ended(p->conf.arg, code, reason);
		return;
	}
	pump_let_go(p);
	/* in the middle of a message nothing can be inserted any more */
	if (pump_is_between(p, &offset) && pump_show_banner(p, reason, 0) == 0)
		p->is_parting = true;
	if (p->is_running)
		drain(p, code, reason);
}

static void
free_timer(struct event **timer)
{
	if (*timer != NULL)
		event_free(*timer);
	*timer = NULL;
}

void
pump_release(struct pump *p)
{

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
	pump_cover_drop_input(p);
	free(p->end_reason);
	free(p->banner_text);
	p->end_reason = p->banner_text = NULL;
	banner_free(p->banner);
	p->banner = NULL;
	edits_release(&p->edits);
	view_release(&p->view);
	rfb_framer_free(p->framer);
	rfb_client_messages_free(p->client_messages);
	p->framer = NULL;
	p->client_messages = NULL;
	buf_release(&p->offer);
	buf_release(&p->screens);
	wipe(&p->held, sizeof(p->held));
}

/* ---- start ---- */

void
pump_tick(struct pump *p)
{
	/* a ring of marks that was full has no event of its own */
	if (p->is_running && p->is_stalled)
		pump_from_endpoint(p);
	if (p->is_running) {
		channel_shrink(&p->viewer);
		channel_shrink(&p->endpoint);
	}
}

/* What the endpoint sent right behind its ServerInit begins the stream. */
static int
take_early_bytes(struct pump *p)
{
	size_t room, len = buf_len(&p->endpoint.in);
	uint8_t *data;

	if (len == 0)
		return 0;
	data = ring_room(&p->ring, &room);
	if (data == NULL || room < len)
		return ERR_NOMEM;
	memcpy(data, buf_head(&p->endpoint.in), len);
	ring_received(&p->ring, len);
	if (rfb_framer_feed(p->framer, data, len) != 0)
		return ERR_PROTOCOL;
	ring_framed(&p->ring, rfb_framer_checked_offset(p->framer));
	return 0;
}

/* Before any request: every picture is drawn in it. */
static int
ask_for_format(struct pump *p, const struct rfb_pixel_format *pf)
{
	uint8_t m[4 + RFB_PIXEL_FORMAT_LEN] = { RFB_SET_PIXEL_FORMAT };

	rfb_pixel_format_write(pf, m + 4);
	return pump_send(p, m, sizeof(m));
}

int
pump_start(struct pump *p, const struct rfb_server_init *init)
{

	p->framer = rfb_framer_new(
	    init->width, init->height, &init->pf, pump_framer_event, p);
	p->client_messages = rfb_client_messages_new(pump_client_message, p);
	p->encodings.is_ultravnc = p->conf.is_ultravnc;
	rfb_format_switch_init(
	    &p->pixel_format, &init->pf, p->ring.tee != NULL);
	p->endpoint.out.limit = TO_ENDPOINT_MAX;
	if (init->is_own_format_unknown && ask_for_format(p, &init->pf) != 0)
		return ERR_NOMEM;
	edits_init(&p->edits);
	buf_init(&p->offer, 4 + 4 * RFB_MAX_ENCODINGS);
	buf_init(&p->screens, 4 + 16 * RFB_MAX_SCREENS);
	pump_cover_drop_input(p);
	p->hold_at = PUMP_NOTHING_HELD;
	p->has_wish = p->conf.monitor != 0;
	pace_set(&p->pace, p->rate);
	p->is_rate_mark_due = p->rate != 0;
	if (p->framer == NULL || p->client_messages == NULL)
		return ERR_NOMEM;
	return view_init(&p->view, init->width, init->height);
}

/* Both peers may have sent more than their handshakes took. Returns false
 * when the pump is over. */
static bool
begin_both(struct pump *p)
{
	if (take_early_bytes(p) != 0) {
		pump_endpoint_failed(p, ERR_PROTOCOL);
		return false;
	}
	buf_release(&p->endpoint.in);
	if (buf_len(&p->viewer.in) > 0 &&
	    rfb_client_messages_feed(p->client_messages,
		buf_head(&p->viewer.in), buf_len(&p->viewer.in)) != 0) {
		pump_viewer_failed(p, ERR_PROTOCOL);
		return false;
	}
	buf_release(&p->viewer.in);
	if (channel_flush(&p->viewer) != 0) {
		p->conf.ops->ended(p->conf.arg, "normal", pump_viewer_why(p));
		return false;
	}
	return true;
}

void
pump_begin(struct pump *p)
{
	if (!begin_both(p))
		return;
	channel_read(&p->viewer, true);
	if (channel_has_buffered(&p->viewer))
		channel_wake(&p->viewer);
	pump_cover_start(p);
	pump_to_endpoint(p);
	if (p->is_running)
		pump_from_endpoint(p);
}
