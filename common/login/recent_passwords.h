/*
 * Passwords that were found right a short while ago, so that the same person's
 * next login costs no Argon2id. What is kept is a keyed hash over the stored
 * hash and the password; the key is random and never leaves this process. A
 * stored hash has a salt of its own: whoever gets another password is unknown
 * here at once, and nothing kept for one person fits another. Whether somebody
 * may log in is decided elsewhere, each time.
 * Thread-safe; times are clock_mono_ns().
 */
#ifndef COMMON_LOGIN_RECENT_PASSWORDS_H
#define COMMON_LOGIN_RECENT_PASSWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/clock.h"

/* Since it was checked by Argon2id; a find does not prolong it. */
#define RECENT_PASSWORD_NS (600 * NS_PER_S)

/* hash, password: what password_check() said 0 to. */
void recent_passwords_add(
    const char *hash, const char *password, size_t len, uint64_t now_ns);

bool recent_passwords_find(
    const char *hash, const char *password, size_t len, uint64_t now_ns);

/*
 * As password_process_check(), which is asked only where the password is not
 * known from a short while ago; one that is right is kept. hash may be NULL.
 */
int recent_password_check(
    unsigned i, const char *hash, const char *password, size_t len);

/* Forgets all of them, and the key. */
void recent_passwords_wipe(void);

#endif
