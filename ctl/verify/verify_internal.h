/* Shared by verify_file.c, verify_clip.c and verify_times.c. */
#ifndef CTL_VERIFY_VERIFY_INTERNAL_H
#define CTL_VERIFY_VERIFY_INTERNAL_H

#include "ctl/verify/verify_file.h"

/* The result, and a sentence for people. */
__attribute__((format(printf, 3, 4))) void verify_file_say(
    struct verify_file *p, enum verify_result kind, const char *fmt, ...);
/* A manifest's JSON; NULL and a sentence in p. */
json_t *verify_file_load_manifest(struct verify_file *p, const char *path);
/* Says so when nobody known signed it. */
void verify_file_check_signature(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys);
#define POSITION_MAX 40
/* 1:02:03.250; returns out. */
char *verify_position(int64_t ms, char out[POSITION_MAX]);
/* Sets from_ms and to_ms by p->fault; fd: the file. */
void verify_find_times(struct verify_file *p, int fd);
/* p->path against e; says what differs. */
void verify_file_check_bytes(struct verify_file *p, const struct evidence *e);
/* A clip by its manifest, and by that of its original, if p->original is one.
 */
void verify_file_check_clip(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys);

#endif
