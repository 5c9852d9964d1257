/*
 * Signed links (common/links.h) to files of a recording, in the name of the
 * person who asks (T6). Reads the link key; rights are the caller's matter.
 */
#ifndef CONSOLE_API_FILE_LINK_H
#define CONSOLE_API_FILE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/links.h"

struct request;

/* SQL: files_url of the node that writes segment g, with nodes n; NULL when
 * its files are in the store, or cannot be watched there. */
#define FILE_LINK_NODE                                                         \
	"CASE WHEN NOT g.is_capture AND g.status IN ('recording', "            \
	"'transfer') THEN n.files_url END"

/*
 * Writes a link to the object key into url (LINK_URL_MAX bytes). node_url:
 * where the node serves it that writes it, or NULL: the store. is_download:
 * browsers save it. Returns 0 and
 * the Unix time of its death, or a negative enum err, which has been logged.
 */
int file_link_make(const struct request *r, const char *key,
    const char *node_url, bool is_download, char url[LINK_URL_MAX],
    uint64_t *expires_s);

#endif
