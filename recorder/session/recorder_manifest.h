/*
 * The manifest beside each segment file, docs/spool.md: made, written so
 * that a crash leaves the old or the new one, and read back for repair.
 * Names are relative to the spool folder's descriptor. Blocking I/O.
 */
#ifndef RECORDER_SESSION_RECORDER_MANIFEST_H
#define RECORDER_SESSION_RECORDER_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "manifest/evidence.h"
#include "manifest/manifest.h"
#include "recorder/frame/activity.h"
#include "recorder/meta.h"

#define RECORDER_MANIFEST_KEY_MAX 1024 /* bytes of an object key with its NUL  \
					*/
#define RECORDER_MANIFEST_NAME_MAX                                             \
	64 /* "<segment-id>.webm.part" and the like */

/* What is known before the first frame. */
struct recorder_manifest_open {
	char segment[META_UUID_LEN];
	char object_key[RECORDER_MANIFEST_KEY_MAX];
	uint64_t seq;
	const char *split_reason;
	unsigned monitor, frame_rate, width, height;
	const char *monitor_name; /* UTF-8 */
	uint64_t start_mono_ns, start_wall_ns;
	uint64_t first_frame;
	uint64_t gap_start_ns; /* 0: no gap before it that nobody saw */
};

struct recorder_manifest_end {
	uint64_t end_mono_ns, end_wall_ns;
	uint64_t frames;
	uint64_t duration_ms, bytes;
	bool recovered;
	const char *end;
	const struct evidence *evidence; /* of the finished file */
	const struct activity *activity; /* NULL: not known */
	bool has_poster;                 /* <segment>.jpg is there */
};

/* "<segment><suffix>" into out; returns out. */
char *recorder_manifest_name(const char *segment, const char *suffix,
    char out[RECORDER_MANIFEST_NAME_MAX]);

struct recorder_manifest; /* a JSON object being filled */

/* The opening half; NULL only for memory. */
struct recorder_manifest *recorder_manifest_new(
    const struct meta *m, const struct recorder_manifest_open *o);
/*
 * Reads <segment>.json.open back. Returns 0, ERR_NOTFOUND, ERR_IO, ERR_NOMEM
 * or ERR_CORRUPT (not a manifest of this segment).
 */
int recorder_manifest_load(
    int dir_fd, const char *segment, struct recorder_manifest **out);
/* The same of a closed segment, <segment>.json. */
int recorder_manifest_load_closed(
    int dir_fd, const char *segment, struct recorder_manifest **out);
void recorder_manifest_free(struct recorder_manifest *mf);

/* Integer fields of a loaded manifest; 0 when absent. */
uint64_t recorder_manifest_get_int(
    const struct recorder_manifest *mf, const char *field);
/* A string field, owned by the manifest; "" when absent. */
const char *recorder_manifest_get_str(
    const struct recorder_manifest *mf, const char *field);

/*
 * Writes <segment><suffix> by way of <segment>.json.tmp, synced and renamed:
 * a crash leaves the old file, the new one, or none. Returns 0, ERR_NOMEM,
 * ERR_NOSPACE or ERR_IO.
 */
int recorder_manifest_write(int dir_fd, const struct recorder_manifest *mf,
    const char *segment, const char *suffix);

/*
 * The same for any file of a segment: len bytes into <segment><suffix>.
 * Returns 0, ERR_NOSPACE or ERR_IO.
 */
int recorder_manifest_write_file(int dir_fd, const char *segment,
    const char *suffix, const void *data, size_t len);

/*
 * Closes a segment whose file is finished and synced: adds the closing half,
 * writes .json, renames .webm.part to .webm, syncs the folder and removes
 * .json.open, in this order. Returns as manifest_write; after an error the
 * folder is in one of the states that storage knows.
 */
int recorder_manifest_publish(int dir_fd, struct recorder_manifest *mf,
    const char *segment, const struct recorder_manifest_end *e);

#endif
