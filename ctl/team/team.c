/* relaycam team: the owners of endpoints and people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/table.h"

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "t.id" },
	{ "name", "NAME", COLUMN_TEXT, "t.name" },
	{ "title", "TITLE", COLUMN_TEXT, "t.title" },
	{ "time_zone", "TIME ZONE", COLUMN_TEXT, "t.time_zone" },
	{ "second_factor", NULL, COLUMN_TEXT, "t.second_factor" },
	{ "quota_bytes", "QUOTA", COLUMN_BYTES, "t.quota_bytes" },
	{ "quota_warn_percent", NULL, COLUMN_INT, "t.quota_warn_percent" },
	{ "quota_percent", "USED %", COLUMN_INT,
	    "(SELECT q.percent FROM team_quota(t.id) q)" },
	{ "quota_state", NULL, COLUMN_TEXT,
	    "(SELECT q.state FROM team_quota(t.id) q)" },
	{ "people", "PEOPLE", COLUMN_INT,
	    "(SELECT count(*) FROM people p WHERE p.team_id = t.id)" },
	{ "endpoints", "ENDPOINTS", COLUMN_INT,
	    "(SELECT count(*) FROM endpoints e WHERE e.team_id = t.id "
	    "AND e.deleted_at IS NULL)" },
	{ "created_at", "CREATED", COLUMN_TIME, "t.created_at" },
};
#define N_COLS (int)N_ELEMENTS(cols)

/* PostgreSQL computes with the zones, so it is asked (T7). */
static int
check_zone(struct ctl *c, const char *zone)
{
	PGresult *res;
	int known;

	if (zone == NULL)
		return 0;
	res = PG_QUERY(
	    c, "SELECT 1 FROM pg_timezone_names WHERE name = $1", zone);
	if (res == NULL)
		return STATUS_FAILED;
	known = PQntuples(res) > 0;
	PQclear(res);
	if (known)
		return 0;
	return ctl_usage("there is no time zone \"%s\"; use a name such as "
			 "Europe/Berlin or UTC",
	    zone);
}

static int
add_row(struct ctl *c, const char *name, const char *title, const char *zone)
{
	PGresult *res;
	char *id;
	int rc;

	if (pg_open(c) != 0)
		return STATUS_FAILED;
	res = PG_QUERY(c,
	    "INSERT INTO teams (name, title, time_zone) "
	    "VALUES ($1, coalesce($2, ''), coalesce($3, 'UTC')) "
	    "ON CONFLICT (name) DO NOTHING RETURNING id",
	    name, title, zone);
	if (res == NULL)
		return STATUS_FAILED;
	id = pg_copy(res);
	PQclear(res);
	if (id == NULL)
		return ctl_error("team \"%s\" exists already; \"relaycam team "
				 "set\" changes it",
		    name);
	rc = pg_audit(c, id, "team_add", name,
	    json_pack("{s:s}", "time_zone", zone != NULL ? zone : "UTC"));
	free(id);
	return rc;
}

static int
run_add(struct ctl *c, const struct args *a)
{
	const char *zone = args_get(a, "time-zone");
	const char *name = a->words[0];
	int rc = name_check("team", name);

	if (rc == 0)
		rc = check_zone(c, zone);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = add_row(c, name, args_get(a, "title"), zone);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("team %s added; recording is off until \"relaycam "
		       "settings set\" switches it on\n",
		    name);
	return rc;
}

static int
run_list(struct ctl *c, const struct args *a)
{
	struct sql q;

	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, "FROM teams t ORDER BY t.name");
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "no teams; \"relaycam team add NAME\" makes one");
}

static int
update_row(struct ctl *c, const char *name, const char *title, const char *zone,
    const char *factor)
{
	PGresult *res = PG_QUERY(c,
	    "UPDATE teams SET title = coalesce($2, title), "
	    "time_zone = coalesce($3, time_zone), "
	    "second_factor = coalesce($4, second_factor) WHERE name = $1 "
	    "RETURNING id, title, time_zone, second_factor",
	    name, title, zone, factor);
	int rc;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("there is no team \"%s\"; \"relaycam team "
			       "list\" lists them",
		    name);
	else
		rc = pg_audit(c, pg_text(res, 0, 0), "team_set", name,
		    json_pack("{s:s,s:s,s:s}", "title", pg_text(res, 0, 1),
			"time_zone", pg_text(res, 0, 2), "second_factor",
			pg_text(res, 0, 3)));
	PQclear(res);
	return rc;
}

/* --quota and --quota-warn as the JSON of team_quota_set(); NULL after a
 * message. */
static json_t *
read_quota(const struct args *a)
{
	struct {
		int64_t bytes, percent;
	} v = { 0 };
	static const struct conf_opt opts[] = {
		{ "bytes", CONF_SIZE, 0, NULL, 1, INT64_C(1) << 53, NULL, "" },
		{ "percent", CONF_INT, sizeof(int64_t), NULL, 1, 100, NULL,
		    "" },
	};
	const struct conf_section section = { "quota", "", opts, 2, &v, false };
	const char *bytes = args_get(a, "quota"),
		   *percent = args_get(a, "quota-warn");
	json_t *j = json_object();
	char word[80], err[256];
	int rc = 0;

	if (bytes != NULL && strcmp(bytes, "none") == 0)
		json_object_set_new(j, "quota_bytes", json_null());
	else if (bytes != NULL) {
		snprintf(word, sizeof(word), "quota.bytes=%s", bytes);
		rc = conf_set(word, &section, 1, err, sizeof(err));
		json_object_set_new(j, "quota_bytes", json_integer(v.bytes));
	}
	if (rc == 0 && percent != NULL) {
		snprintf(word, sizeof(word), "quota.percent=%s", percent);
		rc = conf_set(word, &section, 1, err, sizeof(err));
		json_object_set_new(
		    j, "quota_warn_percent", json_integer(v.percent));
	}
	if (rc == 0)
		return j;
	ctl_usage("%s", err);
	json_decref(j);
	return NULL;
}

/* Nothing, when neither is in j. */
static int
set_quota(struct ctl *c, const char *name, const json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	PGresult *res = NULL;
	int rc = text != NULL ? pg_introduce(c) : STATUS_FAILED;

	if (rc == 0)
		res = PG_QUERY(c,
		    "SELECT team_quota_set(id, "
		    "current_setting('relaycam.actor'), jsonb_build_object("
		    "'system_account', "
		    "current_setting('relaycam.system_account')), $2::jsonb) "
		    "FROM teams WHERE name = $1",
		    name, text);
	if (res == NULL)
		rc = STATUS_FAILED;
	PQclear(res);
	free(text);
	return rc;
}

static int
run_set(struct ctl *c, const struct args *a)
{
	const char *zone = args_get(a, "time-zone");
	const char *title = args_get(a, "title");
	const char *factor = args_get(a, "second-factor");
	json_t *quota;
	bool is_rest = zone != NULL || title != NULL || factor != NULL;
	int rc;

	if (!is_rest && !args_has(a, "quota") && !args_has(a, "quota-warn"))
		return ctl_usage("nothing to change: give --time-zone, "
				 "--title, --second-factor, --quota or "
				 "--quota-warn");
	if (factor != NULL && strcmp(factor, "required") != 0 &&
	    strcmp(factor, "optional") != 0)
		return ctl_usage("--second-factor %s: expected required or "
				 "optional",
		    factor);
	quota = read_quota(a);
	if (quota == NULL)
		return STATUS_USAGE;
	rc = check_zone(c, zone);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0 && json_object_size(quota) > 0)
		rc = set_quota(c, a->words[0], quota);
	json_decref(quota);
	if (rc == 0)
		rc = update_row(c, a->words[0], title, zone, factor);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("team %s changed\n", a->words[0]);
	return rc;
}

static const struct arg_opt add_opts[] = {
	{ "time-zone", "ZONE", "of its session log, such as Europe/Berlin" },
	{ "title", "TEXT", "a name for people" },
};
static const struct arg_opt set_opts[] = {
	{ "time-zone", "ZONE", "of its session log, such as Europe/Berlin" },
	{ "title", "TEXT", "a name for people" },
	{ "second-factor", "CHOICE",
	    "required or optional, beside passwords at the console" },
	{ "quota", "SIZE",
	    "what its recordings may take, such as 500G, or none" },
	{ "quota-warn", "PERCENT", "of the quota, from which on to warn" },
};
static const struct arg_opt list_opts[] = { OPT_JSON, OPT_UTC };

static const struct command commands[] = {
	{ "add", "NAME", 1, 1, OPTS(add_opts),
	    "Makes a team. Its recording is off; its time zone UTC.", run_add },
	{ "list", "", 0, 0, OPTS(list_opts), "Lists the teams.", run_list },
	{ "set", "NAME", 1, 1, OPTS(set_opts),
	    "Changes a team's time zone, title, second factor or "
	    "quota.\n\nFile names "
	    "of recordings "
	    "made before keep the zone they were made in. Once "
	    "the quota is\nused up, no new recording begins; those that run "
	    "go on.",
	    run_set },
};

const struct command_group group_team = { "team",
	"teams: who owns endpoints and people", commands, 3 };
