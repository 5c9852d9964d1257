/*
 * The JSON beside each segment in the spool (docs/spool.md). Recorders read
 * hostile pixels, so what they write is checked like network input: every
 * value has a range, the object key must lie below its own team, endpoint
 * and session. Thread-safe; manifest_load reads a file.
 */
#ifndef MANIFEST_MANIFEST_H
#define MANIFEST_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "manifest/object_key.h"

#define MANIFEST_MAX        (4 << 20) /* bytes of JSON */
#define ACTIVITY_MAX        90000     /* seconds: a day and some more */
#define ACTIVITY_BYTES      4         /* of each second */
#define MERGED_BYTES        2         /* of each second */
#define MANIFEST_POSTER_MAX 42        /* "<segment-id>.jpg" */

struct manifest {
	char segment[37], session[37];
	char team[64], endpoint[64], technician[64];
	char access[12], time_zone[64];
	char object_key[OBJECT_KEY_MAX + 1];
	char split_reason[24], monitor_name[256], codec[8], end[24];
	int64_t team_id, endpoint_id, person_id;
	int64_t seq, monitor, frame_rate, width, height;
	int64_t start_mono_ns, start_wall_ns;
	int64_t gap_start_mono_ns; /* 0: nothing was lost before it */
	bool is_closed;            /* the fields below are there */
	int64_t end_mono_ns, end_wall_ns;
	int64_t first_frame, last_frame, frames, duration_ms, bytes;
	int64_t retention_days;
	bool recovered;
	/*
	 * X5. Neither is worth a recording: what is wrong with them is said
	 * in `refused` and they are left out.
	 */
	uint8_t *activity; /* heap; NULL: none. As segments.activity */
	size_t activity_len;
	/* X2: changes without a frame. As segments.merged and n_merged */
	uint8_t *merged; /* heap; NULL: none */
	size_t merged_len;
	int64_t n_merged;                 /* -1: not known */
	char poster[MANIFEST_POSTER_MAX]; /* file beside it; "": none */
	const char *refused;              /* NULL: nothing */
	bool has_root; /* X3: it has evidence, and this is its root */
	uint8_t root[32];
};

/*
 * Reads len bytes of JSON for the segment id (the file's name). closed: all
 * fields are needed. What m held is overwritten. Returns 0, then release it
 * after use, or ERR_PROTOCOL with the reason in err.
 */
int manifest_parse(struct manifest *m, const char *json, size_t len,
    const char *id, bool closed, char *err, size_t err_len);

/* The same from a file in dir; also ERR_NOTFOUND, ERR_IO, ERR_LIMIT. */
int manifest_load(struct manifest *m, int dir, const char *name, const char *id,
    bool closed, char *err, size_t err_len);

/* Frees what belongs to m; one of all zeros is allowed. */
void manifest_release(struct manifest *m);

#endif
