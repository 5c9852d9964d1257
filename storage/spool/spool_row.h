/*
 * What a segment (spool_segment.h) and a capture (encode/encode_queue.h)
 * have in common: files in a session's folder, their manifest, a state, and a
 * row in the table segments that says so. Files are looked at anew whenever
 * something may have changed, and the next step is decided from them
 * (docs/spool.md's table); nothing is remembered that files and rows do not
 * say. spool_row.c moves it through the states of spool_states.h and keeps
 * the row, spool_row_files.c has its files. One loop; blocking calls on the
 * spool's folder only.
 */
#ifndef STORAGE_SPOOL_SPOOL_ROW_H
#define STORAGE_SPOOL_SPOOL_ROW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "manifest/manifest.h"
#include "storage/spool/recorder_child.h"
#include "storage/spool/spool_folder.h"
#include "storage/spool/spool_states.h"
#include "storage/store/store.h"

struct daemon;
struct spool_row;

/* How segments and captures differ; static. */
struct spool_row_kind {
	const char *word; /* of log lines: "segment" */
	bool is_capture;
	const struct spool_suffix *files;
	size_t n_files;
	unsigned folders; /* bits of files that are folders */
	const char *part; /* the file that its recorder locks */
	/* The row was written and has that status; true: r may be gone. */
	bool (*on_status)(struct spool_row *r, const char *status);
	/* The row could not be written, or may not be now; NULL: nothing. */
	void (*on_row_failed)(struct spool_row *r);
	/* Its files are looked at again, now: r may be gone then. */
	void (*update)(struct spool_row *r);
	/* The same, soon. */
	void (*kick)(struct spool_row *r);
};

struct spool_row {
	struct daemon *d;
	const struct spool_row_kind *kind;
	int dir;                       /* the spool, borrowed */
	char folder[SPOOL_FOLDER_MAX]; /* its session; "": in the spool */
	char id[37];
	enum spool_state state;
	unsigned files; /* bits of kind->files */
	struct manifest m;
	bool has_manifest, was_logged;
	bool is_busy;       /* an answer is awaited */
	bool is_known;      /* the row says what is wanted */
	bool is_registered; /* the database took its row, and its key */
	bool is_shorter; /* a recording with more frames is available */
	bool is_contested; /* the spool of a lost node may have it as well */
	char status[20], detail[STORE_DETAIL_MAX]; /* wanted in the row */
	char sent_status[20], sent_detail[STORE_DETAIL_MAX];
	uint64_t retry_ns, row_retry_ns; /* clock_mono_ns */
	int seq_tries;
	bool is_provisional; /* a capture: its number is not its own */
	int percent, percent_sent;
	pid_t pid; /* of its repair or encoder; 0: none */
	struct child_watch watch;
	bool was_stuck;
};

/*
 * Moves it, as the state table says: the one way from a state to another, and
 * to another status. detail: what people read in the row; NULL: "". A move
 * that the table does not have is made, logged as spool_move_illegal and
 * counted.
 */
void spool_row_move(
    struct spool_row *r, enum spool_cause cause, const char *detail);
/* The same, when a statement of its own has written the row already. */
void spool_row_moved(struct spool_row *r, enum spool_cause cause);
/* As spool_row_move, and nothing is done with it for retry_seconds. */
void spool_row_retry(
    struct spool_row *r, enum spool_cause cause, const char *detail);
/* It is looked at now, after all; by_hand: what has failed for good, too. */
void spool_row_again(struct spool_row *r, bool by_hand);

/* Sends what the row shall say, when it does not yet. */
void spool_row_sync(struct spool_row *r);
/* The row's answer tells whether it was deleted; asked in retry_seconds
 * again. */
void spool_row_ask(struct spool_row *r);
/* Notes progress in the row when it changed; each second. */
void spool_row_tick(struct spool_row *r);
/* Its files are gone: what comes under that name is something new. */
void spool_row_forget(struct spool_row *r);
/* Logs it once for each row. */
void spool_row_log_once(
    struct spool_row *r, const char *event, const char *why);

/*
 * Reads the manifest with that suffix, once; a closed one replaces the
 * other. 0, or ERR_*: then it was moved, or there is none (ERR_NOTFOUND).
 */
int spool_row_load(struct spool_row *r, const char *suffix, bool is_closed);

/* ---- spool_row_files.c ---- */

/* Its name below the spool, into out; returns out. */
char *spool_row_name(
    const struct spool_row *r, const char *suffix, char out[SPOOL_NAME_MAX]);
/* Writes renames and removals to the disk. 0 or ERR_IO, which is logged. */
int spool_row_sync_folder(const struct spool_row *r);
/* Which of its files are there: bits of kind->files. */
unsigned spool_row_look(const struct spool_row *r);
/* 1: somebody holds that file; 0: nobody does; negative: it is not there. */
int spool_row_is_locked(const struct spool_row *r, const char *suffix);
/* Bytes, or -1; *changed (may be NULL): when, Unix time. */
off_t spool_row_file_size(
    const struct spool_row *r, const char *suffix, time_t *changed);
/* Seconds since one of its files was written, renamed or made; 0: now, or in
 * the future. */
uint64_t spool_row_quiet_s(const struct spool_row *r);
/* A regular file of it for reading, or -1. */
int spool_row_open(const struct spool_row *r, const char *suffix);
/* 0, also when there is none, or ERR_IO, which is logged. */
int spool_row_unlink(const struct spool_row *r, const char *suffix);
/* from becomes to, and that is synced. 0 or ERR_IO. */
int spool_row_rename(
    const struct spool_row *r, const char *from, const char *to);

#endif
