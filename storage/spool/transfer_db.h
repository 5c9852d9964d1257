/*
 * Connections for the statements of transfers: each is answered before the
 * next one of the same segment is sent, so one connection for all of them
 * would wait for the round trips of many segments one after the other. Those
 * of a segment use one connection.
 */
#ifndef STORAGE_SPOOL_TRANSFER_DB_H
#define STORAGE_SPOOL_TRANSFER_DB_H

struct daemon;
struct db;

/* 0 or ERR_NOMEM. */
int transfer_db_new(struct daemon *d);
void transfer_db_free(struct daemon *d);
/* That of a segment, by its id; d->db while it is not connected. */
struct db *transfer_db(const struct daemon *d, const char *segment);

#endif
