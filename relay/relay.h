/*
 * What all loops of the relay share, and what the modules of one loop share.
 * loop.h is the top of them.
 */
#ifndef RELAY_RELAY_H
#define RELAY_RELAY_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "common/connection_limit.h"
#include "common/password.h"
#include "common/proxy_protocol.h"
#include "common/spool_flush.h"
#include "common/uuid.h"
#include "relay/base/tickets.h"
#include "relay/base/tls_contexts.h"
#include "relay/conf.h"
#include "relay/listener/listen_addr.h"
#include "relay/wire/transport.h"
#include "relay/recording/live_budget.h"
#include "relay/login/reject_log.h"
#include "relay/db_retry_queue.h"
#include "relay/measure.h"
#include "common/worker.h"

struct conn_ops;
struct db;
struct event;
struct event_base;
struct listener;
struct login_throttle;
struct password_queue;
struct relay_session;
struct static_files;
struct rfb_ra2_key;
struct text_font;

/* Counters for /metrics. */
struct relay_stats {
	_Atomic uint64_t connections, checks, turned_away, sessions, active;
	_Atomic uint64_t refused, logins_accepted, login_failures;
	_Atomic uint64_t recorder_failures, recorder_restarts;
	_Atomic uint64_t recorder_overloads;
	_Atomic uint64_t captures;
	_Atomic uint64_t bytes_from_endpoints, bytes_from_technicians;
};

struct relay {
	struct relay_conf conf;
	struct conf_database database;
	struct conf_spool spool;
	SSL_CTX *client_ctx; /* towards endpoints; verifies nothing by itself */
	struct tls_contexts tls;     /* of our listeners */
	struct static_files *files;  /* the browser viewer's page */
	struct rfb_ra2_key *ra2_key; /* ours, towards endpoints with RA2 */
	struct text_font *font;      /* NULL: none to be had */
	struct listen_addr listen_addrs[LISTEN_ADDRS_MAX];
	unsigned n_listen_addrs;
	uint8_t seal_key[SEAL_KEY_LEN];
	int spawner;
	struct spool_flush_shared flush; /* its page is never NULL */
	struct password_queue *passwords;
	struct worker_pool *lookups; /* names; never behind a password */
	char node_id[UUID_TEXT_MAX];
	struct relay_stats stats;
	struct live_budget live;
	struct login_throttle *throttle;
	struct connection_limit *connections; /* conn_limits.h */
	struct reject_log rejects;
	struct proxy_networks proxies; /* load balancers */
	_Atomic bool draining;
	struct loop *loops;
	unsigned n_loops;
};

TAILQ_HEAD(session_list, relay_session);
TAILQ_HEAD(conn_list, conn);
TAILQ_HEAD(proxied_list, proxied);
TAILQ_HEAD(agent_list, agent);
TAILQ_HEAD(lingering_list, lingering);
TAILQ_HEAD(forward_list, forward);

enum loop_command { LOOP_RUN, LOOP_DRAIN, LOOP_STOP };

struct loop {
	struct relay *relay;
	unsigned index;
	pthread_t thread;
	struct event_base *base;
	const struct conn_ops *conn_ops; /* where connections go */
	struct listener *listeners;      /* one per listen address */
	struct db *db;
	struct job_inbox inbox;
	struct session_list sessions;
	struct conn_list conns;
	struct proxied_list proxied;
	struct agent_list agents;
	struct lingering_list lingering;
	struct forward_list forwards; /* parked ones, to other relays */
	unsigned n_lingering;
	struct connection_home home; /* of this loop's connections */
	struct event *evictions;     /* some of them are to go */
	struct event *life_timer;
	unsigned n_refs; /* base/loop_ref.h */
	unsigned n_sessions;
	struct ticket_table tickets;
	struct loop_measures measures;
	struct db_retry_queue retry_queue;
	bool is_told_to_end;   /* sessions got their time */
	bool is_closing;       /* the database connection goes */
	struct event *command; /* eventfd: drain or stop, from main */
	int command_fd;
	_Atomic int wanted; /* enum loop_command */
	struct event *drain_timer;
	struct {
		struct event *timer;
		bool is_asking, is_due;
	} access; /* session_access.c */
	struct session_orders {
		int64_t *done; /* ids of what was carried out */
		size_t n_done, cap;
		size_t n_asked; /* the first ones go with the question */
		bool is_asking, is_due;
	} orders; /* session_orders.c */
	struct event *restore_timer;
	struct transport_batch batch;
	uint8_t *spare_ring; /* ring.h */
	uint8_t scratch[TRANSPORT_RECORD_LEN];
};

/* Priorities of a loop's events: what has to be done before anything else, and
 * all others. */
enum { LOOP_PRIORITY_FIRST, LOOP_PRIORITY_NORMAL, LOOP_PRIORITIES };

#endif
