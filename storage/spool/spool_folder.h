/*
 * Where files lie in the spool (docs/spool.md): those of a session in the
 * folder of its name, those of an older version directly in the spool. A
 * recorder writes into the folder of its own session only, so what lies there
 * can be that session's only. Blocking calls; no state.
 */
#ifndef STORAGE_SPOOL_SPOOL_FOLDER_H
#define STORAGE_SPOOL_SPOOL_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/uuid.h"

#define SPOOL_FOLDER_MAX (UUID_LEN + 1)
#define SPOOL_NAME_MAX   128 /* "<session>/<id>.encode/<id>.json" */

/* Its entries are looked at by people only. */
#define SPOOL_QUARANTINE "quarantine"
/* What devices are sending, storage/upload/. */
#define SPOOL_UPLOADS "uploads"

/* A kind of file: "<uuid><suffix>", and its bit. */
struct spool_suffix {
	const char *suffix;
	unsigned bit;
};

/*
 * "<folder>/<id><suffix>" into out; returns out. folder: a session, or "" for
 * the spool itself.
 */
char *spool_name(const char *folder, const char *id, const char *suffix,
    char out[SPOOL_NAME_MAX]);

/* The name of a file of the spool, a UUID, a dot and something: its id. */
bool spool_name_has_id(const char *name, char id[SPOOL_FOLDER_MAX]);
/* Whether such a name is of one of the n kinds. */
bool spool_name_is_of(
    const struct spool_suffix *kinds, size_t n, const char *name);

/* A session's folder, or the spool: for reading, no symbolic link; or -1. */
int spool_folder_open(int spool, const char *folder);

/* Its path into out of len bytes; returns out. */
char *spool_folder_path(
    const char *spool, const char *folder, char *out, size_t len);

/* Writes what was renamed and removed in it to the disk. 0 or ERR_IO. */
int spool_folder_sync(int spool, const char *folder);

/*
 * Removes a session's folder, if it is empty and no recorder holds it: a
 * recorder has a shared lock on its folder from before it is started until
 * its end (relay/recorder_folder.h). True: it is gone.
 */
bool spool_folder_remove(int spool, const char *folder);

/* What a walk is told; arg comes with each call. */
struct spool_walk {
	const struct spool_suffix *kinds;
	size_t n_kinds;
	/* a file of one of the kinds, once for each */
	void (*found)(void *arg, const char *folder, const char *id);
	/* before the files of a session's folder; may be NULL */
	void (*enter)(void *arg, const char *folder);
	/* behind it: nothing at all is in it; may be NULL */
	void (*empty)(void *arg, const char *folder);
	void *arg;
	/* out: entries that are none of the spool's, and one of them */
	unsigned n_foreign;
	char foreign[256];
};

/* Through the spool and the folders of its sessions. 0 or ERR_IO. */
int spool_walk(int spool, struct spool_walk *walk);

#endif
