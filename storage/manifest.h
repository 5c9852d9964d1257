/*
 * The JSON beside each segment in the spool (docs/spool.md). Recorders read
 * hostile pixels, so what they write is checked like network input: every
 * value has a range, the object key must lie below its own team, endpoint
 * and session. Thread-safe; manifest_load reads a file.
 */
#ifndef STORAGE_MANIFEST_H
#define STORAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/object_key.h"

#define MANIFEST_MAX (64 * 1024) /* bytes of JSON */

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
};

/*
 * Reads len bytes of JSON for the segment id (the file's name). closed: all
 * fields are needed. Returns 0 or ERR_PROTOCOL with the reason in err.
 */
int manifest_parse(struct manifest *m, const char *json, size_t len,
    const char *id, bool closed, char *err, size_t err_len);

/* The same from a file in dir; also ERR_NOTFOUND, ERR_IO, ERR_LIMIT. */
int manifest_load(struct manifest *m, int dir, const char *name, const char *id,
    bool closed, char *err, size_t err_len);

#endif
