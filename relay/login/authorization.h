/*
 * What the database knows about a technician, an endpoint and the policy
 * between them, read by one statement at login. Secrets are wiped on
 * release.
 */
#ifndef RELAY_LOGIN_AUTHORIZATION_H
#define RELAY_LOGIN_AUTHORIZATION_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/password.h"
#include "common/login/login_throttle.h"

enum endpoint_kind {
	ENDPOINT_DIRECT,
	ENDPOINT_AGENT,
	ENDPOINT_REVERSE,
	ENDPOINT_ATTENDED,
};

struct authorization {
	/* person; person_id 0: unknown */
	int64_t person_id, team_id;
	char *team, *time_zone;
	char *password_hash; /* NULL: unknown, disabled or without login */
	/* wrong tries by enum login_key, as the database counts them */
	uint64_t failures[LOGIN_KEYS];
	double failure_age_s[LOGIN_KEYS];
	bool is_known_login; /* from this address before (known_login.h) */
	/* endpoint; endpoint_id 0: no such one, or no right to control it */
	int64_t endpoint_id;
	char *endpoint, *access, *username;
	char *host, *port; /* NULL: it is not dialled, but dials in */
	char *password;    /* opened; NULL: none */
	char *ca_pem;
	char *tls_name; /* of its certificate; NULL: as host */
	uint8_t pin[32];
	bool has_pin, allow_clear, is_secret_bad;
	/* policy (T2, T9, T10, T12, C6) */
	bool recording, end_on_failure;
	int64_t frame_rate, max_session_s, segment_bytes, retention_days;
	int64_t min_visible_ms; /* what stands so long is in a frame (X2) */
	char *quality;          /* of recordings: text, small, lossless */
	char *clipboard;        /* which ways it passes: clipboard.h; C3 */
	bool may_record, manual_recording; /* C1, C5 */
	bool asks_consent;                 /* C2 */
	int64_t consent_s, warn_s;
	enum endpoint_kind kind;
	/* agent: version and node of its control channel, NULL: not there;
	 * when it was seen last, in the team's time */
	char *agent_version, *agent_node, *agent_channel, *agent_seen;
	char *capture;     /* who records: relay, device, both (C7) */
	char *capture_key; /* hex, public; NULL: storage has none */
	char *parked_node; /* reverse: where its connection waits */
	/* how much older the heartbeat of that relay, or of the agent's, is
	 * than the youngest one of a relay; infinite: it said that it stops */
	double holder_silent_s;
	char *reverse_sha256; /* of what lets it dial in: ID or certificate */
};

extern const char authorization_query[];

/*
 * The same columns for an endpoint that dialled in itself, with no person.
 * Parameters: SHA-256 of its certificate (hex or ""), name, SHA-256 of its
 * secret (hex or "").
 */
extern const char authorization_reverse_query[];

/*
 * Reads the one row of authorization_query (parameters: person, endpoint,
 * prefix of the client's address, known_login_id) or of the other. seal_key
 * opens the endpoint's secret. Returns 0 or ERR_NOMEM.
 */
int authorization_read(struct authorization *a, const PGresult *res,
    const uint8_t seal_key[SEAL_KEY_LEN]);
void authorization_release(struct authorization *a);
/* Wipes and drops what is not needed once the endpoint is connected. */
void authorization_forget_secrets(struct authorization *a);

#endif
