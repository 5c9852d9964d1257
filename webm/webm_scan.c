#include "webm/webm_scan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/webm_walk.h"

#define CUE_EVERY_MS 1000

/* ---- the header ---- */

/* Duration, a double of milliseconds, is there once the file was closed. */
static int
read_info(
    struct webm_scan *s, const struct webm_view *v, uint64_t at, uint64_t end)
{
	uint64_t bits, size;
	double ms;
	int rc = webm_find_child(v, at, end, MKV_ID_DURATION, &at, &size);

	if (rc != 1 || size != sizeof(ms) ||
	    (rc = webm_get_uint(v, at, size, &bits)) != 1)
		return rc;
	memcpy(&ms, &bits, sizeof(ms));
	if (ms >= 0 && ms < (double)WEBM_TIME_MAX)
		s->duration_ms = (uint64_t)ms;
	return 1;
}

static int
read_tracks(
    struct webm_scan *s, const struct webm_view *v, uint64_t at, uint64_t end)
{
	char name[5];
	uint64_t size;
	int rc = webm_find_child(v, at, end, MKV_ID_TRACK_ENTRY, &at, &size);

	if (rc == 1)
		rc = webm_find_child(
		    v, at, at + size, MKV_ID_CODEC_ID, &at, &size);
	if (rc != 1 || size != sizeof(name) ||
	    (rc = webm_get(v, at, name, sizeof(name))) != 1)
		return rc;
	if (memcmp(name, "V_VP9", 5) == 0)
		s->codec = "vp9";
	else if (memcmp(name, "V_VP8", 5) == 0)
		s->codec = "vp8";
	return 1;
}

/* Up to the first cluster. 1, 0 when it is not there, ERR_CORRUPT, ERR_IO. */
static int
read_header(struct webm_scan *s, const struct webm_view *v)
{
	struct ebml_head h;
	uint64_t at;
	int rc = webm_get_head(v, 0, &h);

	if (rc != 1)
		return rc;
	if (h.id != EBML_ID_HEADER || h.size > WEBM_HEADER_MAX)
		return ERR_CORRUPT;
	at = h.len + h.size;
	rc = webm_get_head(v, at, &h);
	if (rc != 1)
		return rc;
	if (h.id != MKV_ID_SEGMENT)
		return ERR_CORRUPT;
	at += h.len;
	while ((rc = webm_get_head(v, at, &h)) == 1 && h.id != MKV_ID_CLUSTER) {
		if (h.size > WEBM_HEADER_MAX ||
		    at + h.len + h.size > WEBM_HEADER_MAX)
			return ERR_CORRUPT;
		at += h.len;
		rc = 1;
		if (h.id == MKV_ID_INFO)
			rc = read_info(s, v, at, at + h.size);
		else if (h.id == MKV_ID_TRACKS)
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

static int
add_cue(struct webm_scan *s, const struct webm_cluster *c)
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
publish(struct webm_scan *s, const struct webm_view *v, int fd,
    const struct webm_cluster *last, uint64_t before_ms)
{
	struct webm_cluster c;
	int rc = fdatasync(fd) == 0 ? 1 : ERR_IO;

	if (rc == 1)
		rc = webm_get_cluster(v, last->at, &c);
	if (rc == 1 && c.end != last->end)
		rc = 0;
	if (rc == 1)
		rc = webm_get_frames(v, &c, WEBM_FRAMES_MAX);
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
scan_clusters(struct webm_scan *s, const struct webm_view *v, int fd)
{
	uint64_t at = s->bytes != 0 ? s->bytes : s->header_len;
	uint64_t before_ms = s->last_ms;
	struct webm_cluster c, last = { 0 };
	int rc = 1, err;

	for (size_t n = 0; n < WEBM_SCAN_STEP; n++) {
		rc = webm_get_cluster(v, at, &c);
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
	if (last.at != 0 && (err = publish(s, v, fd, &last, before_ms)) != 0)
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

/* Where the frames of the cluster at `at` begin; 0: it is not there yet. */
static int
find_frames(const struct webm_view *v, uint64_t at, uint64_t *frames)
{
	struct ebml_head h;
	int rc = webm_get_head(v, at, &h);

	if (rc != 1 || h.id != MKV_ID_CLUSTER)
		return rc < 0 ? rc : 0;
	at += h.len;
	rc = webm_get_head(v, at, &h);
	if (rc != 1 || h.id != MKV_ID_TIMESTAMP || h.size > 8)
		return rc < 0 ? rc : 0;
	*frames = at + h.len + h.size;
	return *frames <= v->size;
}

/*
 * The whole frames of the cluster behind the closed ones, from where the last
 * scan ended. What is no frame ends them. 0 or ERR_IO.
 */
static int
scan_open(struct webm_scan *s, const struct webm_view *v)
{
	uint64_t base = s->bytes != 0 ? s->bytes : s->header_len;
	uint64_t at = s->open_bytes;
	struct ebml_head h;
	int rc = 1;

	if (at <= base || at > v->size) {
		s->open_bytes = base;
		rc = find_frames(v, base, &at);
	}
	for (size_t n = 0; rc == 1 && n < WEBM_FRAMES_MAX; n++) {
		rc = webm_get_head(v, at, &h);
		if (rc != 1 ||
		    (h.id != MKV_ID_SIMPLE_BLOCK &&
			h.id != MKV_ID_BLOCK_GROUP) ||
		    h.size > v->size - at - h.len)
			break;
		at += h.len + h.size;
		s->open_bytes = at;
	}
	return rc == ERR_IO ? ERR_IO : 0;
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
	struct webm_view v = { .read = webm_read_file, .arg = &fd };
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
	if (s->end != WEBM_SCAN_OPEN)
		return 0;
	rc = scan_clusters(s, &v, fd);
	return rc == 0 ? scan_open(s, &v) : rc;
}
