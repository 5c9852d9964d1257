/*
 * Walks through all stored objects, one at a time, and compares each with
 * its row: `missing` when it is gone, `corrupted` when size or checksum
 * differ (M1), `available` again when it was put back (M4). Posters and
 * signed manifests have the same words in poster_fault and manifest_fault.
 * The folder store reads every byte; S3 is asked for size and the SHA-256
 * noted at upload.
 */
#ifndef STORAGE_CHECK_H
#define STORAGE_CHECK_H

struct check;
struct daemon;

/* Sets d->check; the first walk begins after check_seconds. */
int check_new(struct daemon *d);
void check_free(struct check *c);

#endif
