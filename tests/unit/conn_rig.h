/*
 * What a unit test of the listeners needs: a loop whose conn_ops note what
 * they are given, a database that the test plays, and a scripted peer.
 */
#ifndef TESTS_UNIT_CONN_RIG_H
#define TESTS_UNIT_CONN_RIG_H

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/login/login_throttle.h"
#include "relay/listener/conn.h"
#include "relay/listener/conn_limits.h"
#include "relay/listener/listener.h"
#include "relay/login/authorization.h"
#include "relay/relay.h"
#include "tests/unit/tls_pair.h"

#define TURNS   200
#define COLUMNS 64

static struct relay relay;
static struct loop loop;
static SSL_CTX *client_ctx;

/* ---- the database ---- */

static struct {
	db_result_cb *cb; /* NULL: nothing was asked */
	void *arg;
} db;

int
db_query_now(struct db *unused, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	assert_null(db.cb);
	db.cb = cb;
	db.arg = arg;
	return 0;
}

int
db_query(struct db *unused, const char *sql, int n, const char *const *params,
    db_result_cb *cb, void *arg)
{
	return 0; /* a failure is counted */
}

bool
db_ok(PGresult *res, const char *what)
{
	return res != NULL;
}

/* One row of that value in each column; NULL: of NULLs. */
static void
answer(const char *value)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc desc[COLUMNS] = { 0 };
	char name[] = "c", copy[8] = "";
	db_result_cb *cb = db.cb;

	assert_non_null(cb);
	for (int i = 0; i < COLUMNS; i++)
		desc[i].name = name;
	assert_int_equal(PQsetResultAttrs(res, COLUMNS, desc), 1);
	if (value != NULL)
		memcpy(copy, value, strlen(value));
	for (int i = 0; i < COLUMNS; i++)
		assert_int_equal(
		    PQsetvalue(res, 0, i, value != NULL ? copy : NULL,
			value != NULL ? (int)strlen(copy) : -1),
		    1);
	db.cb = NULL;
	cb(db.arg, res);
	PQclear(res);
}

/* ---- who is given what ---- */

enum given { NOTHING, VIEWER, WEBSOCKET, AGENT, AGENT_DATA, REVERSE };

static struct {
	bool takes; /* channel and slot; else they are left */
	enum given what;
	unsigned n, n_evicted;
	bool is_page;
	char ticket[AGENT_TICKET_MAX], endpoint[64];
	char in[64]; /* of the channel */
	struct conn_peer peer;
	struct channel channel;
	struct connection_slot slot;
} got;

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
}

static void
on_evict(void *owner, enum connection_eviction why)
{
	got.n_evicted++;
}

static void
take(enum given what, const struct conn_peer *peer, struct channel *channel,
    struct connection_slot *slot)
{
	got.n++;
	got.what = what;
	got.peer = *peer;
	assert_in_range(buf_len(&channel->in), 0, sizeof(got.in) - 1);
	if (buf_len(&channel->in) > 0)
		memcpy(got.in, buf_head(&channel->in), buf_len(&channel->in));
	if (!got.takes)
		return;
	assert_int_equal(channel_adopt(&got.channel, &loop, channel, on_event,
			     on_event, NULL),
	    0);
	connection_limit_hand_over(relay.connections, slot, &got.slot);
	connection_limit_own(&got.slot, on_evict, NULL);
}

static void
on_viewer(struct loop *l, const struct conn_peer *peer, struct channel *channel,
    struct connection_slot *slot)
{
	take(VIEWER, peer, channel, slot);
}

static void
on_websocket(struct loop *l, const struct conn_peer *peer, bool is_page,
    struct channel *channel, struct connection_slot *slot)
{
	got.is_page = is_page;
	take(WEBSOCKET, peer, channel, slot);
}

static void
on_agent(struct loop *l, const struct conn_peer *peer, struct channel *channel,
    struct connection_slot *slot)
{
	take(AGENT, peer, channel, slot);
}

static void
on_agent_data(struct loop *l, const struct conn_peer *peer, const char *ticket,
    struct channel *channel, struct connection_slot *slot)
{
	memcpy(got.ticket, ticket, sizeof(got.ticket));
	take(AGENT_DATA, peer, channel, slot);
}

static void
on_reverse(struct loop *l, const struct conn_peer *peer,
    struct authorization *authorization, struct channel *channel,
    struct connection_slot *slot)
{
	strcpy(got.endpoint, authorization->endpoint);
	authorization_release(authorization);
	take(REVERSE, peer, channel, slot);
}

static const struct conn_ops ops = { on_viewer, on_websocket, on_agent,
	on_agent_data, on_reverse };

/* ---- the peer ---- */

struct peer {
	int fd;
	SSL *ssl;
	struct listen_addr at;
	struct listener listener;
};

static void
turn(void)
{
	assert_return_code(event_base_loop(loop.base, EVLOOP_NONBLOCK), 0);
}

static void
dial(struct peer *p, enum listen_kind kind)
{
	struct listener_peer from = { .is_local = true };
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int pair[2];

	*p = (struct peer){
		.at = { .kind = kind, .setting = "test", .port = 5900 }
	};
	p->listener = (struct listener){ .loop = &loop, .listen_addr = &p->at };
	memcpy(&from.addr, &addr, sizeof(addr));
	assert_int_equal(
	    socketpair(
		AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
	    0);
	p->fd = pair[1];
	listener_take(&p->listener, pair[0], &from);
}

static void
say(struct peer *p, const void *data, size_t len)
{
	if (p->ssl != NULL)
		assert_int_equal(SSL_write(p->ssl, data, (int)len), len);
	else
		assert_int_equal(write(p->fd, data, len), len);
	for (int i = 0; i < 3; i++)
		turn();
}

static void
start_tls(struct peer *p, const char *alpn)
{
	uint8_t protocol[32];
	int rc = 0;

	p->ssl = SSL_new(client_ctx);
	assert_int_equal(SSL_set_fd(p->ssl, p->fd), 1);
	if (alpn != NULL) {
		protocol[0] = (uint8_t)strlen(alpn);
		memcpy(protocol + 1, alpn, strlen(alpn));
		assert_int_equal(
		    SSL_set_alpn_protos(p->ssl, protocol, 1 + protocol[0]), 0);
	}
	SSL_set_connect_state(p->ssl);
	for (int i = 0; i < TURNS && rc != 1; i++) {
		rc = SSL_do_handshake(p->ssl);
		turn();
	}
	assert_int_equal(rc, 1);
}

/* What the peer can read now; 0: the connection ended, -1: nothing yet. */
static ssize_t
hear(struct peer *p, char *data, size_t len)
{
	int n;

	turn();
	if (p->ssl == NULL) {
		n = (int)read(p->fd, data, len);
		/* a reset where something of it was not read */
		return n < 0 && errno != EAGAIN ? 0 : n;
	}
	n = SSL_read(p->ssl, data, (int)len);
	if (n > 0)
		return n;
	return SSL_get_error(p->ssl, n) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void
hang_up(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
	turn();
}

/* What arrived at the channel that was taken. */
static ssize_t
receive(char *data, size_t len)
{
	ssize_t n = ERR_AGAIN;

	for (int i = 0; i < TURNS && n == ERR_AGAIN; i++)
		n = channel_recv(&got.channel, (uint8_t *)data, len);
	assert_true(n > 0);
	return n;
}

/* ---- the rig ---- */

static void
on_wake(void *arg)
{
}

static int
set_up(void **state)
{
	struct connection_pool pools[POOL_N];
	SSL_CTX *server, *web, *unused;

	relay.conf = (struct relay_conf){ .handshake_seconds = 60,
		.login_seconds = 60,
		.login_dialog_seconds = 60,
		.max_logins = 10,
		.max_logins_per_address = 10,
		.max_sessions = 10,
		.max_agents = 10,
		.max_attended = 10,
		.max_attended_per_address = 10,
		.max_parked = 10,
		.peer_lost_seconds = 60 };
	relay.conf.reverse_clear = strdup("loopback");
	relay.conf.web_origins = strdup("");
	conn_limits_derive(pools, &relay.conf, 10000);
	relay.connections = connection_limit_new(pools, POOL_N);
	relay.throttle = login_throttle_new();
	reject_log_init(&relay.rejects);
	tls_contexts_init(&relay.tls);
	tls_pair_new(&server, &client_ctx);
	tls_pair_new(&web, &unused);
	SSL_CTX_free(unused);
	conn_prepare_ctx(web);
	tls_contexts_replace(&relay.tls, server, web);
	loop.relay = &relay;
	loop.conn_ops = &ops;
	loop.base = event_base_new();
	TAILQ_INIT(&loop.conns);
	TAILQ_INIT(&loop.proxied);
	connection_home_init(&loop.home, on_wake, NULL);
	return relay.connections != NULL && relay.throttle != NULL &&
		loop.base != NULL
	    ? 0
	    : -1;
}

static int
tear_down(void **state)
{
	SSL_CTX_free(client_ctx);
	tls_contexts_release(&relay.tls);
	login_throttle_free(relay.throttle);
	connection_limit_free(relay.connections);
	event_base_free(loop.base);
	free(relay.conf.reverse_clear);
	free(relay.conf.web_origins);
	return 0;
}

#endif
