/*
 * A clip (M5, X3): clusters of a stored recording as a file of its own, whose
 * manifest ties them to the recording's root. docs/clips.md has the format.
 * This part says what a clip's manifest states, and compares a clip's file
 * with the evidence of its original. No I/O but by the reader, thread-safe.
 */
#ifndef MANIFEST_CLIP_H
#define MANIFEST_CLIP_H

#include <jansson.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "manifest/evidence.h"
#include "webm/webm_walk.h"

#define CLIP_REASON_MAX 1000 /* bytes */
#define CLIP_DAY_MS     86400000

/* What a clip's manifest says. Texts are borrowed from it. */
struct clip_facts {
	const char *id,
	    *segment; /* of itself, of its original; 36 characters */
	const char *person, *reason, *made_at;
	uint8_t root[EVIDENCE_HASH_LEN]; /* of the original */
	uint64_t original_bytes;
	uint64_t from,
	    to; /* bytes of the original that are in it: [from, to) */
	int64_t asked_from_ms, asked_to_ms, from_ms,
	    to_ms; /* of the original */
	/*
	 * SHA-256 of the bytes before `from` of its block, not finished: with
	 * it the block can be checked without them. count 0: there are none.
	 */
	crypto_hash_sha256_state before;
};

/* Is it a clip's manifest, by its kind? */
bool clip_is(const json_t *manifest);

/* Returns 0, or ERR_CORRUPT with a static sentence in *why. */
int clip_read(struct clip_facts *c, const json_t *manifest, const char **why);

/* A manifest with all that; without evidence and signature. NULL: memory. */
json_t *clip_to_json(const struct clip_facts *c);

enum clip_fault_kind {
	CLIP_OTHER_ORIGINAL, /* that is not the recording it was cut from */
	CLIP_SHAPE, /* it is no row of clusters that begins with a key frame */
	CLIP_RANGE, /* its frames do not lie in the range that it states */
	CLIP_CONTENT, /* a range of its bytes is not the original's */
};

struct clip_fault {
	enum clip_fault_kind kind;
	uint64_t offset, len; /* CONTENT, SHAPE (len 0): of the clip's file */
};

/*
 * Compares a clip's file with the original's evidence (checked by
 * evidence_parse, its signature by the caller). clip: its own evidence, which
 * the file was found to agree with. Returns 0 and in *tail how many bytes at
 * the end of its clusters nothing but the clip's own signature vouches for;
 * ERR_CORRUPT and *fault; or the reader's error.
 */
int clip_compare(const struct clip_facts *c, const struct evidence *clip,
    const struct evidence *original, webm_read_fn *read, void *arg,
    uint64_t *tail, struct clip_fault *fault);

#endif
