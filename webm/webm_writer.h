/*
 * Crash-safe WebM writer: one video track, a file that plays when cut off at
 * any byte, an exact bound on its final size. Layout: docs/webm.md.
 *
 * A frame goes to the file at once, into a cluster of unknown size; a
 * cluster is closed by writing its size, then synced, and its bytes never
 * change again. So a killed process loses no frame that
 * webm_writer_frame accepted, and a machine without power loses at most the
 * open cluster, or what the owner's sync_cluster left unsynced. Closing the
 * file adds cues and patches the header in place.
 *
 * Blocking file I/O (pwrite, fdatasync at each cluster). One owner, not
 * thread-safe. No allocation a frame once the buffers have grown.
 */
#ifndef WEBM_WEBM_WRITER_H
#define WEBM_WEBM_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBM_MAX_BYTES      INT64_C(536870912) /* T10: 512 MiB */
#define WEBM_CLUSTER_MS     1000
#define WEBM_CLUSTER_MS_MAX 2000
#define WEBM_QUIET_MS       5000 /* a cluster of repeats only */
#define WEBM_CLUSTER_BYTES  (1024 * 1024)
#define WEBM_FRAME_MAX      (64 * 1024 * 1024)
#define WEBM_TAGS_MAX       16
#define WEBM_STRING_MAX     1024 /* bytes of a title, a tag's name or value */
#define WEBM_UUID_LEN       16

enum webm_codec {
	WEBM_VP9, /* profile 0: 8 bits, 4:2:0 */
	WEBM_VP8,
};

/*
 * Colour as ISO/IEC 23091-2 numbers (as in RFC 9559, "Colour"); a field of
 * 0 is left out. Range: 1 limited, 2 full.
 */
struct webm_colour {
	uint8_t matrix, range, transfer, primaries;
};

/* What libyuv's ARGBToI420 makes of sRGB: BT.601 matrix, limited range;
 * primaries BT.709, transfer IEC 61966-2-1. */
#define WEBM_COLOUR_LIBYUV                                                     \
	{                                                                      \
		.matrix = 6, .range = 1, .transfer = 13, .primaries = 1        \
	}

struct webm_tag {
	const char *name;  /* upper case by custom, "TITLE", "SESSION" */
	const char *value; /* UTF-8 */
};

/* Parts of a closed file; together they are every byte of it, once. */
enum webm_block_kind {
	WEBM_BLOCK_CLUSTER,
	WEBM_BLOCK_CUES,
	WEBM_BLOCK_HEADER, /* offset 0, always the last */
};

/*
 * Called when bytes at offset have their final value; they are on disk, unless
 * they are a cluster's and there is a sync_cluster. data: len bytes, borrowed
 * for the call.
 */
typedef void webm_block_cb(void *arg, enum webm_block_kind kind,
    uint64_t offset, const uint8_t *data, size_t len);

struct webm_params {
	enum webm_codec codec;
	uint32_t width, height; /* pixels, 1..65535, odd is legal */
	uint64_t max_bytes;     /* 0: WEBM_MAX_BYTES */
	uint32_t cluster_ms;    /* 0: WEBM_CLUSTER_MS; <= _MS_MAX */
	uint32_t cluster_bytes; /* 0: WEBM_CLUSTER_BYTES */
	uint32_t gap_ms; /* the owner lets no two frames be further apart than
			  * this, <= _MS_MAX; 0: as far as it likes */
	struct webm_colour colour;
	uint8_t uuid[WEBM_UUID_LEN]; /* of the segment, SegmentUUID */
	uint64_t date_wall_ns;       /* since 1970 UTC, DateUTC; 0: left out */
	const char *title;           /* UTF-8, may be NULL */
	const struct webm_tag *tags;
	size_t n_tags;           /* <= WEBM_TAGS_MAX */
	webm_block_cb *on_block; /* may be NULL */
	/*
	 * A cluster ended: syncs, or sees to it that something else does soon.
	 * 0, ERR_NOSPACE or ERR_IO. NULL: fdatasync. Header and end of a file
	 * are always synced.
	 */
	int (*sync_cluster)(void *arg);
	void *arg;
};

/* One encoded frame. */
struct webm_frame {
	const uint8_t *data;  /* borrowed */
	size_t len;           /* bytes, 1..WEBM_FRAME_MAX */
	uint64_t time_ms;     /* since the segment's start */
	uint32_t duration_ms; /* 0: until the next; give it with the last */
	bool is_key;
	bool is_repeat; /* of the frame before: nothing is lost with it */
};

struct webm_writer;

/*
 * Writes the header to fd (borrowed, empty, read-write, not O_APPEND) and
 * syncs. Strings in params are used during the call only.
 * Returns 0, ERR_NOMEM, ERR_IO, ERR_NOSPACE, or ERR_LIMIT when a parameter
 * is out of its range.
 */
int webm_writer_new(
    struct webm_writer **out, int fd, const struct webm_params *params);

/* Frees; the file stays as it is, playable, for webm_repair. NULL is fine. */
void webm_writer_free(struct webm_writer *w);

/*
 * True when the finished file, with this frame and all cues, is at most
 * max_bytes. Exact. To keep room for a closing frame of n bytes besides,
 * ask with len + n + WEBM_FRAME_OVERHEAD.
 */
bool webm_writer_would_fit(
    const struct webm_writer *w, const struct webm_frame *f);
#define WEBM_FRAME_OVERHEAD 96 /* most a frame can add besides its bytes */

/*
 * Appends a frame; it is in the file (not yet synced) when this returns. The
 * first frame is a key frame; times grow strictly, by 1 ms at least. A key
 * frame begins a cluster, so does a frame cluster_ms after the cluster's
 * first or beyond cluster_bytes; the cluster before is then closed, synced
 * and reported. Repeats begin one WEBM_QUIET_MS after a cluster's first, if
 * all in it are repeats.
 *
 * With gap_ms, a frame that is no key frame stays in the open cluster when
 * webm_writer_is_pause says so; docs/webm.md has the reason.
 * Returns 0; ERR_PROTOCOL: no key frame first, or time not after the last;
 * ERR_LIMIT: too long, or it does not fit in max_bytes; ERR_NOMEM;
 * ERR_NOSPACE, ERR_IO. After any error the file ends with the last good
 * frame, and the writer may be used on: finish may still succeed.
 */
int webm_writer_frame(struct webm_writer *w, const struct webm_frame *f);

/*
 * Whether a frame at time_ms comes after a pause: more than twice the longest
 * time between two frames of a cluster since the last key frame. A key frame
 * there leaves a hole in what MediaSource players buffer.
 */
bool webm_writer_is_pause(const struct webm_writer *w, uint64_t time_ms);

/* Closes the open cluster now; nothing to do is fine. 0, ERR_NOSPACE,
 * ERR_IO. */
int webm_writer_flush(struct webm_writer *w);

/*
 * When the open cluster is due to be closed by webm_writer_tick, so that a
 * quiet screen is synced too; UINT64_MAX: none is open. One that may have to
 * take the frame after a pause waits for it.
 */
uint64_t webm_writer_due_ms(const struct webm_writer *w);

/*
 * Closes the open cluster when it is due at now_ms (since the segment's
 * start). Returns as webm_writer_flush.
 */
int webm_writer_tick(struct webm_writer *w, uint64_t now_ms);

/*
 * Closes the cluster, writes cues, patches size, duration and seek head into
 * the header, syncs. duration_ms: of the segment; raised to cover the last
 * frame where it is too small. No frame at all is allowed (no cues then).
 * After success only getters and free are allowed; after an error it may be
 * called again. Returns 0, ERR_NOSPACE, ERR_IO, ERR_NOMEM.
 */
int webm_writer_finish(struct webm_writer *w, uint64_t duration_ms);

/* Bytes in the file now. */
uint64_t webm_writer_bytes(const struct webm_writer *w);
uint64_t webm_writer_frames(const struct webm_writer *w);
/* What finish settled on; 0 before. */
uint64_t webm_writer_duration_ms(const struct webm_writer *w);

#endif
