#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/conf.h"
#include "common/err.h"

#define DEFAULT_PATH "/etc/relaycam/relaycam.conf"

enum { OPT_REFERENCE = 256, OPT_VERSION };

static const struct option long_opts[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "config-reference", no_argument, NULL, OPT_REFERENCE },
	{ 0 },
};

static void
print_help(const char *usage)
{
	printf("%s\n"
	       "Options:\n"
	       "  -c, --config FILE        settings (default: %s)\n"
	       "  -s, --set SECTION.KEY=V  override one setting\n"
	       "      --config-reference   print all settings and exit\n"
	       "      --version            print the version and exit\n"
	       "  -h, --help               print this and exit\n",
	    usage, DEFAULT_PATH);
}

static _Noreturn void
die(const char *program, int status, const char *text)
{
	fprintf(stderr, "%s: %s\n", program, text);
	exit(status);
}

/* First pass: --config and what prints and exits; returns the file. */
static const char *
scan_options(int argc, char **argv, const char *program, const char *usage,
    const struct conf_section *sections, size_t n)
{
	const char *path = NULL;
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "+c:s:h", long_opts, NULL)) != -1)
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 's':
			break;
		case 'h':
			print_help(usage);
			exit(0);
		case OPT_VERSION:
			printf("%s %s\n", program, RELAYCAM_VERSION);
			exit(0);
		case OPT_REFERENCE:
			conf_print_reference(stdout, sections, n);
			exit(0);
		default:
			die(program, 2, "try --help");
		}
	return path;
}

int
conf_main(int argc, char **argv, const char *program, const char *usage,
    const struct conf_section *sections, size_t n, char **config_path)
{
	const char *path;
	char err[512];
	int c;

	if (conf_defaults(sections, n) != 0)
		die(program, EX_OSERR, "out of memory");
	path = scan_options(argc, argv, program, usage, sections, n);
	if (path == NULL && access(DEFAULT_PATH, R_OK) == 0)
		path = DEFAULT_PATH;
	if (path != NULL && conf_read(path, sections, n, err, sizeof(err)) != 0)
		die(program, EX_CONFIG, err);
	optind = 1;
	while ((c = getopt_long(argc, argv, "+c:s:h", long_opts, NULL)) != -1)
		if (c == 's' &&
		    conf_set(optarg, sections, n, err, sizeof(err)) != 0)
			die(program, EX_CONFIG, err);
	if (config_path != NULL)
		*config_path = path != NULL ? strdup(path) : NULL;
	return optind;
}
