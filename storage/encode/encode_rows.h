/* What the encoder of captures asks of the database and writes there. */
#ifndef STORAGE_ENCODE_ENCODE_ROWS_H
#define STORAGE_ENCODE_ENCODE_ROWS_H

#include "common/db.h"
#include "manifest/manifest.h"

/*
 * What comes before this capture in its session. Answer: one row: number of
 * segments, frames, end of the last one (mono ns), whether one of them will
 * still come ('t'), how often encoding this one failed, and why it did last.
 * Returns as db_query.
 */
int encode_rows_before(
    struct db *db, const struct manifest *m, db_result_cb *cb, void *arg);

/* Who begins to encode what; borrowed. */
struct encode_claim {
	const char *id, *node;
	const char *seq; /* of the session, for its first segment */
	bool by_hand;    /* earlier failures do not count any more */
};

/*
 * The row is being encoded by that node, which has a lease on it. Answer: one
 * row with its status, how many bytes of the capture were seen and their
 * SHA-256 in hex, or NULL twice, and its number: above all others when seq is
 * taken; none when there is nothing to encode for any more, or another node
 * has it.
 */
int encode_rows_begin(struct db *db, const struct encode_claim *claim,
    db_result_cb *cb, void *arg);

#define ENCODE_RENEW_S 20
/* The lease goes on. Answer: one row; none: it is another node's now. */
int encode_rows_renew(struct db *db, const char *id, const char *node,
    db_result_cb *cb, void *arg);

/* A failure more, and why. Sent also later. Not answered. */
void encode_rows_failed(struct db *db, const char *id, const char *why);

/*
 * The first segment as it became, m; the rest is written by rows_upsert.
 * lost: why what follows its segments could not be decoded, noted in the row
 * and once in the audit log, by actor; "": all was. Answer: one row with the
 * status.
 */
int encode_rows_first(struct db *db, const struct manifest *m, const char *lost,
    const char *actor, db_result_cb *cb, void *arg);

/* Nothing came out: the row goes. */
int encode_rows_nothing(
    struct db *db, const char *id, db_result_cb *cb, void *arg);

#endif
