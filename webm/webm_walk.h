/*
 * Walks through a finished or growing WebM file of ours (docs/webm.md):
 * heads of elements, the header's fields, clusters and their frames. The
 * bytes come from a reader and are hostile: nothing is believed that does not
 * fit into the file, and work is bounded per call. Thread-safe as long as the
 * reader is.
 * Sources: RFC 8794 sections 4 to 6, RFC 9559 sections 5.1.3 and 10.
 */
#ifndef WEBM_WEBM_WALK_H
#define WEBM_WEBM_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "webm/ebml.h"

#define WEBM_HEADER_MAX  (64 * 1024) /* bytes before the first cluster */
#define WEBM_CLUSTER_MAX (UINT64_C(128) << 20)
#define WEBM_FRAMES_MAX  100000              /* of one cluster */
#define WEBM_TIME_MAX    (UINT64_C(1) << 40) /* milliseconds */

/*
 * Reads up to len bytes at offset into buf; returns how many, fewer only at
 * the end of the file, or a negative enum err.
 */
typedef int64_t webm_read_fn(
    void *arg, uint64_t offset, uint8_t *buf, size_t len);

/* A file, and how much of it may be looked at. */
struct webm_view {
	webm_read_fn *read;
	void *arg;
	uint64_t size;
};

/* A webm_read_fn of an open file; arg: int *, its descriptor. */
int64_t webm_read_file(void *arg, uint64_t offset, uint8_t *buf, size_t len);

/*
 * All of these return 1 when it was read, 0 when the view ends before, and
 * ERR_CORRUPT or the reader's error.
 */

/* n bytes at `at`. */
int webm_get(const struct webm_view *v, uint64_t at, void *out, size_t n);
/* An unsigned integer of 1 to 8 bytes; ERR_CORRUPT for another length. */
int webm_get_uint(
    const struct webm_view *v, uint64_t at, uint64_t len, uint64_t *out);
/* An element's id and size. */
int webm_get_head(const struct webm_view *v, uint64_t at, struct ebml_head *h);
/*
 * The first child with that id between at and end: its data's place and
 * size. 0 when there is none, too.
 */
int webm_find_child(const struct webm_view *v, uint64_t at, uint64_t end,
    uint32_t id, uint64_t *data, uint64_t *size);

struct webm_cluster {
	uint64_t at, data, end;     /* of itself, of its first frame */
	uint64_t time_at, time_len; /* of its Timestamp's value */
	uint64_t time_ms, last_ms;  /* of itself, of the last frame read */
	bool is_key;                /* its first frame is a key frame */
	size_t n_frames;            /* that were read */
};

/*
 * The cluster at `at` with its first frame. 0 when it is not closed or not
 * there whole, too; ERR_EOF when cues begin here.
 */
int webm_get_cluster(
    const struct webm_view *v, uint64_t at, struct webm_cluster *c);
/* The first max frames of such a cluster, from its first one on. */
int webm_get_frames(
    const struct webm_view *v, struct webm_cluster *c, size_t max);

#endif
