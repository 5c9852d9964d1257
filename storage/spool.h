/*
 * The spool folder as storage sees it: one item a segment, its files looked
 * at anew whenever something may have changed (start, inotify, a timer, an
 * answer), and the next step decided from them (docs/spool.md's table).
 * Nothing is remembered that the files and rows do not say.
 */
#ifndef STORAGE_SPOOL_H
#define STORAGE_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "storage/manifest.h"
#include "storage/store.h"

struct daemon;
struct event;
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
};
TAILQ_HEAD(item_list, item);

struct spool {
	struct daemon *d;
	int dir, inotify;
	struct event *ev, *soon, *tick, *child;
	struct item_list items;
	uint64_t next_scan_ns;
	unsigned n_transfers, n_repairs;
	unsigned n_state[ITEM_STATES]; /* as of the last tick */
	uint64_t bytes_waiting;
};

/* Opens [spool] dir. Returns 0, ERR_CONFIG with err, or ERR_NOMEM. */
int spool_new(struct daemon *d, char *err, size_t err_len);
void spool_free(struct spool *s);

/* Looks through the folder within 50 ms; retry: what failed, too. */
void spool_kick(struct spool *s, bool retry);

/*
 * Opens the media, or the poster, of the segment with that object key, if
 * the database knows it by that key. *is_growing: it is not closed. Returns
 * a descriptor or -1.
 */
int spool_open(const struct spool *s, const char *key, bool *is_growing);

/* Transfers and repairs under way. */
unsigned spool_busy(const struct spool *s);

/* ---- between spool.c, transfer.c and repair.c ---- */

/* A regular file of the item for reading, or -1. */
int spool_open_file(const struct item *it, const char *suffix);
/* Looks at one item's files and takes its next step. */
void item_update(struct item *it);
/* The item's row shall say this. */
void item_want(struct item *it, const char *status, const char *detail);
/* Tried again after retry_seconds. */
void item_retry_later(struct item *it);
/* Removes media, then manifests, then syncs: the segment is stored or
 * deleted. */
void item_remove_files(struct item *it);

/* Begins the transfer when there is room for one more. */
void transfer_start(struct item *it);
/* Runs the recorder's repair when none runs. */
void repair_start(struct item *it);
/* After SIGCHLD. */
void repair_reap(struct spool *s);

#endif
