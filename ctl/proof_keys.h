/* Public keys that manifests are checked with (X3). Blocking. */
#ifndef CTL_PROOF_KEYS_H
#define CTL_PROOF_KEYS_H

#include "ctl/ctl.h"
#include "ctl/proof.h"

/*
 * From the file `given`; else from "<secrets.evidence_key_file>.pub" when
 * it can be read; else none. 0 or a status after a message.
 */
int proof_keys_read(
    const struct ctl *c, const char *given, struct proof_keys *keys);
/* Those that the database knows. 0 or a status after a message. */
int proof_keys_query(struct ctl *c, struct proof_keys *keys);

#endif
