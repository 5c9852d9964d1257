/*
 * Rows that must be written sooner or later: ends and states of sessions,
 * audit entries, agents that went. A statement waits while PostgreSQL is away
 * and is sent again when the connection broke under it, so it must be one
 * that may run twice. A loop ends only when its journal is empty. On the
 * loop's thread.
 */
#ifndef RELAY_JOURNAL_H
#define RELAY_JOURNAL_H

struct loop;

#define JOURNAL_PARAMS_MAX 6

/* what (for the log) and sql: static. Parameters are copied. */
void journal_write(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params);

#endif
