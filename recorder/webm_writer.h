/*
 * Crash-safe WebM files with one video track. docs/webm.md has the layout.
 *
 * Frames collect in one cluster in memory; a closed cluster is written with
 * its final size, synced, and never touched again, so a file that is cut off
 * at any byte plays up to its last complete block. A cluster is closed by a
 * key frame, after CLUSTER_MS, at CLUSTER_BYTES, or by webm_writer_flush,
 * which the owner calls when time passes without a frame. Finishing appends
 * the cues and patches sizes, duration and seek head in place.
 *
 * Blocking I/O on the given descriptor; one owner. Source: Matroska (RFC
 * 9559), the WebM guidelines.
 */
#ifndef RECORDER_WEBM_WRITER_H
#define RECORDER_WEBM_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBM_CLUSTER_MS	   1000
#define WEBM_CLUSTER_BYTES (4 << 20)
#define WEBM_FRAME_MAX	   (64 << 20)

struct webm_writer;

/*
 * A block of the file is final on disk: header excepted, which is patched at
 * the end and reported last. data is borrowed for the call.
 */
typedef void webm_block_cb(
    void *arg, uint64_t offset, const uint8_t *data, size_t len);

struct webm_params {
	int fd;		    /* empty file, borrowed, readable and writable */
	const char *codec;  /* "vp9" or "vp8" */
	uint16_t width, height; /* pixels; odd sizes are legal */
	uint64_t max_bytes; /* the finished file is never larger; 0: no bound */
	uint64_t wall_ns;   /* Unix time of the start, for DateUTC */
	uint8_t uuid[16];
	const char *title; /* UTF-8, at most 200 bytes are used */
	webm_block_cb *on_block; /* may be NULL */
	void *arg;
};

/* Writes the header. Returns 0, ERR_NOMEM, ERR_NOSPACE or ERR_IO. */
int webm_writer_new(struct webm_writer **out, const struct webm_params *p);
/* Frees without finishing: the file stays as it is on disk. */
void webm_writer_free(struct webm_writer *w);

/* Whether the finished file stays within max_bytes with one more frame. */
bool webm_writer_would_fit(
    const struct webm_writer *w, size_t len, bool is_key);

/*
 * Adds a frame (copied). time_ms counts from the segment's start and rises
 * with every frame. Returns 0; ERR_LIMIT when it does not fit (nothing was
 * done); ERR_PROTOCOL when time does not rise; ERR_NOMEM, ERR_NOSPACE or
 * ERR_IO, after which only free is allowed.
 */
int webm_writer_frame(struct webm_writer *w, const uint8_t *data, size_t len,
    uint64_t time_ms, bool is_key);

/* Closes the cluster under construction: on disk and synced when 0 is
 * returned. Nothing pending: returns 0 at once. */
int webm_writer_flush(struct webm_writer *w);
bool webm_writer_has_pending(const struct webm_writer *w);

/*
 * Flushes, appends cues, patches the header, syncs. duration_ms: of the
 * whole file, at least the last frame's time. Then only the getters and free
 * are allowed.
 */
int webm_writer_finish(struct webm_writer *w, uint64_t duration_ms);

uint64_t webm_writer_frames(const struct webm_writer *w);
/* What the file would measure if it were finished now. */
uint64_t webm_writer_bytes(const struct webm_writer *w);

#endif
