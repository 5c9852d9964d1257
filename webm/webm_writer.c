#include "webm/webm_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"
#include "webm/webm_layout.h"

#define HEADER_LIMIT      (48 * 1024) /* a reader takes 64 KiB */
#define CLUSTER_BYTES_MAX (64 * 1024 * 1024)
#define SIDE_MAX          65535
#define RELATIVE_MS_MAX   INT16_MAX /* of a block to its cluster */

struct webm_writer {
	int fd;
	uint64_t max_bytes;
	uint32_t cluster_ms, cluster_bytes, gap_ms;
	webm_block_cb *on_block;
	int (*sync_cluster)(void *arg);
	void *arg;

	struct buf header;
	struct webm_slots slots;
	struct webm_cues cues;

	/*
	 * The open cluster, as it is in the file:
	 *
	 *   file  ... closed | open cluster | pos
	 *                    ^ cluster_at
	 */
	struct buf cluster;
	uint64_t cluster_at, pos;
	uint64_t open_ms;    /* of its first frame; UINT64_MAX: none is open */
	uint64_t content_ms; /* of its first frame that is no repeat, or
			      * UINT64_MAX */
	uint64_t longest_ms; /* between two frames of a cluster, since the
			      * last key frame */

	uint64_t n_frames, last_ms, end_ms;
	uint64_t duration_ms; /* 0 until finished */
	bool is_finished;
};

static bool
is_text_fine(const char *s)
{
	return s != NULL && strlen(s) <= WEBM_STRING_MAX;
}

static bool
is_params_fine(const struct webm_params *p)
{
	if (p->width < 1 || p->width > SIDE_MAX || p->height < 1 ||
	    p->height > SIDE_MAX)
		return false;
	if (p->cluster_ms > WEBM_CLUSTER_MS_MAX ||
	    p->gap_ms > WEBM_CLUSTER_MS_MAX ||
	    p->cluster_bytes > CLUSTER_BYTES_MAX || p->n_tags > WEBM_TAGS_MAX)
		return false;
	if (p->title != NULL && !is_text_fine(p->title))
		return false;
	for (size_t i = 0; i < p->n_tags; i++)
		if (!is_text_fine(p->tags[i].name) ||
		    !is_text_fine(p->tags[i].value))
			return false;
	return true;
}

static struct webm_writer *
writer_alloc(int fd, const struct webm_params *p)
{
	struct webm_writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->fd = fd;
	w->max_bytes = p->max_bytes != 0 ? p->max_bytes : WEBM_MAX_BYTES;
	w->cluster_ms = p->cluster_ms != 0 ? p->cluster_ms : WEBM_CLUSTER_MS;
	w->cluster_bytes =
	    p->cluster_bytes != 0 ? p->cluster_bytes : WEBM_CLUSTER_BYTES;
	w->gap_ms = p->gap_ms;
	w->on_block = p->on_block;
	w->sync_cluster = p->sync_cluster;
	w->arg = p->arg;
	w->open_ms = w->content_ms = UINT64_MAX;
	buf_init(&w->header, HEADER_LIMIT);
	buf_init(&w->cluster,
	    CLUSTER_BYTES_MAX + WEBM_FRAME_MAX + WEBM_FRAME_OVERHEAD);
	return w;
}

static int
write_header(struct webm_writer *w, const struct webm_params *p)
{
	int rc = webm_header_build(&w->header, p, &w->slots);

	if (rc != 0)
		return rc;
	if (buf_len(&w->header) > w->max_bytes)
		return ERR_LIMIT;
	/* the patched places share one sector, webm_layout.h */
	assert(w->slots.duration_at + WEBM_DURATION_SLOT <= WEBM_PATCHED_MAX);
	rc = webm_file_write(
	    w->fd, 0, buf_head(&w->header), buf_len(&w->header));
	if (rc == 0)
		rc = webm_file_sync(w->fd);
	w->pos = buf_len(&w->header);
	return rc;
}

int
webm_writer_new(
    struct webm_writer **out, int fd, const struct webm_params *params)
{
	struct webm_writer *w;
	int rc;

	*out = NULL;
	if (!is_params_fine(params))
		return ERR_LIMIT;
	w = writer_alloc(fd, params);
	if (w == NULL)
		return ERR_NOMEM;
	rc = write_header(w, params);
	if (rc != 0) {
		webm_writer_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void
webm_writer_free(struct webm_writer *w)
{
	if (w == NULL)
		return;
	buf_release(&w->header);
	buf_release(&w->cluster);
	webm_cues_release(&w->cues);
	free(w);
}

/* What a frame would do to the file. */
struct plan {
	bool opens; /* a new cluster */
	bool has_cue;
	struct webm_cue_point cue;
	uint64_t added; /* bytes, cues not counted */
	uint64_t final_bytes;
};

bool
webm_writer_is_pause(const struct webm_writer *w, uint64_t time_ms)
{
	return w->n_frames > 0 && time_ms > w->last_ms &&
	    time_ms - w->last_ms > 2 * w->longest_ms;
}

static bool
opens_cluster(const struct webm_writer *w, const struct webm_frame *f)
{
	uint64_t age, len = buf_len(&w->cluster) + f->len;

	if (w->open_ms == UINT64_MAX || f->is_key)
		return true;
	age = f->time_ms - w->open_ms;
	if (age > RELATIVE_MS_MAX || len > CLUSTER_BYTES_MAX)
		return true;
	if (w->gap_ms != 0 && webm_writer_is_pause(w, f->time_ms))
		return false;
	if (f->is_repeat && w->content_ms == UINT64_MAX)
		return age >= WEBM_QUIET_MS;
	return age >= w->cluster_ms || len > w->cluster_bytes;
}

static struct plan
plan_frame(const struct webm_writer *w, const struct webm_frame *f)
{
	struct plan p = { .opens = opens_cluster(w, f) };

	p.added = webm_frame_len(f);
	if (p.opens)
		p.added += webm_cluster_head_len(f->time_ms);
	p.has_cue = f->is_key && webm_cues_wants(&w->cues, f->time_ms);
	p.cue.time_ms = f->time_ms;
	p.cue.position = w->pos - w->slots.segment_data;
	p.final_bytes = w->pos + p.added +
	    webm_cues_len(&w->cues, p.has_cue ? &p.cue : NULL);
	return p;
}

static bool
is_frame_in_order(const struct webm_writer *w, const struct webm_frame *f)
{
	if (w->n_frames == 0)
		return f->is_key;
	return f->time_ms > w->last_ms;
}

bool
webm_writer_would_fit(const struct webm_writer *w, const struct webm_frame *f)
{
	struct plan p;

	if (f->len < 1 || f->len > WEBM_FRAME_MAX)
		return false;
	p = plan_frame(w, f);
	return p.final_bytes <= w->max_bytes;
}

static int
sync_cluster(const struct webm_writer *w)
{
	return w->sync_cluster != NULL ? w->sync_cluster(w->arg)
				       : webm_file_sync(w->fd);
}

/* Size known, synced, reported: from here on the bytes never change. */
int
webm_writer_flush(struct webm_writer *w)
{
	uint8_t *size;
	int rc;

	if (w->open_ms == UINT64_MAX)
		return 0;
	size = w->cluster.data + w->cluster.off + 4;
	ebml_store_size(
	    size, buf_len(&w->cluster) - 4 - WEBM_SIZE_LEN, WEBM_SIZE_LEN);
	rc = webm_file_write(w->fd, w->cluster_at + 4, size, WEBM_SIZE_LEN);
	if (rc == 0)
		rc = sync_cluster(w);
	if (rc != 0)
		return rc;
	if (w->on_block != NULL)
		w->on_block(w->arg, WEBM_BLOCK_CLUSTER, w->cluster_at,
		    buf_head(&w->cluster), buf_len(&w->cluster));
	buf_consume(&w->cluster, buf_len(&w->cluster));
	w->open_ms = w->content_ms = UINT64_MAX;
	return 0;
}

uint64_t
webm_writer_due_ms(const struct webm_writer *w)
{
	if (w->open_ms == UINT64_MAX)
		return UINT64_MAX;
	/* the next frame may come after a pause: it has to be in here */
	if (2 * w->longest_ms < w->gap_ms)
		return w->last_ms + 2 * w->gap_ms;
	return w->content_ms != UINT64_MAX ? w->content_ms + w->cluster_ms
					   : w->open_ms + WEBM_QUIET_MS;
}

int
webm_writer_tick(struct webm_writer *w, uint64_t now_ms)
{
	return now_ms < webm_writer_due_ms(w) ? 0 : webm_writer_flush(w);
}

/*
 * The frame behind what the buffer holds, and behind pos in the file. When
 * it fails both are as before; a tail that cannot be cut off is harmless,
 * the next write or a repair covers it.
 */
static int
append(struct webm_writer *w, const struct webm_frame *f, const struct plan *p)
{
	size_t old_len = buf_len(&w->cluster);
	uint64_t cluster_ms = p->opens ? f->time_ms : w->open_ms;
	int rc = 0;

	/* all at once, so that nothing below can fail for memory */
	if (buf_reserve(&w->cluster, p->added) == NULL)
		return ERR_NOMEM;
	if (p->opens)
		rc = webm_cluster_put_head(&w->cluster, f->time_ms);
	if (rc == 0)
		rc = webm_frame_put(&w->cluster, f, cluster_ms, w->last_ms);
	if (rc == 0) {
		assert(buf_len(&w->cluster) == old_len + p->added);
		rc = webm_file_write(
		    w->fd, w->pos, buf_head(&w->cluster) + old_len, p->added);
	}
	if (rc != 0) {
		w->cluster.len = w->cluster.off + old_len;
		if (ftruncate(w->fd, (off_t)w->pos) != 0)
			return rc;
	}
	return rc;
}

static void
count_frame(
    struct webm_writer *w, const struct webm_frame *f, const struct plan *p)
{
	if (f->is_key)
		w->longest_ms = 0;
	else if (!p->opens)
		w->longest_ms = max_u64(w->longest_ms, f->time_ms - w->last_ms);
	if (p->opens) {
		w->cluster_at = w->pos;
		w->open_ms = f->time_ms;
	}
	if (!f->is_repeat && w->content_ms == UINT64_MAX)
		w->content_ms = f->time_ms;
	w->pos += p->added;
	w->n_frames++;
	w->last_ms = f->time_ms;
	w->end_ms = f->time_ms + f->duration_ms;
}

int
webm_writer_frame(struct webm_writer *w, const struct webm_frame *f)
{
	struct plan p;
	int rc;

	assert(!w->is_finished);
	if (!is_frame_in_order(w, f))
		return ERR_PROTOCOL;
	if (!webm_writer_would_fit(w, f))
		return ERR_LIMIT;
	p = plan_frame(w, f);
	if (p.opens && (rc = webm_writer_flush(w)) != 0)
		return rc;
	if (p.has_cue && (rc = webm_cues_reserve(&w->cues)) != 0)
		return rc;
	rc = append(w, f, &p);
	if (rc != 0)
		return rc;
	if (p.has_cue)
		webm_cues_add(&w->cues, &p.cue);
	count_frame(w, f, &p);
	return 0;
}

int
webm_writer_finish(struct webm_writer *w, uint64_t duration_ms)
{
	struct webm_ending e = { .fd = w->fd,
		.header = w->header.data,
		.header_len = buf_len(&w->header),
		.slots = w->slots,
		.cues = &w->cues,
		.on_block = w->on_block,
		.arg = w->arg };
	int rc;

	assert(!w->is_finished);
	rc = webm_writer_flush(w);
	if (rc != 0)
		return rc;
	e.clusters_end = w->pos;
	if (duration_ms < w->end_ms || duration_ms == 0)
		duration_ms = w->end_ms;
	if (duration_ms <= w->last_ms)
		duration_ms = w->last_ms + 1;
	e.duration_ms = duration_ms;
	rc = webm_file_end(&e, &w->pos);
	if (rc != 0)
		return rc;
	w->duration_ms = duration_ms;
	w->is_finished = true;
	return 0;
}

uint64_t
webm_writer_bytes(const struct webm_writer *w)
{
	return w->pos;
}

uint64_t
webm_writer_frames(const struct webm_writer *w)
{
	return w->n_frames;
}

uint64_t
webm_writer_duration_ms(const struct webm_writer *w)
{
	return w->duration_ms;
}
