/*
 * The server contexts that new TLS connections use. SIGHUP replaces them
 * while loops read them; a connection keeps the one that it began with.
 * Thread-safe.
 */
#ifndef RELAY_BASE_TLS_CONTEXTS_H
#define RELAY_BASE_TLS_CONTEXTS_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>

struct tls_contexts {
	pthread_mutex_t lock;
	SSL_CTX *server; /* NULL: not loaded yet */
	SSL_CTX *web;    /* the same certificate, with ALPN */
};

void tls_contexts_init(struct tls_contexts *t);
/* No other thread uses t any more. */
void tls_contexts_release(struct tls_contexts *t);

/* Takes both contexts. Returns whether they took the place of others. */
bool tls_contexts_replace(
    struct tls_contexts *t, SSL_CTX *server, SSL_CTX *web);

/* The present context; the caller frees its reference. Loaded before. */
SSL_CTX *tls_contexts_server(struct tls_contexts *t);
SSL_CTX *tls_contexts_web(struct tls_contexts *t);

#endif
