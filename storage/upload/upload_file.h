/*
 * The files of one upload in SPOOL/uploads (docs/spool.md):
 *
 *	<id>.data    the bytes as they came; its size is the offset
 *	<id>.json    what the upload is: written before .data, removed last
 *	<id>.check   while a request with a checksum runs: the offset before it
 *	<id>.capture decrypted, while that is being done
 *	<id>.kept    a copy that is not encoded
 *
 * The process may die at any point: upload_file_load finds the state that the
 * files say. Blocking I/O; one owner. The calls that read the whole file run
 * on a worker thread.
 */
#ifndef STORAGE_UPLOAD_UPLOAD_FILE_H
#define STORAGE_UPLOAD_UPLOAD_FILE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/sealed_file.h"
#include "common/uuid.h"
#include "storage/upload/upload_offset.h"

/* The site's pair of keys that agents encrypt to. */
struct site_key {
	uint8_t public_key[SEALED_KEY_LEN], secret_key[SEALED_KEY_LEN];
};

/* What an upload is; embedded, all but order stays as created. */
struct upload_file {
	int dir; /* SPOOL/uploads, borrowed */
	int fd;  /* of .data; -1: it is not open */
	char id[UUID_TEXT_MAX], session[UUID_TEXT_MAX];
	int64_t endpoint_id;
	bool is_sealed, has_digest;
	uint8_t digest[32]; /* SHA-256 of all bytes */
	json_t *order;      /* owned: what the relay ordered */
	struct upload_offset at;
	uint64_t last_s; /* Unix time of the last byte */
	bool is_kept;    /* it came whole, and stays a copy */
};

#define UPLOAD_NAME_MAX (UUID_LEN + 16)
/* "<id><suffix>" into out; returns out. */
char *upload_file_name(
    const char *id, const char *suffix, char out[UPLOAD_NAME_MAX]);

/*
 * Makes the files of a new upload: f has all but fd, and order and dir are
 * there. What an upload of before left goes. Returns 0, ERR_IO (errno),
 * ERR_NOSPACE or ERR_NOMEM.
 */
int upload_file_create(struct upload_file *f);

/*
 * Finds an upload again after a start; dir: SPOOL/uploads. Bytes of a request
 * whose checksum was not known are cut off. Returns 0 with f; ERR_NOTFOUND:
 * there is none; ERR_CORRUPT: its files do not fit together; ERR_IO, ERR_NOMEM.
 */
int upload_file_load(struct upload_file *f, int dir, const char *id);

/* Closes it and frees what belongs to f; the files stay. */
void upload_file_release(struct upload_file *f);

/*
 * A request begins: as upload_offset_begin, whose errors it returns. Opens
 * .data; ERR_IO.
 */
int upload_file_begin(
    struct upload_file *f, uint64_t at, uint64_t n, bool is_checked);
/* Its next bytes: 0, ERR_NOSPACE or ERR_IO. */
int upload_file_write(struct upload_file *f, const uint8_t *data, size_t n);
/* It has ended: as upload_offset_end. 0 or ERR_IO. */
int upload_file_end(struct upload_file *f, bool is_right);

/* ---- between upload_*.c ---- */

/* One of its files; flags as open(2) has them. A descriptor, or -1. */
int upload_file_open(
    const struct upload_file *f, const char *suffix, int flags);
/* 0, also when there is none, or ERR_IO. */
int upload_file_unlink(const struct upload_file *f, const char *suffix);
/* A whole file, synced, that replaces one of that name. 0 or ERR_*. */
int upload_file_put(
    const struct upload_file *f, const char *suffix, const char *text);

/* ---- on a worker thread ---- */

/* What upload_file_finish says about a whole upload. */
enum upload_outcome {
	UPLOAD_RIGHT,
	UPLOAD_DIFFERS,     /* its SHA-256 is not the digest */
	UPLOAD_UNREADABLE,  /* it cannot be decrypted */
	UPLOAD_NOT_ORDERED, /* it is not the capture that was ordered */
	UPLOAD_LATER,       /* the machine is at fault: err says what */
};

/*
 * Syncs it, compares its digest, decrypts it, and compares the first block
 * with the order. digest: its SHA-256, out. why: a sentence, when it is not
 * right. err: out, for UPLOAD_LATER.
 */
enum upload_outcome upload_file_check(const struct upload_file *f,
    const struct site_key *key, const atomic_bool *stopping, uint8_t digest[32],
    int *err, char *why, size_t why_len);

/* ---- upload_place.c, afterwards ---- */

/*
 * Moves a right one into the folder of its session: manifest (JSON text), then
 * capture. spool: the spool's folder. Steps that may be taken again. 0, ERR_IO
 * or ERR_NOMEM.
 */
int upload_file_place(struct upload_file *f, int spool, const char *manifest);
/* Leaves a right one as a copy. 0 or ERR_IO. */
int upload_file_keep(struct upload_file *f);
/* Moves one that is not right to SPOOL/quarantine/SESSION. 0 or ERR_IO. */
int upload_file_set_aside(struct upload_file *f, int spool);
/* Removes all files of that id; those that are not there do not matter. */
void upload_file_remove(int dir, const char *id);

#endif
