/*
 * What the relay says about a session: the JSON object of descriptor 9,
 * docs/tee.md. Checked field by field; a wrong one is an error, never a
 * guess. No I/O; plain data.
 */
#ifndef RECORDER_META_H
#define RECORDER_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/frame/encoder.h"
#include "recorder/frame/monitor.h"
#include "rfb/pixel_format.h"

#define META_NAME_MAX       256 /* bytes of a name with its NUL */
#define META_UUID_LEN       37  /* text with its NUL */
#define META_FRAME_RATE_MAX 60
#define META_BEHIND_MAX     3600                      /* seconds */
#define META_VISIBLE_MIN    40                        /* milliseconds */
#define META_VISIBLE_MAX    100
#define META_FRAME_MAX      ((uint64_t)INT64_MAX / 2) /* number of one */

struct meta {
	char session[META_UUID_LEN];
	char team[META_NAME_MAX], endpoint[META_NAME_MAX];
	char technician[META_NAME_MAX];
	int64_t team_id, endpoint_id, person_id;
	char access[16];
	char time_zone[64];
	int64_t retention_days;
	uint16_t width, height;
	struct rfb_pixel_format pixel_format;
	uint64_t start_mono_ns, start_wall_ns;
	uint64_t first_seq, first_frame;
	char split_reason[24];
	unsigned frame_rate; /* 1..60 */
	uint64_t segment_bytes, min_free_bytes;
	enum encoder_codec codec;
	enum encoder_quality quality;
	bool is_manual;          /* "recording": "off": waits for START */
	struct monitor monitor;  /* all of them unless said */
	bool is_resumed;         /* "resume": takes a dead one's place */
	bool is_capture;         /* "mode": "capture": encoded later */
	unsigned behind_seconds; /* until it becomes one; 0: never */
	uint64_t max_pixels;     /* of a screen */
	unsigned min_visible_ms; /* what stands so long is in a frame */
	/* not from JSON: recorder/replay.h; "": any */
	char first_segment[META_UUID_LEN];
	uint64_t gap_start_ns; /* not from JSON: recorder/resume.h; 0: none */
};

/*
 * Reads len bytes of JSON. Returns 0 or ERR_CONFIG with *why a static
 * sentence that names the field.
 */
int meta_parse(struct meta *m, const char *json, size_t len, const char **why);

const char *meta_codec_name(enum encoder_codec codec);

#endif
