/* The header: EBML head, Segment, SeekHead, Info, Tracks, Tags. */
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"
#include "webm/webm_layout.h"

#define APP "relaycam " RELAYCAM_VERSION

/* DateUTC counts nanoseconds from 2001-01-01 (RFC 8794 section 7.6). */
#define EPOCH_2001_NS (UINT64_C(978307200) * 1000000000)

#define SEEK_BODY          18 /* SeekID of 4 bytes, position of 8 */
#define TRACK_TYPE_VIDEO   1
#define INTERLACED_NEVER   2
#define VP9_FEATURE_DEPTH  3
#define VP9_FEATURE_CHROMA 4

/* A master element whose body was made first, in a buf of its own. */
static int
put_master(struct buf *b, uint32_t id, struct buf *body, int rc)
{
	if (rc == 0)
		rc = ebml_put_bytes(b, id, buf_head(body), buf_len(body));
	buf_release(body);
	return rc;
}

static int
put_ebml_head(struct buf *b)
{
	struct buf body;
	int rc;

	buf_init(&body, b->limit);
	rc = ebml_put_uint(&body, EBML_ID_VERSION, 1);
	if (rc == 0)
		rc = ebml_put_uint(&body, EBML_ID_READ_VERSION, 1);
	if (rc == 0)
		rc = ebml_put_uint(&body, EBML_ID_MAX_ID_LENGTH, 4);
	if (rc == 0)
		rc = ebml_put_uint(&body, EBML_ID_MAX_SIZE_LENGTH, 8);
	if (rc == 0)
		rc = ebml_put_string(&body, EBML_ID_DOC_TYPE, "webm");
	if (rc == 0)
		rc = ebml_put_uint(&body, EBML_ID_DOC_TYPE_VERSION, 4);
	if (rc == 0)
		rc = ebml_put_uint(&body, EBML_ID_DOC_TYPE_READ_VERSION, 2);
	return put_master(b, EBML_ID_HEADER, &body, rc);
}

static int
put_seek(struct buf *b, uint32_t id, uint64_t position)
{
	int rc = ebml_put_head(b, MKV_ID_SEEK, SEEK_BODY);

	if (rc == 0)
		rc = ebml_put_uint_in(b, MKV_ID_SEEK_ID, id, 4);
	if (rc == 0)
		rc = ebml_put_uint_in(b, MKV_ID_SEEK_POSITION, position, 8);
	return rc;
}

/* Info without its head; the duration slot comes first. */
static int
put_info(struct buf *b, const struct webm_params *p)
{
	static const uint8_t none[WEBM_UUID_LEN];
	int rc = ebml_put_void(b, WEBM_DURATION_SLOT);

	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_TIMESTAMP_SCALE, 1000000);
	if (rc == 0 && memcmp(p->uuid, none, sizeof(none)) != 0)
		rc = ebml_put_bytes(
		    b, MKV_ID_SEGMENT_UUID, p->uuid, sizeof(p->uuid));
	if (rc == 0 && p->date_wall_ns != 0)
		rc = ebml_put_uint_in(
		    b, MKV_ID_DATE_UTC, p->date_wall_ns - EPOCH_2001_NS, 8);
	if (rc == 0 && p->title != NULL)
		rc = ebml_put_string(b, MKV_ID_TITLE, p->title);
	if (rc == 0)
		rc = ebml_put_string(b, MKV_ID_MUXING_APP, APP);
	if (rc == 0)
		rc = ebml_put_string(b, MKV_ID_WRITING_APP, APP);
	return rc;
}

static int
put_optional(struct buf *b, uint32_t id, uint64_t v)
{
	return v != 0 ? ebml_put_uint(b, id, v) : 0;
}

static int
put_colour(struct buf *b, const struct webm_colour *c)
{
	struct buf body;
	int rc;

	if (!c->matrix && !c->range && !c->transfer && !c->primaries)
		return 0;
	buf_init(&body, b->limit);
	rc = put_optional(&body, MKV_ID_COLOUR_MATRIX, c->matrix);
	if (rc == 0)
		rc = put_optional(&body, MKV_ID_COLOUR_RANGE, c->range);
	if (rc == 0)
		rc = put_optional(&body, MKV_ID_COLOUR_TRANSFER, c->transfer);
	if (rc == 0)
		rc = put_optional(&body, MKV_ID_COLOUR_PRIMARIES, c->primaries);
	return put_master(b, MKV_ID_COLOUR, &body, rc);
}

static int
put_video(struct buf *b, const struct webm_params *p)
{
	struct buf body;
	int rc;

	buf_init(&body, b->limit);
	rc = ebml_put_uint(&body, MKV_ID_FLAG_INTERLACED, INTERLACED_NEVER);
	if (rc == 0)
		rc = ebml_put_uint(&body, MKV_ID_PIXEL_WIDTH, p->width);
	if (rc == 0)
		rc = ebml_put_uint(&body, MKV_ID_PIXEL_HEIGHT, p->height);
	if (rc == 0)
		rc = ebml_put_uint(&body, MKV_ID_DISPLAY_WIDTH, p->width);
	if (rc == 0)
		rc = ebml_put_uint(&body, MKV_ID_DISPLAY_HEIGHT, p->height);
	if (rc == 0)
		rc = put_colour(&body, &p->colour);
	return put_master(b, MKV_ID_VIDEO, &body, rc);
}

/*
 * VP9: features as id, length, value: profile 0, 8 bits, 4:2:0 (WebM
 * container guidelines, "VP9 Codec Feature Metadata"); the level is left
 * out, since the frame rate is not known. VP8 has none.
 */
static int
put_codec(struct buf *b, enum webm_codec codec)
{
	static const uint8_t vp9_private[] = { 1, 1, 0, VP9_FEATURE_DEPTH, 1, 8,
		VP9_FEATURE_CHROMA, 1, 1 };
	int rc;

	if (codec == WEBM_VP8)
		return ebml_put_string(b, MKV_ID_CODEC_ID, "V_VP8");
	rc = ebml_put_string(b, MKV_ID_CODEC_ID, "V_VP9");
	return rc != 0 ? rc
		       : ebml_put_bytes(b, MKV_ID_CODEC_PRIVATE, vp9_private,
			     sizeof(vp9_private));
}

static int
put_track_fields(struct buf *b, const struct webm_params *p)
{
	int rc = ebml_put_uint(b, MKV_ID_TRACK_NUMBER, WEBM_TRACK);

	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_TRACK_UID, WEBM_TRACK);
	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_TRACK_TYPE, TRACK_TYPE_VIDEO);
	if (rc == 0)
		rc = ebml_put_uint(b, MKV_ID_FLAG_LACING, 0);
	if (rc == 0)
		rc = ebml_put_string(b, MKV_ID_LANGUAGE, "und");
	if (rc == 0)
		rc = put_codec(b, p->codec);
	return rc != 0 ? rc : put_video(b, p);
}

static int
put_tracks(struct buf *b, const struct webm_params *p)
{
	struct buf entry;
	int rc;

	buf_init(&entry, b->limit);
	rc = put_track_fields(&entry, p);
	return put_master(b, MKV_ID_TRACK_ENTRY, &entry, rc);
}

static int
put_tag(struct buf *b, const struct webm_tag *t)
{
	struct buf tag, simple;
	int rc;

	buf_init(&simple, b->limit);
	buf_init(&tag, b->limit);
	rc = ebml_put_string(&simple, MKV_ID_TAG_NAME, t->name);
	if (rc == 0)
		rc = ebml_put_string(&simple, MKV_ID_TAG_STRING, t->value);
	if (rc == 0) /* empty targets: of the whole segment */
		rc = ebml_put_head(&tag, MKV_ID_TARGETS, 0);
	rc = put_master(&tag, MKV_ID_SIMPLE_TAG, &simple, rc);
	return put_master(b, MKV_ID_TAG, &tag, rc);
}

static int
put_tags(struct buf *b, const struct webm_params *p)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < p->n_tags; i++)
		rc = put_tag(b, &p->tags[i]);
	return rc;
}

/* The level-1 elements behind the SeekHead, their bodies. */
struct parts {
	struct buf info, tracks, tags;
};

static uint64_t
seek_head_body_len(const struct parts *x)
{
	unsigned n = buf_len(&x->tags) != 0 ? 3 : 2;

	return n * (uint64_t)WEBM_CUES_SLOT + WEBM_CUES_SLOT;
}

/* position: of Info, from the Segment's data. The last seek is the slot. */
static int
put_seek_head(struct buf *b, const struct parts *x, uint64_t position,
    struct webm_slots *s)
{
	int rc = ebml_put_head(b, MKV_ID_SEEK_HEAD, seek_head_body_len(x));

	if (rc == 0)
		rc = put_seek(b, MKV_ID_INFO, position);
	position += ebml_element_len(MKV_ID_INFO, buf_len(&x->info));
	if (rc == 0)
		rc = put_seek(b, MKV_ID_TRACKS, position);
	position += ebml_element_len(MKV_ID_TRACKS, buf_len(&x->tracks));
	if (rc == 0 && buf_len(&x->tags) != 0)
		rc = put_seek(b, MKV_ID_TAGS, position);
	s->cues_at = buf_len(b);
	return rc != 0 ? rc : ebml_put_void(b, WEBM_CUES_SLOT);
}

static int
put_part(struct buf *b, uint32_t id, const struct buf *body)
{
	return ebml_put_bytes(b, id, buf_head(body), buf_len(body));
}

static int
put_all(struct buf *b, const struct parts *x, struct webm_slots *s)
{
	uint64_t seek_len =
	    ebml_element_len(MKV_ID_SEEK_HEAD, seek_head_body_len(x));
	int rc = put_ebml_head(b);

	if (rc == 0)
		rc = ebml_put_id(b, MKV_ID_SEGMENT);
	s->size_at = buf_len(b);
	if (rc == 0)
		rc = ebml_put_size_in(b, EBML_SIZE_UNKNOWN, WEBM_SIZE_LEN);
	s->segment_data = buf_len(b);
	if (rc == 0)
		rc = put_seek_head(b, x, seek_len, s);
	s->duration_at = buf_len(b) + ebml_id_len(MKV_ID_INFO) +
	    ebml_size_len(buf_len(&x->info));
	if (rc == 0)
		rc = put_part(b, MKV_ID_INFO, &x->info);
	if (rc == 0)
		rc = put_part(b, MKV_ID_TRACKS, &x->tracks);
	if (rc == 0 && buf_len(&x->tags) != 0)
		rc = put_part(b, MKV_ID_TAGS, &x->tags);
	return rc;
}

int
webm_header_build(
    struct buf *b, const struct webm_params *p, struct webm_slots *s)
{
	struct parts x;
	int rc;

	buf_init(&x.info, b->limit);
	buf_init(&x.tracks, b->limit);
	buf_init(&x.tags, b->limit);
	rc = put_info(&x.info, p);
	if (rc == 0)
		rc = put_tracks(&x.tracks, p);
	if (rc == 0)
		rc = put_tags(&x.tags, p);
	if (rc == 0)
		rc = put_all(b, &x, s);
	buf_release(&x.info);
	buf_release(&x.tracks);
	buf_release(&x.tags);
	return rc;
}

void
webm_header_finish(uint8_t *header, const struct webm_slots *s,
    uint64_t file_len, uint64_t cues_offset, uint64_t duration_ms)
{
	static const uint8_t seek[] = { 0x4D, 0xBB, 0x80 | SEEK_BODY, 0x53,
		0xAB, 0x84, 0x1C, 0x53, 0xBB, 0x6B, 0x53, 0xAC, 0x88 };
	static const uint8_t duration[] = { 0x44, 0x89, 0x88 };
	double ms = (double)duration_ms;
	uint64_t bits;

	ebml_store_size(
	    header + s->size_at, file_len - s->segment_data, WEBM_SIZE_LEN);
	if (cues_offset != 0) {
		memcpy(header + s->cues_at, seek, sizeof(seek));
		store_be64(header + s->cues_at + sizeof(seek),
		    cues_offset - s->segment_data);
	}
	memcpy(header + s->duration_at, duration, sizeof(duration));
	memcpy(&bits, &ms, sizeof(bits));
	store_be64(header + s->duration_at + sizeof(duration), bits);
}
