/*
 * Content-Security-Policy of the console's pages: scripts, styles and data of
 * the console alone, the one import map by its hash, pictures and video of the
 * origins that signed links lead to, and the relay's browser viewer in a
 * frame. No I/O.
 */
#ifndef CONSOLE_HTTP_PAGE_POLICY_H
#define CONSOLE_HTTP_PAGE_POLICY_H

#include <stddef.h>

#define ORIGIN_MAX      300
#define ORIGINS_MAX     2048 /* a list of them, separated by spaces */
#define PAGE_POLICY_MAX (4 * ORIGINS_MAX)

/*
 * "https://host:port" of a URL into out; returns 0, or ERR_PROTOCOL for what
 * is none: no http or https, or characters that would end a word of the
 * policy.
 */
int page_origin(const char *url, char out[ORIGIN_MAX]);

/* Adds the origin of a URL to a list of ORIGINS_MAX bytes, once; one that is
 * none, or that does not fit, is left out. */
void page_origins_add(char *list, const char *url);

/* script_hash: base64 of SHA-256; media, frames: lists of origins or "".
 * Writes PAGE_POLICY_MAX bytes at most and returns out. */
const char *page_policy(
    const char *script_hash, const char *media, const char *frames, char *out);

#endif
