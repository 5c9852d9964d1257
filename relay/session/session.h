/*
 * One technician connected to one endpoint: from accept to the last byte.
 * Its states are in session_internal.h; everything of a session happens on its
 * loop.
 */
#ifndef RELAY_SESSION_SESSION_H
#define RELAY_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/login/authorization.h"

struct conn_peer;
struct connection_slot;
struct loop;
struct relay_session;
struct channel;

/*
 * What the listeners hand over (relay/listener/conn_ops.h). On failure the
 * session is ended and logged.
 */
/* A VNC viewer. */
void session_start_viewer(struct loop *l, const struct conn_peer *peer,
    struct channel *channel, struct connection_slot *slot);
/* A WebSocket; is_page: our page, else any noVNC. */
void session_start_websocket(struct loop *l, const struct conn_peer *peer,
    bool is_page, struct channel *channel, struct connection_slot *slot);
/* An endpoint that dialled in; authorization: taken. Its RFB begins in the
 * channel. */
void session_start_parked(struct loop *l, const struct conn_peer *peer,
    struct authorization *authorization, struct channel *channel,
    struct connection_slot *slot);

/* An endpoint has other credentials now: its parked connections go. */
void session_drop_parked(struct loop *l, int64_t endpoint_id);

/* What was taken back meanwhile ends sessions of this loop. Init: once its
 * database is there; check: asks again, after a reconnect. */
int session_access_init(struct loop *l);
void session_access_check(struct loop *l);
void session_access_stop(struct loop *l);

/* The database is there again, or took this relay for lost: the rows of its
 * sessions, and of endpoints that wait here, say that they are. */
void sessions_restore(struct loop *l);

/* A relay is gone: technicians who wait for an endpoint that is connected to
 * it are told. node: its id. */
void sessions_node_lost(struct loop *l, const char *node);

/* Orders to this loop's sessions, session_orders.c. Init: once its database is
 * there, 0 or ERR_NOMEM; check: asks for those that wait. */
int session_orders_init(struct loop *l);
void session_orders_check(struct loop *l);
void session_orders_release(struct loop *l);
/* Viewers of this loop that are in their handshake, or type a password, are
 * refused; servers that wait dial in elsewhere. */
void sessions_refuse_logins(struct loop *l, const char *reason);
/* Ends it whatever it is doing; reason: for people. */
void session_end_by_command(struct relay_session *s, const char *reason);

struct relay_session *session_next(struct relay_session *s);

/* A loop that has ended calls no events any more: ends the sessions of which
 * the last queries and jobs noted that they end. */
void sessions_end_noted(struct loop *l);

#endif
