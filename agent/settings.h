/*
 * The agent's settings: /etc/relaycam/agent.conf, sections [agent] and [log],
 * overridden by the command line, completed by what enrolment remembers.
 */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include <stddef.h>

#include "agent/dialog.h"
#include "agent/hostport.h"
#include "agent/proxy.h"
#include "common/agent_proto.h"
#include "common/conf.h"

#define SETTINGS_DEFAULT_FILE "/etc/relaycam/agent.conf"
#define SETTINGS_RELAY_PORT   443
#define SETTINGS_VNC_PORT     5900

/* A VNC server of this endpoint. */
struct display {
	char name[AGENT_DISPLAY_MAX];
	struct hostport at;
};

struct settings {
	/* as they were read */
	struct agent_conf {
		char *relay, *displays, *proxy, *ca_file, *pin, *state_dir;
		char *display_env, *xauthority;
		char *consent_command, *indicator_command;
		int64_t retry_s, connect_s, peer_lost_s;
		int64_t uploads, upload_rate, upload_retry_s;
		int64_t capture_min_free;
	} conf;
	struct conf_log log;
	/* what they mean; settings_resolve */
	struct hostport relay;
	struct proxy proxy;
	struct display displays[AGENT_MAX_DISPLAYS];
	unsigned n_displays;
	struct dialog_screen screen;
};

/* Defaults. Returns 0 or ERR_NOMEM. */
int settings_init(struct settings *s);
void settings_release(struct settings *s);

/* Reads a file; NULL: the default one, which may be missing. Returns 0 or
 * ERR_CONFIG with a sentence in why. */
int settings_read(
    struct settings *s, const char *path, char *why, size_t why_len);

/* One "section.key=value". Same. */
int settings_set(
    struct settings *s, const char *assignment, char *why, size_t why_len);

/* One key of [agent] by name, for command line options. Same. */
int settings_set_key(struct settings *s, const char *key, const char *value,
    char *why, size_t why_len);

/* The state folder when none is set; returns 0 or ERR_NOMEM. */
int settings_default_state(struct settings *s);

/*
 * Takes displays, relay and proxy apart and starts the log. Returns 0 or
 * ERR_CONFIG with a sentence in why.
 */
int settings_resolve(struct settings *s, char *why, size_t why_len);

/* The display called name, "" for the first; NULL when there is none. */
const struct display *settings_display(
    const struct settings *s, const char *name);

/* Markdown tables of all settings. */
void settings_print_reference(void);

#endif
