/* Shared by verify_file.c and verify_clip.c. */
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
/* p->path against e; says what differs. */
void verify_file_check_bytes(struct verify_file *p, const struct evidence *e);
/* A clip by its manifest, and by that of its original, if p->original is one.
 */
void verify_file_check_clip(struct verify_file *p, const json_t *manifest,
    const struct verify_keys *keys);

#endif
