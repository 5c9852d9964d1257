/* Keys and pointer of the technician, view only (C3), and what is let go at
 * the end. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

/* ---- what is down ---- */

int
pump_pass_input(struct session *s, const void *message, size_t len)
{
	uint8_t first[HELD_MESSAGE_MAX];
	size_t n = held_input_pass(&s->pump.held, message, len, first);
	int rc = n > 0 ? pump_send(s, first, n) : 0;

	return rc != 0 ? rc : pump_send(s, message, len);
}

int
pump_release_input(struct session *s)
{
	uint8_t out[HELD_RELEASE_MAX];
	size_t len = held_input_release(&s->pump.held, out);
	int rc = len > 0 ? pump_send(s, out, len) : 0;

	wipe(out, sizeof(out));
	return rc;
}

bool
pump_let_go(struct session *s)
{
	if (s->endpoint.transport.fd < 0 || s->framer == NULL)
		return false;
	pump_cover_drop_input(s);
	return pump_release_input(s) == 0 && channel_flush(&s->endpoint) == 0 &&
	    s->pump.held.is_used;
}

void
session_set_view_only(struct session *s, bool on)
{
	s->is_view_only = on;
	if (!on || s->state != SESSION_RUNNING || pump_is_draining(s))
		return;
	pump_cover_drop_input(s);
	if (pump_release_input(s) != 0)
		session_end(s, "error", "the relay is out of memory");
	else
		pump_settle(s);
}

/* ---- messages ---- */

bool
pump_may_act(const struct session *s)
{
	return !s->is_view_only && !s->pump.wants_withhold;
}

int
pump_key(struct session *s, const struct rfb_client_event *ev)
{
	if (!pump_may_act(s))
		return 0;
	s->n_keys++;
	return pump_cover_input(s, ev->bytes, ev->len);
}

/* For an endpoint that knows keysyms only. */
static int
plain_key(struct session *s, const struct rfb_client_event *ev)
{
	uint8_t m[8] = { RFB_KEY_EVENT, ev->qemu.down };
	struct rfb_client_event key = { .type = RFB_KEY_EVENT,
		.bytes = m,
		.len = sizeof(m),
		.key = { ev->qemu.down, ev->qemu.keysym } };

	store_be32(m + 4, ev->qemu.keysym);
	return ev->qemu.keysym != 0 ? pump_key(s, &key) : 0;
}

int
pump_qemu(struct session *s, const struct rfb_client_event *ev)
{
	if (ev->qemu.subtype != RFB_QEMU_EXT_KEY || !pump_may_act(s))
		return 0;
	if (!s->pump.known.has_ext_key)
		return plain_key(s, ev);
	s->n_keys++;
	return pump_cover_input(s, ev->bytes, ev->len);
}

int
pump_pointer(struct session *s, const struct rfb_client_event *ev)
{
	const struct pump *p = &s->pump;
	uint16_t x = ev->pointer.x, y = ev->pointer.y;
	uint8_t m[HELD_MESSAGE_MAX];
	size_t len = ev->len;

	if (!pump_may_act(s))
		return 0;
	s->n_pointers++;
	if (len > sizeof(m))
		return 0;
	memcpy(m, ev->bytes, len);
	/* an endpoint that was offered more buttons and has not confirmed them
	 * may all the same look for a seventh byte behind bit 7; what waits
	 * may come after another offer */
	if ((len == 6 && p->has_ext_buttons) || pump_cover_holds_input(s)) {
		m[1] &= 0x7f;
		len = 6;
	}
	if (view_is_one(&p->view))
		view_pointer(&p->view, &x, &y);
	store_be16(m + 2, x);
	store_be16(m + 4, y);
	return pump_cover_input(s, m, len);
}
