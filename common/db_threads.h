/*
 * What libpq can do only by blocking, in threads of their own that nobody
 * waits for: looking names up, and asking a server to give a statement up.
 */
#ifndef COMMON_DB_THREADS_H
#define COMMON_DB_THREADS_H

#include <libpq-fe.h>
#include <stddef.h>

struct event_base;

#define DB_ADDRESSES_MAX 16
#define DB_ADDRESS_LEN   64 /* with the NUL */

struct db_addresses {
	char list[DB_ADDRESSES_MAX][DB_ADDRESS_LEN];
	size_t n;
	int error; /* of getaddrinfo, 0: n > 0 */
};

struct db_resolve;

/* On the loop of base, unless stopped before. a: borrowed for the call. */
typedef void db_resolved_cb(void *arg, const struct db_addresses *a);

/* Looks host up (copied). NULL for memory or when no thread can be had. */
struct db_resolve *db_resolve_start(
    struct event_base *base, const char *host, db_resolved_cb *cb, void *arg);
/* No answer is wanted any more; also from inside the callback's end. NULL:
 * nothing. */
void db_resolve_stop(struct db_resolve *r);

/*
 * Asks the server to give up what c runs (PQcancel), so that it does not
 * stay there when c is closed: a commit that waits for a standby does not
 * notice that. Returns at once; it is left out when several such requests
 * hang already.
 */
void db_cancel(PGconn *c);

#endif
