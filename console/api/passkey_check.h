/* Logins by passkey: the check of what a browser gives (the JSON form of Web
 * Authentication Level 3 section 5.1.6, AuthenticationResponseJSON). */
#ifndef CONSOLE_API_PASSKEY_CHECK_H
#define CONSOLE_API_PASSKEY_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "console/login/passkey.h"

struct person;
struct request;

/*
 * Checks the body's member "credential" and uses its challenge up. Calls then
 * with whose passkey it is, or with NULL: it is wrong, unknown, or its person
 * is disabled. When the database is away the request is answered.
 */
void passkey_check(struct request *r,
    void (*then)(struct request *r, const struct person *owner));

/* A member of credential.response in base64url, decoded; heap, or NULL. max:
 * of its bytes. */
uint8_t *passkey_part(
    const struct request *r, const char *name, size_t max, size_t *len);

/* credential.id, as hex; false: it has another form. */
bool passkey_id_hex(
    const struct request *r, char hex[2 * CREDENTIAL_ID_MAX + 1]);

/* SHA-256 of a challenge, hex: what is kept of those that were used. */
#define CHALLENGE_HASH_MAX 65
void passkey_challenge_hash(
    const uint8_t challenge[CHALLENGE_LEN], char out[CHALLENGE_HASH_MAX]);

#endif
