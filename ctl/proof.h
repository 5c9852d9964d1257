/*
 * Recordings on this machine against their signed manifests (X3), without a
 * server: one file, and the files of sessions together. docs/evidence.md.
 * Blocking.
 */
#ifndef CTL_PROOF_H
#define CTL_PROOF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/evidence.h"
#include "common/evidence_order.h"
#include "common/evidence_sign.h"

#define PROOF_PATH_MAX  4096
#define PROOF_FILES_MAX 10000

enum proof_kind {
	PROOF_GOOD,
	PROOF_CHANGED,     /* a range of bytes */
	PROOF_MISSING,     /* the file ends too early */
	PROOF_ADDED,       /* bytes behind its end */
	PROOF_NO_FILE,     /* a manifest without its recording */
	PROOF_NO_MANIFEST, /* a recording without its manifest */
	PROOF_MANIFEST,    /* the manifest is none, or does not fit itself */
	PROOF_UNSIGNED,
	PROOF_SIGNATURE,   /* the manifest was changed since it was signed */
	PROOF_UNKNOWN_KEY, /* signed, by nobody we know */
	PROOF_UNREADABLE,
	PROOF_SWAPPED, /* under the name of another file */
	/* of clips */
	PROOF_NO_ORIGINAL,    /* as it was signed; its original was not given */
	PROOF_ORIGINAL,       /* its original's manifest is not to be trusted */
	PROOF_OTHER_ORIGINAL, /* it was cut from another recording */
	PROOF_RANGE,          /* not the range that its manifest names */
};

struct proof_keys {
	struct evidence_key list[EVIDENCE_KEYS_MAX];
	size_t n;
};

struct proof {
	char path[PROOF_PATH_MAX], manifest[PROOF_PATH_MAX];
	char original[PROOF_PATH_MAX]; /* of a clip: its original's manifest */
	char shown[PROOF_PATH_MAX];    /* what people call it */
	enum proof_kind kind;
	struct evidence_fault fault; /* CHANGED, MISSING, ADDED */
	bool has_facts;
	struct evidence_facts facts;
	bool is_clip;
	char clip_of[37]; /* the recording; "" before it was read */
	json_t *clip;     /* what its manifest says; NULL: none */
	char key_id[EVIDENCE_KEY_ID_MAX]; /* that the signature claims */
	char text[640];                   /* a sentence for people */
};

struct proof_set {
	struct proof *list;
	size_t n, cap;
	json_t *sessions; /* results of proof_set_check */
	bool is_good;
};

/*
 * Checks p->path with p->manifest ("": found beside it), a clip with
 * p->original ("": it is not known) too. Fills the rest.
 */
void proof_check(struct proof *p, const struct proof_keys *keys);

/* As in JSON: "good", "changed", ... */
const char *proof_kind_name(enum proof_kind kind);

/* A new entry, zeroed; NULL after a message. */
struct proof *proof_set_add(struct proof_set *s);
/* All recordings and manifests in a folder and below. 0 or STATUS_FAILED. */
int proof_set_read_folder(struct proof_set *s, const char *folder);
/*
 * Checks each, then each session's files together. 0, or STATUS_FAILED after
 * a message (memory).
 */
int proof_set_check(struct proof_set *s, const struct proof_keys *keys);
/* Prints all results. Returns STATUS_OK or STATUS_FAILED (something bad). */
int proof_set_print(const struct proof_set *s, bool json);
void proof_set_release(struct proof_set *s);

#endif
