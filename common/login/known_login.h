/*
 * Known logins: which names logged in from which addresses before, so that
 * they need not wait for wrong tries of others, also after a restart and at
 * another relay. The table known_logins holds a keyed hash of the pair, the
 * KNOWN_LOGINS_MAX latest ones of a person, for 30 days. No I/O.
 */
#ifndef COMMON_LOGIN_KNOWN_LOGIN_H
#define COMMON_LOGIN_KNOWN_LOGIN_H

#include <stdint.h>

#include "common/password.h"

#define KNOWN_LOGINS_MAX   16
#define KNOWN_LOGIN_ID_LEN 65 /* hex, with the NUL */

/*
 * The row's id, or "" for a client whose address is not known (CLIENT_UNKNOWN):
 * no such login is ever noted, so that strangers do not pass as each other.
 * Keyed BLAKE2b of name and address (RFC 7693), so that the
 * table tells nobody without the seal key who came from where. client_addr:
 * as text; of IPv6 the first 64 bits count (login_prefix).
 */
void known_login_id(char out[KNOWN_LOGIN_ID_LEN],
    const uint8_t seal_key[SEAL_KEY_LEN], const char *person,
    const char *client_addr);

/* Parameters: person, prefix of the address, id. Notes a login that was
 * right: failures are forgotten, the pair is known. */
extern const char known_login_statement[];

#endif
