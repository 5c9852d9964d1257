#include "storage/files/webm_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define ID_EBML         0x1A45DFA3
#define ID_SEGMENT      0x18538067
#define ID_INFO         0x1549A966
#define ID_DURATION     0x4489
#define ID_TRACKS       0x1654AE6B
#define ID_TRACK        0xAE
#define ID_CODEC        0x86
#define ID_CLUSTER      0x1F43B675
#define ID_CUES         0x1C53BB6B
#define ID_TIMESTAMP    0xE7
#define ID_SIMPLE_BLOCK 0xA3
#define ID_BLOCK_GROUP  0xA0
#define ID_BLOCK        0xA1
#define ID_REFERENCE    0xFB

#define UNKNOWN      UINT64_MAX
#define HEAD_MAX     12          /* id of 4, size of 8 */
#define HEADER_MAX   (64 * 1024) /* before the first cluster */
#define CLUSTER_MAX  (UINT64_C(128) << 20)
#define BLOCKS_MAX   100000 /* of one cluster */
#define CUE_EVERY_MS 1000
#define TIME_MAX     (UINT64_C(1) << 40)

struct head {
	uint32_t id;
	uint64_t size; /* UNKNOWN: all value bits set */
	unsigned len;
};

/* A file and how long it was when the scan began. */
struct view {
	int fd;
	uint64_t size;
};

/* n bytes at `at`: 1, 0 when the file ends before, or ERR_IO. */
static int
get(const struct view *v, uint64_t at, void *out, size_t n)
{
	uint8_t *p = out;

	if (at > v->size || n > v->size - at)
		return 0;
	while (n > 0) {
		ssize_t got = pread(v->fd, p, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? 0 : ERR_IO;
		p += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 1;
}

static uint64_t
load_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

/* Bytes of a variable-size integer by its first one; 0: more than 8. */
static unsigned
vint_len(uint8_t first)
{
	return first != 0 ? (unsigned)__builtin_clz(first) - 24 + 1 : 0;
}

/* 1 and the head, 0 when it is not there whole, ERR_CORRUPT, ERR_IO. */
static int
get_head(const struct view *v, uint64_t at, struct head *h)
{
	uint8_t b[HEAD_MAX] = { 0 };
	size_t have = at < v->size ? min_size(HEAD_MAX, v->size - at) : 0;
	unsigned id_len, size_len;
	uint64_t mask;
	int rc = have > 0 ? get(v, at, b, have) : 0;

	if (rc != 1)
		return rc;
	id_len = vint_len(b[0]);
	if (id_len < 1 || id_len > 4)
		return ERR_CORRUPT;
	if (have <= id_len)
		return 0;
	size_len = vint_len(b[id_len]);
	if (size_len < 1)
		return ERR_CORRUPT;
	if (have < id_len + size_len)
		return 0;
	h->id = (uint32_t)load_be(b, id_len);
	mask = (UINT64_C(1) << (7 * size_len)) - 1;
	h->size = load_be(b + id_len, size_len) & mask;
	if (h->size == mask)
		h->size = UNKNOWN;
	h->len = id_len + size_len;
	return 1;
}

/* ---- the header ---- */

/*
 * The first child with that id between at and end: 1 with its data's place
 * and size, 0 when there is none, ERR_CORRUPT, ERR_IO.
 */
static int
find_child(const struct view *v, uint64_t at, uint64_t end, uint32_t id,
    uint64_t *data, uint64_t *size)
{
	struct head h;
	int rc;

	while (at < end) {
		rc = get_head(v, at, &h);
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

/* Duration, a double of milliseconds, is there once the file was closed. */
static int
read_info(struct webm_scan *s, const struct view *v, uint64_t at, uint64_t end)
{
	uint64_t bits, size;
	uint8_t b[8];
	double ms;
	int rc = find_child(v, at, end, ID_DURATION, &at, &size);

	if (rc != 1 || size != sizeof(b) ||
	    (rc = get(v, at, b, sizeof(b))) != 1)
		return rc;
	bits = load_be(b, sizeof(b));
	memcpy(&ms, &bits, sizeof(ms));
	if (ms >= 0 && ms < (double)TIME_MAX)
		s->duration_ms = (uint64_t)ms;
	return 1;
}

static int
read_tracks(
    struct webm_scan *s, const struct view *v, uint64_t at, uint64_t end)
{
	char name[5];
	uint64_t size;
	int rc = find_child(v, at, end, ID_TRACK, &at, &size);

	if (rc == 1)
		rc = find_child(v, at, at + size, ID_CODEC, &at, &size);
	if (rc != 1 || size != sizeof(name) ||
	    (rc = get(v, at, name, sizeof(name))) != 1)
		return rc;
	if (memcmp(name, "V_VP9", 5) == 0)
		s->codec = "vp9";
	else if (memcmp(name, "V_VP8", 5) == 0)
		s->codec = "vp8";
	return 1;
}

/* Up to the first cluster. 1, 0 when it is not there, ERR_CORRUPT, ERR_IO. */
static int
read_header(struct webm_scan *s, const struct view *v)
{
	struct head h;
	uint64_t at;
	int rc = get_head(v, 0, &h);

	if (rc != 1)
		return rc;
	if (h.id != ID_EBML || h.size > HEADER_MAX)
		return ERR_CORRUPT;
	at = h.len + h.size;
	rc = get_head(v, at, &h);
	if (rc != 1)
		return rc;
	if (h.id != ID_SEGMENT)
		return ERR_CORRUPT;
	at += h.len;
	while ((rc = get_head(v, at, &h)) == 1 && h.id != ID_CLUSTER) {
		if (h.size > HEADER_MAX || at + h.len + h.size > HEADER_MAX)
			return ERR_CORRUPT;
		at += h.len;
		rc = 1;
		if (h.id == ID_INFO)
			rc = read_info(s, v, at, at + h.size);
		else if (h.id == ID_TRACKS)
			rc = read_tracks(s, v, at, at + h.size);
		if (rc < 0)
			return rc;
		at += h.size;
	}
	if (rc == 1)
		s->header_len = at;
	return rc;
}

/* ---- clusters ---- */

struct cluster {
	uint64_t at, data, end;
	uint64_t time_ms, last_ms; /* of itself, of its last frame */
	bool is_key;               /* its first frame is a key frame */
	size_t n_frames;
};

/* Track, relative time and flags of a block whose data begin at `at`. */
static int
read_block(const struct view *v, struct cluster *c, uint64_t at, uint64_t size,
    bool has_flag)
{
	uint8_t b[4];
	int64_t time_ms;
	int rc = size >= sizeof(b) ? get(v, at, b, sizeof(b)) : ERR_CORRUPT;

	if (rc != 1)
		return rc;
	time_ms = (int64_t)c->time_ms + (int16_t)load_be(b + 1, 2);
	if (b[0] != 0x81 || time_ms < 0)
		return ERR_CORRUPT;
	c->last_ms = (uint64_t)time_ms;
	if (c->n_frames++ == 0)
		c->is_key = !has_flag || (b[3] & 0x80) != 0;
	return 1;
}

/* A group without a reference to another frame is a key frame. */
static int
read_group(const struct view *v, struct cluster *c, uint64_t at, uint64_t end)
{
	bool was_first = c->n_frames == 0, refers = false;
	struct head h;
	int rc = 1;

	for (unsigned n = 0; at < end && n < 16; n++) {
		rc = get_head(v, at, &h);
		if (rc != 1)
			return rc;
		at += h.len;
		if (at > end || h.size > end - at)
			return ERR_CORRUPT;
		refers |= h.id == ID_REFERENCE;
		if (h.id == ID_BLOCK)
			rc = read_block(v, c, at, h.size, false);
		if (rc != 1)
			return rc;
		at += h.size;
	}
	if (was_first && refers)
		c->is_key = false;
	return at == end ? 1 : ERR_CORRUPT;
}

/* The cluster's frames, at most max of them. 1 when they fill it. */
static int
read_frames(const struct view *v, struct cluster *c, size_t max)
{
	uint64_t at = c->data;
	struct head h;
	int rc = 1;

	c->n_frames = 0;
	while (rc == 1 && at < c->end && c->n_frames < max) {
		rc = get_head(v, at, &h);
		if (rc != 1)
			return rc;
		at += h.len;
		if (at > c->end || h.size > c->end - at)
			return ERR_CORRUPT;
		if (h.id == ID_SIMPLE_BLOCK)
			rc = read_block(v, c, at, h.size, true);
		else if (h.id == ID_BLOCK_GROUP)
			rc = read_group(v, c, at, at + h.size);
		else
			return ERR_CORRUPT;
		at += h.size;
	}
	return rc;
}

/*
 * The cluster at `at`. 1; 0 when it is not closed, or not there whole;
 * ERR_EOF when cues begin here; ERR_CORRUPT, ERR_IO.
 */
static int
read_cluster(const struct view *v, uint64_t at, struct cluster *c)
{
	struct head h;
	uint8_t b[8];
	int rc = get_head(v, at, &h);

	if (rc != 1)
		return rc;
	if (h.id != ID_CLUSTER)
		return h.id == ID_CUES ? ERR_EOF : ERR_CORRUPT;
	memset(c, 0, sizeof(*c));
	c->at = at;
	c->data = at + h.len;
	if (h.size > CLUSTER_MAX || h.size > v->size - c->data)
		return 0;
	c->end = c->data + h.size;
	rc = get_head(v, c->data, &h);
	if (rc != 1)
		return rc;
	c->data += h.len;
	if (h.id != ID_TIMESTAMP || h.size < 1 || h.size > sizeof(b) ||
	    c->data + h.size > c->end)
		return ERR_CORRUPT;
	rc = get(v, c->data, b, h.size);
	if (rc != 1)
		return rc;
	c->data += h.size;
	c->time_ms = c->last_ms = load_be(b, h.size);
	if (c->time_ms >= TIME_MAX || c->data == c->end)
		return ERR_CORRUPT;
	return read_frames(v, c, 1);
}

static int
add_cue(struct webm_scan *s, const struct cluster *c)
{
	size_t cap = s->cap != 0 ? s->cap * 2 : 64;
	struct webm_cue *cues;

	if (!c->is_key || s->n_cues == WEBM_SCAN_CUES_MAX ||
	    (s->n_cues > 0 &&
		c->time_ms < s->cues[s->n_cues - 1].time_ms + CUE_EVERY_MS))
		return 0;
	if (s->n_cues == s->cap) {
		cues = reallocarray(s->cues, cap, sizeof(*cues));
		if (cues == NULL)
			return ERR_NOMEM;
		s->cues = cues;
		s->cap = cap;
	}
	s->cues[s->n_cues++] =
	    (struct webm_cue){ .time_ms = c->time_ms, .offset = c->at };
	return 0;
}

/* Forgets cues of clusters at or behind `at`. */
static void
drop_cues(struct webm_scan *s, uint64_t at)
{
	while (s->n_cues > 0 && s->cues[s->n_cues - 1].offset >= at)
		s->n_cues--;
}

/*
 * New clusters become visible here. The size of the last one may have been
 * half written when it was read: it is read again after the sync, and its
 * frames must fill it.
 */
static int
publish(struct webm_scan *s, const struct view *v, const struct cluster *last,
    uint64_t before_ms)
{
	struct cluster c;
	int rc = fdatasync(v->fd) == 0 ? 1 : ERR_IO;

	if (rc == 1)
		rc = read_cluster(v, last->at, &c);
	if (rc == 1 && c.end != last->end)
		rc = 0;
	if (rc == 1)
		rc = read_frames(v, &c, BLOCKS_MAX);
	if (rc == 1) {
		s->bytes = c.end;
		s->last_ms = c.last_ms;
		return 0;
	}
	drop_cues(s, rc == ERR_IO ? s->bytes : last->at);
	if (rc == ERR_IO)
		return ERR_IO;
	if (last->at > s->bytes && last->at > s->header_len) {
		s->bytes = last->at;
		s->last_ms = before_ms;
	}
	return 0;
}

static int
scan_clusters(struct webm_scan *s, const struct view *v)
{
	uint64_t at = s->bytes != 0 ? s->bytes : s->header_len;
	uint64_t before_ms = s->last_ms;
	struct cluster c, last = { 0 };
	int rc = 1, err;

	for (size_t n = 0; n < WEBM_SCAN_STEP; n++) {
		rc = read_cluster(v, at, &c);
		if (rc != 1)
			break;
		if (add_cue(s, &c) != 0) {
			rc = ERR_NOMEM;
			break;
		}
		before_ms = last.at != 0 ? last.last_ms : s->last_ms;
		last = c;
		at = c.end;
	}
	if (last.at != 0 && (err = publish(s, v, &last, before_ms)) != 0)
		return err;
	if (s->bytes != at) /* the last one waits: so does what follows */
		return 0;
	if (rc == ERR_EOF)
		s->end = WEBM_SCAN_CUES;
	else if (rc == ERR_CORRUPT)
		s->end = WEBM_SCAN_CORRUPT;
	else if (rc < 0)
		return rc;
	return rc == 1;
}

void
webm_scan_release(struct webm_scan *s)
{
	free(s->cues);
	memset(s, 0, sizeof(*s));
}

int
webm_scan_more(struct webm_scan *s, int fd)
{
	struct view v = { .fd = fd };
	struct stat st;
	int rc;

	if (fstat(fd, &st) != 0)
		return ERR_IO;
	v.size = (uint64_t)st.st_size;
	if (v.size < s->bytes) {
		webm_scan_release(s);
		s->was_cut = true;
	}
	/* the duration comes when the file is closed */
	if (s->header_len == 0 ||
	    (s->end == WEBM_SCAN_CUES && s->duration_ms == 0)) {
		rc = read_header(s, &v);
		if (rc == ERR_CORRUPT)
			s->end = WEBM_SCAN_CORRUPT;
		if (rc != 1)
			return rc == ERR_IO ? ERR_IO : 0;
	}
	/* what looked wrong may have been half written */
	if (s->end == WEBM_SCAN_CORRUPT)
		s->end = WEBM_SCAN_OPEN;
	return s->end == WEBM_SCAN_OPEN ? scan_clusters(s, &v) : 0;
}
