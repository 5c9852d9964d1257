/*
 * One technician connected to one endpoint: from accept to the last byte.
 * The states and who moves them are in session.c; everything of a session
 * happens on its loop.
 */
#ifndef RELAY_SESSION_SESSION_H
#define RELAY_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/login/account.h"

struct conn;
struct connection_slot;
struct loop;
struct session;
struct channel;

/* Takes fd and the slot; is_check: by a load balancer, and makes no line of
 * the log. On failure the connection is closed and logged. */
void session_start(struct loop *l, int fd, const char *client_addr,
    bool is_check, struct connection_slot *slot);

/* The same for connections that began as something else, whose channel and
 * slot are adopted. A viewer with a one-time password: */
void session_start_vnc_auth(struct conn *c);
/* A WebSocket; is_page: our page, else any noVNC. */
void session_start_websocket(struct conn *c, bool is_page);
/* An endpoint that dialled in; account: taken. Its RFB begins in the channel.
 */
void session_start_parked(struct conn *c, struct account *account);

/*
 * An agent's data channel brought this ticket; channel: adopted if a session of
 * this loop waits for it. Returns whether one did.
 */
bool session_adopt_agent(
    struct loop *l, const char *ticket, struct channel *channel);

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

/* Orders to this loop's sessions, session_orders.c. Init: once its database is
 * there, 0 or ERR_NOMEM; check: asks for those that wait. */
int session_orders_init(struct loop *l);
void session_orders_check(struct loop *l);
void session_orders_release(struct loop *l);
/* Viewers of this loop that are in their handshake, or type a password, are
 * refused; servers that wait dial in elsewhere. */
void sessions_refuse_logins(struct loop *l, const char *reason);
/* Ends it whatever it is doing; reason: for people. */
void session_end_by_command(struct session *s, const char *reason);

struct session *session_next(struct session *s);

#endif
