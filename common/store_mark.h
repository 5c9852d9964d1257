/*
 * The mark of a folder in which recordings are kept: a file that has the
 * store's id, which the database has too (folder_store). Without it a file
 * system that is not mounted would look like a store that lost everything.
 * Blocking calls; thread-safe.
 */
#ifndef COMMON_STORE_MARK_H
#define COMMON_STORE_MARK_H

#include <stddef.h>

#include "common/uuid.h"

#define STORE_MARK_NAME ".relaycam-store" /* no object's key begins so */

/*
 * The id in the mark of the folder that dir is. 0; ERR_NOTFOUND: there is none;
 * ERR_PROTOCOL: it has no id; ERR_IO: errno says why.
 */
int store_mark_read(int dir, char id[UUID_TEXT_MAX]);

/* Makes it, synced. 0; ERR_EXISTS: there is one; ERR_IO: errno says why. */
int store_mark_make(int dir, const char *id);

/*
 * Opens the folder path of the store that id names. Returns a descriptor, or -1
 * and a sentence in why.
 */
int store_mark_open(
    const char *path, const char *id, char *why, size_t why_len);

#endif
