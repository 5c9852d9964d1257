/*
 * The site's pair of keys for captures of devices: agents encrypt to its
 * public half, the storage daemon alone reads the file. Blocking; before
 * threads start.
 */
#ifndef STORAGE_UPLOAD_SITE_KEY_H
#define STORAGE_UPLOAD_SITE_KEY_H

#include <stddef.h>

#include "storage/upload/upload_file.h"

/*
 * Reads the seed of 32 bytes in path, or makes the file, mode 0600, when there
 * is none. 0, ERR_CONFIG with a sentence in err, or ERR_NOMEM.
 */
int site_key_read(
    struct site_key *key, const char *path, char *err, size_t err_len);

#endif
