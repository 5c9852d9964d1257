/*
 * The administrator's command line: what all commands share. One command a
 * run, single-threaded, everything blocks. A command returns its exit status;
 * messages for people go to standard error, results to standard output.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/conf.h"

#define STATUS_OK     0
#define STATUS_FAILED 1
#define STATUS_USAGE  2
#define STATUS_CONFIG 78 /* EX_CONFIG */

/* Settings of a daemon that doctor looks at; the rest is the daemon's. */
struct conf_daemon {
	char *listen;
	char *cert_file, *key_file;
	char *metrics_listen;
	char *recorder_program;
	/* relay only */
	char *public_host;    /* as technicians and endpoints dial it */
	char *public_ca_file; /* and check it by */
	char *web_listen, *reverse_listen, *session_ports;
	char *web_dir, *novnc_dir;
	/* storage only */
	int64_t capture_free_bytes; /* what imports leave free, C6 */
	/* console only */
	char *public_url;       /* as browsers reach it */
	char *provider_ca_file; /* of OpenID providers */
	bool provider_private_addresses;
};

struct ctl {
	struct conf_database database;
	struct conf_spool spool;
	struct conf_store store;
	struct conf_secrets secrets;
	struct conf_daemon relay, storage, console;
	char *config_path;   /* file that was read; NULL: none */
	const char *db_user; /* to log in as, borrowed; NULL: as the url says */
	PGconn *db;          /* NULL until ctl_db (pg.h) */
};

/* "relaycam: ..." on standard error. Returns STATUS_FAILED. */
__attribute__((format(printf, 1, 2))) int ctl_error(const char *fmt, ...);

/* The same for what the system refused, with its reason and what helps.
 * error: an errno. Returns STATUS_FAILED. */
__attribute__((format(printf, 2, 3))) int ctl_failed(
    int error, const char *fmt, ...);

/* The same for wrong arguments. Returns STATUS_USAGE. */
__attribute__((format(printf, 1, 2))) int ctl_usage(const char *fmt, ...);

/* The same for wrong settings and key files. Returns STATUS_CONFIG. */
__attribute__((format(printf, 1, 2))) int ctl_config(const char *fmt, ...);

#endif
