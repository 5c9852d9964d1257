#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "capture/capture_format.h"
#include "common/write_all.h"

/* Most of what comes is compressed already: more effort gains nothing. */
#define LEVEL 1

struct capture_writer {
	struct capture_sink sink;
	int (*sync)(void *arg); /* of tick; NULL: the sink's */
	void *sync_arg;
	int fd; /* of the sink that writes to a descriptor */
	ZSTD_CCtx *zstd;
	uint8_t *out; /* header and compressed block */
	size_t out_len;
	size_t used;           /* of raw */
	uint64_t number;       /* of the next block */
	uint64_t offset;       /* of the stream, after raw */
	uint64_t block_offset; /* of the stream, before raw */
	uint64_t first_ns, last_ns;
	uint64_t pending_since; /* clock; UINT64_MAX: raw is empty */
	uint64_t unsynced_since;
	uint64_t written;
	uint8_t raw[CAPTURE_RAW_MAX];
};

static int
write_to_file(void *arg, const uint8_t *p, size_t len)
{
	struct capture_writer *w = arg;
	int rc = write_all(w->fd, p, len);

	/* half a block would hide those that may follow */
	if (rc != 0 && ftruncate(w->fd, (off_t)w->written) == 0)
		lseek(w->fd, (off_t)w->written, SEEK_SET);
	return rc;
}

static int
sync_to_disk(void *arg)
{
	const struct capture_writer *w = arg;

	return fdatasync(w->fd) == 0 ? 0 : ERR_IO;
}

/* The block whose `stored` bytes stand in out, after room for a header. */
static int
write_block(struct capture_writer *w, enum capture_block kind, size_t stored,
    size_t raw)
{
	struct capture_header h = {
		.number = w->number,
		.kind = kind,
		.stored = (uint32_t)stored,
		.raw = (uint32_t)raw,
		.offset = w->block_offset,
		.first_ns = w->first_ns,
		.last_ns = w->last_ns,
		.sum = capture_sum(w->out + CAPTURE_HEADER_LEN, stored),
	};
	int rc;

	capture_header_pack(&h, w->out);
	rc = w->sink.write(w->sink.arg, w->out, CAPTURE_HEADER_LEN + stored);
	if (rc != 0)
		return rc;
	w->number++;
	w->written += CAPTURE_HEADER_LEN + stored;
	w->block_offset = w->offset;
	w->first_ns = w->last_ns;
	return 0;
}

static int
write_records(struct capture_writer *w, enum capture_block kind)
{
	size_t n = ZSTD_compress2(w->zstd, w->out + CAPTURE_HEADER_LEN,
	    w->out_len - CAPTURE_HEADER_LEN, w->raw, w->used);
	int rc = ZSTD_isError(n) ? ERR_NOMEM : write_block(w, kind, n, w->used);

	if (rc != 0)
		return rc;
	if (w->unsynced_since == UINT64_MAX)
		w->unsynced_since = w->pending_since;
	w->pending_since = UINT64_MAX;
	w->used = 0;
	return 0;
}

static int
write_meta(struct capture_writer *w, const char *json, size_t len,
    const struct capture_start *start)
{
	uint8_t *p = w->out + CAPTURE_HEADER_LEN;
	size_t n = META_NUMBERS_LEN + len;

	store_be64(p, CAPTURE_VERSION);
	store_be64(p + 8, start->first_seq);
	store_be64(p + 16, start->first_frame);
	store_be64(p + 24, start->gap_start_ns);
	memcpy(p + META_NUMBERS_LEN, json, len);
	return write_block(w, BLOCK_META, n, n);
}

/* A writer without a sink. */
static struct capture_writer *
writer_make(void)
{
	struct capture_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = -1;
	w->pending_since = w->unsynced_since = UINT64_MAX;
	w->out_len = CAPTURE_HEADER_LEN + ZSTD_compressBound(CAPTURE_RAW_MAX);
	w->out = malloc(w->out_len);
	w->zstd = ZSTD_createCCtx();
	if (w->out != NULL && w->zstd != NULL &&
	    !ZSTD_isError(ZSTD_CCtx_setParameter(
		w->zstd, ZSTD_c_compressionLevel, LEVEL)))
		return w;
	capture_writer_free(w);
	return NULL;
}

/* Writes the first block; frees w after an error. */
static int
writer_begin(struct capture_writer *w, const char *json, size_t len,
    const struct capture_start *start)
{
	int rc = len > CAPTURE_META_MAX ? ERR_LIMIT
					: write_meta(w, json, len, start);

	if (rc == 0)
		rc = w->sink.sync(w->sink.arg);
	if (rc != 0)
		capture_writer_free(w);
	return rc;
}

int
capture_writer_new(struct capture_writer **out, int fd, const char *json,
    size_t len, const struct capture_start *start)
{
	struct capture_writer *w = writer_make();
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->fd = fd;
	w->sink = (struct capture_sink){ write_to_file, sync_to_disk, w };
	rc = writer_begin(w, json, len, start);
	if (rc == 0)
		*out = w;
	return rc;
}

int
capture_writer_new_sink(struct capture_writer **out,
    const struct capture_sink *sink, const char *json, size_t len,
    const struct capture_start *start)
{
	struct capture_writer *w = writer_make();
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->sink = *sink;
	rc = writer_begin(w, json, len, start);
	if (rc == 0)
		*out = w;
	return rc;
}

void
capture_writer_free(struct capture_writer *w)
{
	if (w == NULL)
		return;
	ZSTD_freeCCtx(w->zstd);
	free(w->out);
	free(w);
}

/* Room for n bytes of one record, which are never parted. */
static int
make_room(struct capture_writer *w, size_t n, uint64_t now_ns)
{
	int rc =
	    sizeof(w->raw) - w->used < n ? write_records(w, BLOCK_RECORDS) : 0;

	if (rc == 0 && w->pending_since == UINT64_MAX)
		w->pending_since = now_ns;
	return rc;
}

int
capture_writer_mark(
    struct capture_writer *w, const struct tee_mark *m, uint64_t now_ns)
{
	bool is_time = m->kind == TEE_MARK_TIME;
	size_t len = is_time ? RECORD_TIME_LEN : RECORD_MARK_LEN;
	int rc = make_room(w, len, now_ns);
	uint8_t *p = w->raw + w->used;

	if (rc != 0)
		return rc;
	if (m->mono_ns > w->last_ns)
		w->last_ns = m->mono_ns;
	if (is_time) {
		p[0] = TAG_TIME;
		store_be64(p + 1, w->last_ns);
	} else {
		p[0] = TAG_MARK;
		store_be32(p + 1, m->kind);
		store_be64(p + 5, w->last_ns);
		memcpy(p + 13, m->value, TEE_MARK_VALUE);
	}
	w->used += len;
	return 0;
}

int
capture_writer_bytes(
    struct capture_writer *w, const uint8_t *data, size_t len, uint64_t now_ns)
{
	while (len > 0) {
		int rc = make_room(w, RECORD_BYTES_LEN + 1, now_ns);
		uint8_t *p = w->raw + w->used;
		size_t n =
		    min_size(len, sizeof(w->raw) - w->used - RECORD_BYTES_LEN);

		if (rc != 0)
			return rc;
		p[0] = TAG_BYTES;
		store_be32(p + 1, (uint32_t)n);
		memcpy(p + RECORD_BYTES_LEN, data, n);
		w->used += RECORD_BYTES_LEN + n;
		w->offset += n;
		data += n;
		len -= n;
	}
	return 0;
}

int
capture_writer_state(
    struct capture_writer *w, const uint8_t *state, size_t len, uint64_t now_ns)
{
	int rc = len > sizeof(w->raw) - RECORD_BYTES_LEN
	    ? ERR_LIMIT
	    : make_room(w, RECORD_BYTES_LEN + len, now_ns);
	uint8_t *p = w->raw + w->used;

	if (rc != 0)
		return rc;
	p[0] = TAG_STATE;
	store_be32(p + 1, (uint32_t)len);
	memcpy(p + RECORD_BYTES_LEN, state, len);
	w->used += RECORD_BYTES_LEN + len;
	return 0;
}

static uint64_t
later(uint64_t since, uint64_t by)
{
	return since == UINT64_MAX ? since : since + by;
}

uint64_t
capture_writer_due(const struct capture_writer *w)
{
	return min_u64(later(w->pending_since, CAPTURE_FLUSH_NS),
	    later(w->unsynced_since, CAPTURE_SYNC_NS));
}

static int
sync_file(struct capture_writer *w)
{
	w->unsynced_since = UINT64_MAX;
	return w->sink.sync(w->sink.arg);
}

void
capture_writer_set_sync(
    struct capture_writer *w, int (*sync)(void *arg), void *arg)
{
	w->sync = sync;
	w->sync_arg = arg;
}

int
capture_writer_tick(struct capture_writer *w, uint64_t now_ns)
{
	int rc = 0;

	if (later(w->pending_since, CAPTURE_FLUSH_NS) <= now_ns)
		rc = write_records(w, BLOCK_RECORDS);
	if (rc != 0 || later(w->unsynced_since, CAPTURE_SYNC_NS) > now_ns)
		return rc;
	if (w->sync == NULL)
		return sync_file(w);
	w->unsynced_since = UINT64_MAX;
	return w->sync(w->sync_arg);
}

int
capture_writer_end(struct capture_writer *w, const char *word, uint64_t end_ns)
{
	size_t len = strlen(word);
	int rc = len >= CAPTURE_WORD_MAX ? ERR_LIMIT
					 : make_room(w, RECORD_END_MAX_LEN, 0);
	uint8_t *p = w->raw + w->used;

	if (rc != 0)
		return rc;
	if (end_ns > w->last_ns)
		w->last_ns = end_ns;
	p[0] = TAG_END;
	store_be64(p + 1, w->last_ns);
	p[9] = (uint8_t)len;
	memcpy(p + 10, word, len);
	w->used += 10 + len;
	rc = write_records(w, BLOCK_LAST);
	return rc != 0 ? rc : sync_file(w);
}

uint64_t
capture_writer_bytes_written(const struct capture_writer *w)
{
	return w->written;
}

uint64_t
capture_writer_last_ns(const struct capture_writer *w)
{
	return w->last_ns;
}
