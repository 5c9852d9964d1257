/*
 * Secrets that are shown once and stored as their SHA-256. Made as `relaycam`
 * makes them. No I/O.
 */
#ifndef CONSOLE_API_ONE_TIME_H
#define CONSOLE_API_ONE_TIME_H

#define ONE_TIME_TEXT_MAX 64 /* with the NUL */
#define ONE_TIME_HASH_MAX 65 /* hex, with the NUL */

struct one_time {
	char text[ONE_TIME_TEXT_MAX];
	char hash[ONE_TIME_HASH_MAX]; /* of the text */
};

/* prefix (at most 8 characters) and 32 random bytes as base64url. */
void one_time_new(struct one_time *t, const char *prefix);

/* 26 characters of A-Z and 2-7 (RFC 4648 base32), 130 bits, which survive
 * programs that change the case. */
void one_time_new_base32(struct one_time *t);

#endif
