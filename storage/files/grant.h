/*
 * A grant lets the client that opened a signed link while it lived continue
 * with that one file after the link has died (T6): a browser that closed the
 * connection of a paused video asks again. It is a cookie: the client that
 * was given it sends it back, a copied link does not carry it.
 *
 *     __Secure-relaycam-grant=1.<expires>.<person>.<id>.<mac>
 *
 * <mac> is HMAC-SHA-256 with the link key, hex, over "relaycam-grant",
 * object key, expires, person and id, joined by line feeds. person: whose
 * link it was, 0 for nobody's. id: 16 random hex digits, for the audit log.
 * No I/O but random bytes, thread-safe; cookies are hostile.
 * Source: RFC 6265 sections 4.1 and 5.1.4.
 */
#ifndef STORAGE_FILES_GRANT_H
#define STORAGE_FILES_GRANT_H

#include <stddef.h>
#include <stdint.h>

#include "common/links.h"

#define GRANT_NAME     "__Secure-relaycam-grant"
#define GRANT_ID_LEN   16
#define GRANT_TEXT_MAX (LINK_OBJECT_MAX * 3 + 700)
#define GRANT_TRIES    8 /* cookies of that name that are looked at */

struct grant {
	uint64_t expires_s; /* Unix time */
	int64_t person;     /* 0: nobody's link */
	char id[GRANT_ID_LEN + 1];
};

/* A new grant until expires_s. Returns 0, or ERR_IO without random bytes. */
int grant_new(struct grant *g, uint64_t expires_s, int64_t person);

/*
 * Writes the value of Set-Cookie. base: the URL that the server's links begin
 * with, whose path comes first in the cookie's. Returns 0 or ERR_LIMIT.
 */
int grant_write(const struct grant *g, const uint8_t key[LINK_KEY_LEN],
    const char *base, const char *object_key, uint64_t now_s,
    char out[GRANT_TEXT_MAX]);

/*
 * Finds a grant to object_key in a Cookie field (NULL: none). Compares in
 * constant time. Returns 0 and the grant, ERR_NOTFOUND, ERR_DENIED (forged or
 * another file's) or ERR_TIMEOUT (genuine, but over).
 */
int grant_read(struct grant *g, const uint8_t key[LINK_KEY_LEN],
    const char *cookies, const char *object_key, uint64_t now_s);

#endif
