/*
 * The TLS connections of a server made with evhttp: how many there may be, and
 * how long one may last that has not shown that it belongs here, or whose
 * client has paused (common/connection_limit.h). evhttp accepts them; a slot
 * hangs on the connection's SSL object and is given back when that is freed.
 * Closing is shutdown(2), which evhttp sees like a client that went away. One
 * loop.
 */
#ifndef COMMON_TLS_CONNECTIONS_H
#define COMMON_TLS_CONNECTIONS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/proxy_protocol.h"
#include "common/tls_detach.h"

struct evhttp_bound_socket;
struct evhttp_request;
struct bufferevent;
struct event_base;
struct tls_connections;

/* Texts are static; copied. */
struct tls_connections_conf {
	unsigned max, max_per_address; /* of newcomers */
	unsigned life_seconds;         /* of a newcomer */
	unsigned max_promoted;
	const char *promoted_setting; /* name of the setting behind that */
	/* of connections whose client takes nothing (tls_connections_pause),
	 * and for how long at most; 0: none are allowed */
	unsigned max_paused, max_paused_per_address, paused_seconds;
	/* Bytes that are read ahead of the request that is being answered;
	 * more than evhttp's limits of a head and a body together, which it
	 * must be able to notice. 0: no bound. */
	unsigned read_ahead_max;
	/* load balancers: their connections begin with the header of the PROXY
	 * protocol (common/proxy_protocol.h), and count for the address that it
	 * names; copied */
	struct proxy_networks proxies;
	/* why a newcomer is closed, for the log */
	const char *expired, *displaced;
	const char *pause_expired, *pause_displaced; /* or a paused one */
	/* Called with each connection before it has a socket; NULL: nothing is.
	 * What opened returns (NULL: no memory) goes to closed when the
	 * connection is freed or taken, after its bufferevent. */
	void *(*opened)(void *arg, struct bufferevent *bev);
	void (*closed)(void *guard);
	void *arg;
	/* Called with each new context; NULL: nothing is. */
	void (*prepare)(SSL_CTX *ctx);
};

/* NULL only for memory. */
struct tls_connections *tls_connections_new(
    struct event_base *base, const struct tls_connections_conf *conf);
/* After the HTTP server was freed. */
void tls_connections_free(struct tls_connections *s);

/* For evhttp_set_bevcb, whose argument s is. */
struct bufferevent *tls_connections_accept(struct event_base *base, void *s);

/* The next connections use this certificate chain and key (PEM files). Returns
 * 0, ERR_CONFIG or ERR_NOMEM with a sentence in err: then those before stay. */
int tls_connections_load(struct tls_connections *s, const char *cert_file,
    const char *key_file, char *err, size_t err_len);
/* The same for SIGHUP; the log says what came of it. */
void tls_connections_reload(
    struct tls_connections *s, const char *cert_file, const char *key_file);

/* Pauses it when a bound is reached. setting: static. 0 or ERR_NOMEM. */
int tls_connections_watch(struct tls_connections *s,
    struct evhttp_bound_socket *sock, const char *setting);
/* Before the socket is closed. */
void tls_connections_unwatch(struct tls_connections *s);

/* The address of this request's client, as text, behind a load balancer the
 * one that it named; "unknown" without. Valid as long as the connection. */
const char *tls_connections_client(struct evhttp_request *req);

/* The connection of this request belongs here: it is no newcomer any more.
 * False: there are too many such connections. */
bool tls_connections_promote(
    struct tls_connections *s, struct evhttp_request *req);

/* The same of a connection by its bufferevent. */
bool tls_connections_promote_bev(
    struct tls_connections *s, struct bufferevent *bev);

/*
 * The client has taken nothing for a while: its connection has a slot among
 * the paused ones from now on, perhaps that of another one, until it moves
 * again (tls_connections_promote) or its time there is over. False: there is
 * no slot for it.
 */
bool tls_connections_pause(
    struct tls_connections *s, struct evhttp_request *req);

/* tls_detach() of such a connection: it keeps its slot until its SSL object is
 * freed, and is closed by shutdown(2) as before. ERR_UNSUPPORTED: it has no
 * TLS. */
int tls_connections_take(struct evhttp_request *req, struct tls_detached *out);

#endif
