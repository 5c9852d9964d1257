/* Attended access: an agent that is not enrolled gets a code for one
 * occasion. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "relay/agent/agent_internal.h"

#define CODE_SECONDS (24 * 3600)
#define CODE_TRIES   5

/* The password of an attended VNC server, for the session that comes. */
void
agent_take_secret(struct agent *a, const struct agent_msg *m)
{
	uint8_t sealed[AGENT_SECRET_MAX + SEAL_OVERHEAD];
	size_t n = strlen(m->hello.secret);

	if (n == 0)
		return;
	seal(a->loop->relay->seal_key, m->hello.secret, n, sealed);
	http_hex(sealed, n + SEAL_OVERHEAD, a->secret);
}

static void
on_code_stored(void *arg, PGresult *res)
{
	struct agent *a = arg;
	struct agent_msg hello = { .type = AGENT_WELCOME };
	struct agent_msg m = { .type = AGENT_CODE };

	if (a->state == AGENT_STATE_GONE)
		goto out;
	if (!db_ok(res, "session code")) {
		if (res != NULL) /* else it may be there, and is removed */
			a->code[0] = '\0';
		agent_refuse_away(a);
		goto out;
	}
	if (PQntuples(res) != 1) {
		a->code[0] = '\0';
		if (++a->code_tries < CODE_TRIES)
			agent_offer_code(a);
		else
			agent_refuse(a, false, "no session code is free");
		goto out;
	}
	a->state = AGENT_STATE_READY;
	a->code_until_ns = clock_mono_ns() + CODE_SECONDS * NS_PER_S;
	snprintf(a->endpoint, sizeof(a->endpoint), "%s", a->code);
	/* no endpoint, no team: a welcome all the same, docs/agent-protocol.md
	 */
	hello.welcome.keepalive_s =
	    (uint16_t)a->loop->relay->conf.agent_seconds;
	snprintf(hello.welcome.version, sizeof(hello.welcome.version), "%s",
	    RELAYCAM_VERSION);
	memcpy(m.code.code, a->code, sizeof(a->code));
	m.code.valid_s = CODE_SECONDS;
	log_info("agent_attends", LOG_S("client", a->client_addr),
	    LOG_S("version", a->version), LOG_S("host", a->host));
	agent_set_timer(a, a->loop->relay->conf.agent_seconds);
	if (agent_tell(a, &hello) != 0 || agent_tell(a, &m) != 0)
		agent_close(a, "the connection broke");
out:
	agent_unref(a);
}

void
agent_offer_code(struct agent *a)
{
	const char *params[] = { a->code, a->loop->relay->node_id, a->host,
		a->version, a->secret[0] != '\0' ? a->secret : NULL };

	snprintf(a->code, sizeof(a->code), "%09u",
	    100000000u + randombytes_uniform(900000000u));
	agent_ask(a,
	    "INSERT INTO attended_codes (code, node_id, host, version, "
	    "secret_sealed, expires_at) SELECT $1, $2, $3, $4, decode($5, "
	    "'hex'), now() + interval '24 hours' "
	    "WHERE NOT EXISTS (SELECT 1 FROM endpoints WHERE name = $1 AND "
	    "deleted_at IS NULL) ON CONFLICT DO NOTHING RETURNING code",
	    5, params, on_code_stored);
}
