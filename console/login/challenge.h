/*
 * Challenges for authenticators: random bytes with what they are for and when
 * they end, under a keyed hash, so that nothing is kept for those that are
 * never answered. Which ones were used is the caller's to remember, until
 * they end. No I/O.
 */
#ifndef CONSOLE_LOGIN_CHALLENGE_H
#define CONSOLE_LOGIN_CHALLENGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/password.h"

#define CHALLENGE_LEN      64
#define CHALLENGE_TEXT_MAX 87 /* base64url, with the NUL */
#define CHALLENGE_SECONDS  300

enum challenge_use { CHALLENGE_REGISTER = 1, CHALLENGE_LOGIN };

/* person: who is logged in, or 0. now_s: Unix time. */
void challenge_new(uint8_t out[CHALLENGE_LEN], const uint8_t key[SEAL_KEY_LEN],
    enum challenge_use use, int64_t person, int64_t now_s);

/* base64url without padding (RFC 4648 section 5). */
void challenge_text(
    const uint8_t challenge[CHALLENGE_LEN], char out[CHALLENGE_TEXT_MAX]);

/* Is it one of ours, for this use and person, and not over? */
bool challenge_is_good(const uint8_t *challenge, size_t len,
    const uint8_t key[SEAL_KEY_LEN], enum challenge_use use, int64_t person,
    int64_t now_s);

#endif
