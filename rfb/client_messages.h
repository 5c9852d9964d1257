/*
 * Push parser for what a technician's viewer sends after ClientInit: bytes
 * in pieces of any size become whole messages, each handed to a callback
 * with its fields read. A message that lies whole in the caller's piece is
 * not copied. Unknown messages are an error, never skipped.
 * Source: RFC 6143 section 7.5, the community specification, docs/rfb.md
 * ("What a viewer sends"). No I/O; one owner, not thread-safe.
 *
 * View only, and which messages go to the endpoint at all, is the relay's
 * business: everything legal is reported here.
 */
#ifndef RFB_CLIENT_MESSAGES_H
#define RFB_CLIENT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rfb/pixel_format.h"
#include "rfb/protocol.h"

/* Encodings in one SetEncodings; real viewers send some thirty. */
#define RFB_MAX_ENCODINGS 1024

/* The fence flags of RFB_CLIENT_FENCE and RFB_SERVER_FENCE. */
#define RFB_FENCE_BLOCK_BEFORE 0x00000001u
#define RFB_FENCE_BLOCK_AFTER  0x00000002u
#define RFB_FENCE_SYNC_NEXT    0x00000004u
#define RFB_FENCE_REQUEST      0x80000000u

/* The subtypes of RFB_QEMU. */
enum rfb_qemu_client {
	RFB_QEMU_EXT_KEY = 0,
	RFB_QEMU_AUDIO = 1,
};

struct rfb_client_messages;

struct rfb_client_event {
	enum rfb_client_message type;
	const uint8_t *bytes; /* the whole message, borrowed for the call */
	size_t len;
	bool wants_colour_map; /* RFB_SET_PIXEL_FORMAT: pixel_format is for the
				* endpoint, the viewer needs rfb/colour_map.h */
	bool is_vendor; /* an UltraVNC button was pressed: swallow it, the
			 * endpoint did not say that it knows the message */
	union {
		struct rfb_pixel_format pixel_format;
		struct {
			uint16_t n; /* see rfb/set_encodings.h */
		} encodings;
		struct {
			bool incremental;
			uint16_t x, y, w, h;
		} request; /* RFB_FRAMEBUFFER_UPDATE_REQUEST */
		struct {
			bool enable;
			uint16_t x, y, w, h;
		} continuous;
		struct {
			uint32_t flags;
			const uint8_t *data; /* inside bytes */
			uint8_t len;         /* at most RFB_MAX_FENCE */
		} fence;
		struct {
			bool down;
			uint32_t keysym;
		} key;
		struct {
			uint16_t buttons; /* bits 0 to 6, 7 to 14 with -316 */
			uint16_t x, y;
		} pointer;
		struct {
			bool is_extended; /* data: flags, then zlib */
			const uint8_t *data;
			size_t len; /* at most RFB_MAX_CUT_TEXT */
		} cut_text;
		struct {
			uint8_t action, version;
		} xvp;
		struct {
			uint16_t w, h;
			uint8_t n_screens;
			const uint8_t *screens; /* 16 bytes each */
		} desktop_size;
		struct {
			enum rfb_qemu_client subtype;
			bool down;        /* RFB_QEMU_EXT_KEY */
			uint32_t keysym;  /* RFB_QEMU_EXT_KEY */
			uint32_t keycode; /* RFB_QEMU_EXT_KEY */
		} qemu;
	};
};

/*
 * Called zero or more times from rfb_client_messages_feed. Returns 0 to go
 * on; anything else stops feed, which returns it.
 */
typedef int rfb_client_messages_cb(
    void *arg, const struct rfb_client_event *ev);

/* Returns NULL only for memory. */
struct rfb_client_messages *rfb_client_messages_new(
    rfb_client_messages_cb *cb, void *arg);

/* Wipes what is kept: key strokes pass through here. */
void rfb_client_messages_free(struct rfb_client_messages *m);

/*
 * Feed len bytes that follow ClientInit, borrowed; all are taken. A partial
 * message is kept: 7 bytes to 16 KiB, at most RFB_MAX_CUT_TEXT for a cut
 * text, and only as far as it has arrived.
 * Returns 0, ERR_PROTOCOL, ERR_LIMIT, ERR_UNSUPPORTED (a colour map of more
 * than 8 bits, which no known server has either), ERR_NOMEM or what the
 * callback returned; after an error only free and why are allowed.
 */
int rfb_client_messages_feed(
    struct rfb_client_messages *m, const uint8_t *data, size_t len);

/*
 * The server has confirmed extended mouse buttons (-316): from here on a
 * pointer event with bit 7 has 7 bytes while the viewer offers them.
 */
void rfb_client_messages_allow_ext_buttons(struct rfb_client_messages *m);

/* True when every byte so far belongs to a complete message. */
bool rfb_client_messages_is_between(const struct rfb_client_messages *m);

/* A static sentence for the last error, for the log. Never NULL. */
const char *rfb_client_messages_why(const struct rfb_client_messages *m);

#endif
