/* relaycam user: people, their passwords and their rights. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/password.h"
#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"
#include "ctl/team/rights.h"
#include "ctl/team/secret.h"
#include "ctl/team/single_sign_on.h"
#include "ctl/table.h"

#define PASSWORD_MIN 8

static const struct column cols[] = {
	{ "id", NULL, COLUMN_INT, "p.id" },
	{ "name", "NAME", COLUMN_TEXT, "p.name" },
	{ "title", "TITLE", COLUMN_TEXT, "p.title" },
	{ "team", "TEAM", COLUMN_TEXT, "t.name" },
	{ "role", "ROLE", COLUMN_TEXT, "p.role" },
	{ "disabled", "DISABLED", COLUMN_BOOL, "p.disabled" },
	{ "has_password", "PASSWORD", COLUMN_BOOL,
	    "(p.password_hash IS NOT NULL)" },
	{ "has_totp", "TOTP", COLUMN_BOOL,
	    "EXISTS (SELECT FROM totp o WHERE o.person_id = p.id "
	    "AND o.confirmed_at IS NOT NULL)" },
	{ "passkeys", "PASSKEYS", COLUMN_INT,
	    "(SELECT count(*) FROM passkeys k WHERE k.person_id = p.id)" },
	{ "last_login_at", "LAST LOGIN", COLUMN_TIME, "p.last_login_at" },
	{ "failed_logins", "FAILED", COLUMN_INT, "p.failed_logins" },
	{ "rights", NULL, COLUMN_JSON,
	    "(SELECT coalesce(json_agg(json_build_object('endpoint', e.name, "
	    "'control', r.control, 'record', r.record, 'manage', r.manage) "
	    "ORDER BY e.name), '[]') FROM endpoint_rights r "
	    "JOIN endpoints e ON e.id = r.endpoint_id "
	    "WHERE r.person_id = p.id AND e.deleted_at IS NULL)" },
	{ "created_at", "CREATED", COLUMN_TIME, "p.created_at" },
};
#define N_COLS (int)(sizeof(cols) / sizeof(cols[0]))

/* Locks the team's row, so that two runs do not both take an owner away. */
static int
lock_team(struct ctl *c, const char *team_id)
{
	return PG_RUN(
	    c, "SELECT 1 FROM teams WHERE id = $1 FOR UPDATE", team_id);
}

/* How many enabled owners a team has besides `except` (id, or NULL). */
static int
other_owners(struct ctl *c, const char *team_id, const char *except)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT count(*) FROM people WHERE team_id = $1 "
	    "AND role = 'owner' AND NOT disabled "
	    "AND id IS DISTINCT FROM $2::bigint",
	    team_id, except);
	int n = res != NULL ? atoi(PQgetvalue(res, 0, 0)) : -1;

	PQclear(res);
	return n;
}

/* A team keeps an owner: refuses to take the last one away. */
static int
keep_owner(struct ctl *c, const struct person_ref *p)
{
	int rc = lock_team(c, p->team_id);
	int n;

	if (rc != 0 || strcmp(p->role, "owner") != 0)
		return rc;
	n = other_owners(c, p->team_id, p->id);
	if (n > 0)
		return 0;
	return n < 0
	    ? STATUS_FAILED
	    : ctl_error("%s is the team's only owner; make somebody else owner "
			"first (\"relaycam user set NAME --role owner\")",
		  p->name);
}

static int
check_role(const char *role)
{
	if (role == NULL || strcmp(role, "owner") == 0 ||
	    strcmp(role, "admin") == 0 || strcmp(role, "member") == 0)
		return 0;
	return ctl_usage("--role %s: expected owner, admin or member", role);
}

/* The new password's hash by the options; prints a generated one. */
static int
take_password(const struct args *a, const char *whose,
    char hash[PASSWORD_HASH_MAX], struct secret *generated)
{
	struct secret s;
	int rc = 0;

	memset(generated, 0, sizeof(*generated));
	if (args_has(a, "generate") && secret_is_given(a))
		return ctl_usage("--generate makes the password: leave out "
				 "--password-file and --password-stdin");
	if (args_has(a, "generate")) {
		secret_generate(&s);
		*generated = s;
	} else {
		rc = secret_read(a, whose, PASSWORD_MIN, &s);
	}
	if (rc == 0 && password_hash(s.text, s.len, hash) != 0)
		rc = ctl_error("out of memory for the password's hash");
	secret_wipe(&s);
	return rc;
}

/* A team's first person is its owner; later ones need not be. */
static int
check_first_owner(struct ctl *c, const struct team_ref *team, const char *role)
{
	int n;

	if (strcmp(role, "owner") == 0)
		return 0;
	n = other_owners(c, team->id, NULL);
	if (n > 0)
		return 0;
	return n < 0 ? STATUS_FAILED
		     : ctl_error("team \"%s\" has no owner yet: its first "
				 "user needs --role owner",
			   team->name);
}

static int
add_row(struct ctl *c, const struct args *a, const struct team_ref *team,
    const char *role, const char *hash)
{
	const char *name = a->words[0];
	PGresult *res;
	int rc = lock_team(c, team->id);

	if (rc == 0)
		rc = check_first_owner(c, team, role);
	if (rc != 0)
		return rc;
	res = PG_QUERY(c,
	    "INSERT INTO people (team_id, name, title, role, password_hash) "
	    "VALUES ($1, $2, coalesce($3, ''), $4, $5) "
	    "ON CONFLICT (name) DO NOTHING RETURNING id",
	    team->id, name, args_get(a, "title"), role, hash);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc = ctl_error("user \"%s\" exists already (names are shared "
			       "by all teams); \"relaycam user passwd\" "
			       "changes the password",
		    name);
	else
		rc = pg_audit(c, team->id, "user_add", name,
		    json_pack("{s:s}", "role", role));
	PQclear(res);
	return rc;
}

static void
print_generated(struct secret *s)
{
	if (s->len > 0)
		printf("password: %s\n", s->text);
	secret_wipe(s);
}

static int
run_add(struct ctl *c, const struct args *a)
{
	const char *role = args_get(a, "role");
	char hash[PASSWORD_HASH_MAX] = "";
	struct secret generated = { 0 };
	struct team_ref team;
	int rc = name_check("user", a->words[0]);

	if (rc == 0)
		rc = check_role(role);
	if (rc == 0)
		rc = team_find(c, a, &team);
	if (rc == 0)
		rc = take_password(a, a->words[0], hash, &generated);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = add_row(c, a, &team, role != NULL ? role : "member", hash);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0) {
		printf("user %s added to team %s\n", a->words[0], team.name);
		print_generated(&generated);
	}
	secret_wipe(&generated);
	return rc;
}

static int
run_passwd(struct ctl *c, const struct args *a)
{
	char hash[PASSWORD_HASH_MAX] = "";
	struct secret generated = { 0 };
	struct person_ref p;
	int rc = person_find(c, a->words[0], &p);

	if (rc == 0)
		rc = take_password(a, p.name, hash, &generated);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE people SET password_hash = $2, failed_logins = 0, "
		    "last_failed_at = NULL WHERE id = $1",
		    p.id, hash);
	if (rc == 0)
		rc = pg_audit(c, p.team_id, "user_passwd", p.name, NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0) {
		printf("password of %s changed\n", p.name);
		print_generated(&generated);
	}
	secret_wipe(&generated);
	return rc;
}

static int
run_list(struct ctl *c, const struct args *a)
{
	struct sql q;

	if (sql_init(&q) != 0)
		return STATUS_FAILED;
	table_select(&q, cols, N_COLS, "t.time_zone");
	sql_add(&q, "FROM people p JOIN teams t ON t.id = p.team_id");
	sql_filter(&q, "t.name = ?", args_get(a, "team"));
	sql_add(&q, " ORDER BY t.name, p.name");
	return table_list(c, a, &q, cols, N_COLS, args_has(a, "utc"),
	    "no users; \"relaycam user add NAME\" makes one");
}

static int
set_row(struct ctl *c, const struct person_ref *p, const char *role,
    const char *title)
{
	int rc = 0;

	if (role != NULL && strcmp(role, "owner") != 0)
		rc = keep_owner(c, p);
	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE people SET role = coalesce($2, role), "
		    "title = coalesce($3, title) WHERE id = $1",
		    p->id, role, title);
	if (rc == 0)
		rc = pg_audit(c, p->team_id, "user_set", p->name,
		    json_pack("{s:s,s:s}", "role_before", p->role, "role",
			role != NULL ? role : p->role));
	return rc;
}

static int
run_set(struct ctl *c, const struct args *a)
{
	const char *role = args_get(a, "role");
	const char *title = args_get(a, "title");
	struct person_ref p;
	int rc;

	if (role == NULL && title == NULL)
		return ctl_usage("nothing to change: give --role or --title");
	rc = check_role(role);
	if (rc == 0)
		rc = PG_RUN(c, "BEGIN");
	if (rc == 0)
		rc = person_find(c, a->words[0], &p);
	if (rc == 0)
		rc = set_row(c, &p, role, title);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("user %s changed\n", p.name);
	return rc;
}

static int
set_disabled(struct ctl *c, const char *name, bool disabled)
{
	struct person_ref p;
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = person_find(c, name, &p);
	if (rc == 0 && disabled)
		rc = keep_owner(c, &p);
	if (rc == 0)
		rc = PG_RUN(c,
		    "UPDATE people SET disabled = $2, failed_logins = 0 "
		    "WHERE id = $1",
		    p.id, disabled ? "t" : "f");
	if (rc == 0)
		rc = pg_audit(c, p.team_id,
		    disabled ? "user_disable" : "user_enable", p.name, NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("user %s %s\n", name,
		    disabled ? "disabled: no new session or login" : "enabled");
	return rc;
}

static int
run_disable(struct ctl *c, const struct args *a)
{
	return set_disabled(c, a->words[0], true);
}

static int
run_enable(struct ctl *c, const struct args *a)
{
	return set_disabled(c, a->words[0], false);
}

/* What a person logs in with, to be taken away. */
struct factor {
	const char *sql, *none, *action, *done;
};

static int
take_factor(struct ctl *c, const char *name, const struct factor *f)
{
	struct person_ref p;
	PGresult *res = NULL;
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = person_find(c, name, &p);
	if (rc == 0)
		res = PG_QUERY(c, f->sql, p.id);
	if (rc == 0 && res == NULL)
		rc = STATUS_FAILED;
	if (rc == 0 && *PQcmdTuples(res) == '0')
		rc = ctl_error("%s has no %s", p.name, f->none);
	if (rc == 0)
		rc = pg_audit(c, p.team_id, f->action, p.name, NULL);
	if (rc == 0)
		rc = PG_RUN(c, "COMMIT");
	if (rc == 0)
		printf("%s %s\n", p.name, f->done);
	PQclear(res);
	return rc;
}

static int
run_totp_off(struct ctl *c, const struct args *a)
{
	static const struct factor totp = {
		"DELETE FROM totp WHERE person_id = $1", "authenticator",
		"totp_off", "logs in without a code"
	};

	return take_factor(c, a->words[0], &totp);
}

static int
run_passkeys_off(struct ctl *c, const struct args *a)
{
	static const struct factor passkeys = {
		"DELETE FROM passkeys WHERE person_id = $1", "passkey",
		"passkeys_deleted", "has no passkeys any more"
	};

	return take_factor(c, a->words[0], &passkeys);
}

static const struct arg_opt add_opts[] = {
	OPT_TEAM,
	{ "role", "ROLE", "owner, admin or member (default: member)" },
	{ "title", "TEXT", "a name for people" },
	OPTS_SECRET,
	{ "generate", NULL, "make a password and print it" },
};
static const struct arg_opt passwd_opts[] = {
	OPTS_SECRET,
	{ "generate", NULL, "make a password and print it" },
};
static const struct arg_opt list_opts[] = {
	{ "team", "NAME", "only this team" },
	OPT_JSON,
	OPT_UTC,
};
static const struct arg_opt set_opts[] = {
	{ "role", "ROLE", "owner, admin or member" },
	{ "title", "TEXT", "a name for people" },
};

static const struct arg_opt link_opts[] = {
	{ "subject", "TEXT", "the claim sub that the provider has for them" },
};

static const struct command commands[] = {
	{ "add", "NAME", 1, 1, OPTS(add_opts),
	    "Adds a person to a team.\n\nThe password is asked for, unless an "
	    "option says where it comes from. The first\nperson of a team is "
	    "its owner.",
	    run_add },
	{ "passwd", "NAME", 1, 1, OPTS(passwd_opts),
	    "Changes a person's password and forgets failed logins.",
	    run_passwd },
	{ "list", "", 0, 0, OPTS(list_opts),
	    "Lists people. --json has their rights too.", run_list },
	{ "set", "NAME", 1, 1, OPTS(set_opts),
	    "Changes a person's role or title.", run_set },
	{ "disable", "NAME", 1, 1, NULL, 0,
	    "Refuses a person's logins and new sessions.", run_disable },
	{ "enable", "NAME", 1, 1, NULL, 0, "Takes that back.", run_enable },
	{ "totp-off", "NAME", 1, 1, NULL, 0,
	    "Takes a person's authenticator and recovery codes away.",
	    run_totp_off },
	{ "passkeys-off", "NAME", 1, 1, NULL, 0,
	    "Takes all passkeys of a person away.", run_passkeys_off },
	{ "link", "NAME", 1, 1, OPTS(link_opts),
	    "Says who a person is at the team's single sign-on.",
	    user_run_link },
	{ "unlink", "NAME", 1, 1, NULL, 0, "Takes that back.",
	    user_run_unlink },
	{ "grant", "NAME ENDPOINT RIGHT...", 3, 5, NULL, 0,
	    "Gives a member rights on an endpoint.\n\nRights: control "
	    "(connect), record (start and stop recordings), manage (lock,\n"
	    "unlock, delete recordings). Owners and admins have all of them.",
	    user_run_grant },
	{ "revoke", "NAME ENDPOINT [RIGHT...]", 2, 5, NULL, 0,
	    "Takes rights on an endpoint away; all of them when none is "
	    "named.",
	    user_run_revoke },
};

const struct command_group group_user = { "user",
	"people: roles, passwords, rights on endpoints", commands,
	N_ELEMENTS(commands) };
