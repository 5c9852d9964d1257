#include "agent/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define ROW(name, type, field, preset, lo, hi, help)                           \
	{                                                                      \
		name, type, offsetof(struct agent_conf, field), preset, lo,    \
		    hi, NULL, help                                             \
	}

static const struct conf_opt agent_opts[] = {
	ROW("relay", CONF_STR, relay, NULL, 0, 0,
	    "`host[:port]` of the relay, port 443 by default; unset: the one "
	    "this endpoint was enrolled with."),
	ROW("displays", CONF_STR, displays, "main=127.0.0.1:5900", 0, 0,
	    "The VNC servers of this endpoint, `name=host[:port]` with commas "
	    "between them, at most 16; the first is the default. Their "
	    "passwords are kept on the relay's side."),
	ROW("proxy", CONF_STR, proxy, NULL, 0, 0,
	    "`http://[name:password@]host[:port]`, an HTTP proxy that allows "
	    "CONNECT; `none`: no proxy. Unset: as the environment says "
	    "(HTTPS_PROXY, NO_PROXY)."),
	ROW("ca_file", CONF_STR, ca_file, NULL, 0, 0,
	    "PEM file of the CA that signed the relay's certificate. Unset: "
	    "as enrolled, else the system's CAs."),
	ROW("pin", CONF_STR, pin, NULL, 0, 0,
	    "SHA-256 of the relay's certificate in hexadecimal, up to 8 with "
	    "commas; replaces the CA. Unset: as enrolled."),
	ROW("state_dir", CONF_STR, state_dir, NULL, 0, 0,
	    "Folder of the endpoint's key and enrolment. Unset: "
	    "$STATE_DIRECTORY, or /var/lib/relaycam-agent for root, or "
	    "~/.local/state/relaycam-agent."),
	ROW("display", CONF_STR, display_env, NULL, 0, 0,
	    "DISPLAY for dialogs, such as `:0`. Unset: the environment's."),
	ROW("xauthority", CONF_STR, xauthority, NULL, 0, 0,
	    "XAUTHORITY for dialogs. Unset: the environment's."),
	ROW("consent_command", CONF_STR, consent_command, NULL, 0, 0,
	    "Shell command that asks the user and prints `full`, `view` or "
	    "`decline`. Unset: zenity, kdialog or xmessage."),
	ROW("indicator_command", CONF_STR, indicator_command, NULL, 0, 0,
	    "Shell command that shows $RELAYCAM_TEXT until it is ended. "
	    "Unset: xmessage, zenity or kdialog."),
	ROW("retry_seconds", CONF_SECONDS, retry_s, "1", 1, 60,
	    "First wait before the relay is called again; doubles up to 60, "
	    "each at random between 0 and that."),
	ROW("connect_seconds", CONF_SECONDS, connect_s, "10", 1, 300,
	    "Limit for a connection to be made and greeted."),
	ROW("peer_lost_seconds", CONF_SECONDS, peer_lost_s, "60", 4, 3600,
	    "A relay or VNC server that its network has cut off is noticed "
	    "within this time."),
	ROW("capture_min_free", CONF_SIZE, capture_min_free, "100M", 0,
	    INT64_C(1) << 50,
	    "A capture is not begun, and is ended, while less than this is "
	    "free where it is written (C6)."),
	ROW("uploads", CONF_INT, uploads, "2", 1, 16,
	    "So many captures are handed over to storage at a time."),
	ROW("upload_rate", CONF_SIZE, upload_rate, "0", 0, INT64_C(1) << 40,
	    "Bytes per second that all of them may take together; 0: no "
	    "limit."),
	ROW("upload_retry_seconds", CONF_SECONDS, upload_retry_s, "300", 1,
	    86400,
	    "A capture that could not be handed over is tried again after 1, "
	    "2, 4 ... seconds, and then this often until it succeeds."),
};

/* The two sections over s. */
#define SECTIONS(s)                                                            \
	{                                                                      \
		{ "agent", "The endpoint's agent.", agent_opts,                \
			N_ELEMENTS(agent_opts), &(s)->conf },                  \
		    CONF_LOG(&(s)->log),                                       \
	}

int
settings_init(struct settings *s)
{
	const struct conf_section sections[] = SECTIONS(s);

	*s = (struct settings){ 0 };
	return conf_defaults(sections, N_ELEMENTS(sections));
}

void
settings_release(struct settings *s)
{
	const struct conf_section sections[] = SECTIONS(s);

	conf_release(sections, N_ELEMENTS(sections));
	wipe(&s->proxy, sizeof(s->proxy));
}

int
settings_read(struct settings *s, const char *path, char *why, size_t why_len)
{
	const struct conf_section sections[] = SECTIONS(s);
	int rc;

	if (path == NULL && access(SETTINGS_DEFAULT_FILE, F_OK) != 0)
		return 0;
	rc = conf_read(path != NULL ? path : SETTINGS_DEFAULT_FILE, sections,
	    N_ELEMENTS(sections), why, why_len);
	return rc == 0 ? 0 : ERR_CONFIG;
}

int
settings_set(
    struct settings *s, const char *assignment, char *why, size_t why_len)
{
	const struct conf_section sections[] = SECTIONS(s);

	return conf_set(
	    assignment, sections, N_ELEMENTS(sections), why, why_len);
}

int
settings_set_key(struct settings *s, const char *key, const char *value,
    char *why, size_t why_len)
{
	size_t size = strlen(key) + strlen(value) + sizeof("agent.=");
	char *assignment = malloc(size);
	int rc;

	if (assignment == NULL) {
		snprintf(why, why_len, "out of memory");
		return ERR_CONFIG;
	}
	snprintf(assignment, size, "agent.%s=%s", key, value);
	rc = settings_set(s, assignment, why, why_len);
	free(assignment);
	return rc;
}

int
settings_default_state(struct settings *s)
{
	const char *given = getenv("STATE_DIRECTORY");
	const char *base = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	char path[4096];

	if (s->conf.state_dir != NULL)
		return 0;
	if (given != NULL && *given != '\0')
		snprintf(path, sizeof(path), "%s", given);
	else if (geteuid() == 0)
		snprintf(path, sizeof(path), "/var/lib/relaycam-agent");
	else if (base != NULL && *base != '\0')
		snprintf(path, sizeof(path), "%s/relaycam-agent", base);
	else
		snprintf(path, sizeof(path), "%s/.local/state/relaycam-agent",
		    home != NULL ? home : "");
	s->conf.state_dir = strdup(path);
	return s->conf.state_dir != NULL ? 0 : ERR_NOMEM;
}

/* "name=host[:port]", len bytes. */
static int
parse_display(struct display *d, const char *s, size_t len)
{
	char text[AGENT_DISPLAY_MAX + HOSTPORT_TEXT_MAX];
	char *equals;

	if (len >= sizeof(text))
		return ERR_CONFIG;
	memcpy(text, s, len);
	text[len] = '\0';
	equals = strchr(text, '=');
	if (equals == NULL || equals == text ||
	    equals - text >= AGENT_DISPLAY_MAX)
		return ERR_CONFIG;
	*equals = '\0';
	/* what a user name can carry: alice@desk1/name+2 */
	if (strpbrk(text, "/+@:# ") != NULL ||
	    !agent_proto_is_printable(text, strlen(text)))
		return ERR_CONFIG;
	strcpy(d->name, text);
	return hostport_parse(equals + 1, SETTINGS_VNC_PORT, &d->at);
}

static int
add_display(struct settings *s, const char *text, size_t len)
{
	struct display d;

	if (s->n_displays == AGENT_MAX_DISPLAYS ||
	    parse_display(&d, text, len) != 0 ||
	    settings_display(s, d.name) != NULL)
		return ERR_CONFIG;
	s->displays[s->n_displays++] = d;
	return 0;
}

static int
parse_displays(struct settings *s)
{
	const char *at = s->conf.displays != NULL ? s->conf.displays : "";

	s->n_displays = 0;
	for (;;) {
		size_t len;

		at += strspn(at, ", \t");
		len = strcspn(at, ",");
		if (len == 0)
			return s->n_displays > 0 ? 0 : ERR_CONFIG;
		while (at[len - 1] == ' ' || at[len - 1] == '\t')
			len--;
		if (add_display(s, at, len) != 0)
			return ERR_CONFIG;
		at += len;
		at += strcspn(at, ",");
	}
}

const struct display *
settings_display(const struct settings *s, const char *name)
{
	for (unsigned i = 0; i < s->n_displays; i++)
		if (*name == '\0' || strcmp(s->displays[i].name, name) == 0)
			return &s->displays[i];
	return NULL;
}

int
settings_resolve(struct settings *s, char *why, size_t why_len)
{
	const char *wrong = NULL;

	if (s->conf.relay == NULL)
		wrong = "relay: name the relay, host[:port]";
	else if (hostport_parse(
		     s->conf.relay, SETTINGS_RELAY_PORT, &s->relay) != 0)
		wrong = "relay: host[:port] is expected";
	else if (proxy_choose(s->conf.proxy, s->relay.host, &s->proxy) != 0)
		wrong = "proxy: http://[name:password@]host[:port] is "
			"expected, or none";
	else if (parse_displays(s) != 0)
		wrong = "displays: name=host[:port], each name once, with "
			"commas between them, is expected";
	else if (conf_log_apply(&s->log, "relaycam-agent") != 0)
		wrong = "log.level: debug, info, warn or error is expected";
	if (wrong != NULL) {
		snprintf(why, why_len, "%s", wrong);
		return ERR_CONFIG;
	}
	s->screen =
	    (struct dialog_screen){ s->conf.display_env, s->conf.xauthority,
		    s->conf.consent_command, s->conf.indicator_command };
	return 0;
}

void
settings_print_reference(void)
{
	struct settings s = { 0 };
	const struct conf_section sections[] = SECTIONS(&s);

	conf_print_reference(stdout, sections, N_ELEMENTS(sections));
}
