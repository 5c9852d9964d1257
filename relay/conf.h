/* The relay's settings, section [relay]. */
#ifndef RELAY_CONF_H
#define RELAY_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conf.h"

struct relay_conf {
	char *listen, *web_listen, *reverse_listen;
	char *reverse_clear; /* off | loopback | any */
	char *session_ports;
	char *proxy_protocol_from;
	char *web_dir, *novnc_dir, *web_origins, *web_frame_origins;
	char *font_file;
	bool attended;
	char *agent_address, *captures_address, *agent_min_version;
	int64_t agent_seconds;
	char *tls_cert_file, *tls_key_file;
	char *recorder_program;
	char *metrics_listen;
	char *public_host, *public_ca_file; /* for the command line */
	char *user;
	int64_t threads;
	int64_t max_sessions, max_agents, max_parked;
	int64_t max_attended, max_attended_per_address;
	int64_t max_logins, max_logins_per_address;
	int64_t ring_bytes;
	int64_t handshake_seconds, login_seconds, login_dialog_seconds;
	int64_t connect_seconds;
	int64_t peer_lost_seconds;
	int64_t recorder_seconds, unrecorded_seconds;
	int64_t max_pixels;   /* of a screen */
	char *recording_mode; /* live | capture */
	int64_t live_recorders, live_bytes, live_cpu_percent;
	int64_t behind_seconds;
	int64_t drain_seconds;
	int64_t node_lost_seconds;
};

#define RELAY_CONF_N 47
extern const struct conf_opt relay_conf_opts[RELAY_CONF_N];

#endif
