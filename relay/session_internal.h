/*
 * A session as its own files see it. session.c: states, ending;
 * session_viewer.c: handshake with the technician; login.c, session_login.c:
 * who may; session_endpoint.c: dialling out; session_record.c: the recorder;
 * pump.c: bytes both ways.
 */
#ifndef RELAY_SESSION_INTERNAL_H
#define RELAY_SESSION_INTERNAL_H

#include <event2/event.h>

#include "common/buf.h"
#include "common/tee.h"
#include "relay/account.h"
#include "relay/leg.h"
#include "relay/login.h"
#include "relay/relay.h"
#include "relay/ring.h"
#include "relay/session.h"
#include "relay/side.h"
#include "rfb/handshake_client.h"
#include "rfb/pixel_format_switch.h"
#include "rfb/set_encodings.h"

struct rfb_client_messages;
struct rfb_framer;
struct rfb_handshake_server;
struct rfb_framer_event;

/*
 * HELLO -> VIEWER_TLS -> LOGIN -> CHECK -> DIAL -> ENDPOINT -> ENDPOINT_TLS
 *   -> OPEN -> CLIENT_INIT -> RUNNING
 * and from any of them -> CLOSING (a refusal is being sent) or gone.
 */
enum session_state {
	SESSION_HELLO, /* RFB and VeNCrypt before TLS */
	SESSION_VIEWER_TLS,
	SESSION_LOGIN,    /* waiting for user name and password */
	SESSION_CHECK,    /* database, delay, Argon2id */
	SESSION_DIAL,     /* name lookup, connect */
	SESSION_ENDPOINT, /* RFB handshake with the endpoint */
	SESSION_ENDPOINT_TLS,
	SESSION_OPEN,        /* session row, recorder */
	SESSION_CLIENT_INIT, /* accepted: waiting for ClientInit */
	SESSION_RUNNING,
	SESSION_CLOSING,
	SESSION_DEAD, /* waits only for its last job or query */
};

#define SESSION_ADDRS    8
#define SESSION_SKIPS    16
#define SESSION_PUMP_MAX (512 * 1024) /* bytes a wakeup */

/* Stream bytes [from, to) that the technician does not get. */
struct skip {
	uint64_t from, to;
};

struct session {
	TAILQ_ENTRY(session) link;
	struct loop *loop;
	enum session_state state;
	unsigned n_refs; /* the session itself, and each job and query */
	char id[UUID_LEN];
	char client_addr[64];
	struct side viewer, endpoint;
	struct event *deadline; /* of the state; of the session when running */
	struct event *tick;     /* once a second while running */

	struct rfb_handshake_server *viewer_handshake;
	struct rfb_handshake_client *endpoint_handshake;
	struct login_name name;
	char *password; /* the technician's, until checked */
	struct account account;
	struct sockaddr_storage *addrs;
	unsigned n_addrs, addr_at;
	X509_STORE *ca_store;
	uint8_t seen_pin[32];
	bool has_seen_pin;
	bool has_row; /* in the table sessions */

	uint64_t start_mono_ns, start_wall_ns;
	uint16_t width, height;
	struct ring ring;
	struct rfb_framer *framer;
	struct rfb_client_messages *client_messages;
	struct rfb_format_switch format;
	struct rfb_encodings_policy encodings_policy;
	bool viewer_has_fence, endpoint_has_fence;
	struct skip skips[SESSION_SKIPS];
	unsigned n_skips;
	uint64_t message_at; /* offset of the server message under way */
	bool is_fence_open;  /* a fence, perhaps ours, is not complete */
	bool is_stalled;     /* the ring was full */

	bool is_recorded, has_recorder, is_recorder_ready;
	int status_fd;
	struct event *status, *space;
	struct event *ready_timer; /* how long a recorder may start */
	uint64_t last_mark_ns;
	bool is_mark_lost; /* the recorder is beyond help */
	uint64_t watch_recorded, watch_since_ns;
	uint32_t n_keys, n_pointers;
};

/* session.c */
void session_set_state(
    struct session *s, enum session_state state, int64_t seconds);
/* Refuses the technician: the reason is shown by the viewer if it still can
 * be, logged and audited. The only way out before RUNNING. */
void session_refuse(struct session *s, const char *reason);
/* Ends: code is a word of sessions.end_code. The only way out of RUNNING. */
void session_end(struct session *s, const char *code, const char *reason);
void session_ref(struct session *s);
void session_unref(struct session *s);

/* session_viewer.c */
void on_viewer_readable(evutil_socket_t fd, short what, void *arg);
void on_viewer_writable(evutil_socket_t fd, short what, void *arg);
void session_accept_viewer(struct session *s);

/* session_login.c */
void session_login(struct session *s);

/* session_endpoint.c */
void session_dial(struct session *s);
void on_endpoint_readable(evutil_socket_t fd, short what, void *arg);
void on_endpoint_writable(evutil_socket_t fd, short what, void *arg);

/* session_record.c */
void session_open(struct session *s);
void session_record_mark(struct session *s, enum tee_mark_kind kind,
    uint64_t offset, const void *value, size_t len);
/* Draws the consequence of a mark that found no room; not from a callback of
 * the framer, which may be freed here. */
void session_record_check(struct session *s);
void session_record_tick(struct session *s);
void session_record_end(struct session *s, enum tee_end why);
void session_record_release(struct session *s);
void session_recorder_dead(struct session *s, const char *why);

/* pump.c */
void pump_start(struct session *s);
void pump_from_endpoint(struct session *s);
void pump_to_viewer(struct session *s);
void pump_from_viewer(struct session *s);
void pump_to_endpoint(struct session *s);

#endif
