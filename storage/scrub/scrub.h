/*
 * Reconciliation: compares the store, the rows and this node's spool, every
 * check_seconds and when "relaycam storage check" asks for it. Of all daemons
 * with one store, one makes a comparison; its row in storage_checks is order,
 * lease and progress, and another daemon continues where one died. Two steps:
 *
 *   store  each page of the store's list beside the rows of its keys: what is
 *          missing, has another size or no row
 *   hash   the stored bytes of a share of the recordings, those first that
 *          were not hashed for longest, so that all are within hash_days
 *
 * What differs is looked at (scrub_object.h) before anything is written. A row
 * that says `expired` or `deleted` has an object removed that is still there;
 * nothing else is ever removed.
 */
#ifndef STORAGE_SCRUB_SCRUB_H
#define STORAGE_SCRUB_SCRUB_H

struct scrub;
struct daemon;

/* Sets d->check. 0 or ERR_NOMEM. */
int scrub_new(struct daemon *d);
void scrub_free(struct scrub *c);
/* Somebody asked for one, or it may be time for one. */
void scrub_kick(struct scrub *c);

#endif
