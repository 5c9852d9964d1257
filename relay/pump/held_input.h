/*
 * Keys and pointer buttons that are down at the endpoint: what was passed to
 * it, not what the viewer sent. Servers such as x11vnc and QEMU leave down
 * what is down when a connection ends, so whoever passes input lets it go
 * again: when the session ends, when the technician may only look, and when
 * input is dropped.
 *
 * At most HELD_KEYS keys are known; one more lets the oldest go. A key of
 * QEMU's message is its keycode, any other one its keysym. No I/O.
 * Source: RFC 6143 sections 7.5.4 and 7.5.5, docs/rfb.md.
 */
#ifndef RELAY_PUMP_HELD_INPUT_H
#define RELAY_PUMP_HELD_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELD_KEYS        32 /* hands have fewer fingers */
#define HELD_MESSAGE_MAX 12 /* bytes of a message of input */
/* Messages that let everything go. */
#define HELD_RELEASE_MAX (HELD_KEYS * HELD_MESSAGE_MAX + 6)

struct held_key {
	uint32_t keysym, keycode; /* keycode: 0 unless is_qemu */
	bool is_qemu;
};

/* All zeros: nothing is down. */
struct held_input {
	struct held_key keys[HELD_KEYS]; /* the oldest first */
	unsigned n_keys;
	uint16_t buttons;
	uint16_t x, y; /* of the pointer */
	bool is_used;  /* anything was passed, ever */
};

/*
 * A whole message goes to the endpoint: KeyEvent, PointerEvent (6 or 7 bytes)
 * or QEMU's key event; others change nothing. first: a message that has to go
 * before it. Returns its length, 0: none.
 */
size_t held_input_pass(struct held_input *h, const uint8_t *message, size_t len,
    uint8_t first[HELD_MESSAGE_MAX]);

/* Does the message let go a key that is down? */
bool held_input_lets_go(
    const struct held_input *h, const uint8_t *message, size_t len);

/* Messages that let go all that is down, in reverse order; then nothing is.
 * Returns their length, 0: nothing was down. */
size_t held_input_release(struct held_input *h, uint8_t out[HELD_RELEASE_MAX]);

#endif
