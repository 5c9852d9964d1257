#include "webm/webm_layout.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"

void
webm_cues_release(struct webm_cues *c)
{
	free(c->v);
	*c = (struct webm_cues){ 0 };
}

static uint64_t
cue_track_len(const struct webm_cue_point *cue)
{
	return ebml_element_len(MKV_ID_CUE_TRACK, 1) +
	    ebml_element_len(
		MKV_ID_CUE_CLUSTER_POSITION, ebml_uint_len(cue->position));
}

static uint64_t
cue_body_len(const struct webm_cue_point *cue)
{
	return ebml_element_len(MKV_ID_CUE_TIME, ebml_uint_len(cue->time_ms)) +
	    ebml_element_len(MKV_ID_CUE_TRACK_POSITIONS, cue_track_len(cue));
}

static uint64_t
cue_len(const struct webm_cue_point *cue)
{
	return ebml_element_len(MKV_ID_CUE_POINT, cue_body_len(cue));
}

uint64_t
webm_cues_len(const struct webm_cues *c, const struct webm_cue_point *with_cue)
{
	uint64_t body = c->body_len;

	if (with_cue != NULL)
		body += cue_len(with_cue);
	return body != 0 ? ebml_element_len(MKV_ID_CUES, body) : 0;
}

bool
webm_cues_wants(const struct webm_cues *c, uint64_t time_ms)
{
	return c->n == 0 || time_ms - c->v[c->n - 1].time_ms >= WEBM_CUE_MS;
}

int
webm_cues_reserve(struct webm_cues *c)
{
	size_t cap = c->cap != 0 ? c->cap * 2 : 64;
	struct webm_cue_point *v;

	if (c->n < c->cap)
		return 0;
	v = reallocarray(c->v, cap, sizeof(*v));
	if (v == NULL)
		return ERR_NOMEM;
	c->v = v;
	c->cap = cap;
	return 0;
}

void
webm_cues_add(struct webm_cues *c, const struct webm_cue_point *cue)
{
	assert(c->n < c->cap);
	c->v[c->n++] = *cue;
	c->body_len += cue_len(cue);
}

static int
put_cue(struct buf *b, const struct webm_cue_point *cue)
{
	int rc = ebml_put_head(b, MKV_ID_CUE_POINT, cue_body_len(cue));

	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_CUE_TIME, cue->time_ms);
	if (rc == 0)
		rc = ebml_put_head(
		    b, MKV_ID_CUE_TRACK_POSITIONS, cue_track_len(cue));
	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_CUE_TRACK, WEBM_TRACK);
	if (rc == 0)
		rc = ebml_put_uint(
		    b, MKV_ID_CUE_CLUSTER_POSITION, cue->position);
	return rc;
}

static int
put_cues(const struct webm_cues *c, struct buf *b)
{
	int rc;

	if (c->n == 0)
		return 0;
	rc = ebml_put_head(b, MKV_ID_CUES, c->body_len);
	for (size_t i = 0; rc == 0 && i < c->n; i++)
		rc = put_cue(b, &c->v[i]);
	return rc;
}

unsigned
webm_cluster_head_len(uint64_t time_ms)
{
	return 4 + WEBM_SIZE_LEN + 2 + ebml_uint_len(time_ms);
}

int
webm_cluster_put_head(struct buf *b, uint64_t time_ms)
{
	int rc = ebml_put_id(b, MKV_ID_CLUSTER);

	if (rc == 0)
		rc = ebml_put_size_in(b, EBML_SIZE_UNKNOWN, WEBM_SIZE_LEN);
	return rc != 0 ? rc : ebml_put_uint(b, MKV_ID_TIMESTAMP, time_ms);
}

/* Track number, relative time, flags: RFC 9559 section 10.1. */
#define BLOCK_HEAD      4
#define FLAG_KEY        0x80
#define REFERENCE_BYTES 4

static uint64_t
group_body_len(const struct webm_frame *f)
{
	uint64_t len = ebml_element_len(MKV_ID_BLOCK, BLOCK_HEAD + f->len) +
	    ebml_element_len(
		MKV_ID_BLOCK_DURATION, ebml_uint_len(f->duration_ms));

	if (!f->is_key)
		len +=
		    ebml_element_len(MKV_ID_REFERENCE_BLOCK, REFERENCE_BYTES);
	return len;
}

uint64_t
webm_frame_len(const struct webm_frame *f)
{
	if (f->duration_ms == 0)
		return ebml_element_len(
		    MKV_ID_SIMPLE_BLOCK, BLOCK_HEAD + f->len);
	return ebml_element_len(MKV_ID_BLOCK_GROUP, group_body_len(f));
}

static int
put_block(struct buf *b, uint32_t id, const struct webm_frame *f,
    uint16_t relative_ms)
{
	uint8_t head[BLOCK_HEAD] = { 0x80 | WEBM_TRACK };
	int rc = ebml_put_head(b, id, BLOCK_HEAD + f->len);

	store_be16(head + 1, relative_ms);
	if (id == MKV_ID_SIMPLE_BLOCK && f->is_key)
		head[3] = FLAG_KEY;
	if (rc == 0)
		rc = buf_append(b, head, sizeof(head));
	return rc != 0 ? rc : buf_append(b, f->data, f->len);
}

int
webm_frame_put(struct buf *b, const struct webm_frame *f, uint64_t cluster_ms,
    uint64_t previous_ms)
{
	uint16_t relative_ms = (uint16_t)(f->time_ms - cluster_ms);
	uint64_t back_ms = min_u64(f->time_ms - previous_ms, INT32_MAX);
	int rc;

	if (f->duration_ms == 0)
		return put_block(b, MKV_ID_SIMPLE_BLOCK, f, relative_ms);
	rc = ebml_put_head(b, MKV_ID_BLOCK_GROUP, group_body_len(f));
	if (rc == 0)
		rc = put_block(b, MKV_ID_BLOCK, f, relative_ms);
	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_BLOCK_DURATION, f->duration_ms);
	if (rc == 0 && !f->is_key)
		rc = ebml_put_uint_in(b, MKV_ID_REFERENCE_BLOCK,
		    (uint32_t)(0 - back_ms), REFERENCE_BYTES);
	return rc;
}

static int
file_error(void)
{
	return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
}

int
webm_file_write(int fd, uint64_t offset, const uint8_t *p, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = pwrite(fd, p, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_error();
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int
webm_file_sync(int fd)
{
	return fdatasync(fd) == 0 ? 0 : file_error();
}

/*
 * The Segment's size is what tells a finished file: it is written last, so
 * that a file with the right size has its other places patched too.
 */
static int
write_header(const struct webm_ending *e)
{
	size_t size_end = (size_t)e->slots.size_at + WEBM_SIZE_LEN;
	int rc = webm_file_write(
	    e->fd, size_end, e->header + size_end, e->header_len - size_end);

	return rc != 0 ? rc
		       : webm_file_write(e->fd, e->slots.size_at,
			     e->header + e->slots.size_at, WEBM_SIZE_LEN);
}

static int
end_patched(
    const struct webm_ending *e, const struct buf *cues, uint64_t *file_len)
{
	uint64_t at = e->clusters_end;
	int rc = webm_file_write(e->fd, at, buf_head(cues), buf_len(cues));

	if (rc == 0)
		rc = webm_file_sync(e->fd);
	if (rc != 0)
		return rc;
	*file_len = at + buf_len(cues);
	webm_header_finish(e->header, &e->slots, *file_len,
	    buf_len(cues) != 0 ? at : 0, e->duration_ms);
	rc = write_header(e);
	return rc != 0 ? rc : webm_file_sync(e->fd);
}

int
webm_file_end(const struct webm_ending *e, uint64_t *file_len)
{
	struct buf cues;
	int rc;

	buf_init(&cues, SIZE_MAX / 2);
	rc = put_cues(e->cues, &cues);
	if (rc == 0 && ftruncate(e->fd, (off_t)e->clusters_end) != 0)
		rc = file_error();
	if (rc == 0)
		rc = end_patched(e, &cues, file_len);
	if (rc == 0 && e->on_block != NULL) {
		if (buf_len(&cues) != 0)
			e->on_block(e->arg, WEBM_BLOCK_CUES, e->clusters_end,
			    buf_head(&cues), buf_len(&cues));
		e->on_block(
		    e->arg, WEBM_BLOCK_HEADER, 0, e->header, e->header_len);
	}
	buf_release(&cues);
	return rc;
}
