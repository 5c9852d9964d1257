/*
 * Whether the folder of the folder store is the one that recordings are in: it
 * has the mark (common/store_mark.h) with the id that PostgreSQL has. The first
 * daemon that finds neither makes both; where recordings are stored already,
 * only in a folder that has one of them. One loop; the folder is looked at by a
 * worker, so that a server of files that hangs bars nothing else.
 */
#ifndef STORAGE_STORE_FOLDER_MARK_H
#define STORAGE_STORE_FOLDER_MARK_H

struct folder_mark;
struct store_env;

/* NULL: out of memory. env->conf stays borrowed. */
struct folder_mark *folder_mark_new(const struct store_env *env);
/* Nothing may be under way. */
void folder_mark_free(struct folder_mark *m);

/* PostgreSQL is connected: asks it for the id, and again every few seconds for
 * as long as there is none and the folder cannot get one. */
void folder_mark_announce(struct folder_mark *m);

/* The folder's path; borrowed. Any thread. */
const char *folder_mark_path(const struct folder_mark *m);
/* The store's id; "" before it is known: no folder has that. */
const char *folder_mark_id(const struct folder_mark *m);
/* Why nothing can be stored; NULL: it can. Looked at every few seconds. */
const char *folder_mark_trouble(const struct folder_mark *m);

#endif
