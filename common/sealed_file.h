/*
 * Files that are written where nobody is trusted to read them, such as
 * captures on an endpoint's disk: a random key encrypts the bytes
 * (crypto_secretstream_xchacha20poly1305), and the file begins with that key
 * sealed to a public key (crypto_box_seal), so the machine that wrote a file
 * cannot read it back. One that was cut off is readable up to its last whole
 * chunk. docs/capture.md, "Sealed". Blocking I/O; one owner per object.
 *
 *	"RCsealed" | sealed key (80) | stream header (24) | chunk ...
 *	chunk: u32 length of what follows | encrypted bytes
 */
#ifndef COMMON_SEALED_FILE_H
#define COMMON_SEALED_FILE_H

#include <stddef.h>
#include <stdint.h>

#define SEALED_KEY_LEN   32 /* of either half of the key pair (X25519) */
#define SEALED_ID_LEN    16 /* of the UUID a file is bound to */
#define SEALED_HEAD_LEN  112
#define SEALED_CHUNK_MAX 65536 /* bytes of one chunk before encryption */

struct sealed_writer;

/*
 * Begins a file at the start of fd (borrowed, empty). id: the UUID, without
 * which the file cannot be opened. Returns 0, ERR_NOMEM (also when the key
 * is no public key), ERR_NOSPACE or ERR_IO.
 */
int sealed_writer_new(struct sealed_writer **out, int fd,
    const uint8_t public_key[SEALED_KEY_LEN], const uint8_t id[SEALED_ID_LEN]);

/* Appends len bytes as one chunk, or several. ERR_NOSPACE or ERR_IO: the
 * file ends with its last whole chunk, and no call succeeds any more. */
int sealed_writer_write(
    struct sealed_writer *w, const uint8_t *data, size_t len);

/* Says that the file is complete. Errors as above. */
int sealed_writer_end(struct sealed_writer *w);

/* Bytes of the file so far. */
uint64_t sealed_writer_bytes(const struct sealed_writer *w);

/* Forgets the key. NULL is fine. */
void sealed_writer_free(struct sealed_writer *w);

enum sealed_end {
	SEALED_END_NONE,    /* not there yet */
	SEALED_END_CLOSED,  /* its writer ended it */
	SEALED_END_CUT,     /* it ends before that; a partial chunk is lost */
	SEALED_END_DAMAGED, /* a chunk is not what was written, or more follows
			     * behind the end */
};

struct sealed_reader;

/*
 * Reads the head from where fd (borrowed) stands. Returns 0, ERR_NOMEM,
 * ERR_IO, ERR_CORRUPT (no such file, or cut off in its head), or ERR_DENIED:
 * it was sealed to another key.
 */
int sealed_reader_new(struct sealed_reader **out, int fd,
    const uint8_t public_key[SEALED_KEY_LEN],
    const uint8_t secret_key[SEALED_KEY_LEN], const uint8_t id[SEALED_ID_LEN]);

/* The next bytes, borrowed until the next call: 1, 0 at the end of what can
 * be read, or ERR_IO. */
int sealed_reader_next(
    struct sealed_reader *r, const uint8_t **data, size_t *len);

/* After the 0. */
enum sealed_end sealed_reader_end(const struct sealed_reader *r);

void sealed_reader_free(struct sealed_reader *r);

#endif
