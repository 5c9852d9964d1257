/*
 * One file to S3, in steps; s3_upload.c says which. Between s3_upload.c (the
 * order, and what a stat proves), s3_upload_parts.c (requests of a multipart
 * upload) and s3_upload_rows.c (what is noted in the database).
 */
#ifndef STORAGE_STORE_S3_UPLOAD_H
#define STORAGE_STORE_S3_UPLOAD_H

#include "common/buf.h"
#include "storage/hash.h"
#include "storage/store/store_s3.h"

#define PARTS_MAX    10000
#define XML_PART_MAX 160 /* bytes of a part in the list that joins them */

struct part {
	bool is_done;
	char etag[100]; /* known to the server */
	char noted_etag[100];
	uint8_t noted_sha256[32];
};

struct upload {
	struct hash_job hash; /* first: the worker hands it back */
	struct s3_store *s;
	struct store_put put;
	struct store_result r;
	uint64_t part_bytes, bytes_done;
	size_t n_parts, next;
	struct part *parts;
	char upload_id[1025];
	bool was_restarted; /* NoSuchUpload: begun again once */
	unsigned n_aborted; /* abandoned uploads of this key */
	char marker[24];
	/* of the request under way */
	struct s3_request rq;
	char part_text[16], md5[32], hex[65];
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
/* Sets how the file is cut; more than 10,000 parts are not allowed. */
int s3_upload_cut(struct upload *u, uint64_t part_bytes);
/* Hashes all, then looks what is there. */
void s3_upload_hash(struct upload *u);
/* Content type and SHA-256, into u->rq. */
void s3_upload_object_headers(struct upload *u);
/* Asks for the object as it is stored now. */
void s3_upload_stat(struct upload *u, s3_cb *cb);
/* The answer behind the last step. */
void s3_upload_on_stored(void *arg, const struct s3_response *r);

/* ---- s3_upload_parts.c ---- */

/* Goes on with the noted upload; begins a new one. */
void s3_upload_list(struct upload *u);
void s3_upload_clean(struct upload *u);
/* Sends the next part that is missing, or a file of one part whole. */
void s3_upload_part(struct upload *u);

/* ---- s3_upload_rows.c ---- */

/* Reads what an earlier try noted, then hashes. As db_query. */
int s3_upload_read_rows(struct upload *u);
/* The noted upload is no more. */
void s3_upload_forget(struct upload *u);
/* Notes u->upload_id, then sends parts. */
void s3_upload_note(struct upload *u);
/* Part i is stored. Not waited for: the server's list is what counts. */
void s3_upload_note_part(struct upload *u, size_t i);

#endif
