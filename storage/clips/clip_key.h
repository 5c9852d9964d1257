/*
 * Keys of clips: "<recording's key without .webm>.clip-<id>.webm" and ".json".
 * They stand in signed links only; nothing is stored under them. No I/O.
 */
#ifndef STORAGE_CLIPS_CLIP_KEY_H
#define STORAGE_CLIPS_CLIP_KEY_H

#include <stdbool.h>

#include "manifest/object_key.h"

struct clip_key {
	char id[37];
	char recording[OBJECT_KEY_MAX + 1];
	bool is_manifest;
};

/* key: a safe one. False: it is no clip's. */
bool clip_key_read(struct clip_key *k, const char *key);

#endif
