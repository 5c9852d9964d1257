/*
 * One segment in the spool: a row (spool_row.h) whose files are a WebM file,
 * its manifests and its poster. item.c decides the next step from them.
 */
#ifndef STORAGE_SPOOL_ITEM_H
#define STORAGE_SPOOL_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "storage/object_key.h"
#include "storage/spool/spool_row.h"

struct daemon;
struct signing_job;

#define ITEM_QUEUES_MAX 3

struct item {
	struct spool_row row; /* first */
	TAILQ_ENTRY(item) link;
	TAILQ_ENTRY(item) queue_link[ITEM_QUEUES_MAX]; /* item_set.h */
	bool is_queued[ITEM_QUEUES_MAX];
	int fd;                              /* of .webm while it is stored */
	int poster_fd;                       /* of .jpg then; -1: none */
	uint8_t sha256[32];                  /* of the stored media */
	char poster_key[OBJECT_KEY_MAX + 1]; /* "": none was stored */
	uint64_t poster_bytes;
	uint8_t poster_sha256[32];
	struct signing_job *signing; /* its evidence; NULL: none */
	int n_corrupted;  /* uploads whose stored copy was another one */
	bool is_removing; /* its files, in a thread */
	bool was_tried;   /* a transfer of it has failed in this process */
	bool is_empty;    /* no frame is in it */
	bool is_unseen;   /* and none ever was */
};
TAILQ_HEAD(item_list, item);

extern const struct spool_row_kind item_kind;

/* Looks at one item's files and takes its next step; it may be freed. */
void item_update(struct item *it);
/* Has its files removed (removal.h): the segment is stored or deleted. */
void item_remove_files(struct item *it);
/* They are gone, or error (errno) says why not. */
void item_files_removed(struct item *it, int error);
/* A transfer, a repair or what follows one, or the removal of its files. */
bool item_is_under_way(const struct item *it);
/* Its object key, or its poster's, once the database knows it by that. */
bool item_is_key(const struct item *it, const char *key);
/* Not in a list any more. */
void item_free(struct item *it);

/* Begins the transfer when there is room for one more; transfer.c. */
void transfer_start(struct item *it);
/* Runs the recorder's repair when none runs; repair.c. */
void repair_start(struct item *it);
/* Each second: kills a repair that is stuck. */
void repair_tick(struct item *it);

enum {
	ITEM_PART = 1,
	ITEM_WEBM = 2,
	ITEM_JSON = 4,
	ITEM_OPEN = 8,
	ITEM_TMP = 16,
	ITEM_JPG = 32,
};
#define ITEM_KINDS 6
extern const struct spool_suffix item_suffixes[ITEM_KINDS];

#endif
