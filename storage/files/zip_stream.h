/*
 * A ZIP that is made while it is sent: entries are stored as they are, sizes
 * are known before, ZIP64 where it is needed. Nothing is kept but the list of
 * the entries. Writes into the caller's buffer; no I/O, one owner.
 * Sources: PKWARE APPNOTE 6.3 sections 4.3 and 4.5.3, libarchive.
 */
#ifndef STORAGE_FILES_ZIP_STREAM_H
#define STORAGE_FILES_ZIP_STREAM_H

#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct zip_stream;

/* out: borrowed for the life of it; all calls append to it. NULL only for
 * memory. */
struct zip_stream *zip_stream_new(struct evbuffer *out);
void zip_stream_free(struct zip_stream *z);

/*
 * Begins an entry of exactly `bytes` bytes. name: ASCII, a relative path;
 * time_s: Unix time. Returns 0, ERR_NOMEM, or ERR_CORRUPT when the entry
 * before has got fewer bytes than it was to have.
 */
int zip_stream_begin(
    struct zip_stream *z, const char *name, uint64_t bytes, int64_t time_s);

/* The next bytes of the entry. ERR_CORRUPT: more than it was to have. */
int zip_stream_write(struct zip_stream *z, const void *data, size_t len);

/* Ends the last entry and writes the directory. Returns as zip_stream_begin. */
int zip_stream_end(struct zip_stream *z);

#endif
