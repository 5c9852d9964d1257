/* The states of a session, and what each timeout means. No I/O. */
#ifndef RELAY_SESSION_SESSION_STATES_H
#define RELAY_SESSION_SESSION_STATES_H

#include <stdbool.h>

/*
 * HELLO -> VIEWER_TLS -> LOGIN -> CHECK -> DIAL | AGENT | CLAIM -> ENDPOINT
 *   -> ENDPOINT_TLS -> OPEN -> CLIENT_INIT -> RUNNING
 * and from any of them -> ENDING -> CLOSING (a refusal is being sent) or DEAD;
 * from RUNNING a refusal leads back to RUNNING, while the pump says why. An
 * endpoint that dials in: ENDPOINT -> ENDPOINT_TLS -> PARKED, until a session
 * in CLAIM takes its connection over.
 */
enum session_state {
	SESSION_HELLO, /* RFB and VeNCrypt before TLS */
	SESSION_VIEWER_TLS,
	SESSION_LOGIN,    /* waiting for user name and password */
	SESSION_CHECK,    /* database, delay, Argon2id */
	SESSION_DIAL,     /* name lookup, connect */
	SESSION_AGENT,    /* its data channel, consent, its VNC server */
	SESSION_CLAIM,    /* a parked connection is on its way */
	SESSION_ENDPOINT, /* RFB handshake with the endpoint */
	SESSION_ENDPOINT_TLS,
	SESSION_OPEN,        /* session row, recorder */
	SESSION_CLIENT_INIT, /* accepted: waiting for ClientInit */
	SESSION_PARKED,      /* no technician yet */
	SESSION_RUNNING,
	SESSION_CLOSING,
	SESSION_ENDING, /* noted; the loop carries it out next */
	SESSION_DEAD,   /* waits only for its last job or query */
};

/* What becomes of a session whose state lasted too long. */
struct session_timeout {
	bool is_refusal;  /* the technician is told; else it just ends */
	const char *code; /* of sessions.end_code, static */
	char why[200];
};

/*
 * endpoint: its name, borrowed. is_database_slow: the relay's database does
 * not answer, which is then the reason where a state waits for it. Returns
 * false for states without a deadline; *out is not set then.
 */
bool session_timeout_of(enum session_state state, bool is_database_slow,
    const char *endpoint, struct session_timeout *out);

#endif
