/*
 * A login that is under way at a provider, in a cookie of the browser that
 * began it: sealed, so that neither it nor anybody else can read or make one.
 * The answer of a provider counts only in that browser and until the login
 * expires. No I/O, thread-safe.
 */
#ifndef CONSOLE_OIDC_LOGIN_STATE_H
#define CONSOLE_OIDC_LOGIN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/password.h"
#include "console/oidc/authorize.h"

#define LOGIN_STATE_SECONDS  600
#define LOGIN_STATE_TEXT_MAX 1200 /* of the cookie's value, with the NUL */
#define LOGIN_RETURN_MAX     256  /* with the NUL */

struct login_state {
	uint64_t expires_s; /* since 1970 */
	int64_t team_id;
	/* each 32 random bytes in base64url */
	char state[OIDC_BASE64_32], nonce[OIDC_BASE64_32];
	char verifier[OIDC_BASE64_32];
	char return_to[LOGIN_RETURN_MAX]; /* oidc_return_is_right */
	bool is_again; /* the provider is to ask who it is, whatever it knows */
};

/* A new one with random texts, which expires LOGIN_STATE_SECONDS from now. */
void login_state_new(struct login_state *s, int64_t team_id,
    const char *return_to, uint64_t now_s);

/* As a cookie's value. seal_key: of the installation; another one is derived
 * from it. Returns out. */
char *login_state_seal(const struct login_state *s,
    const uint8_t seal_key[SEAL_KEY_LEN], char out[LOGIN_STATE_TEXT_MAX]);

/* Reads such a value. Returns 0, ERR_CORRUPT (not made with this key) or
 * ERR_TIMEOUT (expired). */
int login_state_open(struct login_state *s,
    const uint8_t seal_key[SEAL_KEY_LEN], const char *text, size_t len,
    uint64_t now_s);

#endif
