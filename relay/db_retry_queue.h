/*
 * Rows that must be written sooner or later: ends and states of sessions,
 * audit entries, agents that went. Statements wait here while PostgreSQL is
 * away, silent, full or read-only, and are sent again when their answer was
 * lost, so each must be one that may run twice. What is written of one object
 * keeps its order. What PostgreSQL will never take (a defect of ours) goes
 * into the audit log as `row_lost` with all that it said, and into the log.
 * A loop ends only when its queue is empty. On the loop's thread.
 */
#ifndef RELAY_DB_RETRY_QUEUE_H
#define RELAY_DB_RETRY_QUEUE_H

#include <stdbool.h>
#include <sys/queue.h>

struct event;
struct db_retry_entry;
struct loop;

#define DB_RETRY_PARAMS_MAX 24
#define DB_RETRY_WINDOW     64   /* entries looked at for the next to send */
#define DB_RETRY_HIGH       2000 /* then what people may repeat is refused */

TAILQ_HEAD(db_retry_list, db_retry_entry);

struct db_retry_queue {
	struct db_retry_list waiting;
	unsigned n; /* waiting, and the one that was sent */
	struct db_retry_entry *sent;
	struct event *timer; /* until one may be tried again */
};

/* 0 or ERR_NOMEM; before anything is written. */
int db_retry_init(struct loop *l);
/* What waits still is lost, and logged: after the database connection. */
void db_retry_release(struct loop *l);

/*
 * what (for the log) and sql: static. Parameters are copied; the first one
 * names the object.
 */
void db_retry_write(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params);

/* The same for a state: it takes the place of one of the same sql and object
 * that was not sent yet, if nothing of that object was written since. */
void db_retry_write_state(struct loop *l, const char *what, const char *sql,
    int n, const char *const *params);

/* So much waits that people must be told to wait too. */
bool db_retry_is_full(const struct loop *l);

#endif
