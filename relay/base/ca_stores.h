/*
 * The CAs that endpoints' certificates are checked by, parsed once for all
 * sessions: the endpoints of a team mostly have the same one, and parsing it
 * takes a tenth of a session's CPU. Found by its text, the CA_STORES_MAX used
 * last are kept. Thread-safe; no I/O.
 */
#ifndef RELAY_BASE_CA_STORES_H
#define RELAY_BASE_CA_STORES_H

#include <openssl/x509.h>

#define CA_STORES_MAX 16

/*
 * *out: a reference to a store of the certificates in pem, which nobody adds
 * to. Returns 0, ERR_CONFIG (there is no certificate in it) or ERR_NOMEM.
 */
int ca_store_get(X509_STORE **out, const char *pem);

/* Drops the references that are kept here; others stay valid. */
void ca_stores_release(void);

#endif
