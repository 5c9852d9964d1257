#include "common/tls_connections.h"

#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/accept_pause.h"
#include "common/clock.h"
#include "common/connection_limit.h"
#include "common/err.h"
#include "common/log.h"
#include "common/proxy_bio.h"
#include "common/tls.h"

#define ACCEPTS_A_TURN 32
#define PROXY_SECONDS  5 /* for the header of the PROXY protocol */

enum { POOL_NEWCOMERS, POOL_PROMOTED, POOL_PAUSED, POOL_PROXIED, N_POOLS };

struct connection {
	TAILQ_ENTRY(connection) link; /* of those that were just accepted */
	bool is_fresh;
	struct tls_connections *set;
	struct bufferevent *bev; /* the HTTP server's, or the next one's */
	int fd;                  /* of one that was taken, and has no bev */
	SSL *ssl;
	void *guard;     /* what conf.opened made */
	bool is_check;   /* by a load balancer: it makes no line of the log */
	char client[64]; /* behind one: who it is; else empty */
	struct connection_slot slot;
};
TAILQ_HEAD(connection_fresh, connection);

struct tls_connections {
	struct event_base *base;
	struct tls_connections_conf conf;
	struct connection_limit *limit;
	struct connection_home home;
	struct connection_fresh fresh;
	unsigned n_fresh;
	/* made beforehand: without memory for one, nothing is accepted, because
	 * the HTTP server would serve it without TLS */
	struct connection *next;
	SSL_CTX *ctx;
	struct event *admit, *evict, *tick;
	struct accept_pause pause;
	bool is_watching, is_starved; /* no `next`: nothing is accepted */
};

static int ex_index = -1;

/* ---- one connection ---- */

static void
close_guard(struct connection *c)
{
	if (c->guard != NULL)
		c->set->conf.closed(c->guard);
	c->guard = NULL;
}

/* Its bufferevent is freed, and the SSL object with it. */
static void
on_ssl_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl,
    void *argp)
{
	struct connection *c = ptr;

	if (c == NULL)
		return;
	if (c->is_fresh) {
		TAILQ_REMOVE(&c->set->fresh, c, link);
		c->set->n_fresh--;
	}
	connection_limit_leave(c->set->limit, &c->slot);
	close_guard(c);
	free(c);
}

static struct connection *
connection_new(struct tls_connections *s, SSL_CTX *ctx)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->set = s;
	c->ssl = SSL_new(ctx);
	if (c->ssl == NULL || SSL_set_ex_data(c->ssl, ex_index, c) != 1) {
		SSL_free(c->ssl);
		free(c);
		return NULL;
	}
	c->bev = bufferevent_openssl_socket_new(s->base, -1, c->ssl,
	    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		SSL_free(c->ssl); /* frees c */
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	if (s->conf.read_ahead_max > 0)
		bufferevent_setwatermark(
		    c->bev, EV_READ, 0, s->conf.read_ahead_max);
	if (s->conf.opened != NULL &&
	    (c->guard = s->conf.opened(s->conf.arg, c->bev)) == NULL) {
		bufferevent_free(c->bev); /* frees c */
		return NULL;
	}
	return c;
}

/* The server sees the end of the stream, and frees it. */
static void
cut(struct connection *c)
{
	const struct linger none = { .l_onoff = 1, .l_linger = 0 };
	evutil_socket_t fd = c->bev != NULL ? bufferevent_getfd(c->bev) : c->fd;

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	shutdown(fd, SHUT_RDWR);
}

static void
on_evicted(void *owner, enum connection_eviction why)
{
	struct connection *c = owner;

	if (!c->is_check)
		log_info("connection_closed",
		    LOG_S("why",
			why == CONNECTION_EXPIRED ? c->set->conf.expired
						  : c->set->conf.displaced));
	cut(c);
}

static void
on_pause_evicted(void *owner, enum connection_eviction why)
{
	struct connection *c = owner;

	log_info("paused_connection_closed",
	    LOG_S("why",
		why == CONNECTION_EXPIRED ? c->set->conf.pause_expired
					  : c->set->conf.pause_displaced));
	cut(c);
}

static bool
enter(struct connection *c, unsigned pool, const struct sockaddr *addr)
{
	struct tls_connections *s = c->set;
	struct connection_address from = connection_address_of(addr);
	const char *setting = connection_limit_enter(
	    s->limit, &c->slot, pool, &from, &s->home, clock_mono_ns());

	if (setting == NULL)
		connection_limit_own(&c->slot, on_evicted, c);
	else
		log_warn("connection_refused", LOG_S("setting", setting));
	return setting == NULL;
}

static bool
on_proxy_header(void *arg, const struct proxy_source *source)
{
	const struct sockaddr *addr = &source->address.sa;
	struct connection *c = arg;
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(peer);

	c->is_check = source->is_check;
	if (source->is_unknown)
		strcpy(c->client, CLIENT_UNKNOWN);
	else if (addr->sa_family != AF_UNSPEC)
		getnameinfo(addr, sizeof(source->address), c->client,
		    sizeof(c->client), NULL, 0, NI_NUMERICHOST);
	else if (getpeername(bufferevent_getfd(c->bev),
		     (struct sockaddr *)&peer, &len) == 0)
		addr = (const struct sockaddr *)&peer;
	connection_limit_leave(c->set->limit, &c->slot);
	return enter(c, POOL_NEWCOMERS, addr);
}

/* It has its socket now, and with it an address. The last bytes of an answer
 * are not held back until the peer acknowledges what came before, which it may
 * delay by 40 ms. */
static void
admit(struct tls_connections *s, struct connection *c)
{
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);
	int on = 1;
	bool ok;

	setsockopt(bufferevent_getfd(c->bev), IPPROTO_TCP, TCP_NODELAY, &on,
	    sizeof(on));
	getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&addr, &len);
	if (!proxy_networks_have(&s->conf.proxies, (struct sockaddr *)&addr))
		ok = enter(c, POOL_NEWCOMERS, (struct sockaddr *)&addr);
	else
		ok = enter(c, POOL_PROXIED, (struct sockaddr *)&addr) &&
		    proxy_bio_insert(c->ssl, on_proxy_header, c) == 0;
	if (!ok)
		cut(c);
}

/* ---- all of them ---- */

static void
on_admit(evutil_socket_t fd, short what, void *arg)
{
	struct tls_connections *s = arg;
	struct connection *c;

	while ((c = TAILQ_FIRST(&s->fresh)) != NULL) {
		TAILQ_REMOVE(&s->fresh, c, link);
		s->n_fresh--;
		c->is_fresh = false;
		admit(s, c);
	}
}

static void
on_evict(evutil_socket_t fd, short what, void *arg)
{
	struct tls_connections *s = arg;

	connection_limit_run_evictions(s->limit, &s->home);
}

static void
wake(void *arg)
{
	event_active(((struct tls_connections *)arg)->evict, EV_READ, 0);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct tls_connections *s = arg;

	connection_limit_expire(s->limit, clock_mono_ns());
	if (s->next == NULL)
		s->next = connection_new(s, s->ctx);
	if (s->is_starved && s->next != NULL && s->is_watching)
		evconnlistener_enable(s->pause.listener);
	s->is_starved = s->next == NULL;
}

struct bufferevent *
tls_connections_accept(struct event_base *base, void *arg)
{
	struct tls_connections *s = arg;
	struct connection *c = s->next;

	s->next = connection_new(s, s->ctx);
	if (s->next == NULL) {
		s->is_starved = true;
		evconnlistener_disable(s->pause.listener);
		log_error("accept_failed", LOG_S("setting", s->pause.setting),
		    LOG_ERR(ERR_NOMEM));
	}
	if (c == NULL)
		return NULL; /* cannot be: nothing is accepted without */
	c->is_fresh = true;
	TAILQ_INSERT_TAIL(&s->fresh, c, link);
	if (++s->n_fresh >= ACCEPTS_A_TURN && !s->is_starved)
		accept_pause_now(&s->pause, 0);
	event_active(s->admit, EV_READ, 0);
	return c->bev;
}

static struct connection *
connection_of_bev(struct bufferevent *bev)
{
	SSL *ssl = bev != NULL ? bufferevent_openssl_get_ssl(bev) : NULL;

	return ssl != NULL ? SSL_get_ex_data(ssl, ex_index) : NULL;
}

static struct connection *
connection_of(struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);

	return connection_of_bev(
	    conn != NULL ? evhttp_connection_get_bufferevent(conn) : NULL);
}

const char *
tls_connections_client(struct evhttp_request *req)
{
	const struct connection *c = connection_of(req);
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	char *address = NULL;
	ev_uint16_t port;

	if (c != NULL && c->client[0] != '\0')
		return c->client;
	if (conn != NULL)
		evhttp_connection_get_peer(conn, &address, &port);
	return address != NULL ? address : "unknown";
}

static bool
promote(struct tls_connections *s, struct connection *c)
{
	return c != NULL &&
	    connection_limit_move(s->limit, &c->slot, POOL_PROMOTED) == NULL;
}

bool
tls_connections_promote(struct tls_connections *s, struct evhttp_request *req)
{
	return promote(s, connection_of(req));
}

bool
tls_connections_promote_bev(struct tls_connections *s, struct bufferevent *bev)
{
	return promote(s, connection_of_bev(bev));
}

bool
tls_connections_pause(struct tls_connections *s, struct evhttp_request *req)
{
	struct connection *c = connection_of(req);
	struct connection_address from;

	if (c == NULL || s->conf.max_paused == 0)
		return false;
	from = c->slot.address;
	connection_limit_leave(s->limit, &c->slot);
	if (connection_limit_enter(s->limit, &c->slot, POOL_PAUSED, &from,
		&s->home, clock_mono_ns()) != NULL)
		return false;
	connection_limit_own(&c->slot, on_pause_evicted, c);
	return true;
}

int
tls_connections_take(struct evhttp_request *req, struct tls_detached *out)
{
	struct connection *c = connection_of(req);
	int rc = c != NULL ? tls_detach(req, out) : ERR_UNSUPPORTED;

	if (rc == 0) {
		c->bev = NULL;
		c->fd = out->fd;
		close_guard(c); /* of a bufferevent that is no more */
	}
	return rc;
}

/* ---- life ---- */

static void
connection_drop(struct connection *c)
{
	if (c != NULL)
		bufferevent_free(c->bev); /* frees c */
}

/* Takes ctx when it returns true. */
static bool
set_ctx(struct tls_connections *s, SSL_CTX *ctx)
{
	struct connection *next = connection_new(s, ctx);

	if (next == NULL)
		return false;
	connection_drop(s->next);
	s->next = next;
	SSL_CTX_free(s->ctx);
	s->ctx = ctx;
	return true;
}

int
tls_connections_load(struct tls_connections *s, const char *cert_file,
    const char *key_file, char *err, size_t err_len)
{
	SSL_CTX *ctx = tls_server_new(cert_file, key_file, err, err_len);

	if (ctx == NULL)
		return ERR_CONFIG;
	/* bufferevent_openssl does not see records that were read ahead */
	SSL_CTX_set_read_ahead(ctx, 0);
	if (s->conf.prepare != NULL)
		s->conf.prepare(ctx);
	if (set_ctx(s, ctx))
		return 0;
	snprintf(err, err_len, "out of memory");
	SSL_CTX_free(ctx);
	return ERR_NOMEM;
}

void
tls_connections_reload(
    struct tls_connections *s, const char *cert_file, const char *key_file)
{
	char err[256];

	if (tls_connections_load(s, cert_file, key_file, err, sizeof(err)) == 0)
		log_info("certificate_reloaded", LOG_S("file", cert_file));
	else
		log_error("certificate_not_reloaded", LOG_S("why", err));
}

int
tls_connections_watch(struct tls_connections *s,
    struct evhttp_bound_socket *sock, const char *setting)
{
	int rc = accept_pause_init(
	    &s->pause, evhttp_bound_socket_get_listener(sock), setting);

	s->is_watching = rc == 0;
	return rc;
}

void
tls_connections_unwatch(struct tls_connections *s)
{
	accept_pause_release(&s->pause);
	s->is_watching = false;
}

static int
start_events(struct tls_connections *s)
{
	const struct timeval second = { 1, 0 };

	s->admit = event_new(s->base, -1, 0, on_admit, s);
	s->evict = event_new(s->base, -1, 0, on_evict, s);
	s->tick = event_new(s->base, -1, EV_PERSIST, on_tick, s);
	return s->admit != NULL && s->evict != NULL && s->tick != NULL &&
		event_add(s->tick, &second) == 0
	    ? 0
	    : ERR_NOMEM;
}

struct tls_connections *
tls_connections_new(
    struct event_base *base, const struct tls_connections_conf *conf)
{
	const struct connection_pool pools[N_POOLS] = {
		[POOL_NEWCOMERS] = { .setting = "max_connections",
		    .address_setting = "max_connections_per_address",
		    .max = conf->max,
		    .per_address = conf->max_per_address,
		    .evicts = true,
		    .life_ns = conf->life_seconds * NS_PER_S },
		[POOL_PROMOTED] = { .setting = conf->promoted_setting,
		    .max = conf->max_promoted },
		[POOL_PAUSED] = { .setting = "paused_max",
		    .address_setting = "paused_max_per_address",
		    .max = conf->max_paused,
		    .per_address = conf->max_paused_per_address,
		    .evicts = true,
		    .life_ns = conf->paused_seconds * NS_PER_S },
		[POOL_PROXIED] = { .setting = "max_connections",
		    .max = conf->max,
		    .evicts = true,
		    .life_ns = PROXY_SECONDS * NS_PER_S },
	};
	struct tls_connections *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (ex_index < 0)
		ex_index =
		    SSL_get_ex_new_index(0, NULL, NULL, NULL, on_ssl_free);
	s->base = base;
	s->conf = *conf;
	TAILQ_INIT(&s->fresh);
	connection_home_init(&s->home, wake, s);
	s->limit = connection_limit_new(pools, N_POOLS);
	if (ex_index < 0 || s->limit == NULL || start_events(s) != 0) {
		tls_connections_free(s);
		return NULL;
	}
	return s;
}

void
tls_connections_free(struct tls_connections *s)
{
	if (s == NULL)
		return;
	connection_drop(s->next);
	tls_connections_unwatch(s);
	if (s->admit != NULL)
		event_free(s->admit);
	if (s->evict != NULL)
		event_free(s->evict);
	if (s->tick != NULL)
		event_free(s->tick);
	SSL_CTX_free(s->ctx);
	connection_limit_free(s->limit);
	free(s);
}
