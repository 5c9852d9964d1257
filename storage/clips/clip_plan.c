#include "storage/clips/clip_plan.h"

#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

const char clip_not_ours[] =
    "the recording is none that a clip can be cut from";

/* Place of an element's value of `size` bytes among children; else 0. */
static int
place(const struct webm_view *v, uint64_t at, uint64_t end, uint32_t id,
    uint64_t size, uint64_t *out)
{
	uint64_t data, have;
	int rc = webm_find_child(v, at, end, id, &data, &have);

	*out = rc == 1 && have == size ? data : 0;
	return rc < 0 ? rc : 0;
}

/* The seek entry of the cues is the one whose id is theirs. */
static int
read_seeks(
    struct clip_header *h, const struct webm_view *v, uint64_t at, uint64_t end)
{
	uint64_t data, size, id_at, id;
	int rc;

	while ((rc = webm_find_child(v, at, end, MKV_ID_SEEK, &data, &size)) ==
	    1) {
		rc = place(v, data, data + size, MKV_ID_SEEK_ID, 4, &id_at);
		if (rc == 0 && id_at != 0 &&
		    (rc = webm_get_uint(v, id_at, 4, &id)) == 1 &&
		    id == MKV_ID_CUES)
			return place(v, data, data + size,
			    MKV_ID_SEEK_POSITION, 8, &h->cues_at);
		if (rc < 0)
			return rc;
		at = data + size;
	}
	return rc;
}

static int
read_info(
    struct clip_plan *p, const struct webm_view *v, uint64_t at, uint64_t end)
{
	struct clip_header *h = &p->header;
	uint64_t bits;
	double ms = 0;
	int rc = place(v, at, end, MKV_ID_DURATION, 8, &h->duration_at);

	if (rc == 0)
		rc = place(v, at, end, MKV_ID_SEGMENT_UUID, 16, &h->uuid_at);
	if (rc == 0)
		rc = place(v, at, end, MKV_ID_DATE_UTC, 8, &h->date_at);
	if (rc != 0 || h->duration_at == 0)
		return rc != 0 ? rc : ERR_CORRUPT;
	rc = webm_get_uint(v, h->duration_at, 8, &bits);
	if (rc != 1)
		return rc;
	memcpy(&ms, &bits, sizeof(ms));
	if (!(ms >= 1 && ms < (double)WEBM_TIME_MAX))
		return ERR_CORRUPT;
	p->duration_ms = (uint64_t)ms;
	return 0;
}

static int
read_part(struct clip_plan *p, const struct webm_view *v, uint32_t id,
    uint64_t at, uint64_t end)
{
	if (id == MKV_ID_SEEK_HEAD)
		return read_seeks(&p->header, v, at, end);
	return id == MKV_ID_INFO ? read_info(p, v, at, end) : 0;
}

/* v ends with the header. */
static int
read_header(struct clip_plan *p, const struct webm_view *v)
{
	struct ebml_head h;
	uint64_t at;
	int rc = webm_get_head(v, 0, &h);

	if (rc != 1 || h.id != EBML_ID_HEADER || h.size > WEBM_HEADER_MAX)
		return rc < 0 ? rc : ERR_CORRUPT;
	at = h.len + h.size;
	rc = webm_get_head(v, at, &h);
	if (rc != 1 || h.id != MKV_ID_SEGMENT || h.len != 12)
		return rc < 0 ? rc : ERR_CORRUPT;
	p->header.size_at = at + 4;
	p->header.segment_data = at += h.len;
	while (at < v->size) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1 || h.size > v->size - at - h.len)
			return rc < 0 ? rc : ERR_CORRUPT;
		at += h.len;
		rc = read_part(p, v, h.id, at, at + h.size);
		if (rc < 0)
			return rc;
		at += h.size;
	}
	return p->header.cues_at != 0 && p->header.duration_at != 0
	    ? 0
	    : ERR_CORRUPT;
}

/* Time and place of a cue. */
static int
read_cue(const struct webm_view *v, uint64_t at, uint64_t end,
    uint64_t *time_ms, uint64_t *position)
{
	uint64_t data, size, place_at, place_len;
	int rc = webm_find_child(v, at, end, MKV_ID_CUE_TIME, &data, &size);

	if (rc == 1)
		rc = webm_get_uint(v, data, size, time_ms);
	if (rc == 1)
		rc = webm_find_child(
		    v, at, end, MKV_ID_CUE_TRACK_POSITIONS, &place_at, &place_len);
	if (rc == 1)
		rc = webm_find_child(v, place_at, place_at + place_len,
		    MKV_ID_CUE_CLUSTER_POSITION, &data, &size);
	if (rc == 1)
		rc = webm_get_uint(v, data, size, position);
	return rc == 1 ? 0 : rc < 0 ? rc : ERR_CORRUPT;
}

/* The last cue at from_ms or before, the first one at to_ms or later. */
static int
read_cues(struct clip_plan *p, const struct webm_view *v, uint64_t from_ms,
    uint64_t to_ms)
{
	struct ebml_head h;
	uint64_t at = p->cues, end, time_ms = 0, position = 0;
	int rc = webm_get_head(v, at, &h);

	if (rc != 1 || h.id != MKV_ID_CUES || h.size > v->size - at - h.len)
		return rc < 0 ? rc : ERR_CORRUPT;
	at += h.len;
	end = at + h.size;
	p->from = 0;
	p->to_most = p->cues;
	p->to_most_ms = p->duration_ms;
	while (at < end) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1 || h.id != MKV_ID_CUE_POINT ||
		    h.size > end - at - h.len)
			return rc < 0 ? rc : ERR_CORRUPT;
		at += h.len;
		rc = read_cue(v, at, at + h.size, &time_ms, &position);
		if (rc != 0 || time_ms >= WEBM_TIME_MAX)
			return rc != 0 ? rc : ERR_CORRUPT;
		position += p->header.segment_data;
		if (time_ms <= from_ms) {
			p->from = position;
			p->from_ms = time_ms;
		} else if (time_ms >= to_ms) {
			p->to_most = position;
			p->to_most_ms = time_ms;
			break;
		}
		at += h.size;
	}
	return p->from >= p->header_len && p->from < p->to_most &&
		p->to_most <= p->cues && p->from_ms < p->to_most_ms
	    ? 0
	    : ERR_CORRUPT;
}

/* The blocks that have the bytes from..to_most. */
static void
find_blocks(struct clip_plan *p, const struct evidence *e)
{
	size_t i = 0;

	while (e->blocks[i].offset + e->blocks[i].len <= p->from)
		i++;
	p->first = i;
	while (e->blocks[i].offset < p->to_most && i + 2 < e->n)
		i++;
	p->n = i - p->first;
}

int
clip_verify_block(const struct evidence *e, size_t i, const struct webm_view *v,
    const char **why)
{
	struct evidence_fault fault;

	*why = "the recording is not as it was recorded: there is no clip of "
	       "it";
	return evidence_verify_block(e, i, v->read, v->arg, &fault);
}

int
clip_plan(struct clip_plan *p, const struct webm_view *v,
    const struct evidence *e, uint64_t from_ms, uint64_t to_ms,
    const char **why)
{
	const struct evidence_block *last;
	struct webm_view head = *v;
	int rc;

	memset(p, 0, sizeof(*p));
	*why = clip_not_ours;
	if (e->n < 3 || e->blocks[e->n - 2].len > CLIP_CUES_MAX ||
	    e->blocks[e->n - 1].len > WEBM_HEADER_MAX)
		return ERR_CORRUPT;
	p->header_len = head.size = e->blocks[e->n - 1].len;
	p->cues = e->blocks[e->n - 2].offset;
	if ((rc = clip_verify_block(e, e->n - 1, v, why)) != 0 ||
	    (rc = clip_verify_block(e, e->n - 2, v, why)) != 0)
		return rc;
	*why = clip_not_ours;
	rc = read_header(p, &head);
	if (rc == 0 && from_ms >= p->duration_ms) {
		*why = "the range lies behind the recording's end";
		return ERR_LIMIT;
	}
	if (rc == 0)
		rc = read_cues(p, v, from_ms, to_ms);
	if (rc != 0)
		return rc;
	find_blocks(p, e);
	last = &e->blocks[p->first + p->n - 1];
	if (last->offset + last->len - e->blocks[p->first].offset <=
	    CLIP_BYTES_MAX)
		return 0;
	*why = "the clip would be larger than 128 MiB: choose a shorter range";
	return ERR_LIMIT;
}
