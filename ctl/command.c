#include "ctl/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

static const struct command_group *const groups[] = {
	&group_migrate,
	&group_check,
	&group_doctor,
	&group_team,
	&group_user,
	&group_endpoint,
	&group_ticket,
	&group_connect,
	&group_settings,
	&group_single_sign_on,
	&group_webhook,
	&group_top,
	&group_console,
	&group_sessions,
	&group_recordings,
	&group_verify,
	&group_evidence_key,
	&group_audit,
	&group_storage,
};

char *
command_usage(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		return NULL;
	fprintf(f,
	    "usage: relaycam [OPTION...] COMMAND [ARGUMENT...]\n\n"
	    "Administers a Relaycam installation.\n\nCommands:\n");
	for (size_t i = 0; i < N_ELEMENTS(groups); i++)
		fprintf(f, "  %-15s %s\n", groups[i]->name, groups[i]->help);
	fprintf(f,
	    "\n\"relaycam COMMAND --help\" says more.\n"
	    "Exit status: 0 done, 1 failed, 2 wrong arguments, "
	    "78 wrong settings.\n");
	fclose(f);
	return text;
}

static void
print_name(FILE *f, const struct command_group *g, const struct command *k)
{
	fprintf(f, "relaycam %s%s%s", g->name, k->verb != NULL ? " " : "",
	    k->verb != NULL ? k->verb : "");
}

static int
group_help(FILE *f, const struct command_group *g, int status)
{
	fprintf(f, "usage: relaycam %s VERB [ARGUMENT...]\n\n%s\n\nVerbs:\n",
	    g->name, g->help);
	for (size_t i = 0; i < g->n_commands; i++) {
		const struct command *k = &g->commands[i];

		fprintf(f, "  %-10s %.*s\n", k->verb,
		    (int)strcspn(k->help, "\n"), k->help);
	}
	fprintf(
	    f, "\n\"relaycam %s VERB --help\" lists the options.\n", g->name);
	return status;
}

static int
command_help(const struct command_group *g, const struct command *k)
{
	printf("usage: ");
	print_name(stdout, g, k);
	printf("%s%s%s\n\n%s\n", k->n_opts > 0 ? " [OPTION...]" : "",
	    *k->words != '\0' ? " " : "", k->words, k->help);
	if (k->n_opts > 0)
		printf("\nOptions:\n");
	for (size_t i = 0; i < k->n_opts; i++) {
		const struct arg_opt *o = &k->opts[i];
		int used =
		    printf("  --%s%s%s", o->name, o->value != NULL ? " " : "",
			o->value != NULL ? o->value : "");

		printf("%*s%s\n", used < 28 ? 28 - used : 1, "", o->help);
	}
	return STATUS_OK;
}

static int
run_command(struct ctl *c, const struct command_group *g,
    const struct command *k, int argc, char **argv)
{
	struct args a;

	if (args_parse(&a, k->opts, k->n_opts, argc, argv) != 0)
		return STATUS_USAGE;
	if (a.help)
		return command_help(g, k);
	if (a.n_words >= k->min_words && a.n_words <= k->max_words)
		return k->run(c, &a);
	if (a.n_words > k->max_words)
		ctl_usage("unexpected argument \"%s\"", a.words[k->max_words]);
	fprintf(stderr, "usage: ");
	print_name(stderr, g, k);
	fprintf(stderr, " [OPTION...] %s\n", k->words);
	return STATUS_USAGE;
}

static int
run_group(struct ctl *c, const struct command_group *g, int argc, char **argv)
{
	if (g->commands[0].verb == NULL)
		return run_command(c, g, &g->commands[0], argc, argv);
	if (argc == 0)
		return group_help(stderr, g, STATUS_USAGE);
	for (size_t i = 0; i < g->n_commands; i++)
		if (strcmp(g->commands[i].verb, argv[0]) == 0)
			return run_command(
			    c, g, &g->commands[i], argc - 1, argv + 1);
	if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
		return group_help(stdout, g, STATUS_OK);
	ctl_usage("there is no \"%s %s\"", g->name, argv[0]);
	return group_help(stderr, g, STATUS_USAGE);
}

int
command_run(struct ctl *c, int argc, char **argv)
{
	char *usage;

	for (size_t i = 0; argc > 0 && i < N_ELEMENTS(groups); i++)
		if (strcmp(groups[i]->name, argv[0]) == 0)
			return run_group(c, groups[i], argc - 1, argv + 1);
	if (argc > 0)
		return ctl_usage("there is no command \"%s\"; "
				 "relaycam --help lists them",
		    argv[0]);
	usage = command_usage();
	fputs(usage != NULL ? usage : "", stderr);
	free(usage);
	return STATUS_USAGE;
}
