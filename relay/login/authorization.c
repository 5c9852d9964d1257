#include "relay/login/authorization.h"

#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

/* Of p (a person), e (an endpoint), t (its team), r (rights), a (policy)
 * and f (wrong tries of the address, with the name, of codes). */
#define COLUMNS                                                                \
	"SELECT p.id, t.id, t.name, t.time_zone, "                             \
	"  CASE WHEN p.disabled THEN NULL ELSE p.password_hash END, "          \
	"  f.n[1], f.age[1], f.n[2], f.age[2], f.n[3], f.age[3], "             \
	"  CASE WHEN r.control THEN e.id END, e.name, e.access, e.host, "      \
	"  e.port, e.username, encode(e.secret_sealed, 'hex'), e.tls_ca_pem, " \
	"  encode(e.tls_pin_sha256, 'hex'), e.allow_clear, a.recording, "      \
	"  a.on_record_failure = 'end', a.frame_rate, a.min_visible_ms, "      \
	"  a.max_session_s, "                                                  \
	"  a.segment_bytes, a.retention_days, e.kind, r.record, "              \
	"  coalesce(e.consent, a.consent) = 'ask', a.consent_seconds, "        \
	"  a.manual_recording, a.warn_seconds, e.agent_version, "              \
	"  e.agent_node::text, "                                               \
	"  to_char(e.agent_seen_at AT TIME ZONE t.time_zone, "                 \
	"    'YYYY-MM-DD HH24:MI'), e.parked_node::text, "                     \
	"  e.agent_channel::text, a.quality, e.tls_name, a.clipboard, "        \
	"  encode(coalesce(e.reverse_cert_sha256, e.reverse_secret_sha256), "  \
	"    'hex'), f.known, e.capture, "                                     \
	"  (SELECT encode(public_key, 'hex') FROM capture_key), "              \
	"  (SELECT CASE WHEN n.stopped_at IS NULL THEN "                       \
	"    extract(epoch FROM (SELECT max(heartbeat_at) FROM nodes "         \
	"    WHERE program = 'relay') - n.heartbeat_at) ELSE 'Infinity' END "  \
	"    FROM nodes n WHERE n.id = coalesce(e.parked_node, "               \
	"e.agent_node)) "

const char authorization_query[] =
    "WITH p AS (SELECT * FROM people WHERE name = $1), "
    "e AS (SELECT en.* FROM endpoints en JOIN p ON en.team_id = p.team_id "
    "  WHERE en.name = $2 AND en.deleted_at IS NULL), "
    "f AS (SELECT array_agg(l.failed ORDER BY k.at) AS n, array_agg("
    "  extract(epoch FROM now() - l.last_at) ORDER BY k.at) AS age, "
    "  EXISTS (SELECT FROM known_logins WHERE id = decode($4, 'hex') "
    "    AND last_at > now() - interval '30 days') AS known "
    "  FROM unnest(ARRAY[$3, 'name tried: ' || $1, "
    "    'codes tried by ' || $1]) WITH ORDINALITY k(what, at) "
    "  LEFT JOIN login_failures l ON l.client_addr = k.what) " COLUMNS
    "FROM (SELECT 1) one LEFT JOIN p ON true LEFT JOIN e ON true "
    "LEFT JOIN teams t ON t.id = p.team_id LEFT JOIN f ON true "
    "LEFT JOIN LATERAL endpoint_rights_of(p.id, e.id) r ON true "
    "LEFT JOIN access_settings a "
    "  ON a.team_id = e.team_id AND a.access = e.access";

const char authorization_reverse_query[] =
    "WITH e AS (SELECT * FROM endpoints WHERE kind = 'reverse' AND "
    "  deleted_at IS NULL AND (reverse_cert_sha256 = decode($1, 'hex') OR "
    "  name = $2 AND reverse_secret_sha256 = decode($3, 'hex'))) " COLUMNS
    "FROM (SELECT 1) one LEFT JOIN people p ON false LEFT JOIN e ON true "
    "LEFT JOIN teams t ON t.id = e.team_id "
    "LEFT JOIN (SELECT '{}'::bigint[] AS n, '{}'::float[] AS age, "
    "  false AS known) f "
    "  ON true "
    "LEFT JOIN LATERAL (SELECT true AS control, false AS record) r ON true "
    "LEFT JOIN access_settings a "
    "  ON a.team_id = e.team_id AND a.access = e.access";

/* Columns of authorization_query, in order. */
enum col {
	PERSON,
	TEAM_ID,
	TEAM,
	ZONE,
	HASH,
	FAILURES,
	FAILURES_END = FAILURES + 2 * LOGIN_KEYS - 1,
	ENDPOINT_ID,
	ENDPOINT,
	ACCESS,
	HOST,
	PORT,
	USERNAME,
	SECRET,
	CA,
	PIN,
	CLEAR,
	RECORDING,
	END_ON_FAILURE,
	FRAME_RATE,
	MIN_VISIBLE,
	MAX_S,
	SEGMENT_BYTES,
	RETENTION,
	KIND,
	RECORD,
	CONSENT,
	CONSENT_S,
	MANUAL,
	WARN_S,
	AGENT_VERSION,
	AGENT_NODE,
	AGENT_SEEN,
	PARKED_NODE,
	AGENT_CHANNEL,
	QUALITY,
	TLS_NAME,
	CLIPBOARD,
	REVERSE_SHA256,
	KNOWN,
	CAPTURE,
	CAPTURE_KEY,
	HOLDER_SILENT
};

static int64_t
number(const PGresult *res, enum col c)
{
	return PQgetisnull(res, 0, (int)c)
	    ? 0
	    : strtoll(PQgetvalue(res, 0, (int)c), NULL, 10);
}

static bool
truth(const PGresult *res, enum col c)
{
	return PQgetvalue(res, 0, (int)c)[0] == 't';
}

/* A copy of a text column; NULL stays NULL. *rc becomes ERR_NOMEM. */
static char *
text(const PGresult *res, enum col c, int *rc)
{
	char *s;

	if (PQgetisnull(res, 0, (int)c))
		return NULL;
	s = strdup(PQgetvalue(res, 0, (int)c));
	if (s == NULL)
		*rc = ERR_NOMEM;
	return s;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0'
	    : c >= 'a' && c <= 'f'  ? c - 'a' + 10
				    : 0;
}

/* Bytes of a hex column, at most max. */
static size_t
bytes_of(const PGresult *res, enum col c, uint8_t *out, size_t max)
{
	const char *s = PQgetvalue(res, 0, (int)c);
	size_t n = min_size(strlen(s) / 2, max);

	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(hex_digit(s[2 * i]) << 4 |
		    hex_digit(s[2 * i + 1]));
	return n;
}

static int
open_secret(struct authorization *a, const PGresult *res, const uint8_t *key)
{
	uint8_t sealed[2048];
	size_t n = bytes_of(res, SECRET, sealed, sizeof(sealed));
	int len;

	if (n == 0)
		return 0;
	a->password = calloc(1, n + 1);
	if (a->password == NULL)
		return ERR_NOMEM;
	len = seal_open(key, sealed, n, (uint8_t *)a->password);
	if (len < 0) {
		a->is_secret_bad = true;
		free(a->password);
		a->password = NULL;
	}
	return 0;
}

static enum endpoint_kind
kind_of(const char *s)
{
	return strcmp(s, "agent") == 0   ? ENDPOINT_AGENT
	    : strcmp(s, "attended") == 0 ? ENDPOINT_ATTENDED
	    : strcmp(s, "reverse") == 0  ? ENDPOINT_REVERSE
					 : ENDPOINT_DIRECT;
}

static void
read_failures(struct authorization *a, const PGresult *res)
{
	for (unsigned i = 0; i < LOGIN_KEYS; i++) {
		enum col c = FAILURES + 2 * i;

		a->failures[i] = (uint64_t)number(res, c);
		a->failure_age_s[i] =
		    strtod(PQgetvalue(res, 0, (int)c + 1), NULL);
	}
}

int
authorization_read(struct authorization *a, const PGresult *res,
    const uint8_t seal_key[SEAL_KEY_LEN])
{
	int rc = 0;

	memset(a, 0, sizeof(*a));
	if (PQntuples(res) != 1)
		return ERR_NOTFOUND;
	a->person_id = number(res, PERSON);
	a->team_id = number(res, TEAM_ID);
	a->team = text(res, TEAM, &rc);
	a->time_zone = text(res, ZONE, &rc);
	a->password_hash = text(res, HASH, &rc);
	read_failures(a, res);
	a->is_known_login = truth(res, KNOWN);
	a->endpoint_id = number(res, ENDPOINT_ID);
	a->endpoint = text(res, ENDPOINT, &rc);
	a->access = text(res, ACCESS, &rc);
	a->host = text(res, HOST, &rc);
	a->port = text(res, PORT, &rc);
	a->username = text(res, USERNAME, &rc);
	a->ca_pem = text(res, CA, &rc);
	a->has_pin = bytes_of(res, PIN, a->pin, sizeof(a->pin)) == 32;
	/* the database refuses both; were both there, the certificate counts */
	a->allow_clear = truth(res, CLEAR) && !a->has_pin && a->ca_pem == NULL;
	a->recording = truth(res, RECORDING);
	a->end_on_failure = truth(res, END_ON_FAILURE);
	a->frame_rate = number(res, FRAME_RATE);
	a->min_visible_ms = number(res, MIN_VISIBLE);
	a->max_session_s = number(res, MAX_S);
	a->segment_bytes = number(res, SEGMENT_BYTES);
	a->retention_days = number(res, RETENTION);
	a->kind = kind_of(PQgetvalue(res, 0, KIND));
	a->may_record = truth(res, RECORD);
	a->asks_consent = truth(res, CONSENT);
	a->consent_s = number(res, CONSENT_S);
	a->manual_recording = truth(res, MANUAL);
	a->warn_s = number(res, WARN_S);
	a->agent_version = text(res, AGENT_VERSION, &rc);
	a->agent_node = text(res, AGENT_NODE, &rc);
	a->agent_seen = text(res, AGENT_SEEN, &rc);
	a->parked_node = text(res, PARKED_NODE, &rc);
	a->agent_channel = text(res, AGENT_CHANNEL, &rc);
	a->quality = text(res, QUALITY, &rc);
	a->tls_name = text(res, TLS_NAME, &rc);
	a->clipboard = text(res, CLIPBOARD, &rc);
	a->reverse_sha256 = text(res, REVERSE_SHA256, &rc);
	a->capture = text(res, CAPTURE, &rc);
	a->capture_key = text(res, CAPTURE_KEY, &rc);
	/* "" is 0 */
	a->holder_silent_s = strtod(PQgetvalue(res, 0, HOLDER_SILENT), NULL);
	if (rc == 0 && a->endpoint_id != 0)
		rc = open_secret(a, res, seal_key);
	return rc;
}

static void
drop(char **s)
{
	if (*s != NULL)
		wipe(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void
authorization_forget_secrets(struct authorization *a)
{
	drop(&a->password);
	drop(&a->password_hash);
	drop(&a->ca_pem);
}

void
authorization_release(struct authorization *a)
{
	authorization_forget_secrets(a);
	drop(&a->team);
	drop(&a->time_zone);
	drop(&a->endpoint);
	drop(&a->access);
	drop(&a->host);
	drop(&a->port);
	drop(&a->username);
	drop(&a->agent_version);
	drop(&a->agent_node);
	drop(&a->agent_seen);
	drop(&a->parked_node);
	drop(&a->agent_channel);
	drop(&a->quality);
	drop(&a->tls_name);
	drop(&a->reverse_sha256);
	drop(&a->clipboard);
	drop(&a->capture);
	drop(&a->capture_key);
}
