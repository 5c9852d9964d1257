/* Keys and pointer of the technician, view only (C3), and what is let go at
 * the end. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

/* ---- what is down ---- */

int
pump_pass_input(struct pump *p, const void *message, size_t len)
{
	uint8_t first[HELD_MESSAGE_MAX];
	size_t n = held_input_pass(&p->held, message, len, first);
	int rc = n > 0 ? pump_send(p, first, n) : 0;

	return rc != 0 ? rc : pump_send(p, message, len);
}

int
pump_release_input(struct pump *p)
{
	uint8_t out[HELD_RELEASE_MAX];
	size_t len = held_input_release(&p->held, out);
	int rc = len > 0 ? pump_send(p, out, len) : 0;

	wipe(out, sizeof(out));
	return rc;
}

bool
pump_let_go(struct pump *p)
{
	if (p->endpoint.transport.fd < 0 || p->framer == NULL)
		return false;
	pump_cover_drop_input(p);
	return pump_release_input(p) == 0 && channel_flush(&p->endpoint) == 0 &&
	    p->held.is_used;
}

void
pump_set_view_only(struct pump *p, bool on)
{
	p->is_view_only = on;
	if (!on || !p->is_running || pump_is_draining(p))
		return;
	pump_cover_drop_input(p);
	if (pump_release_input(p) != 0)
		p->conf.ops->ended(
		    p->conf.arg, "error", "the relay is out of memory");
	else
		pump_settle(p);
}

/* ---- messages ---- */

bool
pump_may_act(const struct pump *p)
{
	return !p->is_view_only && !p->wants_withhold;
}

int
pump_key(struct pump *p, const struct rfb_client_event *ev)
{
	if (!pump_may_act(p))
		return 0;
	p->n_keys++;
	return pump_cover_input(p, ev->bytes, ev->len);
}

/* For an endpoint that knows keysyms only. */
static int
plain_key(struct pump *p, const struct rfb_client_event *ev)
{
	uint8_t m[8] = { RFB_KEY_EVENT, ev->qemu.down };
	struct rfb_client_event key = { .type = RFB_KEY_EVENT,
		.bytes = m,
		.len = sizeof(m),
		.key = { ev->qemu.down, ev->qemu.keysym } };

	store_be32(m + 4, ev->qemu.keysym);
	return ev->qemu.keysym != 0 ? pump_key(p, &key) : 0;
}

int
pump_qemu(struct pump *p, const struct rfb_client_event *ev)
{
	if (ev->qemu.subtype != RFB_QEMU_EXT_KEY || !pump_may_act(p))
		return 0;
	if (!p->known.has_ext_key)
		return plain_key(p, ev);
	p->n_keys++;
	return pump_cover_input(p, ev->bytes, ev->len);
}

int
pump_pointer(struct pump *p, const struct rfb_client_event *ev)
{
	uint16_t x = ev->pointer.x, y = ev->pointer.y;
	uint8_t m[HELD_MESSAGE_MAX];
	size_t len = ev->len;

	if (!pump_may_act(p))
		return 0;
	p->n_pointers++;
	if (len > sizeof(m))
		return 0;
	memcpy(m, ev->bytes, len);
	/* an endpoint that was offered more buttons and has not confirmed them
	 * may all the same look for a seventh byte behind bit 7; what waits
	 * may come after another offer */
	if ((len == 6 && p->has_ext_buttons) || pump_cover_holds_input(p)) {
		m[1] &= 0x7f;
		len = 6;
	}
	if (view_is_one(&p->view))
		view_pointer(&p->view, &x, &y);
	store_be16(m + 2, x);
	store_be16(m + 4, y);
	return pump_cover_input(p, m, len);
}
