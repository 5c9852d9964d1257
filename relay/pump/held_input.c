#include "relay/pump/held_input.h"

#include <string.h>

#include "common/bytes.h"
#include "rfb/client_messages.h"

#define KEY_LEN     8
#define POINTER_LEN 6
#define QEMU_LEN    12

/* Reads a key from a message. False: it is none. */
static bool
read_key(const uint8_t *m, size_t len, struct held_key *k, bool *down)
{
	if (len == KEY_LEN && m[0] == RFB_KEY_EVENT) {
		*k = (struct held_key){ .keysym = load_be32(m + 4) };
		*down = m[1] != 0;
		return true;
	}
	if (len == QEMU_LEN && m[0] == RFB_QEMU && m[1] == RFB_QEMU_EXT_KEY) {
		*k = (struct held_key){ load_be32(m + 4), load_be32(m + 8),
			true };
		*down = load_be16(m + 2) != 0;
		return true;
	}
	return false;
}

/* Returns the message's length. */
static size_t
write_release(const struct held_key *k, uint8_t *m)
{
	memset(m, 0, QEMU_LEN);
	store_be32(m + 4, k->keysym);
	if (!k->is_qemu) {
		m[0] = RFB_KEY_EVENT;
		return KEY_LEN;
	}
	m[0] = RFB_QEMU;
	m[1] = RFB_QEMU_EXT_KEY;
	store_be32(m + 8, k->keycode);
	return QEMU_LEN;
}

/* The keysym of one key changes with Shift; servers that know QEMU's message
 * go by the keycode, if there is one. */
static bool
is_same(const struct held_key *a, const struct held_key *b)
{
	if (a->is_qemu != b->is_qemu || a->keycode != b->keycode)
		return false;
	return (a->is_qemu && a->keycode != 0) || a->keysym == b->keysym;
}

static unsigned
find(const struct held_input *h, const struct held_key *k)
{
	unsigned i = 0;

	while (i < h->n_keys && !is_same(&h->keys[i], k))
		i++;
	return i;
}

static void
remove_at(struct held_input *h, unsigned i)
{
	h->n_keys--;
	memmove(
	    h->keys + i, h->keys + i + 1, (h->n_keys - i) * sizeof(h->keys[0]));
}

static size_t
pass_key(
    struct held_input *h, const struct held_key *k, bool down, uint8_t *first)
{
	unsigned i = find(h, k);
	size_t len = 0;

	if (i < h->n_keys) {
		if (!down)
			remove_at(h, i);
		return 0;
	}
	if (!down)
		return 0;
	if (h->n_keys == HELD_KEYS) {
		len = write_release(&h->keys[0], first);
		remove_at(h, 0);
	}
	h->keys[h->n_keys++] = *k;
	return len;
}

/* Bits 0 to 6 are in the second byte, 7 to 14 in the seventh, if any. */
static void
pass_pointer(struct held_input *h, const uint8_t *m, size_t len)
{
	h->buttons = m[1];
	if (len > POINTER_LEN)
		h->buttons = (uint16_t)((m[1] & 0x7f) | (unsigned)m[6] << 7);
	h->x = load_be16(m + 2);
	h->y = load_be16(m + 4);
}

size_t
held_input_pass(struct held_input *h, const uint8_t *message, size_t len,
    uint8_t first[HELD_MESSAGE_MAX])
{
	struct held_key k;
	bool down;

	h->is_used = true;
	if (read_key(message, len, &k, &down))
		return pass_key(h, &k, down, first);
	if (len >= POINTER_LEN && message[0] == RFB_POINTER_EVENT)
		pass_pointer(h, message, len);
	return 0;
}

bool
held_input_lets_go(
    const struct held_input *h, const uint8_t *message, size_t len)
{
	struct held_key k;
	bool down;

	return read_key(message, len, &k, &down) && !down &&
	    find(h, &k) < h->n_keys;
}

size_t
held_input_release(struct held_input *h, uint8_t out[HELD_RELEASE_MAX])
{
	size_t len = 0;

	while (h->n_keys > 0)
		len += write_release(&h->keys[--h->n_keys], out + len);
	if (h->buttons != 0) {
		out[len] = RFB_POINTER_EVENT;
		out[len + 1] = 0;
		store_be16(out + len + 2, h->x);
		store_be16(out + len + 4, h->y);
		len += POINTER_LEN;
	}
	h->buttons = 0;
	wipe(h->keys, sizeof(h->keys));
	return len;
}
