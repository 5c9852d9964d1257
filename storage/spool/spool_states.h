/*
 * The one state table of recordings. A row of the spool (a segment or a
 * capture, spool_row.h) is in a state; its row in PostgreSQL has a status
 * (M1). A cause moves it from one state to another and may give it another
 * status. docs/recording-states.md is printed from this table, and the table
 * segment_moves of the schema has the same moves of statuses. No I/O.
 */
#ifndef STORAGE_SPOOL_SPOOL_STATES_H
#define STORAGE_SPOOL_SPOOL_STATES_H

#include <stdbool.h>
#include <stdio.h>

enum spool_state {
	SPOOL_NEW,       /* its files are looked at next */
	SPOOL_RECORDING, /* a recorder holds the lock */
	SPOOL_REPAIR,    /* relaycam-recorder --repair runs or waits */
	SPOOL_CLOSED,    /* waits for its row, then for its turn */
	SPOOL_ASKING,   /* a capture: the database gives its numbers, then it is
			 * compared with what was recorded */
	SPOOL_ENCODING, /* relaycam-recorder --replay runs */
	SPOOL_ENCODED,  /* row, then files go into the spool */
	SPOOL_COMPARE,  /* a segment: with what was recorded; it is signed */
	SPOOL_TRANSFER, /* the store takes the media */
	SPOOL_POSTER,   /* then its picture */
	SPOOL_MANIFEST, /* then the signed manifest */
	SPOOL_STORED,   /* verified; the row is written */
	SPOOL_DONE,     /* the row says so; its files go */
	SPOOL_WAIT,     /* failed; tried again at retry_ns */
	SPOOL_MISSING,  /* manifest without media */
	SPOOL_BAD,      /* nothing can be done by itself */
	SPOOL_FAILED,   /* not tried again until the next start, or by hand */
	SPOOL_STATES,
};
extern const char *const spool_state_names[SPOOL_STATES];

/* Statuses of a row; STATUS_NONE: there is no row yet. */
enum row_status {
	STATUS_NONE,
	STATUS_RECORDING,
	STATUS_DOWNLOADED,
	STATUS_ENCODING,
	STATUS_ENCODING_FAILED,
	STATUS_TRANSFER,
	STATUS_AVAILABLE,
	STATUS_MISSING,
	STATUS_CORRUPTED,
	STATUS_EXPIRED,
	STATUS_DELETED,
	ROW_STATUSES,
};
extern const char *const row_status_names[ROW_STATUSES];

enum spool_cause {
	/* the files say so */
	CAUSE_LOCKED,
	CAUSE_RECORDER_DIED,
	CAUSE_REPAIR_BEGUN,
	CAUSE_REPAIRED,
	CAUSE_REPAIR_FAILED,
	CAUSE_REPAIR_BROKEN,
	CAUSE_EMPTY,
	CAUSE_EMPTY_DIFFERS,
	CAUSE_BEING_OPENED,
	CAUSE_BEING_CLOSED,
	CAUSE_CLOSED,
	CAUSE_CAPTURE_CLOSED,
	CAUSE_SIZE_DIFFERS,
	CAUSE_NO_MEDIA,
	CAUSE_NO_MANIFEST,
	CAUSE_MANIFEST_REFUSED,
	CAUSE_OTHER_SESSION,
	CAUSE_VANISHED,
	CAUSE_NODE_LOST,
	/* encoding */
	CAUSE_ASKS,
	CAUSE_ANSWERED,
	CAUSE_ENCODE_BEGUN,
	CAUSE_ENCODER_RUNS,
	CAUSE_ENCODER_DONE,
	CAUSE_ENCODER_STOPPED,
	CAUSE_ENCODE_LATER,
	CAUSE_ENCODE_FAILED,
	CAUSE_ENCODER_REFUSED,
	CAUSE_ENCODE_GIVEN_UP,
	CAUSE_CAPTURE_DIFFERS,
	/* transfer */
	CAUSE_TURN,
	CAUSE_COMPARED,
	CAUSE_MEDIA_STORED,
	CAUSE_POSTER_STORED,
	CAUSE_ALL_STORED,
	CAUSE_AVAILABLE,
	CAUSE_FILES_GONE,
	CAUSE_TRANSFER_STOPPED,
	CAUSE_TRANSFER_FAILED,
	CAUSE_STORE_DIFFERS,
	CAUSE_GIVEN_UP,
	/* both */
	CAUSE_LATER,
	CAUSE_AGAIN,
	/* a device sends it: upload/ has its files */
	CAUSE_DEVICE_CAPTURES,
	CAUSE_UPLOAD_BEGUN,
	CAUSE_UPLOAD_DIFFERS,
	CAUSE_UPLOAD_ENDED,
	/* no file in the spool: statements and people move the row alone */
	CAUSE_CHECK_MISSING,
	CAUSE_CHECK_CORRUPTED,
	CAUSE_CHECK_FOUND,
	CAUSE_ENCODE_ORDERED,
	CAUSE_EXPIRED,
	CAUSE_DELETED,
	SPOOL_CAUSES,
};

struct spool_move {
	const char *why;     /* for logs and people */
	unsigned from;       /* states, 1 << enum spool_state; 0: none */
	enum spool_state to; /* SPOOL_STATES: it stays what it is */
	unsigned had; /* other statuses that the row may have had, 1 << enum
		       * row_status; 0: the status stays */
	enum row_status status; /* then */
};
extern const struct spool_move spool_moves[SPOOL_CAUSES];

/* Whether the table has that cause for a row in that state. */
bool spool_move_is_legal(enum spool_state from, enum spool_cause cause);

/*
 * Prints the moves: what docs/recording-states.md has, or, as_rows, a line
 * "from<TAB>to<TAB>why" for each row of the table segment_moves.
 */
void spool_states_print(FILE *out, bool as_rows);

#endif
