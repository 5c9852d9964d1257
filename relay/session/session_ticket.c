/* One-time logins: tickets, and passwords for viewers without VeNCrypt. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "relay/session/session_internal.h"
#include "rfb/handshake_server.h"

#define TICKET_PREFIX "rct_"
#define TICKET_LEN    (sizeof(TICKET_PREFIX) - 1 + 43)
#define VNC_AUTH_LEN  8

static const char so[] = "so tickets cannot be checked";
static const char void_ticket[] =
    "this ticket is not valid: it was used already, is over its time, or was "
    "never given out";

bool
ticket_is_one(const char *password)
{
	return strlen(password) == TICKET_LEN &&
	    strncmp(password, TICKET_PREFIX, sizeof(TICKET_PREFIX) - 1) == 0;
}

/* Columns: person, endpoint, target. */
static int
read_names(struct relay_session *s, const PGresult *res)
{
	char text[2 * LOGIN_PART_MAX + 16];

	snprintf(s->name.person, sizeof(s->name.person), "%s",
	    PQgetvalue(res, 0, 0));
	snprintf(text, sizeof(text), "%s%s", PQgetvalue(res, 0, 1),
	    PQgetvalue(res, 0, 2));
	return login_target_parse(&s->name, text);
}

static void
on_redeemed(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_CHECK) {
		if (!db_ok(res, "ticket")) {
			session_refuse_away(s, res, so);
		} else if (PQntuples(res) != 1 || read_names(s, res) != 0) {
			session_guess_deny(s, void_ticket);
		} else {
			login_attempt_end(&s->attempt, LOGIN_RIGHT);
			s->is_authenticated = true;
			session_look_up(s);
		}
	}
	session_unref(s);
}

/* Used once, whatever comes of it. */
static void
redeem(void *arg)
{
	struct relay_session *s = arg;
	const char *ticket = s->password;
	uint8_t hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];
	const char *params[] = { hex, s->client_addr };

	crypto_hash_sha256(hash, (const uint8_t *)ticket, strlen(ticket));
	http_hex(hash, sizeof(hash), hex);
	wipe(s->password, strlen(s->password));
	session_ref(s);
	if (db_query_now(s->loop->db,
		"UPDATE tickets t SET used_at = now(), used_by = $2 FROM "
		"people p, endpoints e WHERE t.hash = decode($1, 'hex') AND "
		"t.kind = 'ticket' AND t.used_at IS NULL AND t.expires_at > "
		"now() AND p.id = t.person_id AND NOT p.disabled AND e.id = "
		"t.endpoint_id AND e.deleted_at IS NULL RETURNING p.name, "
		"e.name, t.target",
		2, params, on_redeemed, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
	}
}

void
session_redeem(struct relay_session *s)
{
	session_set_state(s, SESSION_CHECK, s->loop->relay->conf.login_seconds);
	session_guess_ticket(s, redeem);
}

/* ---- VNC authentication ---- */

static void
on_burnt(void *arg, PGresult *res)
{
	struct relay_session *s = arg;

	if (s->state == SESSION_CHECK) {
		if (!db_ok(res, "one-time password"))
			session_refuse_away(s, res, so);
		else if (PQntuples(res) != 1)
			session_refuse(s, void_ticket);
		else if (!s->is_authenticated)
			session_refuse(s, "the one-time password is wrong");
		else
			session_look_up(s);
	}
	session_unref(s);
}

/* Right or wrong, this password is used up. */
static void
burn(struct relay_session *s)
{
	char id[24];
	const char *params[] = { id, s->client_addr };

	snprintf(id, sizeof(id), "%lld", (long long)s->ticket_id);
	if (!s->is_authenticated)
		session_guess_wrong(s);
	else
		login_attempt_end(&s->attempt, LOGIN_RIGHT);
	session_ref(s);
	if (db_query_now(s->loop->db,
		"UPDATE tickets SET used_at = now(), used_by = $2 WHERE id = "
		"$1 AND used_at IS NULL AND expires_at > now() RETURNING id",
		2, params, on_burnt, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
	}
}

/* Opens the sealed password in column 4 (hex). */
static int
open_password(
    struct relay_session *s, const PGresult *res, char *out, size_t cap)
{
	const char *hex = PQgetvalue(res, 0, 4);
	uint8_t sealed[256], plain[256];
	size_t n = strlen(hex) / 2;
	int len;

	if (n > sizeof(sealed) || http_unhex(hex, sealed, n) != 0)
		return ERR_CORRUPT;
	len = seal_open(s->loop->relay->seal_key, sealed, n, plain);
	if (len != VNC_AUTH_LEN || (size_t)len >= cap)
		return ERR_CORRUPT;
	memcpy(out, plain, VNC_AUTH_LEN);
	out[VNC_AUTH_LEN] = '\0';
	wipe(plain, sizeof(plain));
	return 0;
}

static void
on_port_ticket(void *arg, PGresult *res)
{
	struct relay_session *s = arg;
	char password[VNC_AUTH_LEN + 1];

	if (s->state != SESSION_CHECK)
		goto out;
	if (!db_ok(res, "one-time password")) {
		session_refuse_away(s, res, so);
		goto out;
	}
	if (PQntuples(res) != 1 || read_names(s, res) != 0) {
		session_refuse(s, void_ticket);
		goto out;
	}
	s->ticket_id = strtoll(PQgetvalue(res, 0, 3), NULL, 10);
	if (open_password(s, res, password, sizeof(password)) != 0) {
		session_refuse(s,
		    "the one-time password cannot be read with this relay's "
		    "seal key");
		goto out;
	}
	s->is_authenticated =
	    rfb_handshake_server_check_vnc(s->viewer_handshake, password) == 0;
	wipe(password, sizeof(password));
	burn(s);
out:
	session_unref(s);
}

static void
find_port_ticket(void *arg)
{
	struct relay_session *s = arg;
	char port[8];
	const char *params[] = { port };

	snprintf(port, sizeof(port), "%u", s->door_port);
	session_ref(s);
	if (db_query_now(s->loop->db,
		"SELECT p.name, e.name, t.target, t.id, "
		"encode(t.secret_sealed, 'hex') FROM tickets t JOIN people p "
		"ON p.id = t.person_id JOIN endpoints e ON e.id = "
		"t.endpoint_id JOIN access_settings a ON a.team_id = "
		"e.team_id AND a.access = e.access WHERE t.kind = 'vnc_auth' "
		"AND t.port = $1 AND t.used_at IS NULL AND t.expires_at > "
		"now() AND a.vnc_auth AND NOT p.disabled AND e.deleted_at IS "
		"NULL",
		1, params, on_port_ticket, s) != 0) {
		session_refuse_away(s, NULL, so);
		session_unref(s);
	}
}

void
session_vnc_auth(struct relay_session *s)
{
	session_set_state(s, SESSION_CHECK, s->loop->relay->conf.login_seconds);
	session_guess_ticket(s, find_port_ticket);
}
