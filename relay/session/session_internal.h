/*
 * A session as its own files see it. session.c: its beginning and end;
 * session_state.c: its state, and what notes that it ends;
 * session_timeout.c: what a state that lasts too long means; session_viewer.c:
 * handshake with the technician; session_browser.c: the same in a browser;
 * login.c, session_login.c, session_ticket.c: who may; session_password.c: a
 * password's check; session_guess.c: the wait after wrong tries;
 * session_lobby.c: what a viewer sees while it waits; session_endpoint.c:
 * what it says; session_dial.c: dialling out; endpoint_verify.c: is it the
 * right one; session_agent.c: through an agent; session_parked.c:
 * endpoints that dialled in; session_open.c: the row, and how it is
 * recorded; session_record.c, session_meta.c: the recorder; session_size.c:
 * how large a screen may be; session_device.c: the endpoint's own capture;
 * session_restart.c: another one when it died;
 * session_test.c: tests of endpoints that the console asked for;
 * session_control.c: commands while it runs; session_run.c: its pump;
 * session_orders.c: those that came through the database; session_access.c:
 * rights that are taken back; session_liveness.c: peers that vanished;
 * session_audit.c: orders in the audit log; session_measure.c: what /metrics
 * says of it; pump.c: bytes both ways.
 */
#ifndef RELAY_SESSION_SESSION_INTERNAL_H
#define RELAY_SESSION_SESSION_INTERNAL_H

#include <event2/event.h>
#include <jansson.h>

#include "common/agent_proto.h"
#include "common/buf.h"
#include "common/http.h"
#include "common/tcp_liveness.h"
#include "common/tee.h"
#include "relay/base/tickets.h"
#include "relay/listener/conn_limits.h"
#include "relay/login/authorization.h"
#include "common/login/login_attempt.h"
#include "relay/wire/transport.h"
#include "relay/login/login.h"
#include "relay/pump/pump.h"
#include "relay/recording/gap_budget.h"
#include "relay/recording/recorder_link.h"
#include "relay/recording/recorder_watch.h"
#include "relay/relay.h"
#include "relay/pump/ring.h"
#include "relay/session/session.h"
#include "relay/session/session_states.h"
#include "relay/wire/channel.h"
#include "rfb/handshake_client.h"
#include "rfb/pixel_format_switch.h"
#include "rfb/set_encodings.h"

struct lobby;
struct rfb_handshake_server;
struct session_check;

#define SESSION_ADDRS           8
#define SESSION_WARNING_SECONDS 30 /* that a warning shows */

/* session_restart.c */
enum restart_state {
	RESTART_NONE,
	RESTART_DEATH,
	RESTART_BOUNDARY,
	RESTART_STARTED,
};

/* How the technician came in. */
enum session_door {
	SESSION_BY_VNC,      /* VeNCrypt X509Plain */
	SESSION_BY_VNC_AUTH, /* a one-time password on a port of its own */
	SESSION_BY_NOVNC,    /* a WebSocket with VeNCrypt Plain in it */
	SESSION_BY_BROWSER,  /* our page: a WebSocket with JSON beside */
	SESSION_BY_NOBODY,   /* an endpoint that dialled in */
	SESSION_BY_TEST,     /* nobody either: session_test.c */
};

/* A command that came through the database. */
struct session_order {
	const char *command, *value, *by;
	bool is_own; /* the technician of the session gave it */
};

enum order_source { ORDER_FROM_COMMAND, ORDER_FROM_PAGE, ORDER_FROM_VIEWER };

/* session_liveness.c */
struct session_liveness {
	struct event *timer;
	struct tcp_liveness viewer, endpoint;
	uint64_t heard; /* bytes from a browser until the last look */
	unsigned n_looks, n_silent, n_closed;
};

/* session_state.c: why and how a session ends, until session.c did it. */
struct session_ending {
	struct event *event;   /* of the highest priority */
	enum session_state in; /* the state that ended */
	const char *code;      /* of sessions.end_code, static */
	char *why;             /* NULL: there was no memory for it */
	bool is_told;          /* to the technician first, where that can be */
	bool is_at_once;       /* does not wait for the viewer to read it */
};

/* session_audit.c: rows of late, and orders without one. */
struct order_audit {
	uint64_t since_ns, n_omitted;
	unsigned rows;
};

/* session_device.c */
struct session_device {
	bool is_on, is_writing; /* ordered; the agent says that it writes */
	bool is_failed;
	uint64_t joined_at;  /* of the bytes received: the VNC server's begin */
	uint64_t said;       /* of the stream: the agent knows */
	uint32_t number;     /* of the next message with marks */
	struct buf marks;    /* for it, AGENT_MARK_LEN bytes each */
	struct event *timer; /* the capture has to be begun by then */
};

struct relay_session {
	TAILQ_ENTRY(relay_session) link;
	struct loop *loop;
	enum session_state state;
	unsigned n_refs; /* the session itself, and each job and query */
	char id[UUID_TEXT_MAX];
	char trace_id[HTTP_TRACE_ID_MAX]; /* of its browser's request, or "" */
	char client_addr[64];
	bool is_check;          /* of a load balancer */
	struct event *deadline; /* of the state; of the session when running */
	struct event *tick;     /* once a second while running */
	struct session_ending ending;

	struct rfb_handshake_server *viewer_handshake;
	struct rfb_handshake_client *endpoint_handshake;
	enum session_door door;
	uint16_t door_port; /* of its one-time password */
	int64_t ticket_id;
	char test_id[UUID_TEXT_MAX]; /* "": none, or it is answered */
	struct login_name name;
	char *password;               /* the technician's, until checked */
	struct login_attempt attempt; /* until it is known who it is */
	struct session_check *check;  /* of its password, under way */
	struct connection_slot slot;
	bool has_dialog;       /* time to type a password was given */
	bool is_authenticated; /* by a ticket */
	bool is_attended_tried;
	struct lobby *lobby; /* what the viewer sees until RUNNING */
	struct event *lobby_tick;
	uint64_t lobby_since_ns;
	bool wants_lobby;
	bool is_parked;      /* on the list of session_parked.c */
	unsigned n_requests; /* of the page, waiting for their turn */
	void (*attempt_go)(void *session); /* once its turn has come */
	const char *denial;        /* of a wrong login that is being written */
	struct ticket dial_ticket; /* the agent's data channel brings it */
	char consent[8];           /* "", "full", "view" (C2) */
	struct authorization authorization;
	struct sockaddr_storage *addrs;
	unsigned n_addrs, addr_at;
	X509_STORE *ca_store;
	uint8_t seen_pin[32];
	bool has_seen_pin;
	bool has_row;       /* in the table sessions */
	bool is_row_unsure; /* not answered: it may be there, or come late */

	uint64_t start_mono_ns, start_wall_ns;
	struct session_measures measures;
	uint16_t width, height;
	struct pump pump;

	const struct session_order *order; /* while it is carried out */
	struct event *warn_timer;          /* T9 */
	enum { WORDS_NONE, WORDS_WARNING, WORDS_LAST } words; /* it says */
	struct event *part_timer; /* until the banner was read */
	char *part_reason;
	struct {
		bool is_begun;
		struct event *timer;
		unsigned tries;
		char *why;
	} revoke;            /* session_access.c */
	bool is_view_forced; /* the end user allowed no more (C3) */
	bool is_view_held;   /* somebody set it who is not the technician */
	struct order_audit order_audit;
	struct session_liveness liveness;
	bool is_recorded;             /* by policy */
	bool is_recording;            /* now */
	struct session_device device; /* the endpoint captures */
	bool is_captured;             /* encoded later */
	struct live_share live_share; /* of the relay's budget */
	enum restart_state restart;
	bool is_restart_failed, is_restart_hopeless;
	/* the team's recordings took all of its quota as this one began */
	bool is_quota_full;
	struct gap_budget gap;
	char *desktop_name; /* as far as it is ASCII */
	struct recorder_link recorder;
	bool is_mark_lost; /* the recorder is beyond help */
	struct recorder_watch watch;
};

/* session_state.c */
/* The loop's session of that id, or NULL. */
struct relay_session *session_find(struct loop *l, const char *id);
/* Static; as it stands in the log. */
const char *session_state_name(enum session_state state);
/* The only way from one state to another. seconds: until its deadline, 0: it
 * has none. */
#define SESSION_SAME_DEADLINE -1
void session_set_state(
    struct relay_session *s, enum session_state state, int64_t seconds);
/*
 * Ends the session: notes why and enters ENDING, so that no phase continues;
 * the loop does the rest before it handles another event. The session is not
 * freed before the caller has returned to the loop. The first call counts.
 * code: a word of sessions.end_code, static; why: for people, copied.
 *
 * fail: the technician is told why, as far as the viewer can show it.
 */
void session_fail(struct relay_session *s, const char *code, const char *why);
/* As session_fail with the code "error". */
void session_refuse(struct relay_session *s, const char *why);
/* Without words; what the viewer has not got yet is not waited for. */
void session_end(struct relay_session *s, const char *code, const char *why);
/* For jobs and queries, which may be answered when the session is DEAD. */
void session_ref(struct relay_session *s);
void session_unref(struct relay_session *s);

/*
 * Reads once into a channel's input. may_wait: what there is no room for waits
 * in the socket. on_gone: the peer closed, or sent too much. Returns whether
 * bytes came.
 */
bool session_fill(struct relay_session *s, struct channel *d, bool may_wait,
    void (*on_gone)(struct relay_session *s));

/* session.c */
/* A session without a technician yet; slot: taken. NULL only for memory. */
struct relay_session *session_new(struct loop *l, struct connection_slot *slot);
/* Begins with the viewer's handshake. */
void session_greet(struct relay_session *s);

/* session_viewer.c */
void on_viewer_readable(evutil_socket_t fd, short what, void *arg);
void on_viewer_writable(evutil_socket_t fd, short what, void *arg);
void session_accept_viewer(struct relay_session *s);

/* Goes on once who it is and what it may reach is known. */
void session_become_running(struct relay_session *s);
/* Bytes for the viewer's handshake are in viewer.in. */
void session_feed_viewer(struct relay_session *s);

/* session_browser.c */
void on_browser_text(void *arg, const char *json, size_t len);
/* What the page is told; nothing for other viewers. */
void session_browser_send(struct relay_session *s, json_t *take);
void session_browser_status(struct relay_session *s);
void session_browser_warning(
    struct relay_session *s, const char *text, unsigned seconds);
/* The endpoint is ready: the RFB stream begins. Returns 0 or an error. */
int session_browser_accept(struct relay_session *s);
/* Tells why, and closes the WebSocket. */
void session_browser_end(struct relay_session *s, const char *type,
    const char *code, const char *reason);

/* session_login.c */
/* By name and password: both from the viewer's handshake. */
void session_login(struct relay_session *s);
/* The same; user: borrowed, password: heap, taken (NULL: out of memory). */
void session_login_as(
    struct relay_session *s, const char *user, char *password);
/* s->name is known and is_authenticated is set or s->password is there. */
void session_look_up(struct relay_session *s);
/* Refuses for the database: res is its answer, NULL: none. text: what that
 * means, follows a comma. */
void session_refuse_away(
    struct relay_session *s, const PGresult *res, const char *text);

/* Name and password, or a ticket, were right: on to the endpoint. */
void session_admit(struct relay_session *s);

/* session_password.c */
/* s->attempt may be checked: s->password against s->authorization's hash. */
void session_check_password(void *session);

/* What the viewer sent, as soon as nothing needs it any more. */
void session_wipe_password(struct relay_session *s);
/* s->check need not be run any more. */
void session_check_left(struct relay_session *s);

/* session_guess.c */
/* Calls go when the password or code of s->authorization may be checked. */
void session_guess_password(struct relay_session *s, void (*go)(void *session));
/* The same for what is tried without a name. */
void session_guess_ticket(struct relay_session *s, void (*go)(void *session));
/* It was wrong, and nobody waits for the answer: counted, audited. */
void session_guess_wrong(struct relay_session *s);
/* The same in state CHECK; refused once the other relays can read it, so that
 * no end of this one makes it undone. reason: static. */
void session_guess_deny(struct relay_session *s, const char *reason);
/* The viewer left before it was told: counted, audited in sum. */
void session_guess_left(struct relay_session *s);
void session_guess_right(struct relay_session *s);

/* session_ticket.c */
bool ticket_is_one(const char *password);
/* s->password is a ticket. */
void session_redeem(struct relay_session *s);
void session_vnc_auth(struct relay_session *s);

/* session_lobby.c */
void session_lobby_open(struct relay_session *s);
/* ClientInit came: the lobby begins. */
void session_lobby_begin(struct relay_session *s);
void session_lobby_feed(struct relay_session *s);
/* 0 or an error: then the session ends. */
int session_lobby_say(struct relay_session *s, const char *title,
    const char *text, const char *small);
void session_lobby_release(struct relay_session *s);
/* The endpoint is ready: the viewer goes over to it. Returns 0; ERR_AGAIN
 * (called again when the viewer's message is whole) or an error. */
int session_lobby_leave(struct relay_session *s);

/* session_agent.c */
void session_agent_open(struct relay_session *s);
/* A server that dialled in waits at another relay: asks that one to dial this
 * one, as an agent does. */
void session_agent_ask_relay(struct relay_session *s);
void session_agent_feed(struct relay_session *s);
/* The end user sees that it is recorded, or not any more (C4). */
void session_agent_indicator(struct relay_session *s);
/* An order to the agent, wherever its channel is: JSON, taken; "what" and
 * "channel" say what and to whom. Returns 0 or an error. */
int session_agent_order(struct relay_session *s, json_t *take);
/* Its channel, "" while there is none. */
const char *session_agent_channel(const struct relay_session *s);

/* session_parked.c */
void session_park(struct relay_session *s);
void session_claim(struct relay_session *s);
/* Takes the newest parked connection of an endpoint off the list; its loop, or
 * NULL: none waits here. session_parked_take follows, on that loop. */
struct loop *session_parked_pick(int64_t endpoint_id);
/*
 * On its loop: the channel, detached, and the handshake with its ServerInit,
 * whose owner the caller is. slot: its slot in POOL_PARKED moves there; NULL:
 * it is given back. NULL: it is gone.
 */
struct rfb_handshake_client *session_parked_take(struct loop *l,
    int64_t endpoint_id, struct channel *channel, struct connection_slot *slot);
void session_parked_gone(struct relay_session *s);

/* session_control.c */
/* Row and browser hear of it. */
void session_status_changed(struct relay_session *s);
/* "recording" and the rest, docs/relaycam-relay.md. by: who, for the audit. */
void session_command(struct relay_session *s, const char *command,
    const char *value, const char *by);
void session_warn(struct relay_session *s, const char *text, unsigned seconds);
/* Sets warning and end by the session's clock, each second: that one counts
 * the time that the machine was suspended, timers do not. */
void session_clocks_set(struct relay_session *s);
void session_clocks_start(struct relay_session *s);

/* session_run.c */
/* The endpoint's handshake is done: what the pump needs of the session. */
void session_configure_pump(struct relay_session *s);
/* Both peers are ready: bytes both ways from here on. */
void session_run(struct relay_session *s);

/* session_access.c */
/* A word of sessions.path. Static. */
const char *session_path(const struct relay_session *s);
void session_access_release(struct relay_session *s);

/* session_liveness.c */
/* 0 or ERR_NOMEM. */
int session_liveness_start(struct relay_session *s);
void session_liveness_release(struct relay_session *s);

/* session_audit.c */
/*
 * What came of an order: actor gave it; value: any text, cut; why: it was
 * refused, NULL: it was done. Bounded for pages and viewers.
 */
void session_audit_order(struct relay_session *s, enum order_source from,
    const char *actor, const char *command, const char *value, const char *why);
void session_audit_end(struct relay_session *s);

/* session_endpoint.c */
void session_dial(struct relay_session *s);
void on_endpoint_readable(evutil_socket_t fd, short what, void *arg);
void on_endpoint_writable(evutil_socket_t fd, short what, void *arg);

/* 0 or ERR_NOMEM: then it was refused. */
int session_endpoint_greet(struct relay_session *s);
/* Refuses with "endpoint desk1 (host:port) WHAT[: WHY]". */
void session_endpoint_refuse(
    struct relay_session *s, const char *what, const char *why);

/* session_dial.c */
void session_dial_direct(struct relay_session *s);
/* Its socket is connected or not; is_late: it did not answer in time. */
void session_dial_writable(struct relay_session *s, bool is_late);

/* endpoint_verify.c */
/* TLS begins; it may be refused. */
void session_endpoint_start_tls(struct relay_session *s);
/* Says why the handshake failed. */
void session_endpoint_tls_failed(struct relay_session *s);
/* False: it was refused. */
bool session_endpoint_check_certificate(struct relay_session *s);
bool session_endpoint_check_key(struct relay_session *s); /* RA2 */
/* Drops what only the check needed. */
void session_endpoint_forget_chain(struct relay_session *s);

/* session_endpoint.c */
/* s->pump.endpoint is connected to a VNC server: its handshake begins. */
void session_endpoint_talk(struct relay_session *s);

/* session_open.c */
void session_open(struct relay_session *s);
/* The end of a session whose beginning was not answered; times as text. */
void session_write_unsure_end(struct relay_session *s, const char *code,
    const char *reason, const char *wall, const char *mono);

/* session_record.c */
void session_record_init(struct relay_session *s);
/* Starts a recorder on the ring, which has seconds to get ready. 0 or an
 * error. */
int session_record_start(
    struct relay_session *s, bool is_resume, int64_t seconds);
/* C1, C3: the right, and full control. */
bool session_may_record_by_hand(const struct relay_session *s);
/* No recorder any more: policy decides. */
void session_record_lost(struct relay_session *s, const char *why);

/* session_device.c */
/* What the agent is asked for when the session is opened. */
enum agent_capture_wish session_device_wish(const struct relay_session *s);
/* Bytes of the endpoint that were received and are used. */
uint64_t session_device_received(const struct relay_session *s);
/* Has the session's policy the endpoint record instead of the relay? */
bool session_device_is_alone(const struct relay_session *s);
/* Before the first byte of the stream: orders the capture. */
void session_device_start(struct relay_session *s);
/* The agent says how it stands. from: the id of its endpoint. */
void session_device_said(
    struct relay_session *s, const char *from, bool is_failed, const char *why);
/* m stands in the stream. */
void session_device_mark(struct relay_session *s, const struct tee_mark *m);
/* So much of the stream is framed; each second too, with is_tick. */
void session_device_progress(struct relay_session *s, bool is_tick);
void session_device_end(struct relay_session *s, enum tee_end why);
void session_device_release(struct relay_session *s);

/* session_meta.c: the JSON for an endpoint's capture, heap, ASCII; NULL for
 * memory. */
char *session_meta_of_capture(const struct relay_session *s);

/* session_size.c */
/* Within max_pixels, or of no concern as nothing can be recorded. */
bool session_size_is_allowed(
    const struct relay_session *s, unsigned w, unsigned h);
/* A sentence that names the size and the limit. */
void session_size_say(const struct relay_session *s, unsigned w, unsigned h,
    char out[PUMP_SIZE_TEXT]);
/* What a recorder of this screen counts in the relay's budget. */
uint64_t session_live_bytes(unsigned w, unsigned h);
/*
 * The rectangle at offset gives the screen this size. Where no memory is left
 * to encode it live, the recorder goes on as a capture.
 */
void session_size_changed(
    struct relay_session *s, uint64_t offset, unsigned w, unsigned h);

/* session_meta.c: a descriptor, or negative. */
int session_meta_memfd(const struct relay_session *s, bool is_resume);

/* session_restart.c */
/* False: there will be no other recorder. */
bool session_restart_begin(struct relay_session *s);
/* The dead one's status socket is closed. */
void session_restart_died(struct relay_session *s);
/* A message of the endpoint's ended at this offset; perhaps from within the
 * framer's callback. */
void session_restart_boundary(struct relay_session *s, uint64_t offset);
void session_restart_failed(struct relay_session *s);
/* The time to die, or to come to a message's end, is over. */
void session_restart_late(struct relay_session *s);
void session_restart_ready(struct relay_session *s);

/* By hand (C5). Returns 0, or why not, static, in *why. */
int session_record_switch(struct relay_session *s, bool on, const char **why);
void session_record_mark(struct relay_session *s, enum tee_mark_kind kind,
    uint64_t offset, const void *value, size_t len);
/* Draws the consequence of a mark that found no room; not from a callback of
 * the framer, since it may insert messages into the stream. */
void session_record_check(struct relay_session *s);
void session_record_tick(struct relay_session *s);
void session_record_end(struct relay_session *s, enum tee_end why);
void session_record_release(struct relay_session *s);
void session_recorder_dead(struct relay_session *s, const char *why);

#endif
