/*
 * Whether signed manifests are all of a session's (X3): what each says of
 * its place, and what is missing, twice or not in its place among them. No
 * I/O, thread-safe. docs/evidence.md.
 */
#ifndef MANIFEST_EVIDENCE_ORDER_H
#define MANIFEST_EVIDENCE_ORDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manifest/evidence.h"

/* What a manifest says of its file and its place. */
struct evidence_facts {
	char session[37], segment[37], end[24];
	char name[256]; /* last component of its object key */
	int64_t seq, monitor, frames, first_frame, last_frame, bytes;
	uint8_t root[EVIDENCE_HASH_LEN];
	bool has_sha256, has_previous; /* storage states them */
	uint8_t sha256[EVIDENCE_HASH_LEN];
	uint8_t previous[EVIDENCE_HASH_LEN]; /* root of file seq - 1 */
};

/* Returns 0, or ERR_CORRUPT with a static sentence in *why. */
int evidence_facts_read(
    struct evidence_facts *f, const json_t *manifest, const char **why);

enum evidence_order_kind {
	EVIDENCE_REMOVED,  /* files from..to are not there */
	EVIDENCE_MORE,     /* after file from there were more */
	EVIDENCE_TWICE,    /* number from is there more than once */
	EVIDENCE_FRAMES,   /* frames do not go on from file from to to */
	EVIDENCE_REPLACED, /* file to followed another one than from */
};

struct evidence_order {
	enum evidence_order_kind kind;
	int64_t from, to; /* numbers of files in the session */
};

/*
 * Sorts the n facts of one session by number and tells what is wrong with
 * them: up to max entries in out. Returns how many there are in all.
 */
size_t evidence_order_check(struct evidence_facts *facts, size_t n,
    struct evidence_order *out, size_t max);

/* Whether the last of n sorted facts says that the session ended with it. */
bool evidence_order_is_end(const struct evidence_facts *last);

#endif
