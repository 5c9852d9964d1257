/*
 * Takes a TLS connection away from evhttp: socket and SSL object go on without
 * the buffers, the timeouts and the request that evhttp keeps, for answers that
 * last for hours. evhttp 2.1 has no call for that. Here its descriptor is made
 * to stand for /dev/null before its connection is freed, and its bufferevent,
 * which is freed later and closes what the SSL object's BIO names, finds a BIO
 * that names none.
 */
#ifndef COMMON_TLS_DETACH_H
#define COMMON_TLS_DETACH_H

#include <openssl/ssl.h>

struct evhttp_request;

/* Both are the caller's: SSL_free first, which does not close fd. */
struct tls_detached {
	SSL *ssl;
	int fd; /* the same socket, another descriptor */
};

/*
 * Takes the connection of a request over bufferevent_openssl, and frees
 * evhttp's connection with all its requests; its close callback is not called.
 * What waits in the bufferevent's buffers is dropped. Not from evhttp's own
 * callbacks of that connection. Returns 0, ERR_NOMEM (descriptors count as
 * memory), or ERR_AGAIN: an answer of TLS itself waits for room in the socket;
 * then evhttp keeps all.
 */
int tls_detach(struct evhttp_request *req, struct tls_detached *out);

#endif
