/*
 * An agent's control channel as its own files see it. agent.c: its life and
 * what comes; agent_sign_on.c: who it is; agent_code.c: one occasion's code;
 * agent_orders.c: what sessions want of it. All on its loop.
 */
#ifndef RELAY_AGENT_AGENT_INTERNAL_H
#define RELAY_AGENT_AGENT_INTERNAL_H

#include "common/agent_proto.h"
#include "common/db.h"
#include "common/password.h"
#include "relay/agent/agent.h"
#include "common/login/login_attempt.h"
#include "relay/base/client_addr.h"
#include "relay/listener/conn_limits.h"
#include "relay/listener/conn_ops.h"
#include "relay/relay.h"
#include "relay/wire/channel.h"

enum agent_state {
	AGENT_STATE_HELLO,
	AGENT_STATE_LOOK_UP, /* a query is on its way */
	AGENT_STATE_ENROL,   /* its token is awaited */
	AGENT_STATE_READY,
	AGENT_STATE_GONE, /* waits for its last query */
};

struct agent {
	TAILQ_ENTRY(agent) link;
	struct loop *loop;
	enum agent_state state;
	unsigned n_refs; /* itself, and each query */
	struct channel control;
	struct event *timer; /* of the state; the next probe when ready */
	char client_addr[CLIENT_ADDR_LEN];
	char channel[UUID_TEXT_MAX];
	char former[UUID_TEXT_MAX]; /* the one in its row before; "": none */
	bool has_pin;
	char pin[65]; /* SHA-256 of its certificate, hex */
	uint8_t mode; /* enum agent_mode */
	char version[AGENT_VERSION_MAX], host[AGENT_NAME_MAX];
	char displays[AGENT_MAX_DISPLAYS * (AGENT_DISPLAY_MAX + 3) + 3];
	char endpoint_id[24]; /* "": none yet */
	char endpoint[64];
	char code[AGENT_CODE_MAX];
	char secret[2 * (AGENT_SECRET_MAX + SEAL_OVERHEAD) + 1]; /* sealed */
	unsigned code_tries;
	struct connection_slot slot;
	uint64_t code_until_ns; /* then its code is over */
	unsigned n_opens;       /* orders it has not answered with a failure */
	unsigned n_states;      /* of captures that it may still say */
	uint32_t n_pings, n_unanswered;
	struct login_attempt attempt; /* until it is known who it is */
	void (*go)(void *agent);      /* once its turn has come */
	char token[65];               /* SHA-256 of its enrolment's, hex */
};

/* ---- agent.c ---- */

void agent_unref(struct agent *a);
/* Its connection goes, its row says so; the memory with the last query. */
void agent_close(struct agent *a, const char *why);
/* Tells why first. is_final: coming back cannot help. */
void agent_refuse(struct agent *a, bool is_final, const char *reason);
void agent_refuse_away(struct agent *a);
void agent_set_timer(struct agent *a, int64_t seconds);
/* Queues one message and sends what can be sent. Returns 0 or an error. */
int agent_tell(struct agent *a, const struct agent_msg *m);

/* ---- agent_sign_on.c ---- */

/* A query about this agent; cb gets the agent and drops a reference. */
void agent_ask(struct agent *a, const char *sql, int n,
    const char *const *params, db_result_cb *cb);
/* Its key says which endpoint it is. */
void agent_sign_on(struct agent *a);
/* The token says which endpoint its key is to be of. */
void agent_enrol(struct agent *a, const char *token);
bool agent_is_too_old(const struct agent *a);
void agent_refuse_old(struct agent *a);
/* It takes a slot in this pool. False: it was refused, because there is
 * none. */
bool agent_has_place(struct agent *a, enum relay_pool pool);

/* ---- agent_code.c ---- */

/* The password of an attended VNC server, for the session that comes. */
void agent_take_secret(struct agent *a, const struct agent_msg *m);
/* A code that nobody has; the agent is ready once it is stored. */
void agent_offer_code(struct agent *a);

/* ---- agent_data.c ---- */

/* The log's line on a connection that became no agent. */
void agent_log_closed(const char *client_addr, const char *why);

/* ---- agent_orders.c ---- */

/* A session of some relay waits for what this agent cannot do. */
void agent_open_failed(struct agent *a, const struct agent_msg *m);
void agent_capture_state(struct agent *a, const struct agent_msg *m);

/* ---- agent_restore.c ---- */

/* The row of its endpoint names no agent: it names this one again. */
void agent_restore(struct agent *a);

#endif
