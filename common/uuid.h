/*
 * UUIDs as PostgreSQL and the recorder print them (RFC 4122 section 3): names
 * of sessions and segments, and so of folders and files. Thread-safe.
 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>

#define UUID_LEN 36

/* Whether s is lower-case digits and hyphens of a UUID, and nothing else. */
bool is_uuid(const char *s);

#endif
