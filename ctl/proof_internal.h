/* What proof.c and proof_clip.c share. */
#ifndef CTL_PROOF_INTERNAL_H
#define CTL_PROOF_INTERNAL_H

#include "ctl/proof.h"

/* The result, and a sentence for people. */
__attribute__((format(printf, 3, 4))) void proof_say(
    struct proof *p, enum proof_kind kind, const char *fmt, ...);
/* A manifest's JSON; NULL and a sentence in p. */
json_t *proof_load_manifest(struct proof *p, const char *path);
/* Says so when nobody known signed it. */
void proof_check_signature(
    struct proof *p, const json_t *manifest, const struct proof_keys *keys);
/* p->path against e; says what differs. */
void proof_check_bytes(struct proof *p, const struct evidence *e);
/* A clip by its manifest, and by that of its original, if p->original is one.
 */
void proof_check_clip(
    struct proof *p, const json_t *manifest, const struct proof_keys *keys);

#endif
