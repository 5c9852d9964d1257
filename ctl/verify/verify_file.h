/*
 * Recordings on this machine against their signed manifests (X3), without a
 * server: one file, and the files of sessions together. docs/evidence.md.
 * Blocking.
 */
#ifndef CTL_VERIFY_VERIFY_FILE_H
#define CTL_VERIFY_VERIFY_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "manifest/evidence.h"
#include "manifest/evidence_order.h"
#include "manifest/evidence_sign.h"

#define VERIFY_PATH_MAX  4096
#define VERIFY_FILES_MAX 10000

enum verify_result {
	VERIFY_GOOD,
	VERIFY_CHANGED,     /* a range of bytes */
	VERIFY_MISSING,     /* the file ends too early */
	VERIFY_ADDED,       /* bytes behind its end */
	VERIFY_NO_FILE,     /* a manifest without its recording */
	VERIFY_NO_MANIFEST, /* a recording without its manifest */
	VERIFY_MANIFEST,    /* the manifest is none, or does not fit itself */
	VERIFY_UNSIGNED,
	VERIFY_SIGNATURE,   /* the manifest was changed since it was signed */
	VERIFY_UNKNOWN_KEY, /* signed, by nobody we know */
	VERIFY_UNREADABLE,
	VERIFY_SWAPPED, /* under the name of another file */
	/* of clips */
	VERIFY_NO_ORIGINAL, /* as it was signed; its original was not given */
	VERIFY_ORIGINAL,    /* its original's manifest is not to be trusted */
	VERIFY_OTHER_ORIGINAL, /* it was cut from another recording */
	VERIFY_RANGE,          /* not the range that its manifest names */
};

struct verify_keys {
	struct evidence_key list[EVIDENCE_KEYS_MAX];
	size_t n;
};

struct verify_file {
	char path[VERIFY_PATH_MAX], manifest[VERIFY_PATH_MAX];
	char original[VERIFY_PATH_MAX]; /* of a clip: its original's manifest */
	char shown[VERIFY_PATH_MAX];    /* what people call it */
	enum verify_result kind;
	struct evidence_fault fault; /* CHANGED, MISSING, ADDED */
	/* milliseconds of the recording that a changed range shows; -1: it
	 * shows none, or that cannot be told any more */
	int64_t from_ms, to_ms;
	bool has_facts;
	struct evidence_facts facts;
	bool is_clip;
	char clip_of[37]; /* the recording; "" before it was read */
	json_t *clip;     /* what its manifest says; NULL: none */
	char key_id[EVIDENCE_KEY_ID_MAX]; /* that the signature claims */
	char text[640];                   /* a sentence for people */
};

struct verify_set {
	struct verify_file *list;
	size_t n, cap;
	json_t *sessions; /* results of verify_set_check */
	bool is_good;
};

/*
 * Checks p->path with p->manifest ("": found beside it), a clip with
 * p->original ("": it is not known) too. Fills the rest.
 */
void verify_file_check(struct verify_file *p, const struct verify_keys *keys);

/* As in JSON: "good", "changed", ... */
const char *verify_result_name(enum verify_result kind);

/* A new entry, zeroed; NULL after a message. */
struct verify_file *verify_set_add(struct verify_set *s);
/* All recordings and manifests in a folder and below. 0 or STATUS_FAILED. */
int verify_set_read_folder(struct verify_set *s, const char *folder);
/*
 * Checks each, then each session's files together. 0, or STATUS_FAILED after
 * a message (memory).
 */
int verify_set_check(struct verify_set *s, const struct verify_keys *keys);
/* Prints all results. Returns STATUS_OK or STATUS_FAILED (something bad). */
int verify_set_print(const struct verify_set *s, bool json);
void verify_set_release(struct verify_set *s);

#endif
