/*
 * Cuts a clip out of a recording (M5) by its plan, docs/clips.md: the blocks
 * that the plan names are compared with the recording's evidence, and then
 * used. Reads and writes what it is given, any thread.
 */
#ifndef STORAGE_CLIPS_CLIP_CUT_H
#define STORAGE_CLIPS_CLIP_CUT_H

#include <stdint.h>

#include "manifest/clip.h"
#include "storage/clips/clip_plan.h"

struct clip_made {
	struct clip_facts facts;  /* from, to, from_ms, to_ms, before */
	struct evidence evidence; /* to be released whatever happens */
	uint64_t bytes;
	uint8_t sha256[32]; /* of the whole clip */
};

/*
 * v: can be read where the plan's blocks are, too. fd: an empty file. id: the
 * clip's, 36 characters; to_ms as clip_plan's. Of made->facts it sets what is
 * named there and what the original is; the rest is the caller's. Returns as
 * clip_plan, or ERR_NOSPACE, ERR_NOMEM.
 */
int clip_cut(struct clip_made *made, const struct clip_plan *p,
    const struct webm_view *v, const struct evidence *e, const char *id,
    uint64_t to_ms, int fd, const char **why);

#endif
