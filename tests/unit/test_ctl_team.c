/*
 * relaycam team, user, settings, audit, webhook and single-sign-on: what each
 * asks the database, in which transaction, and what it says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "scripted_ctl.h"

#define TEAM                                                                   \
	{                                                                      \
		"FROM teams", NULL, "7|alpha|Europe/Berlin\n"                  \
	}
#define ALICE(role)                                                            \
	{                                                                      \
		"FROM people WHERE name = $1", "alice",                        \
		    "3|7|alice|" role "|f\n"                                   \
	}
#define LOCK                                                                   \
	{                                                                      \
		"FROM teams WHERE id = $1 FOR UPDATE", "7", "1\n"              \
	}
#define AUDIT(action, object)                                                  \
	{                                                                      \
		"INSERT INTO audit", "7|*|" action "|" object "|*", ""         \
	}
#define INTRODUCE                                                              \
	{                                                                      \
		"set_config('relaycam.actor'", NULL, "a|b\n"                   \
	}

static const struct ctl_case teams[] = {
	{ "team add alpha --time-zone Europe/Berlin", STATUS_OK,
	    "team alpha added; recording is off",
	    { { "pg_timezone_names", "Europe/Berlin", "1\n" },
		{ "INSERT INTO teams", "alpha|~|Europe/Berlin", "7\n" },
		AUDIT("team_add", "alpha") } },
	{ "team add alpha", STATUS_FAILED, "\"alpha\" exists already",
	    { { "INSERT INTO teams", "alpha|~|~", "" } } },
	{ "team add alpha --time-zone Mars/North", STATUS_USAGE,
	    "there is no time zone \"Mars/North\"",
	    { { "pg_timezone_names", "Mars/North", "" } } },
	{ "team add Alpha", STATUS_USAGE, "use 1 to 63 of a-z", { { 0 } } },
	/* times are shown in the team's zone */
	{ "team list", STATUS_OK, "2026-01-01 01:00:00 +0100",
	    { { "FROM teams t ORDER BY t.name", "",
		"7|alpha|Alpha Ltd|Europe/Berlin|optional|1073741824|80|12|ok|"
		"2|3|1767225600000|Europe/Berlin\n" } } },
	{ "team set alpha --quota 1G --quota-warn 90", STATUS_OK,
	    "team alpha changed",
	    { INTRODUCE,
		{ "team_quota_set",
		    "alpha|{\"quota_bytes\":1073741824,"
		    "\"quota_warn_percent\":90}",
		    "~\n" },
		{ "UPDATE teams SET", "alpha|~|~|~", "7|Alpha|UTC|optional\n" },
		AUDIT("team_set", "alpha") } },
	{ "team set alpha --quota none", STATUS_FAILED,
	    "there is no team \"alpha\"",
	    { INTRODUCE,
		{ "team_quota_set", "alpha|{\"quota_bytes\":null}", "" },
		{ "UPDATE teams SET", "alpha|~|~|~", "" } } },
	{ "team set alpha --quota-warn 101", STATUS_USAGE, "percent",
	    { { 0 } } },
	{ "team set alpha --second-factor perhaps", STATUS_USAGE,
	    "expected required or optional", { { 0 } } },
	{ "team set alpha", STATUS_USAGE, "nothing to change", { { 0 } } },
};

static void
test_teams(void **state)
{
	ctl_run_cases(teams, N_ELEMENTS(teams));
}

static const struct ctl_case people[] = {
	{ "user list --team alpha --json", STATUS_OK,
	    "\"last_login_at\": \"2026-01-01T00:00:00.000Z\"",
	    { { "WHERE t.name = $1", "alpha",
		"3|alice|A|alpha|owner|f|t|f|1|1767225600000|0|[]|0|"
		"UTC\n" } } },
	{ "user list", STATUS_OK, "no users; \"relaycam user add",
	    { { "FROM people p", "", "" } } },
	{ "user add alice --role queen --generate", STATUS_USAGE,
	    "expected owner, admin or member", { { 0 } } },
	/* the first person of a team is its owner */
	{ "user add alice --generate", STATUS_FAILED,
	    "its first user needs --role owner",
	    { TEAM, LOCK, { "count(*) FROM people", "7|~", "0\n" } } },
	{ "user add alice --role owner --generate", STATUS_OK, "password: ",
	    { TEAM, LOCK, { "INSERT INTO people", "7|alice|~|owner|*", "3\n" },
		AUDIT("user_add", "alice") } },
	{ "user add alice --role owner --generate", STATUS_FAILED,
	    "names are shared",
	    { TEAM, LOCK, { "INSERT INTO people", NULL, "" } } },
	{ "user passwd alice --generate --password-stdin", STATUS_USAGE,
	    "leave out --password-file", { ALICE("member") } },
	{ "user passwd alice --generate", STATUS_OK,
	    "password of alice changed",
	    { ALICE("member"), { "SET password_hash = $2", "3|*", "" },
		AUDIT("user_passwd", "alice") } },
	{ "user passwd bob --generate", STATUS_FAILED,
	    "there is no user \"bob\"",
	    { { "FROM people WHERE name = $1", "bob", "" } } },
	/* a team keeps an owner */
	{ "user set alice --role member", STATUS_FAILED,
	    "alice is the team's only owner",
	    { ALICE("owner"), LOCK,
		{ "count(*) FROM people", "7|3", "0\n" } } },
	{ "user set alice --role member", STATUS_OK, "user alice changed",
	    { ALICE("owner"), LOCK, { "count(*) FROM people", "7|3", "1\n" },
		{ "UPDATE people SET role", "3|member|~", "" },
		AUDIT("user_set", "alice") } },
	{ "user set alice", STATUS_USAGE, "nothing to change", { { 0 } } },
	{ "user disable alice", STATUS_FAILED, "only owner",
	    { ALICE("owner"), LOCK,
		{ "count(*) FROM people", "7|3", "0\n" } } },
	{ "user disable alice", STATUS_OK, "no new session or login",
	    { ALICE("member"), LOCK,
		{ "UPDATE people SET disabled", "3|t", "" },
		AUDIT("user_disable", "alice") } },
	{ "user enable alice", STATUS_OK, "enabled",
	    { ALICE("owner"), { "UPDATE people SET disabled", "3|f", "" },
		AUDIT("user_enable", "alice") } },
	{ "user totp-off alice", STATUS_OK, "logs in without a code",
	    { ALICE("member"), { "DELETE FROM totp", "3", "" },
		AUDIT("totp_off", "alice") } },
	{ "user grant alice desk1 control fly", STATUS_USAGE,
	    "there is no right \"fly\"", { { 0 } } },
	{ "user grant alice desk1 control record", STATUS_OK,
	    "rights of alice on desk1 changed",
	    { ALICE("member"),
		{ "FROM endpoints WHERE name = $1", "desk1|7", "9\n" },
		{ "INSERT INTO endpoint_rights", "3|9|t|t|f", "" },
		AUDIT("right_grant", "alice"),
		{ "DELETE FROM endpoint_rights", "3|9", "" } } },
	{ "user revoke alice desk1", STATUS_OK, "alice is owner",
	    { ALICE("owner"),
		{ "FROM endpoints WHERE name = $1", "desk1|7", "9\n" },
		{ "UPDATE endpoint_rights", "3|9|t|t|t", "" },
		AUDIT("right_revoke", "alice"),
		{ "DELETE FROM endpoint_rights", "3|9", "" } } },
	{ "user revoke alice desk2", STATUS_FAILED,
	    "the team of alice has no endpoint \"desk2\"",
	    { ALICE("owner"),
		{ "FROM endpoints WHERE name = $1", "desk2|7", "" } } },
	{ "user link alice --subject 42", STATUS_OK, "user alice linked",
	    { ALICE("member"), INTRODUCE,
		{ "identity_set", "3|42", "~|~|~\n" } } },
	{ "user link alice", STATUS_USAGE, "the claim sub", { { 0 } } },
	{ "user unlink alice", STATUS_FAILED, "linked to nobody",
	    { ALICE("member"), INTRODUCE,
		{ "identity_set", "3|~", "not-found|~|~\n" } } },
};

static void
test_people(void **state)
{
	ctl_run_cases(people, N_ELEMENTS(people));
}

static const struct ctl_case settings[] = {
	{ "settings set unattended.recording=on attended.frame_rate=20",
	    STATUS_OK, "settings of team alpha changed",
	    { TEAM, { "SET recording = $3", "7|unattended|t", "f|t\n" },
		AUDIT("settings_set", "unattended.recording"),
		{ "SET frame_rate = $3", "7|attended|20", "15|20\n" },
		AUDIT("settings_set", "attended.frame_rate") } },
	/* one wrong word, and nothing is asked */
	{ "settings set unattended.recording=on attended.frame_rate=61",
	    STATUS_USAGE, "frame_rate", { { 0 } } },
	{ "settings set sometimes.recording=on", STATUS_USAGE,
	    "attended or unattended", { { 0 } } },
	{ "settings set attended.colour=red", STATUS_USAGE,
	    "there is no setting \"colour\"", { { 0 } } },
	{ "settings set recording=on", STATUS_USAGE, "access.key=value",
	    { { 0 } } },
	{ "settings set attended.recording=on", STATUS_FAILED,
	    "lacks its settings",
	    { TEAM, { "SET recording = $3", NULL, "" } } },
	{ "settings show --team alpha --json", STATUS_OK,
	    "\"segment_bytes\": 1048576",
	    { TEAM,
		{ "FROM access_settings a", "alpha",
		    "alpha|attended|t|owner|end|f|ask|30|f|both|15|100|text|"
		    "3600|60|1048576|90|UTC\n" } } },
	{ "audit list --actor alice --limit 2", STATUS_OK, "settings_set",
	    { { "a.actor = $1", "alice|2",
		"1|0|alpha|alice|settings_set|x|{}|relaycam|UTC\n" } } },
	{ "audit list --limit 0", STATUS_USAGE, "--limit 0", { { 0 } } },
	{ "audit list --from yesterday", STATUS_USAGE, "yesterday", { { 0 } } },
};

static void
test_settings(void **state)
{
	ctl_run_cases(settings, N_ELEMENTS(settings));
}

static const struct ctl_case single_sign_on[] = {
	{ "single-sign-on set enabled=on owner_groups=a,b --no-secret",
	    STATUS_OK, "single sign-on of team alpha changed",
	    { TEAM, INTRODUCE,
		{ "single_sign_on_set",
		    "7|{\"enabled\":true,\"owner_groups\":[\"a\",\"b\"],"
		    "\"client_secret_sealed\":null}",
		    "~|~|~\n" } } },
	{ "single-sign-on set issuer=http://x", STATUS_FAILED,
	    "issuer: it needs https",
	    { TEAM, INTRODUCE,
		{ "single_sign_on_set", NULL,
		    "invalid|/issuer|it needs https\n" } } },
	{ "single-sign-on set enabled=perhaps", STATUS_USAGE,
	    "expected on or off", { { 0 } } },
	{ "single-sign-on set enabled", STATUS_USAGE, "expected KEY=VALUE",
	    { { 0 } } },
	{ "single-sign-on set colour=red", STATUS_USAGE, "no such setting",
	    { { 0 } } },
	{ "single-sign-on show", STATUS_OK, "owner_groups: a,b",
	    { TEAM,
		{ "single_sign_on_show", "7",
		    "{\"enabled\":true,\"owner_groups\":[\"a\",\"b\"]}\n" } } },
	{ "single-sign-on show", STATUS_FAILED, "has no single sign-on",
	    { TEAM, { "single_sign_on_show", "7", "~\n" } } },
	{ "single-sign-on remove", STATUS_OK, "removed",
	    { TEAM, INTRODUCE, { "single_sign_on_remove", "7", "~|~|~\n" } } },
};

static void
test_single_sign_on(void **state)
{
	ctl_run_cases(single_sign_on, N_ELEMENTS(single_sign_on));
}

/* A change that fails half-way is not committed. */
static void
test_transactions(void **state)
{
	static const struct ctl_case fails = { "user enable alice",
		STATUS_FAILED, NULL,
		{ ALICE("member"), { "UPDATE people SET disabled", "3|f", "" },
		    { "INSERT INTO audit", NULL, NULL } } };
	static const struct ctl_case several = { "team list --json", STATUS_OK,
		"[]", { { "FROM teams t", "", "" } } };

	ctl_run_case(&fails);
	assert_string_equal(ctl_transactions, "BEGIN");
	ctl_run_case(&several);
	assert_string_equal(ctl_transactions, "");
	ctl_run_case(&teams[0]);
	assert_string_equal(ctl_transactions, "BEGIN COMMIT");
}

/* What a person is told who does not know the words. */
static const struct ctl_case words[] = {
	{ "", STATUS_USAGE, "usage: relaycam", { { 0 } } },
	{ "fly", STATUS_USAGE, "there is no command \"fly\"", { { 0 } } },
	{ "team", STATUS_USAGE, "Verbs:", { { 0 } } },
	{ "team fly", STATUS_USAGE, "there is no \"team fly\"", { { 0 } } },
	{ "team --help", STATUS_OK, "Verbs:", { { 0 } } },
	{ "team add --help", STATUS_OK, "--time-zone ZONE", { { 0 } } },
	{ "team add", STATUS_USAGE, "usage: relaycam team add", { { 0 } } },
	{ "team add a b", STATUS_USAGE, "unexpected argument \"b\"",
	    { { 0 } } },
	{ "team add a --colour", STATUS_USAGE, "unknown option --colour",
	    { { 0 } } },
};

static void
test_words(void **state)
{
	ctl_run_cases(words, N_ELEMENTS(words));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_teams),
		cmocka_unit_test(test_people),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_single_sign_on),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
