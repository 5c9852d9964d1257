/*
 * UUIDs as PostgreSQL and the recorder print them (RFC 4122 section 3): names
 * of sessions and segments, and so of folders and files. Thread-safe.
 */
#ifndef COMMON_UUID_H
#define COMMON_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_LEN      36
#define UUID_BYTES    16
#define UUID_TEXT_MAX (UUID_LEN + 1) /* with the NUL */

/* Whether s is lower-case digits and hyphens of a UUID, and nothing else. */
bool is_uuid(const char *s);

/* The bytes that the digits of s stand for; is_uuid(s). */
void uuid_bytes(const char *s, uint8_t out[UUID_BYTES]);

/* The text of version 8 (RFC 9562 section 5.8) with these 16 bytes of a hash:
 * the same each time for the same thing. Returns out. */
char *uuid_of_hash(const uint8_t hash[16], char out[UUID_TEXT_MAX]);

#endif
