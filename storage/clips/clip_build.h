/*
 * Makes one clip (M5, X3), docs/clips.md: its row, then the recording's
 * manifest, then header and cues, then the blocks of clusters that it needs
 * are read from the store into a file of its own, without a name; a worker
 * cuts the clip out of that and signs its manifest. On the loop, but
 * for what the workers do.
 */
#ifndef STORAGE_CLIPS_CLIP_BUILD_H
#define STORAGE_CLIPS_CLIP_BUILD_H

#include <stddef.h>

#include "storage/clips/clip_key.h"

struct clip_build;
struct daemon;

struct clip_result {
	int err; /* 0, or ERR_* and a sentence for people */
	const char *text;
	int fd;         /* the clip; taken by who is told. -1: none */
	char *manifest; /* its JSON; heap, taken; NULL: none */
};
typedef void clip_built_cb(void *arg, const struct clip_result *r);

/*
 * Calls done once, from the loop, never before this returned. err:
 * ERR_NOTFOUND (there is no such clip, or its recording is gone), ERR_CORRUPT,
 * ERR_LIMIT, ERR_UNAVAILABLE, ERR_NOSPACE, ERR_IO, ERR_NOMEM.
 * Returns 0, ERR_UNAVAILABLE or ERR_NOMEM.
 */
int clip_build(struct daemon *d, const struct clip_key *key,
    clip_built_cb *done, void *arg);

#endif
