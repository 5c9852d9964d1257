/*
 * The folder of a session in the spool (docs/spool.md). A recorder gets it as
 * its root, so that one that was taken over reaches no file of another
 * session. Blocking calls, for the spawner.
 */
#ifndef RELAY_RECORDER_FOLDER_H
#define RELAY_RECORDER_FOLDER_H

#include <stdbool.h>

/*
 * Makes SPOOL/session, unless it is there, and opens it. Its mode is that of
 * the spool, closed to others. The descriptor holds a shared lock, and so do
 * its copies in other processes: storage removes an empty folder only when
 * nobody holds one. spool: the open spool folder; session: a UUID, checked.
 * *is_new: it was made, and recorder_folder_sync is due. Returns a descriptor,
 * or -1 with *why a static sentence.
 */
int recorder_folder_open(
    int spool, const char *session, bool *is_new, const char **why);

/* Writes a new folder's name to the disk: a loss of power keeps it. */
void recorder_folder_sync(int spool);

#endif
