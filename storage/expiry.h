/*
 * Deletes stored objects whose time has come (T12) or that were deleted in
 * the console (M6), in batches, the oldest first. Before each walk, changed
 * retention settings are applied to what is stored (schema/042_retention.sql).
 * Any number of daemons may run: each row is claimed with FOR UPDATE SKIP LOCKED on a connection of its own, the object is removed,
 * the row says `expired` (or stays `deleted`) with store NULL, one audit row
 * is added, and the transaction ends. A crash in between leaves the row as
 * it was; removing an object twice is harmless. Locked rows are not touched.
 */
#ifndef STORAGE_EXPIRY_H
#define STORAGE_EXPIRY_H

struct daemon;
struct expiry;

/* Sets d->expiry. 0 or ERR_NOMEM. */
int expiry_new(struct daemon *d);
void expiry_free(struct expiry *e);
/* Looks now, if it is not looking already. */
void expiry_kick(struct expiry *e);
/* Within a moment: once for all rows that change until then. */
void expiry_soon(struct expiry *e);

#endif
