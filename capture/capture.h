/*
 * A capture: what the tee ring carried, marks and bytes in order, kept to be
 * encoded later (docs/capture.md). Blocks of compressed records, each with
 * its own checksums, so that a file that was cut off is readable up to its
 * last whole block. Writer and reader; blocking I/O on one descriptor.
 */
#ifndef CAPTURE_CAPTURE_H
#define CAPTURE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/tee.h"

#define CAPTURE_HEADER_LEN 64            /* bytes before each block */
#define CAPTURE_RAW_MAX    (1024 * 1024) /* bytes of records in a block */
#define CAPTURE_META_MAX   (64 * 1024)   /* bytes of the session's JSON */
#define CAPTURE_WORD_MAX   24            /* bytes of an end word with NUL */
#define CAPTURE_FLUSH_NS   UINT64_C(250000000)  /* oldest unwritten record */
#define CAPTURE_SYNC_NS    UINT64_C(2000000000) /* oldest unsynced block */

/* Numbers that the JSON does not have, or not rightly, after a restart. */
struct capture_start {
	uint64_t first_seq, first_frame;
	uint64_t gap_start_ns; /* 0: no gap before it */
};

/* ---- writer ---- */

struct capture_writer;

/*
 * Begins a file at the start of fd (borrowed, empty) with the session's
 * JSON: len bytes, at most CAPTURE_META_MAX. Returns 0, ERR_NOMEM,
 * ERR_LIMIT, ERR_NOSPACE or ERR_IO.
 */
int capture_writer_new(struct capture_writer **out, int fd, const char *json,
    size_t len, const struct capture_start *start);

/*
 * Where the bytes of a capture go instead of a descriptor. Both return 0,
 * ERR_NOSPACE or ERR_IO, which the call that wrote returns; nothing is
 * written after an error.
 */
struct capture_sink {
	int (*write)(void *arg, const uint8_t *data, size_t len);
	int (*sync)(void *arg);
	void *arg;
};

/* The same with a sink, which is copied. */
int capture_writer_new_sink(struct capture_writer **out,
    const struct capture_sink *sink, const char *json, size_t len,
    const struct capture_start *start);
/* Frees without writing what is pending. NULL is fine. */
void capture_writer_free(struct capture_writer *w);

/*
 * The next mark or bytes; the mark's time may not be used when it goes
 * back. now_ns: the clock, for capture_writer_tick. Errors as above.
 */
int capture_writer_mark(
    struct capture_writer *w, const struct tee_mark *m, uint64_t now_ns);
int capture_writer_bytes(
    struct capture_writer *w, const uint8_t *data, size_t len, uint64_t now_ns);

/*
 * The state of a decoder that saw what came before the file, for the one
 * that will replay it: what rfb_decoder_save wrote, in one record. Errors as
 * above; ERR_LIMIT for what is longer than that can be.
 */
int capture_writer_state(struct capture_writer *w, const uint8_t *state,
    size_t len, uint64_t now_ns);

/*
 * From now on capture_writer_tick calls sync(arg) instead of syncing: it does
 * that, or something else does it soon. 0 or ERR_IO. capture_writer_end syncs
 * by itself.
 */
void capture_writer_set_sync(
    struct capture_writer *w, int (*sync)(void *arg), void *arg);

/* Writes a block, or syncs, when that is due. */
int capture_writer_tick(struct capture_writer *w, uint64_t now_ns);
/* When capture_writer_tick has something to do, or UINT64_MAX. */
uint64_t capture_writer_due(const struct capture_writer *w);

/*
 * Ends the file: the word of docs/spool.md and the time; synced. Nothing
 * may be written after it.
 */
int capture_writer_end(
    struct capture_writer *w, const char *word, uint64_t end_ns);

uint64_t capture_writer_bytes_written(const struct capture_writer *w);
/* Time of the last mark that is on disk, or will be with the next block. */
uint64_t capture_writer_last_ns(const struct capture_writer *w);

/* ---- reader ---- */

enum capture_end {
	CAPTURE_END_NONE,    /* not there yet */
	CAPTURE_END_CLOSED,  /* its writer ended it */
	CAPTURE_END_CUT,     /* cut off; at most one block is lost */
	CAPTURE_END_DAMAGED, /* a bad block, and more behind it */
};

enum capture_kind {
	CAPTURE_MARK,  /* mark */
	CAPTURE_BYTES, /* data, len */
	CAPTURE_STATE, /* data, len */
	CAPTURE_ENDED, /* mark.mono_ns and word: how its writer ended it */
};

struct capture_record {
	enum capture_kind kind;
	struct tee_mark mark; /* times never go back */
	const uint8_t *data;  /* borrowed until the next call */
	size_t len;
	char word[CAPTURE_WORD_MAX];
};

struct capture_reader;

/*
 * Reads the first block. fd, or data and its len bytes, are borrowed. Uses
 * at most some 4 MiB whatever the file says. Returns 0, ERR_NOMEM, ERR_IO or
 * ERR_CORRUPT.
 */
int capture_reader_new_fd(struct capture_reader **out, int fd);
int capture_reader_new_mem(
    struct capture_reader **out, const uint8_t *data, size_t len);
void capture_reader_free(struct capture_reader *r);

/* The session's JSON (*len bytes, borrowed, no NUL) and its numbers. */
const char *capture_reader_meta(
    const struct capture_reader *r, size_t *len, struct capture_start *start);

/*
 * The next record: 1 with *rec, 0 at the end of what can be read, ERR_IO or
 * ERR_NOMEM.
 */
int capture_reader_next(struct capture_reader *r, struct capture_record *rec);

/* After the 0. */
enum capture_end capture_reader_end(const struct capture_reader *r);

/* Bytes of the file: all, and up to where blocks were read. */
uint64_t capture_reader_size(const struct capture_reader *r);
uint64_t capture_reader_offset(const struct capture_reader *r);
uint64_t capture_reader_last_ns(const struct capture_reader *r);

#endif
