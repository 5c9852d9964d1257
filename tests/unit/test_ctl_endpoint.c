/*
 * relaycam endpoint and ticket: which options go together, what each asks the
 * database, and what is to be typed on the endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "scripted_ctl.h"

#define TEAM                                                                   \
	{                                                                      \
		"FROM teams", NULL, "7|alpha|UTC\n"                            \
	}
#define FIND                                                                   \
	{                                                                      \
		"FROM endpoints e JOIN teams", "desk1|~", "9|7\n"              \
	}
#define ALICE                                                                  \
	{                                                                      \
		"FROM people WHERE name = $1", "alice", "3|7|alice|owner|f\n"  \
	}
#define TRUSTED                                                                \
	{                                                                      \
		"num_nonnulls(host, tls_name", "9", ""                         \
	}
#define AUDIT(action)                                                          \
	{                                                                      \
		"INSERT INTO audit", "7|*|" action "|desk1|*", ""              \
	}
#define PIN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct ctl_case added[] = {
	{ "endpoint add desk1 --host 192.0.2.7:5901 --pin " PIN, STATUS_OK,
	    "endpoint desk1 added to team alpha",
	    { TEAM,
		{ "INSERT INTO endpoints",
		    "7|desk1|~|~|192.0.2.7|5901|~|~|~|\\x" PIN
		    "|~|direct|~|~|~",
		    "9\n" },
		TRUSTED, AUDIT("endpoint_add") } },
	{ "endpoint add desk1 --kind agent --capture device", STATUS_OK,
	    "relaycam-agent enroll --relay relay.example.com:8443 --token rce_",
	    { TEAM,
		{ "INSERT INTO endpoints",
		    "7|desk1|~|~|~|~|~|~|~|~|~|agent|~|~|device", "9\n" },
		TRUSTED, { "DELETE FROM enrol_tokens", "9", "" },
		{ "INSERT INTO enrol_tokens", "*|9|86400", "" },
		AUDIT("endpoint_add") } },
	{ "endpoint add desk1 --kind reverse --client-cert-sha256 " PIN,
	    STATUS_OK, "connect = relay.example.com:5500",
	    { TEAM, { "INSERT INTO endpoints", NULL, "9\n" }, TRUSTED,
		{ "SET reverse_secret_sha256 = $2", "9|~|\\x" PIN, "" },
		AUDIT("endpoint_add") } },
	{ "endpoint add desk1 --host h", STATUS_FAILED,
	    "has an endpoint \"desk1\" already",
	    { TEAM, { "INSERT INTO endpoints", NULL, "" } } },
	/* a CA alone vouches for others too */
	{ "endpoint add desk1 --host h", STATUS_USAGE, "--tls-name NAME",
	    { TEAM, { "INSERT INTO endpoints", NULL, "9\n" },
		{ "num_nonnulls(host, tls_name", "9", "agent\n" } } },
};

static const struct ctl_case refused[] = {
	{ "endpoint add 123456789 --host h", STATUS_USAGE,
	    "would be taken for a session code" },
	{ "endpoint add desk1", STATUS_USAGE, "say where it is" },
	{ "endpoint add desk1 --host h:1 --port 2", STATUS_USAGE,
	    "the port is given twice" },
	{ "endpoint add desk1 --host [::1", STATUS_USAGE,
	    "[ADDRESS]:PORT" },
	{ "endpoint add desk1 --host h --port 65536", STATUS_USAGE, "65535" },
	{ "endpoint add desk1 --kind agent --host h", STATUS_USAGE,
	    "dials in and has no --host" },
	{ "endpoint add desk1 --kind walk", STATUS_USAGE, "agent or reverse" },
	{ "endpoint add desk1 --host h --pin 12", STATUS_USAGE,
	    "64 hex digits" },
	{ "endpoint add desk1 --host h --pin " PIN "0", STATUS_USAGE,
	    "64 hex digits" },
	{ "endpoint add desk1 --host h --pin " PIN " --allow-clear",
	    STATUS_USAGE, "without TLS no certificate is checked" },
	{ "endpoint add desk1 --host h --capture both", STATUS_USAGE,
	    "needs relaycam-agent" },
	{ "endpoint add desk1 --host h --capture all", STATUS_USAGE,
	    "expected relay, device or both" },
	{ "endpoint add desk1 --host h --consent maybe", STATUS_USAGE,
	    "expected off, ask, or team" },
	{ "endpoint add desk1 --host h --access sometimes", STATUS_USAGE,
	    "expected attended or unattended" },
	{ "endpoint add desk1 --host h --tls-name a/b", STATUS_USAGE,
	    "DNS name or IP" },
	{ "endpoint add desk1 --host h --valid 1h", STATUS_USAGE,
	    "--valid goes with --kind agent" },
	{ "endpoint add desk1 --host h --client-cert-sha256 " PIN, STATUS_USAGE,
	    "goes with --kind reverse" },
	{ "endpoint add desk1 --host h --ca /nowhere/ca.pem", STATUS_FAILED,
	    "/nowhere/ca.pem" },
	{ "endpoint set desk1", STATUS_USAGE, "nothing to change" },
	{ "endpoint set desk1 --json", STATUS_USAGE, "nothing to change" },
};

static const struct ctl_case changed[] = {
	{ "endpoint set desk1 --no-pin --title Desk", STATUS_OK,
	    "endpoint desk1 changed",
	    { FIND, { "FOR UPDATE", "9", "direct|t|f|t|f\n" },
		{ "UPDATE endpoints SET title",
		    "9|Desk|~|~|~|f|~|f|~|f|~|t|~|~|f|~|f|~|~", "" },
		TRUSTED, AUDIT("endpoint_set") } },
	/* another kind takes the way in that it had */
	{ "endpoint set desk1 --kind agent --json", STATUS_OK, "\"token\": ",
	    { FIND, { "FOR UPDATE", "9", "reverse|f|f|f|f\n" },
		{ "DELETE FROM enrol_tokens", "9", "" },
		{ "agent_cert_sha256 = NULL", "9|agent|~|~", "" },
		{ "UPDATE endpoints SET title", NULL, "" }, TRUSTED,
		{ "DELETE FROM enrol_tokens", "9", "" },
		{ "INSERT INTO enrol_tokens", NULL, "" },
		AUDIT("endpoint_set") } },
	{ "endpoint set desk1 --allow-clear", STATUS_USAGE,
	    "would have --allow-clear beside a pin",
	    { FIND, { "FOR UPDATE", "9", "direct|t|f|t|f\n" } } },
	{ "endpoint set desk1 --title x", STATUS_FAILED,
	    "belongs to a session code",
	    { FIND, { "FOR UPDATE", "9", "attended|f|f|f|f\n" } } },
	{ "endpoint set desk2 --title x", STATUS_FAILED,
	    "there is no endpoint \"desk2\"",
	    { { "FROM endpoints e", "desk2|~", "" } } },
	{ "endpoint set desk1 --title x", STATUS_USAGE,
	    "several teams have an endpoint \"desk1\"",
	    { { "FROM endpoints e", "desk1|~", "9|7\n10|8\n" } } },
	{ "endpoint token desk1 --valid 2h", STATUS_OK, "within 2 h",
	    { FIND, { "SELECT kind", "9", "agent\n" },
		{ "DELETE FROM enrol_tokens", "9", "" },
		{ "INSERT INTO enrol_tokens", "*|9|7200", "" },
		AUDIT("endpoint_token") } },
	{ "endpoint token desk1", STATUS_OK, "repeater=ID:DESK1-",
	    { FIND, { "SELECT kind", "9", "reverse\n" },
		{ "SET reverse_secret_sha256 = $2", "9|*|~", "" },
		AUDIT("endpoint_token") } },
	{ "endpoint token desk1", STATUS_FAILED, "is of kind direct",
	    { FIND, { "SELECT kind", "9", "direct\n" } } },
	{ "endpoint token desk1 --valid 31d", STATUS_USAGE, "--valid 31d" },
	{ "endpoint revoke desk1", STATUS_OK, "can no longer dial in",
	    { FIND, { "SELECT kind", "9", "agent\n" },
		{ "DELETE FROM enrol_tokens", "9", "" },
		{ "SET agent_cert_sha256 = NULL", "9", "" },
		AUDIT("endpoint_revoke") } },
	{ "endpoint remove desk1", STATUS_OK, "recordings stay listed",
	    { FIND, { "SET deleted_at = now()", "9", "" },
		AUDIT("endpoint_remove") } },
};

static const struct ctl_case shown[] = {
	{ "endpoint list --kind agent", STATUS_OK, "no endpoints",
	    { { "AND e.kind = $1", "agent", "" } } },
	{ "endpoint show desk1", STATUS_OK, "pin_sha256",
	    { FIND,
		{ "AND e.id = $1", "9",
		    "9|desk1|~|alpha|agent|unattended|~|~|away|1|h|[]|0|~|~|f|"
		    "~|team|relay|~|t|f|~|~|f|f|0|0|~|UTC\n" } } },
};

static const struct ctl_case tickets[] = {
	{ "ticket alice@desk1/second+2 --valid 30s", STATUS_OK, "rct_",
	    { ALICE, { "FROM endpoints WHERE team_id", "7|desk1", "9\n" },
		{ "SELECT ticket_new(", "3|9|/second+2|30|*",
		    "~|1767225600000|0\n" },
		AUDIT("ticket") } },
	{ "ticket alice@desk1", STATUS_FAILED, "no ticket: she may not",
	    { ALICE, { "FROM endpoints WHERE team_id", "7|desk1", "9\n" },
		{ "SELECT ticket_new(", NULL, "she may not|0|0\n" } } },
	{ "ticket Alice#DESK1+64 --json", STATUS_OK, "alice@desk1+64",
	    { ALICE, { "FROM endpoints WHERE team_id", "7|desk1", "9\n" },
		{ "SELECT ticket_new(", "3|9|+64|60|*", "~|1767225600000|0\n" },
		AUDIT("ticket") } },
	{ "ticket alice@123456789", STATUS_FAILED, "looks like a session code",
	    { ALICE, { "FROM endpoints WHERE team_id", NULL, "" } } },
	{ "ticket alice@desk1+65", STATUS_USAGE, "+MONITOR (0 to 64)" },
	{ "ticket alice@", STATUS_USAGE, "PERSON@ENDPOINT" },
	{ "ticket alice", STATUS_USAGE, "PERSON@ENDPOINT" },
	{ "ticket alice@desk1/", STATUS_USAGE, "PERSON@ENDPOINT" },
	{ "ticket alice@desk1 --vnc-auth", STATUS_CONFIG,
	    "set [relay] session_ports",
	    { ALICE, { "FROM endpoints WHERE team_id", NULL, "9\n" } } },
};

#define CASES(name)                                                            \
	static void test_##name(void **state)                                  \
	{                                                                      \
		ctl_run_cases(name, N_ELEMENTS(name));                         \
	}

CASES(added)
CASES(refused)
CASES(changed)
CASES(shown)
CASES(tickets)

static int
set_up(void **state)
{
	static char host[] = "relay.example.com", listen[] = "[::]:5900",
		    web[] = "[::]:8443", reverse[] = "[::]:5500";

	scripted_ctl.relay = (struct conf_daemon){ .public_host = host,
		.listen = listen,
		.web_listen = web,
		.reverse_listen = reverse };
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_changed),
		cmocka_unit_test(test_shown),
		cmocka_unit_test(test_tickets),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
