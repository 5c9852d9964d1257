/* Public keys that manifests are checked with (X3). Blocking. */
#ifndef CTL_VERIFY_VERIFY_KEYS_H
#define CTL_VERIFY_VERIFY_KEYS_H

#include "ctl/ctl.h"
#include "ctl/verify/verify_file.h"

/*
 * From the file `given`; else from "<secrets.evidence_key_file>.pub" when
 * it can be read; else none. 0 or a status after a message.
 */
int verify_keys_read(
    const struct ctl *c, const char *given, struct verify_keys *keys);
/* Those that the database knows. 0 or a status after a message. */
int verify_keys_query(struct ctl *c, struct verify_keys *keys);

#endif
