/*
 * How far downloads are (M1: downloading), told to the database every few
 * seconds by one statement for all of them. Bytes count once they were handed
 * to the connection. On the loop.
 */
#ifndef STORAGE_FILES_FILES_PROGRESS_H
#define STORAGE_FILES_FILES_PROGRESS_H

#include <stdint.h>
#include <sys/queue.h>

struct daemon;
struct progress_set;

/* Embedded in a download; key and archive: borrowed, one of them NULL. */
struct progress {
	TAILQ_ENTRY(progress) link;
	uint64_t number; /* 0: not among them */
	const char *key, *archive;
	uint64_t bytes, bytes_sent;
};

/* NULL only for memory. */
struct progress_set *progress_set_new(struct daemon *d);
void progress_set_free(struct progress_set *set);

void progress_begin(struct progress_set *set, struct progress *p);
/* Allowed when it never began. */
void progress_end(struct progress_set *set, struct progress *p);

#endif
