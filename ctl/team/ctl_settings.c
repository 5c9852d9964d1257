/* relaycam settings: what a team chose for each kind of access (T2, T3). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/recordings/retention.h"
#include "ctl/table.h"

static const struct column cols[] = {
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "access", "ACCESS", COLUMN_TEXT, "a.access" },
	{ "recording", "RECORDING", COLUMN_BOOL, "a.recording" },
	{ "playback_role", "PLAYBACK", COLUMN_TEXT, "a.playback_role" },
	{ "on_record_failure", "ON FAILURE", COLUMN_TEXT,
	    "a.on_record_failure" },
	{ "manual_recording", "BY HAND", COLUMN_BOOL, "a.manual_recording" },
	{ "consent", "CONSENT", COLUMN_TEXT, "a.consent" },
	{ "consent_seconds", "CONSENT S", COLUMN_INT, "a.consent_seconds" },
	{ "vnc_auth", "VNC AUTH", COLUMN_BOOL, "a.vnc_auth" },
	{ "clipboard", "CLIPBOARD", COLUMN_TEXT, "a.clipboard" },
	{ "frame_rate", "FRAMES/S", COLUMN_INT, "a.frame_rate" },
	{ "min_visible_ms", "VISIBLE MS", COLUMN_INT, "a.min_visible_ms" },
	{ "quality", "QUALITY", COLUMN_TEXT, "a.quality" },
	{ "max_session_s", "MAX SESSION S", COLUMN_INT, "a.max_session_s" },
	{ "warn_seconds", "WARN S", COLUMN_INT, "a.warn_seconds" },
	{ "segment_bytes", "SEGMENT", COLUMN_BYTES, "a.segment_bytes" },
	{ "retention_days", "KEEP DAYS", COLUMN_INT, "a.retention_days" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

/*
 * The columns of access_settings with their ranges, read by the same rules
 * as the configuration file; the schema has the last word.
 */
struct values {
	bool recording, manual_recording, vnc_auth;
	char *playback_role, *on_record_failure, *consent, *quality;
	char *clipboard;
	int64_t frame_rate, max_session_s, segment_bytes, retention_days;
	int64_t consent_seconds, warn_seconds, min_visible_ms;
};

#define ROW(name, type, lo, hi, choices)                                       \
	{                                                                      \
#name, type, offsetof(struct values, name), NULL, lo, hi,      \
		    choices, ""                                                \
	}

static const struct conf_opt keys[] = {
	ROW(recording, CONF_BOOL, 0, 0, NULL),
	ROW(playback_role, CONF_CHOICE, 0, 0, "owner|admin|member"),
	ROW(on_record_failure, CONF_CHOICE, 0, 0, "end|continue"),
	ROW(manual_recording, CONF_BOOL, 0, 0, NULL),
	ROW(consent, CONF_CHOICE, 0, 0, "off|ask"),
	ROW(consent_seconds, CONF_SECONDS, 5, 300, NULL),
	ROW(vnc_auth, CONF_BOOL, 0, 0, NULL),
	ROW(clipboard, CONF_CHOICE, 0, 0, "both|to_endpoint|to_technician|off"),
	ROW(frame_rate, CONF_INT, 1, 60, NULL),
	ROW(min_visible_ms, CONF_INT, 40, 100, NULL),
	ROW(quality, CONF_CHOICE, 0, 0, "text|small|lossless"),
	ROW(max_session_s, CONF_SECONDS, 1, 86400, NULL),
	ROW(warn_seconds, CONF_SECONDS, 0, 86400, NULL),
	ROW(segment_bytes, CONF_SIZE, 1 << 20, 512 << 20, NULL),
	ROW(retention_days, CONF_INT, 1, 36500, NULL),
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

struct assignment {
	char access[16], key[32];
	char value[64]; /* as SQL text */
};

/* The value that conf_set stored for key k, as text for PostgreSQL. */
static void
value_text(
    const struct conf_opt *k, const struct values *v, char *out, size_t len)
{
	const char *field = (const char *)v + k->offset;

	if (k->type == CONF_BOOL)
		snprintf(out, len, "%s", *(const bool *)field ? "t" : "f");
	else if (k->type == CONF_CHOICE)
		snprintf(out, len, "%s", *(char *const *)(const void *)field);
	else
		snprintf(out, len, "%lld",
		    (long long)*(const int64_t *)(const void *)field);
}

static const struct conf_opt *
find_key(const char *name)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static int
split(const char *word, struct assignment *as)
{
	int used = 0;

	if (sscanf(word, "%15[a-z].%31[a-z_]=%n", as->access, as->key, &used) !=
		2 ||
	    used == 0)
		return ctl_usage("\"%s\": expected access.key=value, such as "
				 "unattended.recording=on",
		    word);
	if (strcmp(as->access, "attended") != 0 &&
	    strcmp(as->access, "unattended") != 0)
		return ctl_usage(
		    "\"%s\": access is attended or unattended", word);
	if (find_key(as->key) == NULL)
		return ctl_usage("\"%s\": there is no setting \"%s\"; "
				 "\"relaycam settings set --help\" lists them",
		    word, as->key);
	return 0;
}

static int
parse(const char *word, struct assignment *as)
{
	struct values v = { 0 };
	struct conf_section sec = { NULL, "", keys, N_KEYS, &v, false };
	char err[256];
	int rc = split(word, as);

	if (rc != 0)
		return rc;
	sec.name = as->access;
	rc = conf_set(word, &sec, 1, err, sizeof(err));
	if (rc == 0)
		value_text(find_key(as->key), &v, as->value, sizeof(as->value));
	else
		rc = ctl_usage("%s", err);
	conf_release(&sec, 1);
	return rc;
}

/* The old value goes into the audit log beside the new one. */
static int
store(struct ctl *c, const struct team_ref *team, const struct assignment *as)
{
	char sql[320], what[64];
	PGresult *res;
	int rc;

	/* key is one of our own table's, so it may stand in the text */
	snprintf(sql, sizeof(sql),
	    "UPDATE access_settings n SET %s = $3 FROM access_settings o "
	    "WHERE n.team_id = $1 AND n.access = $2 AND o.team_id = n.team_id "
	    "AND o.access = n.access RETURNING o.%s, n.%s",
	    as->key, as->key, as->key);
	res = PG_QUERY(c, sql, team->id, as->access, as->value);
	if (res == NULL)
		return STATUS_FAILED;
	snprintf(what, sizeof(what), "%s.%s", as->access, as->key);
	if (PQntuples(res) == 0)
		rc = ctl_error("team %s lacks its settings for %s access: "
			       "\"relaycam check\" says what else is wrong",
		    team->name, as->access);
	else
		rc = pg_audit(c, team->id, "settings_set", what,
		    json_pack("{s:s,s:s}", "before", PQgetvalue(res, 0, 0),
			"after", PQgetvalue(res, 0, 1)));
	PQclear(res);
	return rc;
}

/*
 * T12: what a changed retention deletes is said before; then it takes --yes.
 * The transaction of the change is open, so nothing else changes meanwhile.
 */
static int
allow_retention(struct ctl *c, const struct args *a,
    const struct team_ref *team, const struct assignment *as)
{
	bool is_deleting = false;
	int rc;

	if (strcmp(as->key, "retention_days") != 0)
		return 0;
	rc = retention_say(c, team, as->access, as->value, &is_deleting);
	if (rc == 0 && is_deleting && !args_has(a, "yes") &&
	    !args_has(a, "dry-run"))
		rc = ctl_error("nothing was changed: give --yes to let these "
			       "recordings be deleted earlier");
	return rc;
}

static int
run_set(struct ctl *c, const struct args *a)
{
	struct assignment list[ARGS_WORDS_MAX];
	struct team_ref team;
	int rc = 0;

	for (size_t i = 0; i < a->n_words && rc == 0; i++)
		rc = parse(a->words[i], &list[i]);
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	for (size_t i = 0; i < a->n_words && rc == 0; i++)
		rc = allow_retention(c, a, &team, &list[i]);
	for (size_t i = 0; i < a->n_words && rc == 0; i++)
		rc = store(c, &team, &list[i]);
	if (rc == 0 && args_has(a, "dry-run")) {
		printf("nothing was changed (--dry-run)\n");
		return STATUS_OK; /* the transaction ends with the program */
	}
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("settings of team %s changed, for sessions that start "
		       "from now on; retention_days also for what is stored\n",
		    team.name);
	return rc;
}

static int
run_show(struct ctl *c, const struct args *a)
{
	struct team_ref team;
	struct sql q;

	if (args_has(a, "team") && team_find(c, a, &team) != 0)
		return STATUS_FAILED;
	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, "FROM access_settings a JOIN teams t ON t.id = a.team_id");
	sql_filter(&q, "t.name = ?", args_get(a, "team"));
	sql_add(&q, " ORDER BY t.name, a.access");
	return table_list(c, a, &q, cols, N_COLS, true, "no teams");
}

static const struct arg_opt show_opts[] = {
	{ "team", "NAME", "only this team" },
	OPT_JSON,
};
static const struct arg_opt set_opts[] = {
	OPT_TEAM,
	{ "dry-run", NULL, "say what would be deleted, and change nothing" },
	{ "yes", NULL, "change retention_days though recordings go earlier" },
};

static const struct command commands[] = {
	{ "show", "", 0, 0, OPTS(show_opts),
	    "Shows the settings of attended and unattended access.", run_show },
	{ "set", "ACCESS.KEY=VALUE...", 1, ARGS_WORDS_MAX, OPTS(set_opts),
	    "Changes settings of a team, for sessions that start afterwards."
	    "\n\nACCESS is attended or unattended. KEY is one of\n"
	    "  recording          on or off (off until set)\n"
	    "  playback_role      who may watch: owner, admin or member\n"
	    "  on_record_failure  end or continue a session that cannot be "
	    "recorded\n"
	    "  manual_recording   on or off: people with the right record by "
	    "hand\n"
	    "  consent            ask or off: whether the end user is asked\n"
	    "  consent_seconds    5 to 300 seconds, then it is a no\n"
	    "  vnc_auth           on or off: viewers without VeNCrypt, by "
	    "one-time password\n"
	    "  clipboard          both, to_endpoint, to_technician or off\n"
	    "  frame_rate         1 to 60 pictures a second\n"
	    "  min_visible_ms     40 to 100: what stands so long is in a "
	    "frame\n"
	    "  quality            text, small or lossless\n"
	    "  max_session_s      1 to 86400 seconds; 90m and 24h work too\n"
	    "  warn_seconds       how long before that the technician is "
	    "warned; 0: never\n"
	    "  segment_bytes      1M to 512M\n"
	    "  retention_days     1 to 36500; also for what is stored: what "
	    "would be deleted\n"
	    "                     earlier is said first, and needs --yes\n"
	    "All changes are made, or none.",
	    run_set },
};

const struct command_group group_settings = { "settings",
	"recording and playback of each team, by kind of access", commands, 2 };
