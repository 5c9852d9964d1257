/*
 * Captures in the spool (docs/capture.md) and the encoder that makes
 * segments of them: several at a time, one after the other within a session.
 * As storage/spool/spool.h: files are looked at anew whenever something may
 * have changed, and the next step follows from them.
 */
#ifndef STORAGE_ENCODE_ENCODE_QUEUE_H
#define STORAGE_ENCODE_ENCODE_QUEUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "storage/encode/encode_turns.h"
#include "storage/spool/spool_row.h"
#include "storage/spool/spool_watch.h"

struct daemon;
struct event;

struct capture {
	struct spool_row row; /* first; its id is that of its first segment */
	TAILQ_ENTRY(capture) link;
	struct encode_queue *q;
	bool may_begin;    /* it waits for nothing but its turn */
	bool by_hand;      /* earlier failures do not count */
	bool is_late;      /* its encoder took more than limit_s */
	int n_failures;    /* of its encoding, so far */
	int64_t limit_s;   /* processor time */
	uint64_t renew_ns; /* of its lease, clock_mono_ns */
	bool is_renewing;
	char first_seq[24], first_frame[24], gap_start[24];
	struct encode_check *check; /* under way */
	struct stat checked;        /* the file that was looked at */
	int out;                    /* what its encoder prints; -1 */
	struct event *ev;
	char line[160];
	size_t line_len;
	char stopped[120]; /* why the stream could not be decoded further */
};
TAILQ_HEAD(capture_list, capture);

struct encode_queue {
	struct daemon *d;
	struct spool_watch watch;
	int dir; /* of watch */
	struct capture_list captures;
	unsigned n_encoders, max_encoders;
	struct encode_turns turns;
	struct workers *checkers;
	atomic_bool stopping; /* of checkers */
	uint64_t quarantine_ns; /* when kept captures are looked at next */
};

/* After spool_new. Returns 0, ERR_CONFIG with err, or ERR_NOMEM. */
int encode_queue_new(struct daemon *d, char *err, size_t err_len);
void encode_queue_free(struct encode_queue *q);

/* Looks through the folder soon; retry: by hand, what failed, too. */
void encode_queue_kick(struct encode_queue *q, bool retry);

/* The row of that segment changed: somebody may want it encoded again. */
void encode_queue_notified(struct encode_queue *q, const char *id);

/* Ends what is being encoded; it begins anew at the next start. */
void encode_queue_stop(struct encode_queue *q);

/* Encoders, and answers awaited. */
unsigned encode_queue_busy(const struct encode_queue *q);
unsigned encode_queue_count(
    const struct encode_queue *q, enum spool_state state);
/* When the oldest closed capture ended that is not encoded and has not failed
 * for good, wall clock; 0: there is none. */
int64_t encode_queue_oldest(const struct encode_queue *q);

/* ---- between encode_*.c ---- */

#define CAPTURE_STOPPED "stopped" /* in its folder: what it says, see above */
#define CAPTURE_KINDS   5
extern const struct spool_suffix capture_suffixes[CAPTURE_KINDS];
extern const struct spool_row_kind capture_kind;

/* What the row of a capture says that is not the next one of its session. */
extern const char encode_waits[];

/* Looks at its files and takes its next step; it may be freed. */
void capture_update(struct capture *c);
bool capture_is_under_way(const struct capture *c);
/* Not in a list any more. */
void capture_free(struct capture *c);

/* encode_job.c: asks for its numbers, checks it, then runs the replay. */
void encode_job_start(struct capture *c);
void encode_job_run(struct capture *c);
/* It could not begin: tried again later. */
void encode_job_failed(struct capture *c, const char *why);
/* It failed ENCODE_TRIES_MAX times, the last time so: the capture stays, for
 * somebody to look at. */
#define ENCODE_TRIES_MAX 3
void encode_job_give_up(struct capture *c, const char *why);
/* Takes what the encoder printed; an event's callback. */
void encode_job_read(int fd, short what, void *arg);
void encode_job_reap(struct capture *c); /* encode_end.c; after SIGCHLD */
void encode_job_kill(struct capture *c);
/* Each second: notes progress, kills an encoder that is stuck. */
void encode_job_tick(struct capture *c);
/* Removes what an encoder left behind (M3). */
void encode_job_remove(struct capture *c, const char *suffix);

/*
 * encode_check.c: whether its first bytes, `to` of them in decimal, have that
 * SHA-256 (hex); then encode_job_run, else its row says so. to "": nothing
 * was seen of it.
 */
void encode_check_start(struct capture *c, const char *to, const char *sha256);
/*
 * Whether the capture is still the file that was checked, with nothing
 * written into it since: asked again when its encoder, which opened it by
 * name, is done.
 */
bool encode_check_holds(const struct capture *c);
void encode_check_free(struct capture *c);

/* encode_publish.c: <id>.encoded into the spool, then the capture goes. */
void encode_publish(struct capture *c);
/* The capture and all that belongs to it. */
void encode_discard(struct capture *c);

/*
 * encode_quarantine.c: <id>.capture.kept is a capture whose end could not be
 * decoded; it goes when its row is expired or deleted. Each second.
 */
void encode_quarantine_tick(struct encode_queue *q);

#endif
