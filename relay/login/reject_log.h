/*
 * What machines were refused for, for the audit trail: one row a minute and
 * kind with their number, because a machine that is refused comes back.
 * Thread-safe; no I/O.
 */
#ifndef RELAY_LOGIN_REJECT_LOG_H
#define RELAY_LOGIN_REJECT_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define REJECT_TEXT_MAX    80
#define REJECT_LOG_SECONDS 60 /* between two rows of a kind */

enum reject_kind {
	REJECT_REVERSE,
	REJECT_AGENT,
	REJECT_LEFT, /* who tried to log in left before the answer */
	REJECT_KINDS,
};

struct reject_entry {
	uint64_t n; /* since the row before */
	uint64_t row_ns;
	bool has_row;
	/* of the last one */
	char client[REJECT_TEXT_MAX], object[REJECT_TEXT_MAX];
};

struct reject_log {
	pthread_mutex_t lock;
	struct reject_entry kinds[REJECT_KINDS];
};

void reject_log_init(struct reject_log *r);

/* object: what it said it was; cut to what a row takes. */
void reject_log_add(struct reject_log *r, enum reject_kind kind,
    const char *client, const char *object);

/*
 * Copies what is due to be written into *out and begins anew. Returns false
 * when nothing is.
 */
bool reject_log_take(struct reject_log *r, enum reject_kind kind,
    uint64_t now_ns, struct reject_entry *out);

#endif
