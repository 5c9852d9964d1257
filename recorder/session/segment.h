/*
 * One file of a recording in the spool, docs/spool.md: opened with its
 * manifest, written frame by frame, closed so that a crash at any step
 * leaves something storage can finish. Blocking I/O below one folder.
 */
#ifndef RECORDER_SESSION_SEGMENT_H
#define RECORDER_SESSION_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/spool_flush.h"
#include "recorder/frame/activity.h"
#include "recorder/meta.h"
#include "webm/webm_writer.h"

/* What all segments of a session share. */
struct segment_store {
	int dir_fd;                           /* the spool, borrowed */
	const struct spool_flush_page *flush; /* NULL: files are synced here */
	const struct meta *meta;
	/* the last object name given out, and how many share its second */
	char last_name[CLOCK_TEXT_MAX];
	unsigned n_same, monitor;
	char tag[8]; /* in all names, where another recorder gave out some */
};

void segment_store_init(
    struct segment_store *st, int dir_fd, const struct meta *meta);

/* Returns 0, ERR_NOSPACE when less than min_free_bytes are free, ERR_IO. */
int segment_store_check(const struct segment_store *st);

struct segment_params {
	uint64_t seq, first_frame;
	const char *split_reason; /* static */
	unsigned monitor, frame_rate, width, height;
	const char *monitor_name; /* UTF-8 */
	uint64_t start_mono_ns;
	uint64_t gap_start_ns; /* as in struct manifest_open */
};

struct recorder_manifest;

/*
 * For a session that is not encoded yet: an id for its first segment, and
 * the opening manifest that segment_open would write. 0 or ERR_IO; NULL only
 * for memory.
 */
int segment_make_id(char out[META_UUID_LEN]);
struct recorder_manifest *segment_make_manifest(
    struct segment_store *st, const struct segment_params *p, const char *id);

/* How a segment ended, for the relay. */
struct segment_result {
	char id[META_UUID_LEN];
	uint64_t frames, bytes, duration_ms;
};

struct segment;

/*
 * Checks the free space, creates and locks the file, writes the opening
 * manifest. Returns 0, ERR_NOSPACE, ERR_NOMEM or ERR_IO; nothing is left
 * behind on failure.
 */
int segment_open(struct segment **out, struct segment_store *st,
    const struct segment_params *p);

/*
 * Before its first frame: the same segment, of another monitor or size.
 * Returns as segment_open, but after an error only segment_abandon is
 * allowed.
 */
int segment_restate(struct segment *sg, const struct segment_params *p);

/*
 * Adds a frame: time_ms from the segment's start, above the last one's (0
 * for the first). VP9: at most SEGMENT_GAP_MS after it. reserve: bytes that
 * must still fit after it, WEBM_FRAME_OVERHEAD a frame included.
 * Returns 0; ERR_LIMIT when that does not fit the size bound (nothing was
 * written); ERR_NOMEM, ERR_NOSPACE or ERR_IO.
 */
#define SEGMENT_GAP_MS 1000
int segment_write(
    struct segment *sg, const struct webm_frame *frame, size_t reserve);

/* Whether a key frame at time_ms would leave a hole, webm_writer_is_pause. */
bool segment_is_pause(const struct segment *sg, uint64_t time_ms);

/* When segment_tick should look at what was written last: whether it is on
 * disk, or whether a cluster ends. UINT64_MAX: it is, and none is open. */
uint64_t segment_sync_due(const struct segment *sg);

/*
 * About once a second while recording, and when a sync is due: looks at the
 * free space, syncs. Returns 0, ERR_NOSPACE or ERR_IO.
 */
int segment_tick(struct segment *sg, uint64_t now_ns);

/*
 * A frame of what is in it, len bytes of JPEG, to lie beside it; once.
 * Returns 0, ERR_NOSPACE or ERR_IO; then it has none.
 */
int segment_set_poster(struct segment *sg, const uint8_t *jpeg, size_t len);

/*
 * Finishes file and manifest; end is a word of docs/spool.md, end_mono_ns
 * its time; activity, borrowed, is of its seconds. Frees sg whatever happens.
 * Returns 0 or an error; then the files are as after a crash and storage
 * repairs them. A segment without a frame leaves nothing behind.
 */
int segment_close(struct segment *sg, const char *end, uint64_t end_mono_ns,
    const struct activity *activity, struct segment_result *res);

/* Frees without finishing: the files stay as after a crash. NULL is fine. */
void segment_abandon(struct segment *sg);

uint64_t segment_frames(const struct segment *sg);
uint64_t segment_start_ns(const struct segment *sg);
const char *segment_id(const struct segment *sg);

/* A UUID in lower case: nothing that could name another file. */
bool segment_is_id(const char *id);

#endif
