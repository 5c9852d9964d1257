#include "webm/webm_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"
#include "webm/webm_layout.h"

#define PEEK_MAX     48 /* a head and what follows it that is looked at */
#define GROUP_TAIL   64 /* bytes behind the Block in a BlockGroup */
#define BLOCK_HEAD   4
#define FLAG_KEY     0x80
#define FLAGS_LACING 0x06

struct webm_reader {
	int fd; /* or memory */
	const uint8_t *mem;
	uint64_t size, pos;
	struct webm_info info;
	struct webm_cluster_head cluster;
	bool in_cluster, has_frame;
	uint64_t last_ms, valid_end;
	enum webm_end end;
};

int
webm_reader_copy(struct webm_reader *r, uint64_t offset, void *out, size_t len)
{
	uint8_t *p = out;

	if (offset > r->size || len > r->size - offset)
		return ERR_EOF;
	if (r->mem != NULL) {
		memcpy(out, r->mem + offset, len);
		return 0;
	}
	while (len > 0) {
		ssize_t n = pread(r->fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? ERR_EOF : ERR_IO;
		p += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* ---- header ---- */

/* A child of the header that lies in memory: its head and data. */
struct part {
	struct ebml_head h;
	const uint8_t *data;
	uint64_t offset; /* in the file */
};

/*
 * The element at offset. len: bytes of the header that were read; size: of
 * the file. Returns 1, ERR_EOF (the file ends inside), ERR_LIMIT (the
 * header does), ERR_CORRUPT.
 */
static int
part_at(const uint8_t *p, size_t len, uint64_t size, uint64_t offset,
    struct part *out)
{
	int n = ebml_parse_head(p + offset, len - (size_t)offset, &out->h);

	if (n < 0)
		return n;
	if (n == 0)
		return len == size ? ERR_EOF : ERR_LIMIT;
	out->offset = offset;
	out->data = p + offset + n;
	return 1;
}

static int
check_whole(const struct part *x, size_t len, uint64_t size)
{
	uint64_t end = x->offset + x->h.len + x->h.size;

	if (x->h.size > EBML_SIZE_MAX)
		return ERR_CORRUPT;
	if (end > size)
		return ERR_EOF;
	return end > len ? ERR_LIMIT : 0;
}

static int
read_doctype(const struct part *x)
{
	struct ebml_cursor c = { x->data, x->data + x->h.size };
	struct ebml_head h;
	const uint8_t *data;
	int rc;

	while ((rc = ebml_next(&c, &h, &data)) == 1)
		if (h.id == EBML_ID_DOC_TYPE)
			return h.size == 4 && memcmp(data, "webm", 4) == 0
			    ? 0
			    : ERR_CORRUPT;
	return ERR_CORRUPT;
}

/*
 * The slot at the front of Info: a Void, or the Duration that took its
 * place, or something between the two when the patch was torn.
 */
static int
read_duration(struct webm_info *info, const uint8_t slot[WEBM_DURATION_SLOT])
{
	double ms = 0;

	if (slot[0] == (MKV_ID_DURATION >> 8) &&
	    slot[1] == (MKV_ID_DURATION & 0xff) && slot[2] == (0x80 | 8))
		ebml_load_double(slot + 3, 8, &ms);
	else if (slot[0] != EBML_ID_VOID && slot[0] != MKV_ID_DURATION >> 8)
		return ERR_CORRUPT;
	if (!(ms >= 0 && ms < 1e15))
		return ERR_CORRUPT;
	info->duration_ms = (uint64_t)ms;
	return 0;
}

static int
read_info(struct webm_info *info, const struct part *x)
{
	struct ebml_cursor c = { x->data + WEBM_DURATION_SLOT,
		x->data + x->h.size };
	struct ebml_head h;
	const uint8_t *data;
	uint64_t scale = 0;
	int rc;

	if (x->h.size < WEBM_DURATION_SLOT)
		return ERR_CORRUPT;
	rc = read_duration(info, x->data);
	if (rc != 0)
		return rc;
	info->duration_slot_at = x->offset + x->h.len;
	while ((rc = ebml_next(&c, &h, &data)) == 1) {
		if (h.id == MKV_ID_TIMESTAMP_SCALE)
			rc = ebml_load_uint(data, h.size, &scale);
		else if (h.id == MKV_ID_SEGMENT_UUID && h.size == WEBM_UUID_LEN)
			memcpy(info->uuid, data, WEBM_UUID_LEN);
		if (rc < 0)
			return rc;
	}
	return rc < 0 || scale != 1000000 ? ERR_CORRUPT : 0;
}

static int
read_video(struct webm_info *info, const uint8_t *p, size_t len)
{
	struct ebml_cursor c = { p, p + len };
	struct ebml_head h;
	const uint8_t *data;
	uint64_t v;
	int rc;

	while ((rc = ebml_next(&c, &h, &data)) == 1) {
		if (h.id != MKV_ID_PIXEL_WIDTH && h.id != MKV_ID_PIXEL_HEIGHT)
			continue;
		if (ebml_load_uint(data, h.size, &v) != 0 || v == 0 ||
		    v > UINT16_MAX)
			return ERR_CORRUPT;
		if (h.id == MKV_ID_PIXEL_WIDTH)
			info->width = (uint32_t)v;
		else
			info->height = (uint32_t)v;
	}
	return rc;
}

static int
read_track(struct webm_info *info, const uint8_t *p, size_t len, bool *codec)
{
	struct ebml_cursor c = { p, p + len };
	struct ebml_head h;
	const uint8_t *data;
	int rc;

	while ((rc = ebml_next(&c, &h, &data)) == 1) {
		if (h.id == MKV_ID_CODEC_ID && h.size == 5 &&
		    (memcmp(data, "V_VP9", 5) == 0 ||
			memcmp(data, "V_VP8", 5) == 0)) {
			info->codec = data[4] == '9' ? WEBM_VP9 : WEBM_VP8;
			*codec = true;
		} else if (h.id == MKV_ID_VIDEO) {
			rc = read_video(info, data, (size_t)h.size);
			if (rc < 0)
				return rc;
		}
	}
	return rc;
}

static int
read_tracks(struct webm_info *info, const struct part *x)
{
	struct ebml_cursor c = { x->data, x->data + x->h.size };
	struct ebml_head h;
	const uint8_t *data;
	bool codec = false;
	int rc;

	while ((rc = ebml_next(&c, &h, &data)) == 1)
		if (h.id == MKV_ID_TRACK_ENTRY) {
			rc = read_track(info, data, (size_t)h.size, &codec);
			if (rc < 0)
				return rc;
		}
	if (rc < 0 || !codec || info->width == 0 || info->height == 0)
		return ERR_CORRUPT;
	return 0;
}

static int
read_part(struct webm_info *info, const struct part *x)
{
	switch (x->h.id) {
	case MKV_ID_SEEK_HEAD:
		if (x->h.size < WEBM_CUES_SLOT)
			return ERR_CORRUPT;
		info->cues_slot_at =
		    x->offset + x->h.len + x->h.size - WEBM_CUES_SLOT;
		return 0;
	case MKV_ID_INFO:
		return read_info(info, x);
	case MKV_ID_TRACKS:
		return read_tracks(info, x);
	case MKV_ID_TAGS:
		return 0;
	default:
		return ERR_CORRUPT;
	}
}

/* EBML head and the Segment's head. *at: where the Segment's data begin. */
static int
read_top(struct webm_info *info, const uint8_t *p, size_t len, uint64_t size,
    uint64_t *at)
{
	struct part x;
	int rc = part_at(p, len, size, 0, &x);

	if (rc != 1)
		return rc;
	if (x.h.id != EBML_ID_HEADER)
		return ERR_CORRUPT;
	rc = check_whole(&x, len, size);
	if (rc == 0)
		rc = read_doctype(&x);
	if (rc != 0)
		return rc;
	rc = part_at(p, len, size, x.h.len + x.h.size, &x);
	if (rc != 1)
		return rc;
	if (x.h.id != MKV_ID_SEGMENT || x.h.len != 4 + WEBM_SIZE_LEN)
		return ERR_CORRUPT;
	info->size_at = x.offset + 4;
	info->segment_size = x.h.size;
	*at = info->segment_data = x.offset + x.h.len;
	return 0;
}

static bool
is_header_whole(const struct webm_info *info)
{
	return info->width != 0 && info->duration_slot_at != 0 &&
	    info->cues_slot_at != 0;
}

/* Ends at the first cluster, or where not even its head is whole. */
static int
read_header(struct webm_info *info, const uint8_t *p, size_t len, uint64_t size)
{
	struct part x;
	uint64_t at;
	int rc = read_top(info, p, len, size, &at);

	if (rc != 0)
		return rc;
	while (at < size) {
		rc = part_at(p, len, size, at, &x);
		if (rc == ERR_EOF && is_header_whole(info))
			break;
		if (rc != 1)
			return rc;
		if (x.h.id == MKV_ID_CLUSTER || x.h.id == MKV_ID_CUES)
			break;
		rc = check_whole(&x, len, size);
		if (rc == 0)
			rc = read_part(info, &x);
		if (rc != 0)
			return rc;
		at += x.h.len + x.h.size;
	}
	if (!is_header_whole(info))
		return at >= size ? ERR_EOF : ERR_CORRUPT;
	info->header_len = at;
	return 0;
}

static int
reader_new(struct webm_reader **out, int fd, const uint8_t *mem, uint64_t size)
{
	struct webm_reader *r = calloc(1, sizeof(*r));
	size_t len = (size_t)min_u64(size, WEBM_HEADER_MAX);
	uint8_t *header = malloc(len + 1);
	int rc = ERR_NOMEM;

	if (r == NULL || header == NULL)
		goto fail;
	r->fd = fd;
	r->mem = mem;
	r->size = size;
	rc = webm_reader_copy(r, 0, header, len);
	if (rc == 0)
		rc = read_header(&r->info, header, len, size);
	if (rc != 0)
		goto fail;
	free(header);
	r->pos = r->valid_end = r->info.header_len;
	*out = r;
	return 0;
fail:
	free(header);
	free(r);
	return rc;
}

int
webm_reader_new_fd(struct webm_reader **out, int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	return reader_new(out, fd, NULL, (uint64_t)st.st_size);
}

int
webm_reader_new_mem(struct webm_reader **out, const uint8_t *data, size_t len)
{
	return reader_new(out, -1, data, len);
}

void
webm_reader_free(struct webm_reader *r)
{
	free(r);
}

/* ---- clusters and blocks ---- */

/* Ends the reading; returns 0 for `return finish(...)`. */
static int
finish(struct webm_reader *r, enum webm_end end)
{
	r->end = end;
	return 0;
}

/* At the end of the file: closed, if the Segment's size says the same. */
static int
at_end(struct webm_reader *r)
{
	const struct webm_info *i = &r->info;

	return finish(r,
	    i->segment_size != EBML_SIZE_UNKNOWN &&
		    i->segment_data + i->segment_size == r->size
		? WEBM_END_FINISHED
		: WEBM_END_CUT);
}

/* Bytes at pos, as many as there are up to PEEK_MAX. */
static int
peek(struct webm_reader *r, uint64_t pos, uint8_t p[PEEK_MAX], size_t *len)
{
	*len = (size_t)min_u64(r->size - pos, PEEK_MAX);
	return webm_reader_copy(r, pos, p, *len);
}

/* Head and Timestamp of a cluster; 1, or 0 at the end. */
static int
enter_cluster(struct webm_reader *r, const uint8_t *p, size_t len,
    const struct ebml_head *h)
{
	struct ebml_head t;
	uint64_t time_ms;
	int n;

	if (h->len != 4 + WEBM_SIZE_LEN)
		return finish(r, WEBM_END_CORRUPT);
	n = ebml_parse_head(p + h->len, len - h->len, &t);
	if (n == 0)
		return finish(r, WEBM_END_CUT);
	if (n < 0 || t.id != MKV_ID_TIMESTAMP || t.size == 0 || t.size > 8)
		return finish(r, WEBM_END_CORRUPT);
	if (len - h->len - (size_t)n < t.size)
		return finish(r, WEBM_END_CUT);
	ebml_load_uint(p + h->len + n, t.size, &time_ms);
	if (time_ms > INT64_MAX / 2)
		return finish(r, WEBM_END_CORRUPT);
	r->cluster = (struct webm_cluster_head){ .offset = r->pos,
		.data_offset = r->pos + h->len,
		.size = h->size,
		.time_ms = time_ms };
	r->in_cluster = true;
	r->pos += h->len + (uint64_t)n + t.size;
	return 1;
}

/* Track, relative time and flags of a block whose frame has len bytes. */
static bool
read_block_head(struct webm_reader *r, const uint8_t *p, uint64_t size,
    struct webm_block *b)
{
	if (size <= BLOCK_HEAD || size - BLOCK_HEAD > WEBM_FRAME_MAX ||
	    p[0] != (0x80 | WEBM_TRACK) || (p[1] & 0x80) != 0 ||
	    (p[3] & FLAGS_LACING) != 0)
		return false;
	b->len = (size_t)(size - BLOCK_HEAD);
	b->time_ms = r->cluster.time_ms + load_be16(p + 1);
	b->is_key = (p[3] & FLAG_KEY) != 0;
	return !r->has_frame || b->time_ms > r->last_ms;
}

/* The frame is whole and right: pass behind it. */
static int
give(struct webm_reader *r, struct webm_block *b)
{
	b->cluster = r->cluster;
	r->has_frame = true;
	r->last_ms = b->time_ms;
	r->pos = r->valid_end = b->end;
	return 1;
}

static int
simple_block(struct webm_reader *r, const uint8_t *p, size_t len,
    const struct ebml_head *h, struct webm_block *b)
{
	if (h->size > r->size - r->pos - h->len)
		return finish(r, WEBM_END_CUT);
	if (h->size <= BLOCK_HEAD || len < h->len + BLOCK_HEAD ||
	    !read_block_head(r, p + h->len, h->size, b))
		return finish(r, WEBM_END_CORRUPT);
	b->offset = r->pos + h->len + BLOCK_HEAD;
	b->end = r->pos + h->len + h->size;
	return give(r, b);
}

/* What follows the Block in its group: duration, reference. */
static bool
read_group_tail(
    struct webm_reader *r, uint64_t at, uint64_t len, struct webm_block *b)
{
	uint8_t tail[GROUP_TAIL];
	struct ebml_cursor c = { tail, tail + len };
	struct ebml_head h;
	const uint8_t *data;
	uint64_t v;
	int rc;

	if (len > sizeof(tail) ||
	    webm_reader_copy(r, at, tail, (size_t)len) != 0)
		return false;
	b->is_key = true;
	while ((rc = ebml_next(&c, &h, &data)) == 1) {
		if (h.id == MKV_ID_REFERENCE_BLOCK) {
			b->is_key = false;
		} else if (h.id == MKV_ID_BLOCK_DURATION) {
			if (ebml_load_uint(data, h.size, &v) != 0 ||
			    v > UINT32_MAX)
				return false;
			b->duration_ms = (uint32_t)v;
		} else {
			return false;
		}
	}
	return rc == 0;
}

static int
block_group(struct webm_reader *r, const uint8_t *p, size_t len,
    const struct ebml_head *g, struct webm_block *b)
{
	struct ebml_head h;
	uint64_t tail_at;
	int n;

	if (g->size > r->size - r->pos - g->len)
		return finish(r, WEBM_END_CUT);
	n = ebml_parse_head(p + g->len, len - g->len, &h);
	if (n <= 0 || h.id != MKV_ID_BLOCK || h.size > g->size ||
	    h.len + h.size > g->size || h.size <= BLOCK_HEAD ||
	    len < g->len + h.len + BLOCK_HEAD ||
	    !read_block_head(r, p + g->len + n, h.size, b))
		return finish(r, WEBM_END_CORRUPT);
	b->offset = r->pos + g->len + h.len + BLOCK_HEAD;
	b->end = r->pos + g->len + g->size;
	tail_at = b->offset + b->len;
	if (!read_group_tail(r, tail_at, b->end - tail_at, b))
		return finish(r, WEBM_END_CORRUPT);
	return give(r, b);
}

/* Nothing may follow the cues. */
static int
pass_cues(struct webm_reader *r, const struct ebml_head *h)
{
	uint64_t left = r->size - r->pos - h->len;

	if (h->size > left)
		return finish(r, WEBM_END_CUT);
	if (h->size < left)
		return finish(r, WEBM_END_CORRUPT);
	r->pos = r->size;
	return at_end(r);
}

int
webm_reader_next(struct webm_reader *r, struct webm_block *b)
{
	uint8_t p[PEEK_MAX];
	struct ebml_head h;
	size_t len;
	int n, rc;

	memset(b, 0, sizeof(*b));
	while (r->end == WEBM_END_NONE) {
		if (r->pos == r->size)
			return at_end(r);
		rc = peek(r, r->pos, p, &len);
		if (rc != 0)
			return rc == ERR_EOF ? finish(r, WEBM_END_CUT) : rc;
		n = ebml_parse_head(p, len, &h);
		if (n <= 0)
			return finish(
			    r, n == 0 ? WEBM_END_CUT : WEBM_END_CORRUPT);
		if (h.id == MKV_ID_CLUSTER) {
			if (enter_cluster(r, p, len, &h) == 0)
				return 0;
		} else if (h.id == MKV_ID_SIMPLE_BLOCK && r->in_cluster) {
			return simple_block(r, p, len, &h, b);
		} else if (h.id == MKV_ID_BLOCK_GROUP && r->in_cluster) {
			return block_group(r, p, len, &h, b);
		} else if (h.id == MKV_ID_CUES) {
			return pass_cues(r, &h);
		} else {
			return finish(r, WEBM_END_CORRUPT);
		}
	}
	return 0;
}

const struct webm_info *
webm_reader_info(const struct webm_reader *r)
{
	return &r->info;
}

uint64_t
webm_reader_size(const struct webm_reader *r)
{
	return r->size;
}

enum webm_end
webm_reader_end(const struct webm_reader *r)
{
	return r->end;
}

uint64_t
webm_reader_valid_end(const struct webm_reader *r)
{
	return r->valid_end;
}
