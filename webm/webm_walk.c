#include "webm/webm_walk.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define GROUP_MAX 16 /* elements of a block group */

int64_t
webm_read_file(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	int fd = *(int *)arg;
	size_t have = 0;

	while (have < len) {
		ssize_t n =
		    pread(fd, buf + have, len - have, (off_t)(offset + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return (int64_t)have;
}

int
webm_get(const struct webm_view *v, uint64_t at, void *out, size_t n)
{
	int64_t got;

	if (at > v->size || n > v->size - at)
		return 0;
	got = v->read(v->arg, at, out, n);
	return got < 0 ? (int)got : (size_t)got == n;
}

int
webm_get_uint(
    const struct webm_view *v, uint64_t at, uint64_t len, uint64_t *out)
{
	uint8_t b[8];
	int rc;

	if (len < 1 || len > sizeof(b))
		return ERR_CORRUPT;
	rc = webm_get(v, at, b, (size_t)len);
	if (rc == 1)
		ebml_load_uint(b, len, out);
	return rc;
}

int
webm_get_head(const struct webm_view *v, uint64_t at, struct ebml_head *h)
{
	uint8_t b[EBML_HEAD_MAX];
	size_t have = at < v->size ? min_size(sizeof(b), v->size - at) : 0;
	int rc = have > 0 ? webm_get(v, at, b, have) : 0;

	if (rc != 1)
		return rc;
	rc = ebml_parse_head(b, have, h);
	return rc > 0 ? 1 : rc;
}

int
webm_find_child(const struct webm_view *v, uint64_t at, uint64_t end,
    uint32_t id, uint64_t *data, uint64_t *size)
{
	struct ebml_head h;
	int rc;

	while (at < end) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1)
			return rc;
		at += h.len;
		if (at > end || h.size > end - at)
			return ERR_CORRUPT;
		if (h.id == id) {
			*data = at;
			*size = h.size;
			return 1;
		}
		at += h.size;
	}
	return 0;
}

/* ---- clusters ---- */

/* Track, relative time and flags of a block whose data begin at `at`. */
static int
read_block(const struct webm_view *v, struct webm_cluster *c, uint64_t at,
    uint64_t size, bool has_flag)
{
	uint8_t b[4];
	int64_t time_ms;
	int rc =
	    size >= sizeof(b) ? webm_get(v, at, b, sizeof(b)) : ERR_CORRUPT;

	if (rc != 1)
		return rc;
	time_ms = (int64_t)c->time_ms + (int16_t)load_be16(b + 1);
	if (b[0] != 0x81 || time_ms < 0)
		return ERR_CORRUPT;
	c->last_ms = (uint64_t)time_ms;
	if (c->n_frames++ == 0)
		c->is_key = !has_flag || (b[3] & 0x80) != 0;
	return 1;
}

/* A group without a reference to another frame is a key frame. */
static int
read_group(const struct webm_view *v, struct webm_cluster *c, uint64_t at,
    uint64_t end)
{
	bool was_first = c->n_frames == 0, refers = false;
	struct ebml_head h;
	int rc = 1;

	for (unsigned n = 0; at < end && n < GROUP_MAX; n++) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1)
			return rc;
		at += h.len;
		if (at > end || h.size > end - at)
			return ERR_CORRUPT;
		refers |= h.id == MKV_ID_REFERENCE_BLOCK;
		if (h.id == MKV_ID_BLOCK)
			rc = read_block(v, c, at, h.size, false);
		if (rc != 1)
			return rc;
		at += h.size;
	}
	if (was_first && refers)
		c->is_key = false;
	return at == end ? 1 : ERR_CORRUPT;
}

int
webm_get_frames(const struct webm_view *v, struct webm_cluster *c, size_t max)
{
	uint64_t at = c->data;
	struct ebml_head h;
	int rc = 1;

	c->n_frames = 0;
	while (rc == 1 && at < c->end && c->n_frames < max) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1)
			return rc;
		at += h.len;
		if (at > c->end || h.size > c->end - at)
			return ERR_CORRUPT;
		if (h.id == MKV_ID_SIMPLE_BLOCK)
			rc = read_block(v, c, at, h.size, true);
		else if (h.id == MKV_ID_BLOCK_GROUP)
			rc = read_group(v, c, at, at + h.size);
		else
			return ERR_CORRUPT;
		at += h.size;
	}
	return rc;
}

int
webm_get_cluster(const struct webm_view *v, uint64_t at, struct webm_cluster *c)
{
	struct ebml_head h;
	int rc = webm_get_head(v, at, &h);

	if (rc != 1)
		return rc;
	if (h.id != MKV_ID_CLUSTER)
		return h.id == MKV_ID_CUES ? ERR_EOF : ERR_CORRUPT;
	memset(c, 0, sizeof(*c));
	c->at = at;
	c->data = at + h.len;
	if (h.size > WEBM_CLUSTER_MAX || h.size > v->size - c->data)
		return 0;
	c->end = c->data + h.size;
	rc = webm_get_head(v, c->data, &h);
	if (rc != 1)
		return rc;
	c->data += h.len;
	if (h.id != MKV_ID_TIMESTAMP || c->data > c->end ||
	    h.size > c->end - c->data)
		return ERR_CORRUPT;
	rc = webm_get_uint(v, c->data, h.size, &c->time_ms);
	if (rc != 1)
		return rc;
	c->time_at = c->data;
	c->time_len = h.size;
	c->data += h.size;
	c->last_ms = c->time_ms;
	if (c->time_ms >= WEBM_TIME_MAX || c->data == c->end)
		return ERR_CORRUPT;
	return webm_get_frames(v, c, 1);
}
