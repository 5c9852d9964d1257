/*
 * Connections to the server of signed files: how many there may be, and how
 * long one may last that brought no valid link (common/connection_limit.h).
 * libevent's HTTP server accepts them; a place hangs on the connection's SSL
 * object and is given back when that is freed. Closing is shutdown(2), which
 * the server sees like a client that went away. On storage's loop.
 */
#ifndef STORAGE_FILES_FILES_CONNECTIONS_H
#define STORAGE_FILES_FILES_CONNECTIONS_H

#include <openssl/ssl.h>
#include <stdbool.h>

struct evhttp_bound_socket;
struct evhttp_request;
struct bufferevent;
struct event_base;
struct files_connections;

struct files_connections_conf {
	unsigned max, max_per_address; /* without a valid link */
	unsigned max_linked;           /* with one */
};

/* NULL only for memory. */
struct files_connections *files_connections_new(
    struct event_base *base, const struct files_connections_conf *conf);
/* After the HTTP server was freed. */
void files_connections_free(struct files_connections *s);

/* For evhttp_set_bevcb, whose argument s is. */
struct bufferevent *files_connections_accept(
    struct event_base *base, void *s);

/* The next connections use this context; referenced. Returns 0 or
 * ERR_NOMEM: then the one before stays. */
int files_connections_set_ctx(struct files_connections *s, SSL_CTX *ctx);

/* Pauses it when a bound is reached. setting: static. 0 or ERR_NOMEM. */
int files_connections_watch(struct files_connections *s,
    struct evhttp_bound_socket *sock, const char *setting);
/* Before the socket is closed. */
void files_connections_unwatch(struct files_connections *s);

/* The request brought a valid link. False: there are too many such
 * connections. */
bool files_connections_link(
    struct files_connections *s, struct evhttp_request *req);

#endif
