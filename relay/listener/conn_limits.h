/*
 * The relay's connection pools (common/connection_limit.h): one per kind of
 * listener for connections that have not logged in, and one each for what
 * they become. Their bounds are the settings, as far as the descriptors that
 * the process may have suffice for all of them together.
 */
#ifndef RELAY_LISTENER_CONN_LIMITS_H
#define RELAY_LISTENER_CONN_LIMITS_H

#include <stdint.h>

#include "common/connection_limit.h"
#include "relay/listener/listen_addr.h"

enum relay_pool {
	/* not logged in yet, in the order of enum listen_kind */
	POOL_VNC,
	POOL_WEB,
	POOL_REVERSE,
	POOL_VNC_AUTH,
	POOL_SESSION,
	POOL_AGENT,    /* control channels of enrolled agents */
	POOL_ATTENDED, /* of agents with a session code */
	POOL_PARKED,   /* servers that dialled in and wait */
	POOL_PROXIED,  /* of load balancers, until they said whose they are */
	POOL_N,
};

/* Descriptors of one recorded session. */
#define POOL_SESSION_FILES 10

struct relay_conf;

/*
 * Bounds for these settings. n_files: descriptors that the process may have;
 * at most a fifth of them are for connections that have not logged in, a
 * fifth for enrolled agents, a tenth for session codes and parked servers, the
 * rest for sessions. Returns whether a bound is lower than its setting.
 */
bool conn_limits_derive(struct connection_pool out[POOL_N],
    const struct relay_conf *conf, uint64_t n_files);

/* How long a connection may ask for one file after the other, or do without
 * becoming a viewer, in all. */
int64_t conn_limits_request_life_s(const struct relay_conf *conf);

/* Connections that have not logged in, at all listeners. */
unsigned conn_limits_count_logins(struct connection_limit *l);

#endif
