/*
 * Receives captures of devices (C7, M2): agents send them by tus (tus.h) to
 * the server of signed files, on connections that chose TUS_ALPN and showed
 * the endpoint's certificate. What is whole and right goes into the spool as a
 * capture that waits to be encoded. docs/device-captures.md. One loop; disk
 * sync, hashing and decryption run on threads of its own.
 */
#ifndef STORAGE_UPLOAD_RECEIVER_H
#define STORAGE_UPLOAD_RECEIVER_H

#include <openssl/ssl.h>
#include <stddef.h>

struct daemon;
struct receiver;
struct bufferevent;

/* Reads the site's key, or makes its file. Sets d->receiver; nothing when
 * storage.captures is off. 0 or ERR_*, with a sentence in err. */
int receiver_new(struct daemon *d, char *err, size_t err_len);
/* Begins to receive; the spool and the database are there. */
int receiver_start(struct daemon *d, char *err, size_t err_len);
/* Ends all connections; what is being checked ends soon. */
void receiver_stop(struct receiver *r);
/* After the server, its connections and the database were freed. */
void receiver_free(struct receiver *r);

/* The database came: makes the public key known, and looks for what is
 * there. Both functions: r may be NULL. */
void receiver_announce(struct receiver *r);
/* Looks through the folder soon. */
void receiver_kick(struct receiver *r);
/* Jobs under way. */
unsigned receiver_busy(const struct receiver *r);
/* Unfinished uploads, and those that are being sent now. */
unsigned receiver_uploads(const struct receiver *r);
unsigned receiver_active(const struct receiver *r);

/* For tls_connections_conf: a context asks for a certificate of who chooses
 * TUS_ALPN, and each connection is looked at when its first bytes come.
 * daemon: struct daemon. */
void receiver_prepare(SSL_CTX *ctx);
void *receiver_opened(void *daemon, struct bufferevent *bev);
void receiver_closed(void *guard);

#endif
