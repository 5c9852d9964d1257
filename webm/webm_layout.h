/*
 * What writer and repair share: the header with its three patched places,
 * cues, and the lengths of everything. Private to webm/.
 *
 *   EBML head | Segment id, size* | SeekHead, cues slot* |
 *   Info: duration slot*, ... | Tracks | Tags | Cluster ... | Cues
 *
 * The places marked * lie in the first 512 bytes, one sector, so that a
 * patch is never half on disk. Until the file is finished the size is
 * "unknown" and both slots hold a Void of the final element's length.
 */
#ifndef WEBM_WEBM_LAYOUT_H
#define WEBM_WEBM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "webm/webm_writer.h"

#define WEBM_TRACK         1
#define WEBM_SIZE_LEN      8  /* of Segment and Cluster, so any fits */
#define WEBM_CUES_SLOT     21 /* one Seek with 8-byte position */
#define WEBM_DURATION_SLOT 11 /* one Duration as a double */
#define WEBM_PATCHED_MAX   512
#define WEBM_CUE_MS        1000 /* least distance of two cues */

/* File offsets of the patched places. */
struct webm_slots {
	uint64_t size_at, cues_at, duration_at;
	uint64_t segment_data; /* positions in SeekHead and Cues from here */
};

/* Appends the header of an unfinished file to an empty buf. Returns 0,
 * ERR_NOMEM or ERR_LIMIT. */
int webm_header_build(
    struct buf *b, const struct webm_params *p, struct webm_slots *s);

/*
 * Patches a header in memory for a file of file_len bytes. cues_offset: of
 * the Cues element in the file, 0 when there is none.
 */
void webm_header_finish(uint8_t *header, const struct webm_slots *s,
    uint64_t file_len, uint64_t cues_offset, uint64_t duration_ms);

/* Cues as they grow: one a key frame, WEBM_CUE_MS apart at least, since a
 * player that seeks decodes from a key frame (WebM container guidelines). */
struct webm_cue_point {
	uint64_t time_ms;
	uint64_t position; /* of the cluster, from segment_data */
};
struct webm_cues {
	struct webm_cue_point *v;
	size_t n, cap;
	uint64_t body_len; /* bytes of all CuePoints */
};

void webm_cues_release(struct webm_cues *c);
/* Bytes of the whole element; with_cue (may be NULL) as if it were added. */
uint64_t webm_cues_len(
    const struct webm_cues *c, const struct webm_cue_point *with_cue);
/* Whether a key frame at time_ms gets a cue. */
bool webm_cues_wants(const struct webm_cues *c, uint64_t time_ms);
/* Makes room for one more, so that add cannot fail. 0 or ERR_NOMEM. */
int webm_cues_reserve(struct webm_cues *c);
void webm_cues_add(struct webm_cues *c, const struct webm_cue_point *cue);

/* Bytes of a cluster's head up to its first block. */
unsigned webm_cluster_head_len(uint64_t time_ms);
/* Appends that head, size unknown. */
int webm_cluster_put_head(struct buf *b, uint64_t time_ms);

/* Bytes of a whole SimpleBlock, or BlockGroup when duration_ms is given. */
uint64_t webm_frame_len(const struct webm_frame *f);
/*
 * Appends it. cluster_ms: time of its cluster; previous_ms: of the frame
 * that a frame which is no key frame refers to.
 */
int webm_frame_put(struct buf *b, const struct webm_frame *f,
    uint64_t cluster_ms, uint64_t previous_ms);

/* All len bytes at offset. Returns 0, ERR_NOSPACE or ERR_IO. */
int webm_file_write(int fd, uint64_t offset, const uint8_t *p, size_t len);
/* To disk. Returns 0, ERR_NOSPACE or ERR_IO. */
int webm_file_sync(int fd);

/*
 * Ends a file whose clusters end at clusters_end: cuts what is behind, then
 * cues, sync, patched header, sync, in this order. header: the whole header,
 * patched here. Reports cues and header to on_block (may be NULL); *file_len
 * gets the final size. Returns 0, ERR_NOMEM, ERR_NOSPACE, ERR_IO.
 */
struct webm_ending {
	int fd;
	uint8_t *header;
	size_t header_len;
	struct webm_slots slots;
	const struct webm_cues *cues;
	uint64_t clusters_end, duration_ms;
	webm_block_cb *on_block;
	void *arg;
};
int webm_file_end(const struct webm_ending *e, uint64_t *file_len);

#endif
