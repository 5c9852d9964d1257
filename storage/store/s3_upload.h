/*
 * One file to S3, in steps; s3_upload.c says which. Between s3_upload.c (the
 * order, and what a stat proves), s3_upload_parts.c (requests of a multipart
 * upload), s3_upload_send.c (its parts), s3_upload_superseded.c (another
 * writer was first), s3_upload_rows.c (what is noted in the database) and
 * s3_early.c (parts of a file that still grows).
 */
#ifndef STORAGE_STORE_S3_UPLOAD_H
#define STORAGE_STORE_S3_UPLOAD_H

#include "common/buf.h"
#include "storage/hash.h"
#include "storage/store/store_s3.h"

#define PARTS_MAX       10000
#define XML_PART_MAX    160 /* bytes of a part in the list that joins them */
#define S3_PARALLEL_MAX 8   /* setting s3_parallel_parts */

struct part {
	bool is_done;
	char etag[100]; /* known to the server */
	char noted_etag[100];
	uint8_t noted_sha256[32];
	uint64_t noted_bytes;
	/* of one that grows: noted before it was sent */
	char next_etag[100];
	uint64_t next_bytes;
};

/* A part under way. */
struct part_sending {
	struct upload *upload;
	bool is_busy;
	size_t i;
	uint64_t begun_ns;
	struct s3_request rq;
	char number[16], md5[32], hex[65];
};

/* What follows when no part is under way any more. */
enum upload_end {
	UPLOAD_GOES_ON,
	UPLOAD_RESTARTS,   /* the server does not know it */
	UPLOAD_SUPERSEDED, /* another writer was first */
	UPLOAD_FAILS,
};

struct upload {
	struct hash_job job;            /* first: the worker hands it back */
	const struct file_hash *hashes; /* given, or those of job */
	struct s3_store *s;
	struct store_put put;
	struct store_result r;
	uint64_t part_bytes, bytes_done;
	size_t n_parts, n_sending;
	struct part *parts;
	struct part_sending sending[S3_PARALLEL_MAX];
	enum upload_end end;
	char upload_id[1025];
	char stale_id[1025]; /* of the upload that is being aborted */
	/* the object takes the place of what the first stat saw, or of nothing,
	 * where the server knows conditions */
	bool is_conditional, was_absent;
	char replaces[104]; /* ETag in quotes; "": not known */
	bool was_restarted; /* NoSuchUpload: begun again once */
	/* its file grows: parts are sent, and nothing is completed */
	bool is_growing;
	const char *manifest; /* then; borrowed */
	/* upload_id was created while the file grew: its object has no SHA-256
	 * among its metadata */
	bool is_bare;
	unsigned n_aborted; /* abandoned uploads of this key */
	char marker[24];
	/* of the request under way that is no part */
	struct s3_request rq;
	char part_text[16], hex[65];
	struct buf xml;
};

/* ---- s3_upload.c ---- */

/* Answers, and frees u. _fail: with a sentence. */
void s3_upload_finish(struct upload *u);
__attribute__((format(printf, 3, 4))) void s3_upload_fail(
    struct upload *u, int err, const char *fmt, ...);
/* Sends u->rq; answered by cb, or the upload has failed. */
void s3_upload_send(struct upload *u, s3_cb *cb);
/* Bytes of part i, from 0. */
uint64_t s3_upload_part_len(const struct upload *u, size_t i);
/* Sets how the file is cut. part_bytes: fixed, or 0: by what the link
 * carries. */
int s3_upload_cut(struct upload *u, uint64_t part_bytes);
/* Hashes all, unless put.hash has it, then looks what is there. */
void s3_upload_hash(struct upload *u);
/* Content type, SHA-256 and encryption of the object, into rq. */
void s3_upload_object_headers(struct upload *u, struct s3_request *rq);
/* If-None-Match or If-Match of what makes the object, into rq. */
void s3_upload_condition(const struct upload *u, struct s3_request *rq);
/* Asks for the object as it is stored now. */
void s3_upload_stat(struct upload *u, s3_cb *cb);
/* The answer behind the last step. */
void s3_upload_on_stored(void *arg, const struct s3_response *r);
/* The last step: is the stored object what was sent? */
void s3_upload_verify(struct upload *u);

/* ---- s3_upload_parts.c ---- */

/* Goes on with the noted upload. */
void s3_upload_list(struct upload *u);
/* Aborts all uploads of this key but upload_id, then notes that one, or
 * creates one where there is none. */
void s3_upload_clean(struct upload *u);
/* The server does not know the upload: begin again, once; u->r says why. */
void s3_upload_restart(struct upload *u);
/* Ends the upload u->stale_id. */
void s3_upload_abort(struct upload *u, s3_cb *cb);
/* Has the server join the parts. */
void s3_upload_complete(struct upload *u);
/* The answer to a request that names an upload: there is none. */
bool s3_upload_is_lost(const struct s3_response *r);

/* ---- s3_early.c ---- */

/* Sends the next part that is new, or ends: the upload is noted. */
void s3_early_next(struct upload *u);

/* ---- s3_early_end.c ---- */

/* The server has part i, from 0; etag without quotes. */
void s3_early_listed(
    struct upload *u, size_t i, uint64_t bytes, const char *etag);
/* The key may not list parts: what was noted counts as there. */
void s3_early_take_noted(struct upload *u);
/* All are listed: those that are there become the object. */
void s3_early_join(struct upload *u);
/* The server refuses to join them: another list of them is tried. */
void s3_early_refused(struct upload *u);

/* ---- s3_upload_superseded.c ---- */

/* The condition was refused (412): another writer was first, and its object
 * may be this file; or the server does not know conditions after all. */
void s3_upload_superseded(struct upload *u);

/* ---- s3_upload_send.c ---- */

/* Sends the parts that are missing, or a file of one part whole, then
 * completes it. */
void s3_upload_part(struct upload *u);

/* ---- s3_upload_rows.c ---- */

/* Reads what an earlier try noted, unless there can be nothing, then hashes.
 * As db_query. */
int s3_upload_read_rows(struct upload *u);
/* The noted upload is no more. */
void s3_upload_forget(struct upload *u);
/* Notes u->upload_id, then sends parts. */
void s3_upload_note(struct upload *u);
/* As s3_upload_read_rows, for one that grows: s3_early_next follows. */
int s3_upload_read_early_rows(struct upload *u);
/* Part i, of an upload that began while the file grew, is about to be sent:
 * what it replaces is gone then. Not waited for. */
void s3_upload_note_replacing(struct upload *u, size_t i);
/* Part i is stored. Not waited for: the server's list is what counts. */
void s3_upload_note_part(struct upload *u, size_t i);

#endif
