/*
 * Secrets that are made here, shown once and stored as their SHA-256:
 * tickets, enrolment tokens, IDs of servers that dial out. No I/O.
 */
#ifndef COMMON_TOKEN_H
#define COMMON_TOKEN_H

#include <stddef.h>

#define TOKEN_TEXT_MAX 64 /* with the NUL */
#define TOKEN_HASH_MAX 67 /* "\x", 64 hex digits, NUL */

struct token {
	char text[TOKEN_TEXT_MAX];
	/* of the text, as bytea for PostgreSQL; hex from the third on */
	char hash[TOKEN_HASH_MAX];
};

/*
 * prefix and 43 base64url characters (32 random bytes), such as "rct_...".
 * prefix: at most 8 characters.
 */
void token_new(struct token *t, const char *prefix);

/*
 * 26 base32 characters (RFC 4648: A-Z and 2-7, 130 bits), which survive
 * viewers and servers that change the case. The hash is of these.
 */
void token_new_base32(struct token *t);

/* 8 letters and digits: all that VNC authentication looks at. */
#define TOKEN_VNC_LEN 8
void token_new_vnc(char out[TOKEN_VNC_LEN + 1]);

void token_wipe(struct token *t);

/* SHA-256 of len bytes as bytea text. */
void token_hash(const void *data, size_t len, char out[TOKEN_HASH_MAX]);

#endif
