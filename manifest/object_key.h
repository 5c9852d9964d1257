/*
 * Object keys come from manifests and URLs; only keys that pass here reach a
 * file system or an S3 server. Thread-safe, no I/O but beneath_open.
 */
#ifndef MANIFEST_OBJECT_KEY_H
#define MANIFEST_OBJECT_KEY_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/uuid.h"

#define OBJECT_KEY_MAX   512
#define OBJECT_DEPTH_MAX 8

/*
 * True for 1..8 components of 1..128 characters A-Z a-z 0-9 . _ + - that do
 * not start with a dot, at most OBJECT_KEY_MAX bytes in all, ".webm" last.
 */
bool object_key_is_valid(const char *key);

/*
 * The same with ".jpg" last: the picture that stands for a recording, kept
 * beside it.
 */
bool object_key_is_poster(const char *key);

/* The same with ".json" last: the signed manifest of a recording. */
bool object_key_is_manifest(const char *key);

/* Any of them: what may be kept in a store. */
bool object_key_is_safe(const char *key);

/* The poster's key of a valid key: ".jpg" for ".webm". Returns out. */
char *object_key_poster(const char *key, char out[OBJECT_KEY_MAX + 1]);

/* The signed manifest's key of a valid key: ".json" for ".webm". */
char *object_key_manifest(const char *key, char out[OBJECT_KEY_MAX + 1]);

/* The session's id in a key, team/endpoint/session/..., or "". Returns out. */
char *object_key_session(const char *key, char out[UUID_TEXT_MAX]);

/* A field of log lines: the session whose object that is. Needs common/log.h.
 */
#define LOG_SESSION_OF(key)                                                    \
	LOG_S("session", object_key_session((key), (char[UUID_TEXT_MAX]){ "" }))

/* "video/webm" and the like, of a safe key. */
const char *object_key_media_type(const char *key);

/*
 * Opens the folder that holds key, below root, following no symbolic link.
 * make: create missing folders (0750) on the way. *name is the last
 * component, inside key. Returns a descriptor, or -1 and errno.
 */
int beneath_dir(int root, const char *key, bool make, const char **name);

/* Opens key below root for reading, regular files only; or -1 and errno. */
int beneath_open(int root, const char *key);

#endif
