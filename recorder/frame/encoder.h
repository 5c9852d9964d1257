/*
 * Frames into VP9 (or VP8) packets with libvpx, set up for desktops: only
 * active tiles cost time, quality is held constant so that text stays
 * readable. The settings were measured; see docs/relaycam-recorder.md.
 * No I/O; one owner, not thread-safe, makes no threads.
 */
#ifndef RECORDER_FRAME_ENCODER_H
#define RECORDER_FRAME_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/frame/canvas.h"

enum encoder_codec { ENCODER_VP9, ENCODER_VP8 };
enum encoder_quality {
	ENCODER_TEXT,    /* text stays sharp: the default */
	ENCODER_SMALL,   /* fewer bytes, text readable */
	ENCODER_LOSSLESS /* the I420 frame bit by bit (VP9) */
};

struct encoder;

/* A packet, borrowed until the next call on the encoder. */
struct encoder_packet {
	const uint8_t *data;
	size_t len;
	bool is_key;
	int quantizer; /* 0..63, low is fine */
};

/*
 * width, height: 1..16384 pixels.
 * NULL when libvpx refuses, which means memory.
 */
struct encoder *encoder_new(enum encoder_codec codec,
    enum encoder_quality quality, unsigned width, unsigned height);
void encoder_free(struct encoder *e);

/*
 * Encodes the canvas as it stands. active: one byte a tile of the canvas,
 * 0 keeps the tile as it was in the last packet; ignored when key is set,
 * which makes a key frame of everything. pts_ms: greater than the last one.
 * Returns 0, or ERR_NOMEM when libvpx fails; then only free is allowed.
 */
int encoder_encode(struct encoder *e, const struct canvas *c, uint64_t pts_ms,
    uint64_t duration_ms, bool key, const uint8_t *active,
    struct encoder_packet *out);

/* How fine frames may be coded and must be. */
enum encoder_range {
	RANGE_USUAL,  /* of the quality chosen */
	RANGE_FINE,   /* text is sharp, whatever that costs */
	RANGE_COARSE, /* as small as it gets */
};

/* The highest quantizer of RANGE_FINE: what is above it came out coarse. */
int encoder_fine_quantizer(enum encoder_quality quality);

/* From the next frame on. Returns 0 or ERR_NOMEM. */
int encoder_set_range(struct encoder *e, enum encoder_range range);

/*
 * Encodes a packet after which the frame is as it was (VP9). c: as at the
 * last packet. It replaces no reference frame and no probability, so it can
 * stand in the file any number of times, one after the other, but at least
 * once: the encoder counts on it for its next packet. 35 bytes at 640x480, 60
 * at 1920x1080. pts_ms: greater than the last one. Returns as encoder_encode.
 * Source: VP9 bitstream specification 0.6, sections 7.2 and 8.4.2.
 */
int encoder_encode_still(struct encoder *e, const struct canvas *c,
    uint64_t pts_ms, uint64_t duration_ms, struct encoder_packet *out);

/* Whether a VP9 packet shows the frame before it once more: what the two
 * functions here make, nothing else does. */
bool encoder_is_repeat(const uint8_t *data, size_t len);

/*
 * Writes a packet that shows once more the frame of `last`, a packet of
 * this codec, without any state of the encoder (VP9: show_existing_frame).
 * Some players make little of it (docs/players.md): it is for an encoder that
 * has gone beyond `last`. Returns its length, or 0 when there is no such packet
 * (VP8).
 * Source: VP9 bitstream specification 0.6, section 6.2.
 */
#define ENCODER_REPEAT_MAX 1
size_t encoder_repeat(enum encoder_codec codec, const uint8_t *last, size_t len,
    uint8_t out[ENCODER_REPEAT_MAX]);

#endif
