#include "scripted_ctl.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/command.h"
#include "ctl/pg.h"

#define WORDS_MAX 24

struct ctl scripted_ctl;
char ctl_said[16384];
char ctl_transactions[64];

static const struct ctl_case *now;
static int n_asked;
static char wrong[2048]; /* what the first unexpected statement was */

/* ---- stands in for ctl/pg_connection.c ---- */

int
pg_open(struct ctl *c)
{
	return 0;
}

int
pg_try_open(struct ctl *c, char *why, size_t why_len)
{
	return 0;
}

bool
pg_answers(struct ctl *c)
{
	return true;
}

static void
note_wrong(const char *sql, int n, const char *const *params)
{
	char text[1024];

	params_text(n, params, text, sizeof(text));
	snprintf(wrong, sizeof(wrong),
	    "%s as the parameters of statement %d: %s", text, n_asked, sql);
}

PGresult *
pg_try(struct ctl *c, const char *sql, int n, const char *const *params)
{
	const struct db_ask *ask = &now->asks[n_asked];

	if (is_transaction(sql)) {
		snprintf(ctl_transactions + strlen(ctl_transactions),
		    sizeof(ctl_transactions) - strlen(ctl_transactions), "%s%s",
		    ctl_transactions[0] != '\0' ? " " : "", sql);
		return result_make(sql, "");
	}
	if (n_asked < CTL_ASKS_MAX && ask_matches(ask, sql, n, params)) {
		n_asked++;
		return result_make(sql, ask->rows);
	}
	if (wrong[0] == '\0')
		note_wrong(sql, n, params);
	return result_make(sql, NULL);
}

/* ---- running a command ---- */

static int
run_words(const char *command)
{
	char *text = strdup(command), *save = NULL;
	char *words[WORDS_MAX];
	int n = 0, status;

	for (char *w = strtok_r(text, " ", &save); w != NULL;
	     w = strtok_r(NULL, " ", &save)) {
		assert_in_range(n, 0, WORDS_MAX - 1);
		words[n++] = w;
	}
	status = command_run(&scripted_ctl, n, words);
	free(text);
	return status;
}

static int
run_captured(const char *command)
{
	FILE *f = tmpfile();
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), status;
	size_t len;

	assert_non_null(f);
	fflush(NULL);
	dup2(fileno(f), STDOUT_FILENO);
	dup2(fileno(f), STDERR_FILENO);
	status = run_words(command);
	fflush(NULL);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(out);
	close(err);
	rewind(f);
	len = fread(ctl_said, 1, sizeof(ctl_said) - 1, f);
	ctl_said[len] = '\0';
	fclose(f);
	return status;
}

void
ctl_run_case(const struct ctl_case *k)
{
	int status;

	now = k;
	n_asked = 0;
	wrong[0] = ctl_transactions[0] = '\0';
	status = run_captured(k->command);
	if (wrong[0] != '\0')
		fail_msg("%s: unexpected: %s", k->command, wrong);
	if (status != k->status)
		fail_msg("%s: status %d, not %d: %s", k->command, status,
		    k->status, ctl_said);
	if (k->says != NULL && strstr(ctl_said, k->says) == NULL)
		fail_msg(
		    "%s: \"%s\" is not in: %s", k->command, k->says, ctl_said);
	if (n_asked < CTL_ASKS_MAX && k->asks[n_asked].has != NULL)
		fail_msg("%s: did not ask \"%s\": %s", k->command,
		    k->asks[n_asked].has, ctl_said);
}

void
ctl_run_cases(const struct ctl_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ctl_run_case(&cases[i]);
}
