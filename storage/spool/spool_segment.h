/*
 * One segment in the spool: a row (spool_row.h) whose files are a WebM file,
 * its manifests and its poster. spool_segment.c decides the next step from
 * them.
 */
#ifndef STORAGE_SPOOL_SPOOL_SEGMENT_H
#define STORAGE_SPOOL_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "manifest/object_key.h"
#include "storage/spool/spool_row.h"

struct daemon;
struct signing_job;

#define SPOOL_QUEUES_MAX 3

struct spool_segment {
	struct spool_row row; /* first */
	TAILQ_ENTRY(spool_segment) link;
	TAILQ_ENTRY(spool_segment)
	queue_link[SPOOL_QUEUES_MAX]; /* spool_set.h */
	bool is_queued[SPOOL_QUEUES_MAX];
	int fd;                              /* of .webm while it is stored */
	int poster_fd;                       /* of .jpg then; -1: none */
	uint8_t sha256[32];                  /* of the stored media */
	char poster_key[OBJECT_KEY_MAX + 1]; /* "": none was stored */
	uint64_t poster_bytes;
	uint8_t poster_sha256[32];
	struct signing_job *signing; /* its evidence; NULL: none */
	int n_corrupted;   /* uploads whose stored copy was another one */
	bool is_removing;  /* its files, in a thread */
	bool was_tried;    /* a transfer of it has begun before, perhaps in an
			    * earlier process: something of it may be stored */
	unsigned lock;     /* transfer_lock.h; 0: none */
	bool was_early;    /* parts of it were sent while it grew */
	uint64_t early_ns; /* since when, clock_mono_ns; 0: not yet */
	bool is_empty;     /* no frame is in it */
	bool is_unseen;    /* and none ever was */
};
TAILQ_HEAD(spool_segment_list, spool_segment);

extern const struct spool_row_kind spool_segment_kind;

/* Looks at one segment's files and takes its next step; it may be freed. */
void spool_segment_update(struct spool_segment *sg);
/* Has its files removed (removal.h): the segment is stored or deleted. */
void spool_segment_remove_files(struct spool_segment *sg);
/* They are gone, or error (errno) says why not. */
void spool_segment_files_removed(struct spool_segment *sg, int error);
/* A transfer, a repair or what follows one, or the removal of its files. */
bool spool_segment_is_under_way(const struct spool_segment *sg);
/* Its object key, or its poster's, once the database knows it by that. */
bool spool_segment_is_key(const struct spool_segment *sg, const char *key);
/* Not in a list any more. */
void spool_segment_free(struct spool_segment *sg);

/* Begins the transfer when there is room for one more; transfer.c. */
void transfer_start(struct spool_segment *sg);
/* Runs the recorder's repair when none runs; repair.c. */
void spool_repair_start(struct spool_segment *sg);
/* Each second: kills a repair that is stuck. */
void spool_repair_tick(struct spool_segment *sg);

enum {
	SPOOL_SEGMENT_PART = 1,
	SPOOL_SEGMENT_WEBM = 2,
	SPOOL_SEGMENT_JSON = 4,
	SPOOL_SEGMENT_OPEN = 8,
	SPOOL_SEGMENT_TMP = 16,
	SPOOL_SEGMENT_JPG = 32,
};
#define SPOOL_SEGMENT_KINDS 6
extern const struct spool_suffix spool_segment_suffixes[SPOOL_SEGMENT_KINDS];

#endif
