/*
 * The files of the outbox, by the UUID of their capture: outbox.h says which
 * there are. Blocking, but short; dir is the folder's descriptor.
 */
#ifndef AGENT_CAPTURE_OUTBOX_FOLDER_H
#define AGENT_CAPTURE_OUTBOX_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/capture/outbox.h"
#include "agent/hostport.h"
#include "common/uuid.h"

/* What the folder says about one capture. */
enum outbox_found {
	FOUND_NOTHING, /* vanished, or never begun */
	FOUND_PART,    /* its writer lives */
	FOUND_SEALED,
};

/* Makes `captures` in the folder state where it is missing. Returns its
 * descriptor, or -1 with a sentence in why. */
int outbox_folder_open(const char *state, char *why, size_t why_len);

/* Whether name is "UUID" and the suffix, and nothing else. */
bool outbox_folder_is_name(
    const char *name, const char *suffix, char id[UUID_TEXT_MAX]);

/* Is there such a file, and no link? */
bool outbox_folder_has(int dir, const char *id, const char *suffix);

/* Looks at what is there; closes a part whose writer is gone. */
enum outbox_found outbox_folder_look(int dir, const char *id);

/* Writes an order, synced. Returns 0, ERR_NOSPACE or ERR_IO. */
int outbox_folder_order(int dir, const char *id, const char *storage);

/* Returns 0, ERR_IO, or ERR_CONFIG: it names no place. */
int outbox_folder_read_order(int dir, const char *id, struct hostport *storage);

/* The closed file for reading, or -1. */
int outbox_folder_open_file(int dir, const char *id);

/* Removes what storage has: all, or the rest when that was begun before. */
void outbox_folder_remove(int dir, const char *id);
void outbox_folder_remove_done(int dir, const char *id);

#endif
