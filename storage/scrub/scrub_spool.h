/*
 * Reconciliation, this node's spool: files there that no recording has are rows
 * of unknown_files, place "spool HOST:DIR", which storage_findings lists. They
 * are looked for every ten minutes and when a check is asked for; a file counts
 * an hour after it was written, a hidden one a day after. Nothing is
 * removed. One loop; it lists folders on it.
 */
#ifndef STORAGE_SCRUB_SCRUB_SPOOL_H
#define STORAGE_SCRUB_SCRUB_SPOOL_H

struct daemon;
struct scrub_spool;

/* Into d->scrub_spool. 0 or ERR_NOMEM. */
int scrub_spool_new(struct daemon *d);
void scrub_spool_free(struct scrub_spool *s);

/* Looks now. */
void scrub_spool_look(struct scrub_spool *s);

#endif
