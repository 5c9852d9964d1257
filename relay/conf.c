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
	ROW(threads, CONF_INT, "0", 0, 256,
	    "Event loops; 0: one a core. A session lives on one loop."),
	ROW(max_sessions, CONF_INT, "2000", 1, 100000,
	    "Connections at once, those that log in included."),
	ROW(ring_bytes, CONF_SIZE, "4M", 65536, 268435456,
	    "Shared ring of a recorded session, a power of two."),
	ROW(handshake_seconds, CONF_SECONDS, "10", 1, 300,
	    "Time from connecting to the end of the TLS handshake."),
	ROW(login_seconds, CONF_SECONDS, "30", 1, 600,
	    "Time from TLS to the first picture, dialling out included."),
	ROW(connect_seconds, CONF_SECONDS, "10", 1, 120,
	    "Time for one connection attempt to an endpoint."),
	ROW(recorder_seconds, CONF_SECONDS, "5", 1, 120,
	    "A recorder that is not ready, or stands still with data "
	    "waiting, for this long is dead."),
	ROW(drain_seconds, CONF_SECONDS, "60", 0, 86400,
	    "After SIGTERM running sessions get this long."),
};
