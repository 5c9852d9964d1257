/*
 * The rows in segments (and, if need be, sessions) that follow from the
 * spool. Statements are idempotent: any may be sent again after a crash.
 */
#ifndef STORAGE_ROWS_H
#define STORAGE_ROWS_H

#include "common/db.h"
#include "manifest/manifest.h"

/* What is known of a segment beside its manifest; all borrowed. */
struct rows_state {
	const char *node; /* whose spool has the files */
	const char *status, *detail;
	bool is_capture; /* to be encoded first */
	/* its number is not its own yet; a row that is there keeps what it
	 * says */
	bool is_provisional;
};

/*
 * Writes what the manifest says with this status. A row that is available,
 * expired or deleted keeps all that it says; so does that of a segment whose
 * lost node is back with its own files (spool/lost_nodes.h). A session that is
 * not there (the database was away when it began) is made from the manifest.
 * Answer: one row of the columns below; none when the segment belongs to
 * another session; an error, rows_is_seq_taken, when another one has its
 * number. Returns as db_query.
 */
enum rows_column {
	ROWS_STATUS,       /* now in force */
	ROWS_SEQ,          /* the number in the session, too */
	ROWS_TRACE,        /* of the session, NULL: its id is its trace */
	ROWS_IS_LONGER,    /* "t": what is available has more frames */
	ROWS_IS_CONTESTED, /* "t": the spool of a lost node may have it as well
			    */
	ROWS_MUST_WAIT,    /* "t": that node is back; nothing was written */
	ROWS_COLUMNS,
};

int rows_upsert(struct db *db, const struct manifest *m,
    const struct rows_state *state, db_result_cb *cb, void *arg);

bool rows_is_seq_taken(const PGresult *res);

/* Looks at a number that is held by what is being repaired this often. */
#define ROWS_SEQ_TRIES 3

/*
 * The number that m may have when another row has m->seq: the same one, when
 * that row held no picture and is gone now; 0: that row is being recorded or
 * repaired, and may_wait: ask again later; else above all others of the
 * session. Answer: one row. Returns as db_query.
 */
int rows_free_seq(struct db *db, const struct manifest *m, bool is_capture,
    bool may_wait, db_result_cb *cb, void *arg);

/* Percent of a transfer, or of encoding. Not answered. */
void rows_progress(struct db *db, const char *segment, int percent);

/* A failed try, noted with the upload it leaves behind; retry_seconds -1:
 * the last one. Not answered. */
void rows_upload_failed(struct db *db, const char *segment, const char *detail,
    int64_t retry_seconds);

/* What was stored of a segment; all borrowed. */
struct rows_stored {
	const char *store, *node; /* node: whose spool it was in */
	const uint8_t *sha256;  /* 32 bytes */
	const char *poster_key; /* "": none; the rest of it means nothing */
	uint64_t poster_bytes;
	const uint8_t *poster_sha256;
};

/*
 * Verified and stored: `available`, kept as the team's settings say, counted
 * from its end (T12); the upload rows go. Answer: one row of when it expires and
 * "t"; or "f": another spool's copy, which is longer, is available, and the row
 * still says so. None when the segment was deleted meanwhile.
 */
int rows_available(struct db *db, const struct manifest *m,
    const struct rows_stored *what, db_result_cb *cb, void *arg);

/* How long a day of retention is, for all of the process; called once, at its
 * start. */
void rows_set_day(int64_t seconds);

#endif
