/*
 * The clips that are being made and those that were made lately, so that a
 * manifest, a file and its ranges are made once: at most CLIP_SET_MAX, each
 * kept for CLIP_KEPT_SECONDS. On the loop.
 */
#ifndef STORAGE_CLIPS_CLIP_SET_H
#define STORAGE_CLIPS_CLIP_SET_H

#include <sys/queue.h>

#include "storage/clips/clip_build.h"

#define CLIP_SET_MAX      4
#define CLIP_KEPT_SECONDS 120

struct clip_set;
struct clip_wait;

/* r: as clip_build's, but fd and manifest are borrowed for the call. */
typedef void clip_cb(struct clip_wait *w, const struct clip_result *r);

/* Embedded in who waits; all zeros when it does not. */
struct clip_wait {
	TAILQ_ENTRY(clip_wait) link;
	struct clip_entry *entry; /* not NULL: waits */
	clip_cb *cb;
};

struct clip_set *clip_set_new(struct daemon *d);
/* Nobody waits, and nothing is made any more. */
void clip_set_free(struct clip_set *set);

/*
 * Calls w->cb from the loop, once; at once when the clip is there. Returns 0;
 * ERR_LIMIT: too many are being made; ERR_UNAVAILABLE or ERR_NOMEM.
 */
int clip_set_get(
    struct clip_set *set, const struct clip_key *key, struct clip_wait *w);
/* Forgets a wait; allowed when there is none. */
void clip_set_cancel(struct clip_wait *w);

#endif
