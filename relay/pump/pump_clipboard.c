/*
 * The clipboard of a session: what the team's setting and view only let
 * through (C3), and its use in the audit log: how often and how much, never
 * what. A flood of messages is one row a minute.
 */
#include "common/bytes.h"
#include "common/clock.h"
#include "relay/pump/pump_internal.h"

/* The first use is known soon, should the relay die; further ones share. */
#define FIRST_ROW_NS (5 * NS_PER_S)
#define NEXT_ROW_NS  (60 * NS_PER_S)

unsigned
pump_clipboard_ways(const struct pump *p)
{
	return pump_may_act(p) ? clipboard_ways(p->conf.clipboard) : 0;
}

/* ---- its use ---- */

void
pump_clipboard_report(struct pump *p)
{
	struct pump_clipboard *c = &p->clipboard;

	if (!c->is_used)
		return;
	p->conf.ops->clipboard_used(p->conf.arg, c);
	c->to_endpoint = c->to_technician = (struct pump_clipboard_use){ 0 };
	c->is_used = false;
	c->has_row = true;
}

static void
on_row_time(evutil_socket_t fd, short what, void *arg)
{
	pump_clipboard_report(arg);
}

/* Returns whether it passes. Abilities are no use of it. */
static bool
take(struct pump *p, const struct clipboard_message *m)
{
	struct pump_clipboard *c = &p->clipboard;
	struct pump_clipboard_use *u = m->way == CLIPBOARD_TO_ENDPOINT
	    ? &c->to_endpoint
	    : &c->to_technician;
	bool passes = clipboard_passes(m, pump_clipboard_ways(p));

	if (passes && clipboard_kind(m) != CLIPBOARD_TEXT)
		return true;
	if (!passes) {
		u->blocked++;
	} else {
		u->messages++;
		u->bytes += m->is_extended ? m->len - 4 : m->len;
	}
	/* without memory for a timer the end of the session writes it */
	if (!c->is_used)
		pump_timer(p, &c->timer, on_row_time,
		    c->has_row ? NEXT_ROW_NS : FIRST_ROW_NS);
	c->is_used = true;
	return passes;
}

/* ---- from the technician ---- */

int
pump_cut_text(struct pump *p, const struct rfb_client_event *ev)
{
	struct clipboard_message m = { .way = CLIPBOARD_TO_ENDPOINT,
		.is_extended = ev->cut_text.is_extended,
		.len = (uint32_t)ev->cut_text.len };

	if (m.is_extended && (m.len < 4 || !p->known.has_ext_clipboard))
		return 0;
	if (m.is_extended)
		m.flags = load_be32(ev->cut_text.data);
	if (!take(p, &m))
		return 0;
	return clipboard_kind(&m) == CLIPBOARD_TEXT
	    ? pump_cover_input(p, ev->bytes, ev->len)
	    : pump_send(p, ev->bytes, ev->len);
}

/* ---- from the endpoint ---- */

/* Not a byte of it is out before it is known what it is. */
void
pump_clipboard_begin(struct pump *p, uint64_t offset)
{

	p->clipboard.n_head = 0;
	p->clipboard.is_holding = p->hold_at == PUMP_NOTHING_HELD;
	if (p->clipboard.is_holding)
		p->hold_at = offset;
}

/* The message lies from message_at on and is len bytes long. */
static int
decide(struct pump *p, uint32_t length, uint32_t flags)
{
	struct clipboard_message m = { .way = CLIPBOARD_TO_TECHNICIAN,
		.is_extended = (length >> 31) != 0,
		.flags = flags };

	p->known.has_ext_clipboard |= m.is_extended;
	m.len = m.is_extended ? 0u - length : length;
	if (p->clipboard.is_holding)
		p->hold_at = PUMP_NOTHING_HELD;
	p->clipboard.is_holding = false;
	if (take(p, &m))
		return 0;
	return pump_edit(p, p->message_at, p->message_at + 8 + m.len, NULL, 0);
}

int
pump_clipboard_payload(struct pump *p, const struct rfb_framer_event *ev)
{
	struct pump_clipboard *c = &p->clipboard;
	uint32_t length;
	size_t i = 0;

	/* padding 3, length 4, and flags 4 where the length is negative */
	while (i < ev->len && c->n_head < sizeof(c->head)) {
		c->head[c->n_head++] = ev->data[i++];
		length = c->n_head >= 7 ? load_be32(c->head + 3) : 0;
		if (c->n_head == 7 && (length >> 31) == 0) {
			c->n_head = sizeof(c->head); /* the rest is text */
			return decide(p, length, 0);
		}
		if (c->n_head == sizeof(c->head))
			return decide(p, length, load_be32(c->head + 7));
	}
	return 0;
}
