#include "ctl/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/table.h"

static void
add(struct doctor *d, const char *level, const char *check, const char *remedy,
    const char *fmt, va_list ap)
{
	char text[1024];
	json_t *line;

	vsnprintf(text, sizeof(text), fmt, ap);
	line = json_pack("{s:s,s:s,s:s,s:s}", "check", check, "level", level,
	    "text", text, "remedy", remedy);
	if (line == NULL) /* text from outside that is no UTF-8 */
		line = json_pack("{s:s,s:s,s:s,s:s}", "check", check, "level",
		    level, "text", "(text that cannot be shown)", "remedy",
		    remedy);
	json_array_append_new(d->lines, line);
}

void
doctor_ok(struct doctor *d, const char *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, "ok", check, "", fmt, ap);
	va_end(ap);
}

void
doctor_warn(struct doctor *d, const char *check, const char *remedy,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, "warn", check, remedy, fmt, ap);
	va_end(ap);
	d->n_warn++;
}

void
doctor_fail(struct doctor *d, const char *check, const char *remedy,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, "FAIL", check, remedy, fmt, ap);
	va_end(ap);
	d->n_fail++;
}

static void (*const checks[])(struct doctor *) = {
	doctor_config,
	doctor_database,
	doctor_database_tls,
	doctor_roles,
	doctor_clock,
	doctor_spool,
	doctor_store,
	doctor_quotas,
	doctor_webhooks,
	doctor_storage_check,
	doctor_link_key,
	doctor_seal_key,
	doctor_evidence_key,
	doctor_sealed,
	doctor_certificates,
	doctor_recorders,
	doctor_daemons,
	doctor_nodes,
	doctor_doors,
	doctor_console,
	doctor_single_sign_on,
	doctor_endpoints,
};

static const char *
field(const json_t *line, const char *key)
{
	return json_text(line, key);
}

static void
print_people(const struct doctor *d)
{
	size_t i;
	json_t *line;

	json_array_foreach(d->lines, i, line) {
		printf("%-5s %-12s %s\n", field(line, "level"),
		    field(line, "check"), field(line, "text"));
		if (*field(line, "remedy") != '\0')
			printf("%-5s %-12s -> %s\n", "", "",
			    field(line, "remedy"));
	}
	if (d->n_fail == 0 && d->n_warn == 0)
		printf("\nAll is well.\n");
	else
		printf("\n%d FAIL, %d warn.\n", d->n_fail, d->n_warn);
}

static int
run(struct ctl *c, const struct args *a)
{
	struct doctor d = { .ctl = c,
		.lines = json_array(),
		.with_endpoints = args_has(a, "endpoints") };
	int rc = STATUS_OK;

	for (size_t i = 0; i < N_ELEMENTS(checks); i++)
		checks[i](&d);
	if (args_has(a, "json")) {
		rc = print_json(json_pack("{s:b,s:i,s:i,s:o}", "ok",
		    d.n_fail == 0, "failed", d.n_fail, "warnings", d.n_warn,
		    "checks", d.lines));
	} else {
		print_people(&d);
		json_decref(d.lines);
	}
	return d.n_fail > 0 ? STATUS_FAILED : rc;
}

static const struct arg_opt opts[] = {
	{ "endpoints", NULL, "connect to every endpoint too" },
	OPT_JSON,
};

static const struct command commands[] = {
	{ NULL, "", 0, 0, OPTS(opts),
	    "Checks this machine's part of the installation.\n\nRun it as the "
	    "account of the daemons. Prints ok, warn or FAIL lines with the "
	    "remedy;\nexit status 1 when anything FAILs. Changes nothing; in "
	    "an "
	    "S3 bucket a small object\nis stored and removed again.",
	    run },
};

const struct command_group group_doctor = { "doctor",
	"check settings, keys, certificates and services", commands, 1 };
