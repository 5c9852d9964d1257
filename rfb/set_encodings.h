/*
 * Narrowing of a viewer's SetEncodings to what framer and decoder know, so
 * that no endpoint ever sends what could not be recorded. The viewer's
 * order, which is its preference, is kept.
 * Source: docs/rfb.md ("What is forwarded"). Pure functions, thread-safe.
 */
#ifndef RFB_SET_ENCODINGS_H
#define RFB_SET_ENCODINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "rfb/protocol.h"

struct rfb_encodings_policy {
	/* No CopyRect: while a banner may be on the technician's screen. */
	bool drop_copyrect;
	/* Raw, CopyRect, Hextile and RRE only: after a recorder restart, as
	 * zlib streams cannot be joined midway. */
	bool stateless_only;
	/* Raw only, for a moment: what answers a question of the relay's can
	 * then be kept from the viewer. */
	bool raw_only;
	/* Neither Tight nor ZRLE: servers do not agree how they send pixels of
	 * the format in force, rfb_pixel_format_is_clear. */
	bool is_format_unclear;
	/* The endpoint offered UltraVNC security types: -307 has another
	 * meaning there. (SetDesktopSize, 251, must not go there either;
	 * that is for who forwards messages to see to.) */
	bool is_ultravnc;
};

/* What is left of an offer. */
struct rfb_encodings_offer {
	uint16_t n;         /* encodings that are forwarded */
	bool is_recordable; /* a picture encoding is among them, so the
			     * viewer does not depend on Raw alone */
	bool has_copyrect;
	bool has_last_rect;
	bool has_resize; /* -223 or -308 */
	bool has_fence_and_continuous;
	bool has_ext_clipboard;
	bool has_ext_buttons;
};

/*
 * Writes the SetEncodings message at msg (len bytes, whole, as
 * rfb_client_messages gives it), less what policy and allow-list remove, to
 * out (cap bytes; len suffices; may be msg itself) and fills *offer.
 * Fence and ContinuousUpdates are kept together or not at all: an endpoint
 * that knows one only would wait for ever, or close. Compression level 0
 * becomes level 1 unless the viewer knows Tight without zlib (-317).
 * Returns the bytes written, ERR_PROTOCOL if msg is no SetEncodings of that
 * length, or ERR_LIMIT if out is too small.
 */
ssize_t rfb_set_encodings_narrow(const uint8_t *msg, size_t len,
    const struct rfb_encodings_policy *policy, uint8_t *out, size_t cap,
    struct rfb_encodings_offer *offer);

/* True when an endpoint may be told about this encoding at all. */
bool rfb_is_encoding_allowed(int32_t encoding);

#endif
