/*
 * A ZIP of several recordings (M6), made while it is sent:
 * docs/relaycam-storage.md, "Several recordings as one ZIP". Its key is
 * archive/<id>.zip; the database says what is in it, and a file is opened when
 * its turn has come.
 */
#ifndef STORAGE_FILES_FILES_ARCHIVE_H
#define STORAGE_FILES_FILES_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "manifest/object_key.h"

struct evbuffer;
struct files;
struct files_archive;
struct files_request;

/* The file whose bytes follow. fd: -1: the store is read. */
struct archive_file {
	char key[OBJECT_KEY_MAX + 1];
	uint64_t bytes;
	int fd; /* the caller's */
};

bool files_archive_is_key(const char *key);

/* True when the request is for a ZIP; it is answered. */
bool files_serve_archive(const struct files_request *r);

/* ---- for files_download.c ---- */

void files_archive_free(struct files_archive *a);
const char *files_archive_id(const struct files_archive *a);
/* Of its recordings. */
uint64_t files_archive_bytes(const struct files_archive *a);

/*
 * Ends the file before, if any, and begins the next one. Returns 1, 0 when
 * there is none: the ZIP is complete, or ERR_*: it cannot be completed.
 */
int files_archive_next(struct files_archive *a, struct archive_file *file);

/* Puts the bytes in chunk, of the file or none, into the form that is sent,
 * behind what was begun or ended since the last call. */
int files_archive_pack(struct files_archive *a, struct evbuffer *chunk);

#endif
