/*
 * The SHA-256 of a stored object, read STORE_READ_MAX at a time through
 * store_ops.read, for stores whose check does not read the bytes. On the loop.
 */
#ifndef STORAGE_SCRUB_REHASH_H
#define STORAGE_SCRUB_REHASH_H

#include "storage/store/store.h"

/*
 * object: copied. Answered once: 0 when size and SHA-256 agree, ERR_CORRUPT,
 * ERR_NOTFOUND, or what the store says when it is away. Returns 0 or an error,
 * then on_done is not called.
 */
int rehash(struct store *s, const struct store_object *object,
    store_done_cb *on_done, void *arg);

#endif
