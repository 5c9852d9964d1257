/* Settings of relaycam-console, and what its parts share of them. */
#ifndef CONSOLE_CONF_H
#define CONSOLE_CONF_H

#include "common/conf.h"

struct conf_console {
	char *listen, *tls_cert_file, *tls_key_file;
	char *metrics_listen;
	char *proxy_protocol_from;
	char *public_url, *provider_ca_file;
	int64_t workers, database_connections, password_checks;
	int64_t max_connections, max_connections_per_address, max_logged_in;
	int64_t max_event_streams, max_event_streams_per_person;
	int64_t max_event_streams_per_address;
	int64_t request_seconds, login_seconds, stop_seconds;
	int64_t provider_seconds, webhook_retry_seconds;
	bool provider_private_addresses;
	int64_t reauthentication_seconds;
	char *pages_dir, *modules_dir;
	char *viewer_url, *vnc_address; /* of the relay */
};

#define CONF_CONSOLE_N 27
extern const struct conf_opt conf_console_opts[CONF_CONSOLE_N];

/* All that a process of the console reads from the settings file. */
struct console_conf {
	struct conf_log log;
	struct conf_database database;
	struct conf_store store;
	struct conf_secrets secrets;
	struct conf_console console;
};

#endif
