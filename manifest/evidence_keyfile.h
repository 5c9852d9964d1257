/*
 * The files of a signing key (X3): FILE has the seed, mode 0600; FILE.pub
 * the public halves of all keys that were made under this name, the newest
 * first, as evidence_keys_parse reads them. Blocking; any thread.
 */
#ifndef MANIFEST_EVIDENCE_KEYFILE_H
#define MANIFEST_EVIDENCE_KEYFILE_H

#include "manifest/evidence_sign.h"

#define EVIDENCE_KEYFILE_PATH_MAX 4096

/*
 * Makes a new key in path, and tells its public half in *k and path.pub. A
 * file path that is there is not touched; the new one is there whole or not
 * at all, and of several that make it at once one succeeds. Returns 0;
 * ERR_IO with errno (EEXIST: there is one); ERR_NOMEM: no random numbers;
 * ERR_LIMIT: path is too long. When only path.pub could not be written, 0.
 */
int evidence_keyfile_create(const char *path, struct evidence_key *k);

/*
 * Puts k's line at the top of path.pub unless it is in it; replaced as one.
 * Returns 0, ERR_IO with errno, ERR_NOMEM or ERR_LIMIT.
 */
int evidence_keyfile_publish(const char *path, const struct evidence_key *k);

#endif
