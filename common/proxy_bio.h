/*
 * A filter BIO that takes the header of the PROXY protocol from the front of
 * a TLS connection, so that servers that begin TLS by themselves (evhttp) need
 * not know of it. One loop.
 */
#ifndef COMMON_PROXY_BIO_H
#define COMMON_PROXY_BIO_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/proxy_protocol.h"

/* The header is there. False: the connection is to fail. The SSL object must
 * not be freed within. */
typedef bool proxy_bio_cb(void *arg, const struct proxy_source *source);

/*
 * Puts the filter between ssl and the BIO that it reads from. cb is called
 * once, unless no header comes: then reading fails. Returns 0 or ERR_NOMEM.
 */
int proxy_bio_insert(SSL *ssl, proxy_bio_cb *cb, void *arg);

#endif
