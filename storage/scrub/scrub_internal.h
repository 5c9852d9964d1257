/* What scrub.c (order, steps, end) and scrub_compare.c (the first step) share.
 */
#ifndef STORAGE_SCRUB_SCRUB_INTERNAL_H
#define STORAGE_SCRUB_SCRUB_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/scrub/scrub_object.h"
#include "storage/daemon.h"
#include "storage/store/store.h"

#define DIFFS_MAX 100

/* One difference between the store's list and the rows. */
struct diff {
	char key[STORE_LIST_KEY_MAX + 1];
	char segment[37]; /* it has a row; "": none */
	uint64_t bytes;   /* in the store */
	char owner[37];   /* the row that says that it was removed; "": none */
	char team[24];    /* of owner */
};

struct scrub {
	struct daemon *d;
	struct event *timer;
	struct scrub_object *scrub_object;
	bool is_running, is_again; /* again: asked for while it ran */
	/* its row */
	char id[24], started[40], done_to[STORE_LIST_KEY_MAX + 1];
	bool is_hashing; /* the second step */
	uint64_t n_rows, n_listed, n_differ, n_to_hash, n_hashed;
	/* scrub_compare.c: the page, and what differs of it */
	char *page; /* JSON, heap */
	char from[STORE_LIST_KEY_MAX + 1], to[STORE_LIST_KEY_MAX + 1];
	bool is_end;
	struct diff diffs[DIFFS_MAX];
	size_t n_diffs, at;
};

/* Continues behind c->done_to; then scrub_page_done() or scrub_fail(). */
void scrub_compare_start(struct scrub *c);
/* The answer of a look in that step. */
void scrub_compare_object_done(struct scrub *c);

/* All of a page was looked at. */
void scrub_page_done(struct scrub *c);
/* why: a sentence. It is tried again. */
void scrub_fail(struct scrub *c, const char *why);

#endif
