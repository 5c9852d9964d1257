/*
 * One segment in the spool: its files looked at anew whenever something may
 * have changed, and the next step decided from them (docs/spool.md's table).
 * Nothing is remembered that the files and rows do not say. item.c decides,
 * item_row.c keeps the row, item_files.c has its files.
 */
#ifndef STORAGE_SPOOL_ITEM_H
#define STORAGE_SPOOL_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "storage/spool/child.h"
#include "storage/manifest.h"
#include "storage/spool/spool_watch.h"
#include "storage/store/store.h"

struct daemon;
struct signing_job;

enum item_state {
	ITEM_NEW,
	ITEM_RECORDING, /* a recorder holds the lock */
	ITEM_CLOSED,    /* waits for its row, then for its turn */
	ITEM_TRANSFER,  /* the store works on it */
	ITEM_STORED,    /* verified; row, then files go */
	ITEM_REPAIR,    /* relaycam-recorder --repair runs or waits */
	ITEM_WAIT,      /* failed; tried again at retry_ns */
	ITEM_MISSING,   /* manifest without media */
	ITEM_BAD,       /* nothing can be done by itself */
	ITEM_STATES,
};
extern const char *const item_state_names[ITEM_STATES];

struct item {
	TAILQ_ENTRY(item) link;
	struct daemon *d;
	char folder[SPOOL_FOLDER_MAX]; /* its session; "": it lies in the spool
					*/
	char id[37];
	enum item_state state;
	bool seen, row_busy, row_known, was_logged;
	bool is_registered; /* the database took its row, and its key */
	unsigned files;
	struct manifest m;
	bool has_manifest;
	char status[16], detail[STORE_DETAIL_MAX]; /* wanted in the row */
	char sent_status[16], sent_detail[STORE_DETAIL_MAX];
	uint64_t retry_ns, row_retry_ns;     /* clock_mono_ns */
	int fd;                              /* of .webm while ITEM_TRANSFER */
	int poster_fd;                       /* of .jpg then; -1: none */
	uint8_t sha256[32];                  /* of the stored media */
	char poster_key[OBJECT_KEY_MAX + 1]; /* "": none was stored */
	uint64_t poster_bytes;
	uint8_t poster_sha256[32];
	struct signing_job *signing; /* its evidence; NULL: none */
	uint64_t bytes_done;
	int percent, percent_sent;
	pid_t pid; /* of a repair */
	struct child_watch watch;
	bool was_stuck;
	int seq_tries;
	int n_corrupted;   /* uploads whose stored copy was another one */
	bool has_given_up; /* nothing is tried until the next start */
	bool is_empty;     /* no picture is in it */
	bool is_unseen;    /* and none ever was */
};
TAILQ_HEAD(item_list, item);

/* Looks at one item's files and takes its next step; it may be freed. */
void item_update(struct item *it);
/* The item's row shall say this. */
void item_want(struct item *it, const char *status, const char *detail);
/* Sends what the row shall say, when it does not yet. */
void item_sync(struct item *it);
/* Tried again after retry_seconds. */
void item_retry_later(struct item *it);
/* Its row says so, and nothing is tried again until the daemon starts. */
void item_give_up(struct item *it, const char *status, const char *detail);
/* Removes media, then manifests, then syncs: the segment is stored or
 * deleted. */
void item_remove_files(struct item *it);
/* A transfer, a repair or what follows one. */
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

/* ---- item_files.c ---- */

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

/* Its name below the spool, into out; returns out. */
char *item_file_name(
    const struct item *it, const char *suffix, char out[SPOOL_NAME_MAX]);
/* Writes renames and removals to the disk. */
void item_sync_folder(const struct item *it);
/* Which of its files are there: ITEM_* bits. */
unsigned item_look(const struct item *it);
/* 1: a recorder holds .webm.part; 0: nobody does; negative: it is not there. */
int item_is_locked(const struct item *it);
/* Bytes, or -1; *changed (may be NULL): when, Unix time. */
off_t item_file_size(
    const struct item *it, const char *suffix, time_t *changed);
/* Seconds since one of its files was written, renamed or made; 0: now, or in
 * the future. */
uint64_t item_quiet_s(const struct item *it);
/* A regular file of the item for reading, or -1. */
int item_open_file(const struct item *it, const char *suffix);
/* 0, also when there is none, or ERR_IO. */
int item_unlink(const struct item *it, const char *suffix);
/* .webm.part becomes .webm. */
void item_rename_media(const struct item *it);

#endif
