/*
 * Removal of segments that are stored or deleted from the spool: media, then
 * the rest, so that a crash never leaves media without its manifest. Flushing
 * a folder may take as long as the disk is busy, so a thread does it, for all
 * that came meanwhile at once and once per folder. One loop.
 */
#ifndef STORAGE_SPOOL_REMOVAL_H
#define STORAGE_SPOOL_REMOVAL_H

#include <stddef.h>

#include "storage/spool/spool_folder.h"

struct daemon;
struct spool_segment;
struct removal;

/* NULL: out of memory. */
struct removal *removal_new(struct daemon *d);
/* Waits for what is being removed; segments are not answered. */
void removal_free(struct removal *r);
/* Answered by spool_segment_files_removed, never before this returned. */
void removal_start(struct removal *r, struct spool_segment *sg);

/* ---- removal_files.c: on the thread, blocking ---- */

struct removal_files {
	char folder[SPOOL_FOLDER_MAX], id[UUID_LEN + 1];
	int error; /* errno; 0: they are gone */
};

void removal_files_remove(int spool, struct removal_files *f, size_t n);

#endif
