/*
 * Small files read whole, secrets from people, and hashes of large files.
 * Blocking; messages on errors.
 */
#ifndef CTL_FILE_H
#define CTL_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads at most max bytes ("-": not special). *text: heap with a NUL after
 * len bytes, NULL on errors. Returns 0 or STATUS_FAILED after a message.
 */
int file_read(const char *path, size_t max, char **text, size_t *len);

/* SHA-256 and size of a file. 0, ERR_IO (errno) or ERR_NOTFOUND. */
int file_sha256(const char *path, uint8_t digest[32], int64_t *bytes);

#endif
