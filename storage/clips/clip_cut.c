#include "storage/clips/clip_cut.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/err.h"

#define PIECE         (64 * 1024)
#define CUE_EVERY_MS  1000
#define CUE_LEN       27
#define CUES_HEAD_LEN 12
#define DATE_UNIT     UINT64_C(1000000) /* nanoseconds a millisecond */

struct cut {
	const struct clip_plan *p;
	const struct webm_view *v;
	struct clip_made *made;
	struct buf cues;
	uint64_t cue_ms; /* of the last one */
	int fd;
	uint64_t at; /* bytes of the clip that are written */
};

static int
write_at(int fd, uint64_t at, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && (errno == ENOSPC || errno == EDQUOT)
			    ? ERR_NOSPACE
			    : ERR_IO;
		data += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int
append(struct cut *x, const uint8_t *data, size_t len, bool is_alone)
{
	int rc = write_at(x->fd, x->at, data, len);

	evidence_add(&x->made->evidence, x->at, data, len, is_alone);
	x->at += len;
	return rc;
}

/* CuePoint: time, track 1, position; sizes in one byte, numbers in eight. */
static int
put_cue(struct cut *x, uint64_t time_ms)
{
	uint8_t cue[CUE_LEN] = { 0xBB, 0x80 | (CUE_LEN - 2), 0xB3, 0x88 };

	store_be64(cue + 4, time_ms);
	memcpy(cue + 12,
	    (const uint8_t[]){ 0xB7, 0x8D, 0xF7, 0x81, 1, 0xF1, 0x88 }, 7);
	store_be64(cue + 19, x->at - x->p->header.segment_data);
	x->cue_ms = time_ms;
	return buf_append(&x->cues, cue, sizeof(cue));
}

/* The same bytes, with its time counted from the clip's beginning. */
static int
copy_cluster(struct cut *x, const struct webm_cluster *k)
{
	uint64_t at = k->at, time_ms = k->time_ms - x->p->from_ms;
	uint8_t buf[PIECE], time[8];
	int rc = 0;

	if (k->is_key &&
	    (x->at == x->p->header_len || time_ms >= x->cue_ms + CUE_EVERY_MS))
		rc = put_cue(x, time_ms);
	store_be64(time, time_ms);
	while (rc == 0 && at < k->end) {
		size_t n = (size_t)min_u64(sizeof(buf), k->end - at);

		rc = webm_get(x->v, at, buf, n);
		if (rc != 1)
			return rc < 0 ? rc : ERR_CORRUPT;
		if (at == k->at)
			memcpy(buf + (k->time_at - at),
			    time + (sizeof(time) - k->time_len), k->time_len);
		rc = append(x, buf, n, false);
		at += n;
	}
	return rc;
}

/* Up to the first cluster at to_ms or later. */
static int
copy_clusters(struct cut *x, uint64_t to_ms)
{
	struct clip_facts *facts = &x->made->facts;
	uint64_t at = x->p->from;
	struct webm_cluster k;
	int rc;

	facts->to_ms = (int64_t)x->p->to_most_ms;
	while (at < x->p->to_most) {
		rc = webm_get_cluster(x->v, at, &k);
		if (rc != 1 || k.end > x->p->to_most ||
		    k.time_ms < x->p->from_ms ||
		    (at == x->p->from &&
			(!k.is_key || k.time_ms != x->p->from_ms)))
			return rc < 0 && rc != ERR_EOF ? rc : ERR_CORRUPT;
		if (k.time_ms >= to_ms && at > x->p->from) {
			facts->to_ms = (int64_t)k.time_ms;
			break;
		}
		rc = copy_cluster(x, &k);
		if (rc != 0)
			return rc;
		at = k.end;
	}
	facts->from = x->p->from;
	facts->from_ms = (int64_t)x->p->from_ms;
	facts->to = at;
	return 0;
}

/* Their place in the clip is where it ends now. */
static int
put_cues(struct cut *x)
{
	uint8_t *head = x->cues.data + x->cues.off;
	size_t len = buf_len(&x->cues);

	memcpy(head, (const uint8_t[]){ 0x1C, 0x53, 0xBB, 0x6B }, 4);
	store_be64(head + 4, len - CUES_HEAD_LEN);
	head[4] = 0x01; /* a size of eight bytes */
	return append(x, head, len, true);
}

/* An id of 36 characters as 16 bytes. */
static void
parse_uuid(const char *id, uint8_t out[16])
{
	size_t n = 0;

	sodium_hex2bin(out, 16, id, strlen(id), "-", &n, NULL);
}

static int
put_header(struct cut *x, const char *id, uint64_t cues_at)
{
	const struct clip_header *h = &x->p->header;
	const struct clip_facts *facts = &x->made->facts;
	double ms = (double)(facts->to_ms - facts->from_ms);
	uint8_t b[WEBM_HEADER_MAX];
	uint64_t bits;
	int rc = webm_get(x->v, 0, b, x->p->header_len);

	if (rc != 1)
		return rc < 0 ? rc : ERR_CORRUPT;
	store_be64(b + h->size_at, x->at - h->segment_data);
	b[h->size_at] = 0x01; /* a size of eight bytes */
	store_be64(b + h->cues_at, cues_at - h->segment_data);
	memcpy(&bits, &ms, sizeof(bits));
	store_be64(b + h->duration_at, bits);
	if (h->uuid_at != 0)
		parse_uuid(id, b + h->uuid_at);
	if (h->date_at != 0)
		store_be64(b + h->date_at,
		    load_be64(b + h->date_at) +
			(uint64_t)facts->from_ms * DATE_UNIT);
	rc = write_at(x->fd, 0, b, x->p->header_len);
	evidence_add(&x->made->evidence, 0, b, x->p->header_len, true);
	return rc;
}

/* The state of the first block's hash before the clip's first byte. */
static int
hash_before(
    struct cut *x, const struct evidence_block *b, crypto_hash_sha256_state *st)
{
	uint64_t at = b->offset;
	uint8_t buf[PIECE];
	int rc;

	if (at == x->p->from)
		return 0;
	crypto_hash_sha256_init(st);
	while (at < x->p->from) {
		size_t n = (size_t)min_u64(sizeof(buf), x->p->from - at);

		rc = webm_get(x->v, at, buf, n);
		if (rc != 1)
			return rc < 0 ? rc : ERR_CORRUPT;
		crypto_hash_sha256_update(st, buf, n);
		at += n;
	}
	return 0;
}

static int
hash_whole(int fd, struct clip_made *made)
{
	struct sha256 *sum = sha256_new();
	uint8_t buf[PIECE];
	uint64_t at = 0;
	int rc = sum != NULL ? 0 : ERR_NOMEM;

	while (rc == 0 && at < made->bytes) {
		int64_t n = webm_read_file(&fd, at, buf, sizeof(buf));

		if (n <= 0)
			rc = n < 0 ? (int)n : ERR_IO;
		else {
			sha256_add(sum, buf, (size_t)n);
			at += (uint64_t)n;
		}
	}
	if (rc == 0)
		rc = sha256_end(sum, made->sha256);
	sha256_free(sum);
	return rc;
}

static int
write_clip(
    struct cut *x, const char *id, uint64_t to_ms, const struct evidence *e)
{
	struct clip_made *made = x->made;
	uint64_t cues_at;
	int rc = hash_before(x, &e->blocks[x->p->first], &made->facts.before);

	if (rc == 0 && buf_reserve(&x->cues, CUES_HEAD_LEN) == NULL)
		rc = ERR_NOMEM;
	if (rc == 0) {
		buf_commit(&x->cues, CUES_HEAD_LEN);
		rc = copy_clusters(x, to_ms);
	}
	cues_at = x->at;
	if (rc == 0)
		rc = put_cues(x);
	if (rc == 0)
		rc = put_header(x, id, cues_at);
	if (rc == 0)
		rc = evidence_finish_clip(&made->evidence, id, e->root);
	made->bytes = x->at;
	return rc != 0 ? rc : hash_whole(x->fd, made);
}

int
clip_cut(struct clip_made *made, const struct clip_plan *p,
    const struct webm_view *v, const struct evidence *e, const char *id,
    uint64_t to_ms, int fd, const char **why)
{
	struct cut x = {
		.p = p, .v = v, .made = made, .fd = fd, .at = p->header_len
	};
	int rc = 0;

	memset(&made->facts.before, 0, sizeof(made->facts.before));
	evidence_init(&made->evidence);
	evidence_without_clusters(&made->evidence);
	for (size_t i = p->first; rc == 0 && i < p->first + p->n; i++)
		rc = clip_verify_block(e, i, v, why);
	if (rc != 0)
		return rc;
	*why = clip_not_ours;
	buf_init(&x.cues, CLIP_CUES_MAX);
	rc = write_clip(&x, id, to_ms, e);
	buf_release(&x.cues);
	if (rc == 0) {
		memcpy(made->facts.root, e->root, sizeof(e->root));
		made->facts.original_bytes = p->cues + e->blocks[e->n - 2].len;
	}
	return rc;
}
