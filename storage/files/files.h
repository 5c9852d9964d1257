/*
 * The server of signed files: GET and HEAD of /files/<key> over TLS, with
 * one byte range. A link is looked at when the request
 * begins; its death does not disturb a running download (T6). A download
 * holds one open file and at most one chunk in memory; the next chunk is
 * read when the last one has gone to the client. A client that takes nothing
 * for a minute is paused: it has a place among those, for an hour at most.
 */
#ifndef STORAGE_FILES_FILES_H
#define STORAGE_FILES_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct bufferevent;
struct daemon;
struct files;

/* Sets d->files. 0, ERR_NOMEM or ERR_CONFIG with err. */
int files_new(struct daemon *d, char *err, size_t err_len);
void files_free(struct files *f);
/* Reads certificate and key again; the old ones stay if that fails. */
void files_reload(struct files *f);
/* This connection belongs here, though it brought no link: it is no newcomer
 * any more. False: there are too many such connections. */
bool files_promote(struct files *f, struct bufferevent *bev);
/* Stops to listen; running downloads go on. */
void files_stop(struct files *f);

#endif
