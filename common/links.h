/*
 * Signed links to recordings that work without an account and die after
 * link_seconds (T6): a URL of the storage daemon signed with HMAC-SHA-256
 * over key and expiry, or, with s3_links = direct, a presigned GET of S3. Reads
 * key files when made; otherwise no I/O. A link_signer is not thread-safe.
 */
#ifndef COMMON_LINKS_H
#define COMMON_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conf.h"

#define LINK_KEY_LEN    32
#define LINK_URL_MAX    4096
#define LINK_OBJECT_MAX 512 /* bytes of an object key */

struct link_signer;

/* Whether links lead to the S3 server itself. */
bool link_is_direct(const struct conf_store *conf);

/*
 * Reads the link key or S3 access key that conf (borrowed, outlives the
 * signer) names. Returns 0, ERR_CONFIG with a sentence in err, or ERR_NOMEM.
 */
int link_signer_new(struct link_signer **out, const struct conf_store *conf,
    char *err, size_t err_len);
void link_signer_free(struct link_signer *s);

/* Links that are made from now on are this person's (people.id); 0: nobody's,
 * as in the beginning. Links to the S3 server
 * do not carry it. */
void link_signer_set_person(struct link_signer *s, int64_t person);

/* Links that are made from now on are ones that browsers save, not show. */
void link_signer_set_download(struct link_signer *s, bool is_download);

/*
 * Writes a link to object_key, valid from now_s (Unix time) for
 * conf->link_seconds, into url. Returns 0 and the Unix time of its death in
 * *expires_s (may be NULL), or ERR_LIMIT.
 */
int link_make(const struct link_signer *s, const char *object_key,
    uint64_t now_s, char *url, size_t url_len, uint64_t *expires_s);

/*
 * The same for a link that takes the place of another one and dies with it,
 * at expires_s, or after conf->link_seconds if that is sooner: whoever holds
 * a link gets no more time out of it. Returns 0, ERR_LIMIT, or ERR_TIMEOUT
 * when expires_s has come.
 */
int link_make_until(const struct link_signer *s, const char *object_key,
    uint64_t now_s, uint64_t expires_s, char *url, size_t url_len);

/*
 * The name under which browsers save object_key:
 * "pc-7_monitor-1_2026-11-21T09-15-02+0100_1f2e3d4c.webm", with the beginning
 * of the session's id, or its last component when it has another form. Safe inside quotes. Returns out.
 */
char *link_filename(const char *object_key, char *out, size_t out_len);

/*
 * Checks the `expires`, `person` (NULL: none) and `signature` of a link to
 * the storage daemon in constant time. Returns 0 and the Unix time of its death
 * in *expires_s, ERR_DENIED (forged), or ERR_TIMEOUT (genuine, but dead).
 */
int link_verify(const uint8_t key[LINK_KEY_LEN], const char *object_key,
    const char *expires, const char *person, const char *signature,
    uint64_t now_s, uint64_t *expires_s);

#endif
