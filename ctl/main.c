/*
 * relaycam: the administrator's command line. docs/relaycam.md is its manual.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/keyfile.h"
#include "common/protect.h"
#include "ctl/command.h"
#include "ctl/ctl.h"

static struct ctl ctl;

#define ROW(name, field, preset)                                               \
	{                                                                      \
		name, CONF_STR, offsetof(struct conf_daemon, field), preset,   \
		    0, 0, NULL, ""                                             \
	}

/* Presets are the daemons' own; a test compares them. */
static const struct conf_opt relay_opts[] = {
	ROW("listen", listen, "[::]:5900"),
	ROW("tls_cert_file", cert_file, "/etc/relaycam/tls.crt"),
	ROW("tls_key_file", key_file, "/etc/relaycam/tls.key"),
	ROW("metrics_listen", metrics_listen, "127.0.0.1:9090"),
	ROW("recorder_program", recorder_program,
	    "/usr/libexec/relaycam-recorder"),
	ROW("public_host", public_host, NULL),
	ROW("public_ca_file", public_ca_file, NULL),
	ROW("web_listen", web_listen, "[::]:443"),
	ROW("reverse_listen", reverse_listen, NULL),
	ROW("session_ports", session_ports, NULL),
	ROW("web_dir", web_dir, "/usr/share/relaycam/web"),
	ROW("novnc_dir", novnc_dir, "/usr/share/novnc"),
};
static const struct conf_opt storage_opts[] = {
	ROW("listen", listen, "0.0.0.0:8444"),
	ROW("tls_cert_file", cert_file, "/etc/relaycam/tls.crt"),
	ROW("tls_key_file", key_file, "/etc/relaycam/tls.key"),
	ROW("metrics_listen", metrics_listen, "127.0.0.1:9091"),
	ROW("recorder_program", recorder_program,
	    "/usr/libexec/relaycam-recorder"),
	{ "capture_free_bytes", CONF_SIZE,
	    offsetof(struct conf_daemon, capture_free_bytes), "400M", 0,
	    INT64_C(1) << 42, NULL, "" },
};
static const struct conf_opt console_opts[] = {
	ROW("listen", listen, "0.0.0.0:8443"),
	ROW("tls_cert_file", cert_file, "/etc/relaycam/tls.crt"),
	ROW("tls_key_file", key_file, "/etc/relaycam/tls.key"),
	ROW("metrics_listen", metrics_listen, "127.0.0.1:9092"),
	ROW("public_url", public_url, NULL),
	ROW("provider_ca_file", provider_ca_file, NULL),
	{ "provider_private_addresses", CONF_BOOL,
	    offsetof(struct conf_daemon, provider_private_addresses), "off", 0,
	    0, NULL, "" },
};

static const struct conf_section sections[] = {
	CONF_DATABASE(&ctl.database),
	CONF_SPOOL(&ctl.spool),
	CONF_STORE(&ctl.store),
	CONF_SECRETS(&ctl.secrets),
	{ "relay", "", OPTS(relay_opts), &ctl.relay, true },
	{ "storage", "", OPTS(storage_opts), &ctl.storage, true },
	{ "console", "", OPTS(console_opts), &ctl.console, true },
};

/* A full disk or closed pipe must not look like success. */
static int
close_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("relaycam: standard output");
	return status == STATUS_OK ? STATUS_FAILED : status;
}

/*
 * An administrator who is root uses the keys of the daemons, which may be
 * their account's: it is the one that owns the spool folder.
 */
static void
trust_daemons(void)
{
	struct stat st;

	if (ctl.spool.dir != NULL && stat(ctl.spool.dir, &st) == 0)
		keyfile_trust(st.st_uid);
}

int
main(int argc, char **argv)
{
	char *usage = command_usage();
	int first, status;

	if (usage == NULL)
		return ctl_error("out of memory");
	first = conf_main(argc, argv, "relaycam", usage, sections,
	    N_ELEMENTS(sections), &ctl.config_path);
	free(usage);
	protect_process();
	trust_daemons();
	ctl.db_user = ctl.database.admin_user;
	status = command_run(&ctl, argc - first, argv + first);
	if (ctl.db != NULL)
		PQfinish(ctl.db);
	conf_release(sections, N_ELEMENTS(sections));
	free(ctl.config_path);
	return close_stdout(status);
}
