/*
 * Evidence (X3), docs/evidence.md: before a closed segment is stored, its
 * bytes are compared with what its recorder stated of them, and its manifest
 * is signed with this node's key; afterwards the signed manifest is stored
 * beside it. Segments whose manifest has no evidence pass through. One loop;
 * reading and hashing happens on a worker.
 */
#ifndef STORAGE_EVIDENCE_SIGNING_H
#define STORAGE_EVIDENCE_SIGNING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manifest/evidence_sign.h"
#include "storage/hash.h"
#include "manifest/object_key.h"
#include "storage/spool/spool_folder.h"
#include "storage/store/store.h"
#include "storage/storage_worker.h"

struct daemon;
struct spool_segment;
struct signing;

/*
 * Reads the key, or makes it when the file is not there; NULL or "": nothing
 * is signed. 0, or ERR_* with a sentence in err.
 */
int signing_new(
    struct daemon *d, const char *key_file, char *err, size_t err_len);
void signing_free(struct signing *s);
/* The key, for any thread; NULL: nothing is signed. Lives as long as s. */
const struct evidence_signer *signing_signer(const struct signing *s);
/* Makes this node's public key known; at each connect. */
void signing_announce(struct signing *s);
/* Checks under way end soon, with ERR_CANCELLED. */
void signing_stop(struct signing *s);

/*
 * Compares and signs it->fd, then calls done once, never before this
 * returned. r->err: 0; ERR_CORRUPT: other bytes than were recorded;
 * ERR_CANCELLED; or what stands in the way. 0 or ERR_NOMEM.
 */
int signing_start(struct spool_segment *sg,
    void (*done)(struct spool_segment *sg, const struct store_result *r));
/* The hashes of the media that were made when it was compared, for
 * store_put; NULL: it has no evidence. */
const struct file_hash *signing_hash(const struct spool_segment *sg);
/* The media was stored with this SHA-256: is it what was compared? */
bool signing_agrees(const struct spool_segment *sg, const uint8_t sha256[32]);
/*
 * Stores the manifest that signing_start made and notes it in the database;
 * done as above. False: there is none, done is not called.
 */
bool signing_store(struct spool_segment *sg,
    void (*done)(struct spool_segment *sg, const struct store_result *r));
/* The key of that manifest; "": there is none. */
const char *signing_key_of(const struct spool_segment *sg);
/* Forgets what was made for a segment; allowed when there is nothing. */
void signing_forget(struct spool_segment *sg);

/* ---- between signing.c and signing_job.c ---- */

/* What was seen of a file while it grew. */
struct signing_head {
	uint64_t from, to; /* bytes; both 0: nothing was */
	uint8_t sha256[32];
};

struct signing_job {
	struct worker_job work; /* first */
	struct spool_segment *sg;
	void (*done)(struct spool_segment *sg, const struct store_result *r);
	atomic_bool *stopping;
	const struct evidence_signer *signer; /* NULL: no key */
	int fd, dir;                          /* media; the spool */
	char id[37], name[SPOOL_NAME_MAX];    /* of its manifest, in dir */
	uint64_t bytes, part_bytes; /* part_bytes: as the store wants it */
	int64_t seq;                /* of its row */
	struct signing_head head;
	bool has_previous;
	uint8_t previous[32];
	/* results */
	struct store_result r;
	struct file_hash hash;
	uint8_t root[32], signature[EVIDENCE_SIGNATURE_LEN];
	bool is_signed;
	int manifest_fd; /* memory; -1: the manifest has no evidence */
	uint64_t manifest_len;
	char key[OBJECT_KEY_MAX + 1];
};

void signing_run(struct worker_job *work);

#endif
