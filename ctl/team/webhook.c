/* relaycam webhook: programs that a team has told what happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/webhook_secret.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/team/secret.h"
#include "ctl/table.h"

#define ME                                                                     \
	"current_setting('relaycam.actor'), "                                  \
	"jsonb_build_object('system_account', "                                \
	"current_setting('relaycam.system_account'))"

static const struct column columns[] = {
	{ "id", "id", COLUMN_INT, "w.id" },
	{ "url", "address", COLUMN_TEXT, "w.url" },
	{ "events", "events", COLUMN_TEXT, "array_to_string(w.events, ',')" },
	{ "enabled", "on", COLUMN_BOOL, "w.enabled" },
	{ "created_at", NULL, COLUMN_TIME, "w.created_at" },
	{ "last_at", "last try", COLUMN_TIME, "w.last_at" },
	{ "last_status", "status", COLUMN_INT, "w.last_status" },
	{ "last_error", "error", COLUMN_TEXT, "w.last_error" },
	{ "waiting", "waiting", COLUMN_INT,
	    "(SELECT count(*) FROM webhook_deliveries d WHERE d.webhook_id = "
	    "w.id)" },
	{ "lost", "lost", COLUMN_INT, "w.n_lost" },
};

static int
run_list(struct ctl *c, const struct args *a)
{
	struct team_ref team;
	struct sql q;
	int rc = team_find(c, a, &team);

	if (rc != 0)
		return rc;
	sql_init(&q);
	table_select(&q, columns, N_ELEMENTS(columns), "t.time_zone");
	sql_value(&q,
	    " FROM webhooks w JOIN teams t ON t.id = w.team_id WHERE "
	    "w.team_id = ?::bigint ORDER BY w.id",
	    team.id);
	return table_list(c, a, &q, columns, N_ELEMENTS(columns), true,
	    "the team has no webhooks; \"relaycam webhook add\" adds one");
}

static void
make_secret(struct secret *s)
{
	webhook_secret_new(s->text);
	s->len = strlen(s->text);
}

/* "a,b" as a PostgreSQL array; the schema knows which names there are. */
static int
event_array(const char *list, char *out, size_t len)
{
	if (strspn(list, "abcdefghijklmnopqrstuvwxyz._,") != strlen(list) ||
	    strlen(list) + 3 > len)
		return ctl_usage("--events %s: expected names with commas "
				 "between them",
		    list);
	snprintf(out, len, "{%s}", list);
	return 0;
}

static int
add(struct ctl *c, const struct team_ref *team, const char *url,
    const char *events, const struct secret *s, bool is_json)
{
	char *sealed = secret_seal(c, s);
	const char *problem;
	PGresult *res;
	int rc = 0;

	if (sealed == NULL)
		return STATUS_CONFIG;
	res = PG_QUERY(c,
	    "SELECT r.id, r.problem FROM webhook_new($1::bigint, " ME
	    ", $2, $3::text[], $4::bytea) r",
	    team->id, url, events, sealed);
	free(sealed);
	if (res == NULL)
		return STATUS_FAILED;
	problem = pg_text(res, 0, 1);
	if (problem != NULL)
		rc = ctl_error("%s", problem);
	else if (is_json)
		rc = print_json(json_pack("{s:I,s:s,s:s}", "id",
		    (json_int_t)atoll(pg_text(res, 0, 0)), "url", url, "secret",
		    s->text));
	else
		printf("webhook %s: %s\nsecret, shown this once: %s\n",
		    pg_text(res, 0, 0), url, s->text);
	PQclear(res);
	return rc;
}

static int
run_add(struct ctl *c, const struct args *a)
{
	const char *list = args_get(a, "events");
	char events[512];
	struct team_ref team;
	struct secret s;
	int rc = list != NULL ? event_array(list, events, sizeof(events)) : 0;

	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = pg_introduce(c);
	if (rc != 0)
		return rc;
	make_secret(&s);
	rc = add(c, &team, a->words[0], list != NULL ? events : NULL, &s,
	    args_has(a, "json"));
	secret_wipe(&s);
	return rc;
}

/* sql: of a function that says whether there is one of that team and id. */
static int
with_one(struct ctl *c, const struct args *a, const char *sql,
    const char *which, const char *done)
{
	const char *id = a->words[0];
	struct team_ref team;
	PGresult *res;
	bool found;

	if (strspn(id, "0123456789") != strlen(id) || strlen(id) > 18 ||
	    *id == '\0')
		return ctl_usage("\"%s\": expected a number", id);
	if (team_find(c, a, &team) != 0 || pg_introduce(c) != 0)
		return STATUS_FAILED;
	res = PG_QUERY(c, sql, team.id, id);
	if (res == NULL)
		return STATUS_FAILED;
	found = *PQgetvalue(res, 0, 0) == 't';
	PQclear(res);
	if (!found)
		return ctl_error("team %s has no webhook %s%s; \"relaycam "
				 "webhook list\" shows them",
		    team.name, id, which);
	printf("webhook %s %s\n", id, done);
	return 0;
}

static int
run_remove(struct ctl *c, const struct args *a)
{
	return with_one(c, a,
	    "SELECT webhook_remove($1::bigint, " ME ", $2::bigint)", "",
	    "removed");
}

#define SET_ENABLED(value)                                                     \
	"SELECT ((webhook_set($1::bigint, " ME                                 \
	", $2::bigint, NULL, NULL, " value ")).hook).id IS NOT NULL"

static int
run_enable(struct ctl *c, const struct args *a)
{
	return with_one(c, a, SET_ENABLED("true"), "",
	    "is on; it is sent what waits and what happens from now on");
}

static int
run_disable(struct ctl *c, const struct args *a)
{
	return with_one(c, a, SET_ENABLED("false"), "",
	    "is off; what waits for it is kept for 3 days");
}

static int
run_test(struct ctl *c, const struct args *a)
{
	return with_one(c, a,
	    "SELECT webhook_test($1::bigint, " ME ", $2::bigint)",
	    " that is on and has room for a delivery",
	    "gets a webhook.test from a console; \"relaycam webhook list\" "
	    "says what came of it");
}

static const struct arg_opt list_opts[] = { OPT_TEAM, OPT_JSON, OPT_UTC };
static const struct arg_opt one_opts[] = { OPT_TEAM };
static const struct arg_opt add_opts[] = {
	OPT_TEAM,
	{ "events", "NAME,...", "only these (default: all)" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ "list", "", 0, 0, OPTS(list_opts),
	    "Lists webhooks, and what came of the last try of each.",
	    run_list },
	{ "add", "URL", 1, 1, OPTS(add_opts),
	    "Adds one and prints its secret, which is shown only now.\n\n"
	    "Events: session.started, session.ended, recording.available, "
	    "recording.failed,\nrecording.expired, recording.locked. "
	    "docs/webhooks.md says what is sent.",
	    run_add },
	{ "remove", "ID", 1, 1, OPTS(one_opts),
	    "Removes one, and what waits to be sent to it.", run_remove },
	{ "enable", "ID", 1, 1, OPTS(one_opts), "Switches one on again.",
	    run_enable },
	{ "disable", "ID", 1, 1, OPTS(one_opts),
	    "Switches one off: it is sent nothing, and events are not kept "
	    "for it.",
	    run_disable },
	{ "test", "ID", 1, 1, OPTS(one_opts),
	    "Has a webhook.test sent, whatever events it wants.", run_test },
};

const struct command_group group_webhook = { "webhook",
	"webhooks: programs that are told what happened", commands,
	N_ELEMENTS(commands) };
