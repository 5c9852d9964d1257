/*
 * The files of the browser viewer, read once into memory (common/file_table)
 * and served from there: our page from one folder, noVNC's modules from
 * another. Immutable after loading: any thread may read it.
 */
#ifndef RELAY_HTTP_STATIC_FILES_H
#define RELAY_HTTP_STATIC_FILES_H

#include <stddef.h>

#include "common/buf.h"
#include "common/file_table.h"

#define STATIC_FILES_MAX_BYTES FILE_TABLE_MAX_BYTES
/* what one answer may need beside its file */
#define STATIC_FILES_HEAD_MAX 3072

struct http_request;
struct static_files;

/*
 * Reads web_dir as "/..." ("/" is its index.html) and, unless novnc_dir is
 * NULL or "", that folder's core/ and vendor/ as "/novnc/...". Files of
 * other kinds than a page uses and hidden ones are left out. On failure
 * returns ERR_CONFIG (a folder or file cannot be read, or has no page in
 * it), ERR_LIMIT or ERR_NOMEM, and why in `why` (why_len bytes).
 */
int static_files_load(struct static_files **files, const char *web_dir,
    const char *novnc_dir, char *why, size_t why_len);

void static_files_free(struct static_files *files);

/*
 * Appends the whole answer to req: 200, 304 when the browser has it already,
 * or 404. The answer of a file may be as long as STATIC_FILES_MAX_BYTES:
 * read the next request of the connection when this one is sent. Returns 0,
 * ERR_LIMIT or ERR_NOMEM; nothing was appended then.
 */
int static_files_answer(const struct static_files *files,
    const struct http_request *req, struct buf *out);

#endif
