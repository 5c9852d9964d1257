#include "common/sealed_file.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/write_all.h"

#define STREAM(name) crypto_secretstream_xchacha20poly1305_##name

#define MAGIC      "RCsealed"
#define MAGIC_LEN  8
#define BOX_LEN    (STREAM(KEYBYTES) + crypto_box_SEALBYTES)
#define LENGTH_LEN 4 /* before each chunk */
#define LEAST      STREAM(ABYTES)
#define MOST       (SEALED_CHUNK_MAX + STREAM(ABYTES))

_Static_assert(MAGIC_LEN + BOX_LEN + STREAM(HEADERBYTES) == SEALED_HEAD_LEN,
    "the head as documented");

struct sealed_writer {
	int fd;
	STREAM(state) stream;
	uint64_t bytes; /* of the file, whole chunks */
	int failed;     /* what every further call returns */
	uint8_t id[SEALED_ID_LEN];
	uint8_t out[LENGTH_LEN + MOST];
};

/* The stream has moved on by what was not written: this is the end. */
static int
fail(struct sealed_writer *w, int rc)
{
	if (ftruncate(w->fd, (off_t)w->bytes) == 0)
		lseek(w->fd, (off_t)w->bytes, SEEK_SET);
	w->failed = rc;
	return rc;
}

static int
write_head(struct sealed_writer *w, const uint8_t *public_key)
{
	uint8_t key[STREAM(KEYBYTES)];
	int rc;

	STREAM(keygen)(key);
	memcpy(w->out, MAGIC, MAGIC_LEN);
	rc = crypto_box_seal(
		 w->out + MAGIC_LEN, key, sizeof(key), public_key) != 0
	    ? ERR_NOMEM
	    : 0;
	STREAM(init_push)(&w->stream, w->out + MAGIC_LEN + BOX_LEN, key);
	wipe(key, sizeof(key));
	if (rc == 0)
		rc = write_all(w->fd, w->out, SEALED_HEAD_LEN);
	if (rc == 0)
		w->bytes = SEALED_HEAD_LEN;
	return rc;
}

int
sealed_writer_new(struct sealed_writer **out, int fd,
    const uint8_t public_key[SEALED_KEY_LEN], const uint8_t id[SEALED_ID_LEN])
{
	struct sealed_writer *w;
	int rc;

	if (sodium_init() < 0)
		return ERR_NOMEM;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return ERR_NOMEM;
	w->fd = fd;
	memcpy(w->id, id, SEALED_ID_LEN);
	rc = write_head(w, public_key);
	if (rc != 0) {
		sealed_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

static int
push(struct sealed_writer *w, const uint8_t *data, size_t len, uint8_t tag)
{
	size_t n = LENGTH_LEN + len + STREAM(ABYTES);
	int rc;

	if (w->failed != 0)
		return w->failed;
	store_be32(w->out, (uint32_t)(len + STREAM(ABYTES)));
	STREAM(push)
	(&w->stream, w->out + LENGTH_LEN, NULL, data, len, w->id, SEALED_ID_LEN,
	    tag);
	rc = write_all(w->fd, w->out, n);
	if (rc != 0)
		return fail(w, rc);
	w->bytes += n;
	return 0;
}

int
sealed_writer_write(struct sealed_writer *w, const uint8_t *data, size_t len)
{
	int rc = w->failed;

	while (rc == 0 && len > 0) {
		size_t n = min_size(len, SEALED_CHUNK_MAX);

		rc = push(w, data, n, STREAM(TAG_MESSAGE));
		data += n;
		len -= n;
	}
	return rc;
}

int
sealed_writer_end(struct sealed_writer *w)
{
	int rc = push(w, NULL, 0, STREAM(TAG_FINAL));

	if (rc == 0)
		w->failed = ERR_IO;
	return rc;
}

uint64_t
sealed_writer_bytes(const struct sealed_writer *w)
{
	return w->bytes;
}

void
sealed_writer_free(struct sealed_writer *w)
{
	if (w == NULL)
		return;
	wipe(w, sizeof(*w));
	free(w);
}

struct sealed_reader {
	int fd;
	STREAM(state) stream;
	enum sealed_end end;
	bool is_final; /* the chunk given out last */
	uint8_t id[SEALED_ID_LEN];
	uint8_t in[MOST];
	uint8_t plain[SEALED_CHUNK_MAX];
};

/* How many of len bytes are there, or ERR_IO. */
static ssize_t
read_up_to(int fd, uint8_t *p, size_t len)
{
	size_t have = 0;

	while (have < len) {
		ssize_t n = read(fd, p + have, len - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

static int
read_head(struct sealed_reader *r, const uint8_t *public_key,
    const uint8_t *secret_key)
{
	uint8_t head[SEALED_HEAD_LEN], key[STREAM(KEYBYTES)];
	ssize_t n = read_up_to(r->fd, head, sizeof(head));
	int rc = 0;

	if (n < 0)
		return ERR_IO;
	if (n != sizeof(head) || memcmp(head, MAGIC, MAGIC_LEN) != 0)
		return ERR_CORRUPT;
	if (crypto_box_seal_open(
		key, head + MAGIC_LEN, BOX_LEN, public_key, secret_key) != 0)
		return ERR_DENIED;
	if (STREAM(init_pull)(&r->stream, head + MAGIC_LEN + BOX_LEN, key) != 0)
		rc = ERR_CORRUPT;
	wipe(key, sizeof(key));
	return rc;
}

int
sealed_reader_new(struct sealed_reader **out, int fd,
    const uint8_t public_key[SEALED_KEY_LEN],
    const uint8_t secret_key[SEALED_KEY_LEN], const uint8_t id[SEALED_ID_LEN])
{
	struct sealed_reader *r;
	int rc;

	if (sodium_init() < 0)
		return ERR_NOMEM;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ERR_NOMEM;
	r->fd = fd;
	memcpy(r->id, id, SEALED_ID_LEN);
	rc = read_head(r, public_key, secret_key);
	if (rc != 0) {
		sealed_reader_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

static int
stop(struct sealed_reader *r, enum sealed_end end)
{
	r->end = end;
	return 0;
}

/* Nothing may stand behind the last chunk. */
static int
read_behind(struct sealed_reader *r)
{
	ssize_t n = read_up_to(r->fd, r->in, 1);

	if (n < 0)
		return ERR_IO;
	return stop(r, n == 0 ? SEALED_END_CLOSED : SEALED_END_DAMAGED);
}

static int
pull(struct sealed_reader *r, size_t stored, size_t *len)
{
	unsigned long long n;
	unsigned char tag;

	if (STREAM(pull)(&r->stream, r->plain, &n, &tag, r->in, stored, r->id,
		SEALED_ID_LEN) != 0)
		return stop(r, SEALED_END_DAMAGED);
	r->is_final = tag == STREAM(TAG_FINAL);
	*len = (size_t)n;
	return 1;
}

static int
read_chunk(struct sealed_reader *r, size_t *len)
{
	uint8_t head[LENGTH_LEN];
	ssize_t n = read_up_to(r->fd, head, sizeof(head));
	size_t stored;

	if (n < 0)
		return ERR_IO;
	if (n < (ssize_t)sizeof(head))
		return stop(r, SEALED_END_CUT);
	stored = load_be32(head);
	if (stored < LEAST || stored > MOST)
		return stop(r, SEALED_END_DAMAGED);
	n = read_up_to(r->fd, r->in, stored);
	if (n < 0)
		return ERR_IO;
	if ((size_t)n < stored)
		return stop(r, SEALED_END_CUT);
	return pull(r, stored, len);
}

int
sealed_reader_next(struct sealed_reader *r, const uint8_t **data, size_t *len)
{
	int rc = 1;

	*len = 0;
	while (rc == 1 && *len == 0) {
		if (r->end != SEALED_END_NONE)
			return 0;
		rc = r->is_final ? read_behind(r) : read_chunk(r, len);
	}
	*data = r->plain;
	return rc;
}

enum sealed_end
sealed_reader_end(const struct sealed_reader *r)
{
	return r->end;
}

void
sealed_reader_free(struct sealed_reader *r)
{
	if (r == NULL)
		return;
	wipe(r, sizeof(*r));
	free(r);
}
