/* Keys and pointer of the technician, and view only (C3). */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "relay/pump/pump_internal.h"

/* ---- what is down ---- */

static void
note_key(struct pump *p, bool down, struct pump_key k)
{
	unsigned i = 0;

	while (i < p->n_keys &&
	    (p->keys[i].is_qemu != k.is_qemu || p->keys[i].keysym != k.keysym ||
		p->keys[i].keycode != k.keycode))
		i++;
	if (down && i == p->n_keys && i < PUMP_KEYS)
		p->keys[p->n_keys++] = k;
	if (!down && i < p->n_keys)
		p->keys[i] = p->keys[--p->n_keys];
}

static int
release_key(struct session *s, struct pump_key k)
{
	uint8_t m[12] = { RFB_KEY_EVENT };

	if (!k.is_qemu) {
		store_be32(m + 4, k.keysym);
		return pump_send(s, m, 8);
	}
	m[0] = RFB_QEMU;
	m[1] = RFB_QEMU_EXT_KEY;
	store_be32(m + 4, k.keysym);
	store_be32(m + 8, k.keycode);
	return pump_send(s, m, sizeof(m));
}

static int
release_buttons(struct session *s)
{
	struct pump *p = &s->pump;
	uint8_t m[6] = { RFB_POINTER_EVENT };

	p->buttons = 0;
	store_be16(m + 2, p->pointer_x);
	store_be16(m + 4, p->pointer_y);
	return pump_send(s, m, sizeof(m));
}

int
pump_release_input(struct session *s)
{
	struct pump *p = &s->pump;
	int rc = 0;

	while (rc == 0 && p->n_keys > 0)
		rc = release_key(s, p->keys[--p->n_keys]);
	if (rc == 0 && p->buttons != 0)
		rc = release_buttons(s);
	return rc;
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
	note_key(&s->pump, ev->key.down,
	    (struct pump_key){ .keysym = ev->key.keysym });
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
	note_key(&s->pump, ev->qemu.down,
	    (struct pump_key){ ev->qemu.keysym, ev->qemu.keycode, true });
	return pump_cover_input(s, ev->bytes, ev->len);
}

int
pump_pointer(struct session *s, const struct rfb_client_event *ev)
{
	struct pump *p = &s->pump;
	size_t len = ev->len;
	uint8_t m[7];

	if (!pump_may_act(s))
		return 0;
	s->n_pointers++;
	p->buttons = ev->pointer.buttons;
	p->pointer_x = ev->pointer.x;
	p->pointer_y = ev->pointer.y;
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
		view_pointer(&p->view, &p->pointer_x, &p->pointer_y);
	store_be16(m + 2, p->pointer_x);
	store_be16(m + 4, p->pointer_y);
	return pump_cover_input(s, m, len);
}
