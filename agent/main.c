/*
 * relaycam-agent: on the endpoint, dials out to the relay and joins sessions
 * to the local VNC servers. docs/relaycam-agent.md.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/state.h"
#include "common/bytes.h"
#include "common/err.h"
#include "common/protect.h"

static const char usage[] =
    "usage: relaycam-agent enroll --relay HOST[:PORT] --token TOKEN [options]\n"
    "       relaycam-agent run [options]\n"
    "       relaycam-agent attend --relay HOST[:PORT] [options]\n"
    "\n"
    "enroll  gives this endpoint a key of its own and makes it known to the\n"
    "        relay; the token is made there (relaycam endpoint add)\n"
    "run     stays connected to the relay until it is stopped: the service\n"
    "attend  shows a code of nine digits for one occasion; nothing is kept\n"
    "\n"
    "Options:\n"
    "      --relay HOST[:PORT]   the relay, port 443 by default\n"
    "      --token TOKEN         enroll: one-time token; - reads it from\n"
    "                            standard input\n"
    "      --ca FILE             CA of the relay's certificate (PEM)\n"
    "      --pin SHA256          the relay's certificate itself\n"
    "      --proxy URL           http://[name:password@]host:port or none\n"
    "      --display HOST:PORT   attend: the VNC server, 127.0.0.1:5900 by\n"
    "                            default; run: NAME=HOST:PORT[,...]\n"
    "      --password-file FILE  attend: password of the VNC server\n"
    "      --state DIR           folder of key and enrolment\n"
    "  -c, --config FILE         settings (default: " SETTINGS_DEFAULT_FILE
    ")\n"
    "  -s, --set SECTION.KEY=V   override one setting\n"
    "      --config-reference    print all settings and exit\n"
    "      --version             print the version and exit\n"
    "  -h, --help                print this and exit\n";

enum {
	OPT_TOKEN = 256,
	OPT_PASSWORD_FILE,
	OPT_VERSION,
	OPT_REFERENCE,
	OPT_KEY, /* from here on: the same as a setting */
	OPT_RELAY = OPT_KEY,
	OPT_CA,
	OPT_PIN,
	OPT_PROXY,
	OPT_DISPLAY,
	OPT_STATE,
};

static const char *const keys[] = { "relay", "ca_file", "pin", "proxy",
	"displays", "state_dir" };

static const struct option options[] = {
	{ "relay", required_argument, NULL, OPT_RELAY },
	{ "ca", required_argument, NULL, OPT_CA },
	{ "pin", required_argument, NULL, OPT_PIN },
	{ "proxy", required_argument, NULL, OPT_PROXY },
	{ "display", required_argument, NULL, OPT_DISPLAY },
	{ "state", required_argument, NULL, OPT_STATE },
	{ "token", required_argument, NULL, OPT_TOKEN },
	{ "password-file", required_argument, NULL, OPT_PASSWORD_FILE },
	{ "config", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "config-reference", no_argument, NULL, OPT_REFERENCE },
	{ 0 },
};

struct call {
	struct settings settings;
	const char *command, *config, *token, *password_file;
};

static _Noreturn void
die(int status, const char *text)
{
	fprintf(stderr, "relaycam-agent: %s\n", text);
	exit(status);
}

/* What prints and exits, and what has to be known before settings are read. */
static void
scan_options(int argc, char **argv, struct call *call)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1)
		switch (c) {
		case 'c':
			call->config = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case OPT_VERSION:
			printf("relaycam-agent %s\n", RELAYCAM_VERSION);
			exit(0);
		case OPT_REFERENCE:
			settings_print_reference();
			exit(0);
		case OPT_TOKEN:
			call->token = optarg;
			break;
		case OPT_PASSWORD_FILE:
			call->password_file = optarg;
			break;
		case '?':
			die(AGENT_EXIT_USAGE, "try --help");
		default:
			break;
		}
	if (optind != argc - 1)
		die(AGENT_EXIT_USAGE,
		    "one command is expected: enroll, run or attend; try "
		    "--help");
	call->command = argv[optind];
}

/* attend names no display: it has one. */
static int
set_display(struct call *call, const char *value, char *why, size_t why_len)
{
	char named[HOSTPORT_TEXT_MAX + 8];

	if (strcmp(call->command, "attend") != 0)
		return settings_set_key(
		    &call->settings, "displays", value, why, why_len);
	snprintf(named, sizeof(named), "main=%s", value);
	return settings_set_key(
	    &call->settings, "displays", named, why, why_len);
}

static void
apply_options(int argc, char **argv, struct call *call)
{
	char why[512];
	int c, rc;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:s:h", options, NULL)) != -1) {
		rc = 0;
		if (c == 's')
			rc = settings_set(
			    &call->settings, optarg, why, sizeof(why));
		else if (c == OPT_DISPLAY)
			rc = set_display(call, optarg, why, sizeof(why));
		else if (c >= OPT_KEY)
			rc = settings_set_key(&call->settings,
			    keys[c - OPT_KEY], optarg, why, sizeof(why));
		if (rc != 0)
			die(AGENT_EXIT_CONFIG, why);
	}
}

static void
resolve(struct call *call)
{
	char why[512];

	if (settings_resolve(&call->settings, why, sizeof(why)) != 0)
		die(AGENT_EXIT_CONFIG, why);
}

/* The first line of a file, "-" for standard input, without its end. */
static void
read_line(const char *path, char *out, size_t out_len)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char text[512];

	if (f == NULL || fgets(out, (int)out_len, f) == NULL) {
		snprintf(text, sizeof(text), "cannot read %s", path);
		die(AGENT_EXIT_CONFIG, text);
	}
	out[strcspn(out, "\r\n")] = '\0';
	if (f != stdin)
		fclose(f);
}

static int
run(struct call *call)
{
	struct identity id;
	char why[512];
	int rc;

	if (state_load(&call->settings, &id, why, sizeof(why)) != 0)
		die(AGENT_EXIT_CONFIG, why);
	resolve(call);
	rc = agent_run(&call->settings, &id, AGENT_MODE_ENROLLED, NULL);
	identity_release(&id);
	return rc;
}

static int
attend(struct call *call)
{
	char secret[AGENT_SECRET_MAX] = "";
	struct identity id;
	int rc;

	resolve(call);
	if (call->password_file != NULL)
		read_line(call->password_file, secret, sizeof(secret));
	if (identity_make(&id) != 0)
		die(AGENT_EXIT_SYSTEM, err_text(ERR_NOMEM));
	rc = agent_run(&call->settings, &id, AGENT_MODE_ATTENDED, secret);
	wipe(secret, sizeof(secret));
	identity_release(&id);
	return rc;
}

static void
print_enrolled(const struct settings *s, const struct agent_msg *welcome)
{
	char relay[HOSTPORT_TEXT_MAX];

	printf("Enrolled as endpoint %s of team %s\n"
	       "  relay:    %s (version %s)\n"
	       "  trusted:  %s%s\n"
	       "  state:    %s\n"
	       "Start it with: relaycam-agent run, or the service "
	       "relaycam-agent\n",
	    welcome->welcome.endpoint, welcome->welcome.team,
	    hostport_format(&s->relay, relay), welcome->welcome.version,
	    s->conf.pin != NULL           ? "certificate with SHA-256 "
		: s->conf.ca_file != NULL ? "CA of "
					  : "the system's CAs",
	    s->conf.pin != NULL           ? s->conf.pin
		: s->conf.ca_file != NULL ? s->conf.ca_file
					  : "",
	    s->conf.state_dir);
}

static int
commit(struct call *call, const struct agent_msg *welcome)
{
	struct settings *s = &call->settings;
	char relay[HOSTPORT_TEXT_MAX], ca[4200], why[512];
	struct enrolment e = { .relay = hostport_format(&s->relay, relay),
		.endpoint = (char *)welcome->welcome.endpoint,
		.team = (char *)welcome->welcome.team,
		.pin = s->conf.pin };

	if (s->conf.ca_file != NULL) {
		snprintf(ca, sizeof(ca), "%s/ca.pem", s->conf.state_dir);
		e.ca_file = ca;
	}
	if (state_commit(s, &e, why, sizeof(why)) != 0) {
		fprintf(stderr, "relaycam-agent: %s\n", why);
		return AGENT_EXIT_SYSTEM;
	}
	print_enrolled(s, welcome);
	return AGENT_EXIT_OK;
}

static int
enroll(struct call *call)
{
	char token[AGENT_TOKEN_MAX], why[512];
	struct agent_msg welcome;
	struct identity id;
	int rc;

	if (call->token == NULL)
		die(AGENT_EXIT_USAGE, "enroll needs --token");
	resolve(call);
	if (strcmp(call->token, "-") == 0)
		read_line("-", token, sizeof(token));
	else
		snprintf(token, sizeof(token), "%s", call->token);
	if (identity_make(&id) != 0)
		die(AGENT_EXIT_SYSTEM, err_text(ERR_NOMEM));
	rc = AGENT_EXIT_SYSTEM;
	if (state_prepare(&call->settings, &id, why, sizeof(why)) == 0)
		rc = agent_enrol(
		    &call->settings, &id, token, &welcome, why, sizeof(why));
	wipe(token, sizeof(token));
	identity_release(&id);
	if (rc == 0)
		return commit(call, &welcome);
	state_abandon(&call->settings);
	fprintf(stderr, "relaycam-agent: not enrolled: %s\n", why);
	return rc;
}

static const struct {
	const char *name;
	int (*run)(struct call *call);
} commands[] = { { "enroll", enroll }, { "run", run }, { "attend", attend } };

int
main(int argc, char **argv)
{
	struct call call = { 0 };
	char why[512];
	int rc;

	scan_options(argc, argv, &call);
	protect_process();
	if (settings_init(&call.settings) != 0)
		die(AGENT_EXIT_SYSTEM, err_text(ERR_NOMEM));
	if (settings_read(&call.settings, call.config, why, sizeof(why)) != 0)
		die(AGENT_EXIT_CONFIG, why);
	apply_options(argc, argv, &call);
	if (settings_default_state(&call.settings) != 0)
		die(AGENT_EXIT_SYSTEM, err_text(ERR_NOMEM));
	for (size_t i = 0; i < N_ELEMENTS(commands); i++)
		if (strcmp(commands[i].name, call.command) == 0) {
			rc = commands[i].run(&call);
			settings_release(&call.settings);
			return rc;
		}
	die(AGENT_EXIT_USAGE,
	    "the commands are enroll, run and attend; try --help");
}
