/*
 * The clipboard of a session: what the team's setting and view only let
 * through (C3), and its use in the audit log: how often and how much, never
 * what. A flood of messages is one row a minute.
 */
#include <jansson.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "relay/db_retry_queue.h"
#include "relay/pump/pump_internal.h"

/* The first use is known soon, should the relay die; further ones share. */
#define FIRST_ROW_NS (5 * NS_PER_S)
#define NEXT_ROW_NS  (60 * NS_PER_S)

unsigned
pump_clipboard_ways(const struct session *s)
{
	return pump_may_act(s) ? clipboard_ways(s->account.clipboard) : 0;
}

/* ---- its use ---- */

static void
add_use(json_t *o, const char *way, const struct pump_clipboard_use *u)
{
	if (u->messages == 0 && u->blocked == 0)
		return;
	json_object_set_new(o, way,
	    json_pack("{s:I s:I s:I}", "messages", (json_int_t)u->messages,
		"bytes", (json_int_t)u->bytes, "blocked",
		(json_int_t)u->blocked));
}

void
pump_clipboard_write(struct session *s)
{
	struct pump_clipboard *c = &s->pump.clipboard;
	json_t *o;
	char *text;
	const char *params[] = { s->id, s->name.person, NULL };

	if (!c->is_used)
		return;
	o = json_object();
	add_use(o, "to_endpoint", &c->to_endpoint);
	add_use(o, "to_technician", &c->to_technician);
	text = json_dumps(o, JSON_COMPACT);
	params[2] = text;
	if (text != NULL)
		db_retry_write(s->loop, "clipboard",
		    "INSERT INTO audit (team_id, actor, action, object, "
		    "detail) SELECT team_id, $2, 'clipboard', id::text, "
		    "$3::jsonb FROM sessions WHERE id = $1",
		    3, params);
	free(text);
	json_decref(o);
	c->to_endpoint = c->to_technician = (struct pump_clipboard_use){ 0 };
	c->is_used = false;
	c->has_row = true;
}

static void
on_row_time(evutil_socket_t fd, short what, void *arg)
{
	pump_clipboard_write(arg);
}

/* Returns whether it passes. Abilities are no use of it. */
static bool
take(struct session *s, const struct clipboard_message *m)
{
	struct pump_clipboard *c = &s->pump.clipboard;
	struct pump_clipboard_use *u = m->way == CLIPBOARD_TO_ENDPOINT
	    ? &c->to_endpoint
	    : &c->to_technician;
	bool passes = clipboard_passes(m, pump_clipboard_ways(s));

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
		pump_timer(s, &c->timer, on_row_time,
		    c->has_row ? NEXT_ROW_NS : FIRST_ROW_NS);
	c->is_used = true;
	return passes;
}

/* ---- from the technician ---- */

int
pump_cut_text(struct session *s, const struct rfb_client_event *ev)
{
	struct clipboard_message m = { .way = CLIPBOARD_TO_ENDPOINT,
		.is_extended = ev->cut_text.is_extended,
		.len = (uint32_t)ev->cut_text.len };

	if (m.is_extended && (m.len < 4 || !s->pump.known.has_ext_clipboard))
		return 0;
	if (m.is_extended)
		m.flags = load_be32(ev->cut_text.data);
	if (!take(s, &m))
		return 0;
	return clipboard_kind(&m) == CLIPBOARD_TEXT
	    ? pump_cover_input(s, ev->bytes, ev->len)
	    : pump_send(s, ev->bytes, ev->len);
}

/* ---- from the endpoint ---- */

/* Not a byte of it is out before it is known what it is. */
void
pump_clipboard_begin(struct session *s, uint64_t offset)
{
	struct pump *p = &s->pump;

	p->clipboard.n_head = 0;
	p->clipboard.is_holding = p->hold_at == PUMP_NOTHING_HELD;
	if (p->clipboard.is_holding)
		p->hold_at = offset;
}

/* The message lies from message_at on and is len bytes long. */
static int
decide(struct session *s, uint32_t length, uint32_t flags)
{
	struct pump *p = &s->pump;
	struct clipboard_message m = { .way = CLIPBOARD_TO_TECHNICIAN,
		.is_extended = (length >> 31) != 0,
		.flags = flags };

	p->known.has_ext_clipboard |= m.is_extended;
	m.len = m.is_extended ? 0u - length : length;
	if (p->clipboard.is_holding)
		p->hold_at = PUMP_NOTHING_HELD;
	p->clipboard.is_holding = false;
	if (take(s, &m))
		return 0;
	return pump_edit(s, p->message_at, p->message_at + 8 + m.len, NULL, 0);
}

int
pump_clipboard_payload(struct session *s, const struct rfb_framer_event *ev)
{
	struct pump_clipboard *c = &s->pump.clipboard;
	uint32_t length;
	size_t i = 0;

	/* padding 3, length 4, and flags 4 where the length is negative */
	while (i < ev->len && c->n_head < sizeof(c->head)) {
		c->head[c->n_head++] = ev->data[i++];
		length = c->n_head >= 7 ? load_be32(c->head + 3) : 0;
		if (c->n_head == 7 && (length >> 31) == 0) {
			c->n_head = sizeof(c->head); /* the rest is text */
			return decide(s, length, 0);
		}
		if (c->n_head == sizeof(c->head))
			return decide(s, length, load_be32(c->head + 7));
	}
	return 0;
}
