#include "console/conf.h"

#define ROW(name, type, preset, lo, hi, help)                                  \
	{                                                                      \
#name, type, offsetof(struct conf_console, name), preset, lo,  \
		    hi, NULL, help                                             \
	}

const struct conf_opt conf_console_opts[CONF_CONSOLE_N] = {
	ROW(listen, CONF_STR, "0.0.0.0:8443", 0, 0,
	    "address:port of the HTTP API (TLS 1.3, 1.2 accepted)."),
	ROW(tls_cert_file, CONF_STR, "/etc/relaycam/tls.crt", 0, 0,
	    "PEM certificate chain of that server; read again at SIGHUP."),
	ROW(tls_key_file, CONF_STR, "/etc/relaycam/tls.key", 0, 0,
	    "PEM private key of that server."),
	ROW(metrics_listen, CONF_STR, "127.0.0.1:9092", 0, 0,
	    "address:port of /metrics, /healthz and /readyz (clear HTTP)."),
	ROW(proxy_protocol_from, CONF_STR, NULL, 0, 0,
	    "Addresses and networks of load balancers, comma-separated: their "
	    "connections must begin with the header of the PROXY protocol, "
	    "version 2. Empty: none."),
	ROW(workers, CONF_INT, "0", 0, 256,
	    "Processes that share the port; 0: one per processor core."),
	ROW(database_connections, CONF_INT, "4", 1, 64,
	    "Connections to the database per worker, besides one for events "
	    "and "
	    "one for requests with an Idempotency-Key."),
	ROW(password_checks, CONF_INT, "2", 2, 64,
	    "Processes per worker that check passwords; one of them is for "
	    "people who logged in from the same address before."),
	ROW(max_connections, CONF_INT, "1000", 1, 100000,
	    "Connections at once per worker on which nobody logged in yet. "
	    "Beyond it, the oldest one of the address that has most is "
	    "closed."),
	ROW(max_connections_per_address, CONF_INT, "100", 0, 100000,
	    "Of these, from one address (of IPv6, its first 64 bits), per "
	    "worker. 0: addresses are not told apart, for a server behind "
	    "something that hides them."),
	ROW(max_logged_in, CONF_INT, "4000", 1, 100000,
	    "Connections at once per worker of people who logged in."),
	ROW(max_event_streams, CONF_INT, "2000", 0, 100000,
	    "Clients at once per worker that listen to events; they count as "
	    "logged in too. 0: none are refused for that."),
	ROW(max_event_streams_per_person, CONF_INT, "20", 0, 100000,
	    "Of these, of one person, per worker. 0: unlimited."),
	ROW(max_event_streams_per_address, CONF_INT, "500", 0, 100000,
	    "Of these, from one address, per worker. 0: addresses are not told "
	    "apart, for a server behind something that hides them."),
	ROW(request_seconds, CONF_SECONDS, "60", 1, 3600,
	    "A connection on which nothing moves for this long is closed, and "
	    "so is one on which nobody logged in by then."),
	ROW(login_seconds, CONF_SECONDS, "12h", 60, 2592000,
	    "A login in a browser ends after this time."),
	ROW(reauthentication_seconds, CONF_SECONDS, "10m", 60, 2592000,
	    "Who changes credentials (passkeys, codes, tokens, people) in a "
	    "browser shows again that it is them, unless they did within this "
	    "time."),
	ROW(public_url, CONF_STR, NULL, 0, 0,
	    "https://host[:port] at which browsers reach the console; links "
	    "to it begin with it, and single sign-on and passkeys need it. "
	    "Passkeys are bound to its host, which is a name."),
	ROW(provider_ca_file, CONF_STR, NULL, 0, 0,
	    "PEM certificates that providers of single sign-on are verified "
	    "with, besides the system's."),
	ROW(provider_seconds, CONF_SECONDS, "10", 1, 60,
	    "Each answer of a provider of single sign-on has to come within "
	    "this time."),
	ROW(provider_private_addresses, CONF_BOOL, "off", 0, 0,
	    "Providers of single sign-on may have private, loopback or "
	    "link-local addresses. Each team's owner names a provider, so "
	    "without this the console connects to public addresses alone."),
	ROW(webhook_retry_seconds, CONF_SECONDS, "10", 1, 3600,
	    "A webhook that was not delivered is tried again after this time, "
	    "then after twice as long, up to an hour, for 3 days. Receivers "
	    "are bound by provider_ca_file, provider_seconds and "
	    "provider_private_addresses as providers are."),
	ROW(stop_seconds, CONF_SECONDS, "30", 1, 3600,
	    "At SIGTERM, requests under way get this long."),
	ROW(pages_dir, CONF_STR, "/usr/share/relaycam/console", 0, 0,
	    "Folder with the pages that people see; read at the start and at "
	    "SIGHUP. Empty: the HTTP API alone."),
	ROW(viewer_url, CONF_STR, NULL, 0, 0,
	    "https://host[:port] of the relay's browser viewer, which Connect "
	    "opens; the console's origin has to be in [relay] "
	    "web_frame_origins. Unset: the host that the browser asked, port "
	    "443."),
	ROW(vnc_address, CONF_STR, NULL, 0, 0,
	    "host[:port] of the relay for VNC viewers, which Connect gives "
	    "out. Unset: the host that the browser asked, port 5900."),
	ROW(modules_dir, CONF_STR, "/usr/share/relaycam/console-modules", 0, 0,
	    "Folder with the JavaScript modules of others that the pages "
	    "use."),
};
