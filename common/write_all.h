/*
 * All bytes into a descriptor that blocks, whatever interrupts. Thread-safe.
 */
#ifndef COMMON_WRITE_ALL_H
#define COMMON_WRITE_ALL_H

#include <stddef.h>

/* Returns 0, ERR_NOSPACE (the disk, a quota or the largest size of a file) or
 * ERR_IO, both with errno; some of the bytes may be written then. */
int write_all(int fd, const void *data, size_t len);

#endif
