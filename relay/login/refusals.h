/*
 * What machines were refused for, for the audit trail: one row a minute and
 * kind with their number, because a machine that is refused comes back.
 * Thread-safe; no I/O.
 */
#ifndef RELAY_LOGIN_REFUSALS_H
#define RELAY_LOGIN_REFUSALS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define REFUSALS_TEXT_MAX 80
#define REFUSALS_SECONDS  60 /* between two rows of a kind */

enum refusal_kind {
	REFUSAL_REVERSE,
	REFUSAL_AGENT,
	REFUSAL_LEFT, /* who tried to log in left before the answer */
	REFUSAL_KINDS,
};

struct refusal {
	uint64_t n; /* since the row before */
	uint64_t row_ns;
	bool has_row;
	/* of the last one */
	char client[REFUSALS_TEXT_MAX], object[REFUSALS_TEXT_MAX];
};

struct refusals {
	pthread_mutex_t lock;
	struct refusal kinds[REFUSAL_KINDS];
};

void refusals_init(struct refusals *r);

/* object: what it said it was; cut to what a row takes. */
void refusals_add(struct refusals *r, enum refusal_kind kind,
    const char *client, const char *object);

/*
 * Copies what is due to be written into *out and begins anew. Returns false
 * when nothing is.
 */
bool refusals_take(struct refusals *r, enum refusal_kind kind, uint64_t now_ns,
    struct refusal *out);

#endif
