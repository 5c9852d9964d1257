/*
 * What is seen of a recording while it grows (X3): every few seconds the
 * SHA-256 of its closed clusters so far goes into the database, so that
 * nobody who gets at the spool folder afterwards can put another file there.
 * One loop; reading happens on a thread of its own.
 */
#ifndef STORAGE_EVIDENCE_HEADS_H
#define STORAGE_EVIDENCE_HEADS_H

struct daemon;
struct heads;

/* 0 or ERR_NOMEM; d->heads. */
int heads_new(struct daemon *d);
/* Allowed when there are none. */
void heads_free(struct heads *h);

#endif
