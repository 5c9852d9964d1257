/* What clip_build.c (the loop) and clip_work.c (a worker) share. */
#ifndef STORAGE_CLIPS_CLIP_BUILD_INTERNAL_H
#define STORAGE_CLIPS_CLIP_BUILD_INTERNAL_H

#include <stdarg.h>
#include <stdint.h>

#include "manifest/clip.h"
#include "storage/clips/clip_build.h"
#include "storage/clips/clip_cut.h"
#include "storage/evidence/signing.h"
#include "manifest/manifest.h"
#include "storage/store/store.h"
#include "storage/storage_worker.h"

/* What is read, and then worked on. */
enum clip_phase {
	CLIP_MANIFEST, /* of the recording */
	CLIP_HEADER,
	CLIP_CUES,
	CLIP_BLOCKS,
	CLIP_DONE,
};

/* Owned by the loop, but while it is submitted as a job. */
struct clip_build {
	struct worker_job work; /* first */
	struct daemon *d;
	struct clip_key key;
	clip_built_cb *done;
	void *arg;
	const struct evidence_signer *signer; /* NULL: no key */
	int err;
	char text[240];
	/* the row */
	int64_t from_ms, to_ms;
	uint8_t expected_root[32], manifest_sha256[32];
	bool is_manifest_known; /* its SHA-256; older rows have none */
	char reason[CLIP_REASON_MAX + 1], author[256], made_at[40];
	char segment[37], manifest_key[OBJECT_KEY_MAX + 1];
	/* what is read: [at, end) of this phase's object */
	enum clip_phase phase;
	uint64_t at, end;
	char etag[100];
	int root;                  /* of the folder store; -1: S3 */
	int manifest_fd, parts_fd; /* parts: at their places */
	/* what was found */
	json_t *original;
	struct evidence evidence;
	struct clip_plan plan;
	int out_fd;
	char *manifest; /* of the clip */
};

/* Sets err and text; returns err. */
__attribute__((format(printf, 3, 4))) int clip_build_fail(
    struct clip_build *b, int err, const char *fmt, ...);

/* Where this phase's bytes come from, and go to. */
const char *clip_build_source(const struct clip_build *b);
int clip_build_target(const struct clip_build *b);

/* On a worker: what follows from the bytes that were read. */
void clip_build_step(struct worker_job *work);
/* On a worker: the same, and reads from the folder store, to the end. */
void clip_build_all(struct worker_job *work);
void clip_build_release_work(struct clip_build *b);

#endif
