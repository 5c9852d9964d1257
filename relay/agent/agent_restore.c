/* Rows of agents whose channel is here: what was written off is put right. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "relay/agent/agent_internal.h"
#include "relay/restore.h"

/* Agents of l whose channel a column of res names. */
static void
refuse_listed(struct loop *l, const PGresult *res, const char *reason)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const char *channel = PQgetvalue(res, i, 0);
		struct agent *a;

		TAILQ_FOREACH(a, &l->agents, link)
			if (strcmp(a->channel, channel) == 0)
				break;
		if (a != NULL)
			agent_refuse(a, false, reason);
	}
}

static void
on_codes_restored(void *arg, PGresult *res)
{
	if (db_ok(res, "session codes"))
		refuse_listed(
		    arg, res, "its session code was given to another agent");
}

static void
add_enrolled(json_t *list, const struct agent *a)
{
	if (a->state == AGENT_STATE_READY && a->endpoint_id[0] != '\0')
		json_array_append_new(list,
		    json_pack("{s:s s:s s:s}", "id", a->endpoint_id, "pin",
			a->pin, "channel", a->channel));
}

static json_t *
enrolled(const struct loop *l)
{
	json_t *list = json_array();
	const struct agent *a;

	TAILQ_FOREACH(a, &l->agents, link)
		add_enrolled(list, a);
	return list;
}

static json_t *
attended(const struct loop *l)
{
	json_t *list = json_array();
	uint64_t now = clock_mono_ns();
	const struct agent *a;

	TAILQ_FOREACH(a, &l->agents, link)
		if (a->state == AGENT_STATE_READY && a->code[0] != '\0' &&
		    a->code_until_ns > now)
			json_array_append_new(list,
			    json_pack("{s:s s:s s:s s:s s:s* s:I}", "code",
				a->code, "host", a->host, "version", a->version,
				"channel", a->channel, "secret",
				a->secret[0] != '\0' ? a->secret : NULL,
				"seconds",
				(json_int_t)((a->code_until_ns - now) /
				    NS_PER_S)));
	return list;
}

/* Agents that another relay holds meanwhile stay there. */
static const char restore_enrolled[] =
    "UPDATE endpoints e SET agent_node = $2, agent_channel = x.channel, "
    "agent_seen_at = clock_timestamp() FROM jsonb_to_recordset($1::jsonb) x "
    "(id bigint, pin text, channel uuid) WHERE e.id = x.id AND e.kind = "
    "'agent' AND e.deleted_at IS NULL AND e.agent_cert_sha256 = "
    "decode(x.pin, 'hex') AND e.agent_node IS NULL";

void
agent_restore(struct agent *a)
{
	json_t *list = json_array();

	add_enrolled(list, a);
	restore_rows(a->loop, list, restore_enrolled, NULL);
}

void
agents_restore(struct loop *l)
{
	restore_rows(l, enrolled(l), restore_enrolled, NULL);
	restore_rows(l, attended(l),
	    "WITH x AS (SELECT * FROM jsonb_to_recordset($1::jsonb) y (code "
	    "text, host text, version text, channel uuid, secret text, "
	    "seconds integer)), i AS (INSERT INTO attended_codes (code, "
	    "node_id, host, version, secret_sealed, expires_at) SELECT code, "
	    "$2, host, version, decode(secret, 'hex'), now() + seconds * "
	    "interval '1 second' FROM x ON CONFLICT DO NOTHING) "
	    "SELECT x.channel FROM x JOIN attended_codes c USING (code) WHERE "
	    "c.node_id <> $2::uuid",
	    on_codes_restored);
}
