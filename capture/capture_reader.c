#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "capture/capture_format.h"

struct capture_reader {
	const uint8_t *mem; /* NULL: read from fd */
	int fd;
	uint64_t size, at; /* of the file; behind the last good block */
	ZSTD_DCtx *zstd;
	uint8_t *stored; /* a block as it stands in the file */
	size_t stored_max;
	struct capture_header head; /* of the block in raw */
	size_t pos, raw_len;        /* next record in raw */
	uint64_t offset, last_ns; /* of the stream, after what was given out */
	enum capture_end end;
	bool is_last; /* the block in raw is the last one */
	size_t json_len;
	struct capture_start start;
	char json[CAPTURE_META_MAX];
	uint8_t raw[CAPTURE_RAW_MAX];
};

/* What became of a block. */
enum block_state { BLOCK_GOOD, BLOCK_BAD, BLOCK_ERROR };

/* len bytes at offset. 1, 0 when the file has fewer, or ERR_IO. */
static int
read_at(struct capture_reader *r, uint64_t offset, uint8_t *out, size_t len)
{
	if (offset > r->size || r->size - offset < len)
		return 0;
	if (r->mem != NULL) {
		memcpy(out, r->mem + offset, len);
		return 1;
	}
	while (len > 0) {
		ssize_t n = pread(r->fd, out, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? ERR_IO : 0;
		out += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 1;
}

/* Whether it follows the block before it. */
static bool
is_next(const struct capture_reader *r, const struct capture_header *h)
{
	if (h->kind == BLOCK_META)
		return r->at == 0 && h->number == 0 && h->stored == h->raw &&
		    h->raw > META_NUMBERS_LEN &&
		    h->raw <= META_NUMBERS_LEN + CAPTURE_META_MAX;
	return r->at > 0 && h->number == r->head.number + 1 &&
	    h->stored <= r->stored_max && h->raw > 0 &&
	    h->raw <= CAPTURE_RAW_MAX && h->offset == r->offset &&
	    h->first_ns == r->last_ns;
}

/* Reads the block at r->at into r->stored. BLOCK_BAD: there is none. */
static enum block_state
read_block(struct capture_reader *r, struct capture_header *h)
{
	uint8_t head[CAPTURE_HEADER_LEN];
	int got = read_at(r, r->at, head, sizeof(head));

	if (got == 1 && (!capture_header_parse(h, head) || !is_next(r, h)))
		return BLOCK_BAD;
	if (got == 1)
		got = read_at(r, r->at + sizeof(head), r->stored, h->stored);
	if (got < 0)
		return BLOCK_ERROR;
	return got == 1 && capture_sum(r->stored, h->stored) == h->sum
	    ? BLOCK_GOOD
	    : BLOCK_BAD;
}

static void
take_block(struct capture_reader *r, const struct capture_header *h)
{
	r->head = *h;
	r->at += CAPTURE_HEADER_LEN + h->stored;
	r->is_last = h->kind == BLOCK_LAST;
	r->pos = 0;
}

static int
load_meta(struct capture_reader *r)
{
	const uint8_t *p = r->stored;
	struct capture_header h;
	enum block_state st = read_block(r, &h);

	if (st == BLOCK_ERROR)
		return ERR_IO;
	if (st == BLOCK_BAD || load_be64(p) != CAPTURE_VERSION)
		return ERR_CORRUPT;
	r->start.first_seq = load_be64(p + 8);
	r->start.first_frame = load_be64(p + 16);
	r->start.gap_start_ns = load_be64(p + 24);
	r->json_len = h.raw - META_NUMBERS_LEN;
	memcpy(r->json, p + META_NUMBERS_LEN, r->json_len);
	take_block(r, &h);
	r->raw_len = 0;
	return 0;
}

/*
 * Something is wrong at r->at. A writer that died leaves less than a block
 * there, or, after a loss of power, one whose bytes never came.
 */
static void
stop_reading(struct capture_reader *r)
{
	uint64_t left = r->size - r->at;

	r->end = left <= CAPTURE_HEADER_LEN + r->stored_max
	    ? CAPTURE_END_CUT
	    : CAPTURE_END_DAMAGED;
	r->pos = r->raw_len = 0;
}

/* 1: a block's records are in raw; 0: the end; ERR_IO. */
static int
next_block(struct capture_reader *r)
{
	struct capture_header h;
	enum block_state st;
	size_t n;

	if (r->end != CAPTURE_END_NONE)
		return 0;
	if (r->is_last) {
		r->end =
		    r->at == r->size ? CAPTURE_END_CLOSED : CAPTURE_END_DAMAGED;
		return 0;
	}
	st = read_block(r, &h);
	if (st == BLOCK_ERROR)
		return ERR_IO;
	if (st == BLOCK_GOOD) {
		/* never writes more than raw has, whatever the frame says */
		n = ZSTD_decompressDCtx(
		    r->zstd, r->raw, sizeof(r->raw), r->stored, h.stored);
		if (!ZSTD_isError(n) && n == h.raw) {
			take_block(r, &h);
			r->raw_len = n;
			return 1;
		}
	}
	stop_reading(r);
	return 0;
}

static bool
take_time(struct capture_reader *r, struct capture_record *rec, uint64_t ns)
{
	if (ns < r->last_ns || ns > r->head.last_ns)
		return false;
	r->last_ns = ns;
	rec->mark.offset = r->offset;
	rec->mark.mono_ns = ns;
	return true;
}

static bool
take_mark(struct capture_reader *r, struct capture_record *rec,
    const uint8_t *p, uint32_t kind)
{
	rec->kind = CAPTURE_MARK;
	rec->mark.kind = kind;
	if (kind == TEE_MARK_TIME)
		return take_time(r, rec, load_be64(p + 1));
	memcpy(rec->mark.value, p + 13, TEE_MARK_VALUE);
	return take_time(r, rec, load_be64(p + 5));
}

static bool
take_data(struct capture_record *rec, enum capture_kind kind, const uint8_t *p,
    size_t room, size_t *used)
{
	uint32_t len = load_be32(p + 1);

	if (len == 0 || len > room - RECORD_BYTES_LEN)
		return false;
	rec->kind = kind;
	rec->data = p + RECORD_BYTES_LEN;
	rec->len = len;
	*used = RECORD_BYTES_LEN + len;
	return true;
}

static bool
take_end(struct capture_reader *r, struct capture_record *rec, const uint8_t *p,
    size_t room, size_t *used)
{
	size_t len = p[9];

	*used = 10 + len;
	if (!r->is_last || len >= CAPTURE_WORD_MAX || *used != room)
		return false;
	rec->kind = CAPTURE_ENDED;
	memcpy(rec->word, p + 10, len);
	return take_time(r, rec, load_be64(p + 1));
}

/* One record at raw + pos. False: no record stands there. */
static bool
take_record(struct capture_reader *r, struct capture_record *rec)
{
	const uint8_t *p = r->raw + r->pos;
	size_t room = r->raw_len - r->pos, used = 0;
	bool ok = false;

	memset(rec, 0, sizeof(*rec));
	switch (p[0]) {
	case TAG_MARK:
		used = RECORD_MARK_LEN;
		ok = room >= used && load_be32(p + 1) != TEE_MARK_TIME &&
		    take_mark(r, rec, p, load_be32(p + 1));
		break;
	case TAG_TIME:
		used = RECORD_TIME_LEN;
		ok = room >= used && take_mark(r, rec, p, TEE_MARK_TIME);
		break;
	case TAG_BYTES:
		ok = room > RECORD_BYTES_LEN &&
		    take_data(rec, CAPTURE_BYTES, p, room, &used);
		r->offset += rec->len;
		break;
	case TAG_STATE:
		ok = room > RECORD_BYTES_LEN &&
		    take_data(rec, CAPTURE_STATE, p, room, &used);
		break;
	case TAG_END:
		ok = room >= 10 && take_end(r, rec, p, room, &used);
		break;
	}
	r->pos += used;
	return ok;
}

int
capture_reader_next(struct capture_reader *r, struct capture_record *rec)
{
	int rc;

	while (r->pos >= r->raw_len) {
		rc = next_block(r);
		if (rc != 1)
			return rc;
	}
	if (take_record(r, rec))
		return 1;
	/* sums are right and the records are not: not our writer's */
	r->pos = r->raw_len = 0;
	r->end = CAPTURE_END_DAMAGED;
	return 0;
}

static struct capture_reader *
reader_alloc(void)
{
	struct capture_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->fd = -1;
	r->stored_max = ZSTD_compressBound(CAPTURE_RAW_MAX);
	r->stored = malloc(r->stored_max);
	r->zstd = ZSTD_createDCtx();
	if (r->stored == NULL || r->zstd == NULL) {
		capture_reader_free(r);
		return NULL;
	}
	return r;
}

static int
finish_new(struct capture_reader **out, struct capture_reader *r)
{
	int rc = load_meta(r);

	if (rc != 0) {
		capture_reader_free(r);
		return rc;
	}
	*out = r;
	return 0;
}

int
capture_reader_new_fd(struct capture_reader **out, int fd)
{
	struct capture_reader *r = reader_alloc();
	struct stat st;

	if (r == NULL)
		return ERR_NOMEM;
	if (fstat(fd, &st) != 0 || st.st_size < 0) {
		capture_reader_free(r);
		return ERR_IO;
	}
	r->fd = fd;
	r->size = (uint64_t)st.st_size;
	return finish_new(out, r);
}

int
capture_reader_new_mem(
    struct capture_reader **out, const uint8_t *data, size_t len)
{
	struct capture_reader *r = reader_alloc();

	if (r == NULL)
		return ERR_NOMEM;
	r->mem = data;
	r->size = len;
	return finish_new(out, r);
}

void
capture_reader_free(struct capture_reader *r)
{
	if (r == NULL)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r->stored);
	free(r);
}

const char *
capture_reader_meta(
    const struct capture_reader *r, size_t *len, struct capture_start *start)
{
	*len = r->json_len;
	*start = r->start;
	return r->json;
}

enum capture_end
capture_reader_end(const struct capture_reader *r)
{
	return r->end;
}

uint64_t
capture_reader_size(const struct capture_reader *r)
{
	return r->size;
}

uint64_t
capture_reader_offset(const struct capture_reader *r)
{
	return r->at;
}

uint64_t
capture_reader_last_ns(const struct capture_reader *r)
{
	return r->last_ns;
}
