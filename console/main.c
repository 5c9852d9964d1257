/*
 * relaycam-console: the HTTP API for people and programs. A supervisor starts
 * workers that share one port; each has one event loop.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "common/bytes.h"
#include "common/connection_limit.h"
#include "common/log.h"
#include "common/protect.h"
#include "console/conf.h"
#include "console/routes.h"
#include "console/supervisor.h"
#include "console/worker.h"

#define PROGRAM "relaycam-console"

static const char usage[] =
    "usage: relaycam-console [OPTION]...\n"
    "       relaycam-console rights\n"
    "\n"
    "Serves the HTTP API to people and programs. Runs in the foreground.\n"
    "\"rights\" prints which right each request needs.\n";

static struct console_conf conf;

static struct conf_section sections[] = {
	CONF_LOG(&conf.log),
	CONF_DATABASE(&conf.database),
	CONF_STORE(&conf.store),
	CONF_SECRETS(&conf.secrets),
	{ "console", "The console server.", conf_console_opts, CONF_CONSOLE_N,
	    &conf.console },
};

int
main(int argc, char **argv)
{
	int first = conf_main(
	    argc, argv, PROGRAM, usage, sections, N_ELEMENTS(sections), NULL);

	if (argc - first == 1 && strcmp(argv[first], "rights") == 0) {
		routes_print(stdout);
		return 0;
	}
	if (argc != first &&
	    (argc - first != 3 || strcmp(argv[first], "worker") != 0)) {
		fprintf(stderr, PROGRAM ": takes no arguments\n");
		return 2;
	}
	if (conf_log_apply(&conf.log, PROGRAM) != 0)
		return EX_CONFIG;
	connection_limit_descriptors();
	event_set_log_callback(log_from_libevent);
	signal(SIGPIPE, SIG_IGN);
	umask(027);
	protect_process();
	if (argc == first)
		return supervisor_run(&conf, argc, argv);
	return worker_run(
	    &conf, (unsigned)atoi(argv[first + 1]), atoi(argv[first + 2]));
}
