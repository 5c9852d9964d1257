#include "relay/conf.h"

#include <stddef.h>

#define ROW(name, type, preset, lo, hi, help)                                  \
	{                                                                      \
#name, type, offsetof(struct relay_conf, name), preset, lo,    \
		    hi, NULL, help                                             \
	}

const struct conf_opt relay_conf_opts[RELAY_CONF_N] = {
	ROW(listen, CONF_STR, "[::]:5900", 0, 0,
	    "Address and port for VNC viewers."),
	ROW(web_listen, CONF_STR, "[::]:443", 0, 0,
	    "Address and port for browsers and agents (TLS); empty: none."),
	ROW(reverse_listen, CONF_STR, NULL, 0, 0,
	    "Address and port for VNC servers that dial out, usually "
	    "[::]:5500; empty: none."),
	{ "reverse_clear", CONF_CHOICE,
	    offsetof(struct relay_conf, reverse_clear), "loopback", 0, 0,
	    "off|loopback|any",
	    "From where such servers may come without TLS." },
	ROW(session_ports, CONF_STR, NULL, 0, 0,
	    "Address and ports for viewers without VeNCrypt, as "
	    "127.0.0.1:5910-5919; each carries one one-time password. From "
	    "other machines in TLS only. Empty: none."),
	ROW(proxy_protocol_from, CONF_STR, NULL, 0, 0,
	    "Addresses and networks of load balancers, comma-separated: their "
	    "connections must begin with the header of the PROXY protocol, "
	    "version 2, at every port. Empty: none."),
	ROW(web_dir, CONF_STR, "/usr/share/relaycam/web", 0, 0,
	    "Folder of the browser viewer's page."),
	ROW(novnc_dir, CONF_STR, "/usr/share/novnc", 0, 0,
	    "Folder of noVNC, which the page uses."),
	ROW(web_origins, CONF_STR, NULL, 0, 0,
	    "Further origins that browsers may connect from, comma-separated; "
	    "the relay's own is always right."),
	ROW(web_frame_origins, CONF_STR, NULL, 0, 0,
	    "https://host[:port] of consoles that may show the browser viewer "
	    "inside their pages, comma-separated."),
	ROW(font_file, CONF_STR,
	    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", 0, 0,
	    "Font of warnings and of the waiting picture."),
	ROW(attended, CONF_BOOL, "on", 0, 0,
	    "Agents that are not enrolled may ask for a session code."),
	ROW(agent_address, CONF_STR, NULL, 0, 0,
	    "host:port at which agents, and other relays, reach this relay "
	    "when another one holds the endpoint's connection; empty: agents "
	    "use the address they know, other relays cannot."),
	ROW(captures_address, CONF_STR, NULL, 0, 0,
	    "host:port of storage (storage.listen, port 8444) as agents reach "
	    "it: there they hand over what they captured. Empty: no endpoint "
	    "captures."),
	ROW(agent_min_version, CONF_STR, "0.1.0", 0, 0,
	    "Older agents are refused (T4)."),
	ROW(agent_seconds, CONF_SECONDS, "20", 1, 3600,
	    "How often an agent's control channel is probed; without an answer "
	    "to two probes it is gone."),
	ROW(tls_cert_file, CONF_STR, "/etc/relaycam/tls.crt", 0, 0,
	    "Certificate chain shown to viewers, PEM. Read again at SIGHUP."),
	ROW(tls_key_file, CONF_STR, "/etc/relaycam/tls.key", 0, 0,
	    "Its private key, PEM. Read before privileges are dropped."),
	ROW(recorder_program, CONF_STR, "/usr/libexec/relaycam-recorder", 0, 0,
	    "The recorder, one process a recorded session."),
	ROW(metrics_listen, CONF_STR, "127.0.0.1:9090", 0, 0,
	    "Where /metrics, /healthz and /readyz answer; empty: nowhere."),
	ROW(user, CONF_STR, NULL, 0, 0,
	    "Account to become once ports are open and keys are read."),
	ROW(public_host, CONF_STR, NULL, 0, 0,
	    "Name or address under which technicians and endpoints reach the "
	    "relay; unset: where it listens, or this machine's name."),
	ROW(public_ca_file, CONF_STR, NULL, 0, 0,
	    "PEM of the CA they check its certificate with, if no system "
	    "knows it."),
	ROW(threads, CONF_INT, "0", 0, 256,
	    "Event loops; 0: one a core. A session lives on one loop."),
	ROW(max_sessions, CONF_INT, "2000", 1, 100000,
	    "Sessions at once: technicians whose login was right."),
	ROW(max_agents, CONF_INT, "5000", 0, 100000,
	    "Enrolled agents at once whose control channel is here."),
	ROW(max_attended, CONF_INT, "1000", 0, 100000,
	    "Agents at once that are not enrolled and have a session code."),
	ROW(max_attended_per_address, CONF_INT, "50", 0, 100000,
	    "Of these, from one address (of IPv6, its first 64 bits). 0: no "
	    "limit."),
	ROW(max_parked, CONF_INT, "1000", 0, 100000,
	    "Servers at once that dialled in and wait for a session."),
	ROW(max_logins, CONF_INT, "2000", 1, 100000,
	    "Connections at once that have not logged in, per kind of "
	    "listener (listen, web_listen, reverse_listen, session_ports). "
	    "Beyond it, the oldest one of the address that has most is "
	    "closed."),
	ROW(max_logins_per_address, CONF_INT, "200", 0, 100000,
	    "Of these, from one address (of IPv6, its first 64 bits). 0: "
	    "addresses are not told apart, for a relay behind something that "
	    "hides them."),
	ROW(ring_bytes, CONF_SIZE, "4M", 65536, 268435456,
	    "Shared ring of a recorded session, a power of two."),
	ROW(handshake_seconds, CONF_SECONDS, "10", 1, 300,
	    "Time from connecting to the end of the TLS handshake."),
	ROW(login_seconds, CONF_SECONDS, "30", 1, 600,
	    "Time from TLS to the first picture, dialling out included; "
	    "typing a password and waiting for consent are not."),
	ROW(login_dialog_seconds, CONF_SECONDS, "120", 1, 3600,
	    "Time for a person to type a user name and a password, once the "
	    "viewer is connected in TLS."),
	ROW(connect_seconds, CONF_SECONDS, "10", 1, 120,
	    "Time for one connection attempt to an endpoint."),
	ROW(peer_lost_seconds, CONF_SECONDS, "60", 4, 3600,
	    "A viewer, browser, endpoint or agent that its network has cut off "
	    "is noticed within this time."),
	ROW(recorder_seconds, CONF_SECONDS, "5", 1, 120,
	    "A recorder that is not ready, or stands still with data "
	    "waiting, for this long is dead."),
	ROW(max_pixels, CONF_INT, "24883200", 307200, 268435456,
	    "Pixels of a screen, width times height, that sessions which are "
	    "or can be recorded may have; three screens of 3840x2160 by "
	    "default. An endpoint with more is refused, a technician cannot "
	    "set more, and a recorder's memory is limited to what so many "
	    "need."),
	ROW(unrecorded_seconds, CONF_SECONDS, "60", 1, 86400,
	    "Time that a session may be without a recorder in all, after "
	    "deaths of recorders; then it ends, or goes on unrecorded where "
	    "the team allows that."),
	{ "recording_mode", CONF_CHOICE,
	    offsetof(struct relay_conf, recording_mode), "live", 0, 0,
	    "live|capture",
	    "`live`: sessions are encoded while they run. `capture`: they are "
	    "kept as they came and encoded by storage when they are over." },
	ROW(live_recorders, CONF_INT, "0", 0, 100000,
	    "Sessions that are encoded live at a time; above it, they are "
	    "captured and encoded later. 0: no limit."),
	ROW(live_bytes, CONF_SIZE, "0", 0, 0,
	    "The same by memory, about 48 bytes for each pixel of a session's "
	    "screen, also when it changes its size. 0: half of the memory that "
	    "the machine or its control group has."),
	ROW(live_cpu_percent, CONF_INT, "80", 0, 100,
	    "The same by processor time that recorders used lately, of all "
	    "cores. 0: no limit."),
	ROW(behind_seconds, CONF_SECONDS, "10", 0, 3600,
	    "A recorder that is behind for so long, or has kept its ring three "
	    "quarters full, goes on as a capture. 0: never."),
	ROW(drain_seconds, CONF_SECONDS, "60", 0, 86400,
	    "After SIGTERM running sessions get this long."),
	ROW(node_lost_seconds, CONF_SECONDS, "10", 2, 3600,
	    "Another relay whose heartbeat stands still for this long, while "
	    "the database answered all of ours, is lost: its sessions are "
	    "written off. A heartbeat is sent six times in it."),
};
