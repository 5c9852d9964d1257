/*
 * What of a recording a clip will have (M5), docs/clips.md: found out from
 * header and cues, which are compared with the recording's evidence first.
 * Reads what it is given, any thread.
 */
#ifndef STORAGE_CLIPS_CLIP_PLAN_H
#define STORAGE_CLIPS_CLIP_PLAN_H

#include <stdint.h>

#include "manifest/evidence.h"
#include "webm/webm_walk.h"

#define CLIP_BYTES_MAX (UINT64_C(128) << 20) /* of blocks that it needs */
#define CLIP_CUES_MAX  (8 << 20)             /* bytes of the original's */

/* Values of the header that a clip has for itself; 0: it has none. */
struct clip_header {
	uint64_t size_at, segment_data; /* Segment's size and its data */
	uint64_t cues_at;               /* the position of cues in SeekHead */
	uint64_t duration_at, uuid_at, date_at;
};

struct clip_plan {
	struct clip_header header;
	uint64_t header_len, cues, duration_ms; /* of the original */
	uint64_t from, from_ms;       /* the key frame that it begins with */
	uint64_t to_most, to_most_ms; /* it ends there or before */
	size_t first, n;              /* blocks that have these bytes */
};

/*
 * v: a view of the original whose header and cues can be read; e: its
 * evidence. Returns 0; ERR_CORRUPT (other bytes than were recorded, or none of
 * our files), ERR_LIMIT (from_ms lies behind the end, or the clip were larger
 * than CLIP_BYTES_MAX) with a sentence in *why; or the reader's error.
 */
int clip_plan(struct clip_plan *p, const struct webm_view *v,
    const struct evidence *e, uint64_t from_ms, uint64_t to_ms,
    const char **why);

/* The i-th block of v against e. Returns 0, or as clip_plan. */
int clip_verify_block(const struct evidence *e, size_t i,
    const struct webm_view *v, const char **why);
extern const char clip_not_ours[]; /* of a file of another form */

#endif
