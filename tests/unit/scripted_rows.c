#include "scripted_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bool
is_transaction(const char *sql)
{
	return strcmp(sql, "BEGIN") == 0 || strcmp(sql, "COMMIT") == 0 ||
	    strcmp(sql, "ROLLBACK") == 0;
}

/* The next field of *text, which moves behind the sign after it. */
static char *
take_field(char **text)
{
	char *field = *text;

	*text += strcspn(field, "|\n");
	*(*text)++ = '\0';
	return field;
}

static bool
params_are(const char *expected, int n, const char *const *params)
{
	char *text, *at;
	bool same = true;
	int i = 0;

	if (expected == NULL)
		return true;
	text = at = malloc(strlen(expected) + 2);
	sprintf(text, "%s%s", expected, n > 0 ? "|" : "");
	for (; *at != '\0' && i < n; i++) {
		const char *field = take_field(&at);

		same = same &&
		    (strcmp(field, "*") == 0 ||
			strcmp(field, params[i] != NULL ? params[i] : "~") ==
			    0);
	}
	same = same && *at == '\0' && i == n;
	free(text);
	return same;
}

/* A change without RETURNING has no rows. */
static ExecStatusType
status_of(const char *sql, const char *rows)
{
	bool is_change = strncmp(sql, "INSERT ", 7) == 0 ||
	    strncmp(sql, "UPDATE ", 7) == 0 || strncmp(sql, "DELETE ", 7) == 0;

	return rows == NULL                                 ? PGRES_FATAL_ERROR
	    : is_change && strstr(sql, "RETURNING") == NULL ? PGRES_COMMAND_OK
							    : PGRES_TUPLES_OK;
}

/* Names of columns do not matter to the commands, their order does. */
PGresult *
result_make(const char *sql, const char *rows)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, status_of(sql, rows));
	char *text = strdup(rows != NULL ? rows : ""), *at = text;
	PGresAttDesc cols[64];
	char names[64][12];
	int n = 1, row = 0;

	for (const char *c = rows; c != NULL && *c != '\0' && *c != '\n'; c++)
		n += *c == '|';
	memset(cols, 0, sizeof(cols));
	for (int i = 0; i < n; i++) {
		snprintf(names[i], sizeof(names[i]), "%d", i);
		cols[i].name = names[i];
	}
	assert_int_equal(PQsetResultAttrs(res, n, cols), 1);
	for (; *at != '\0'; row++)
		for (int i = 0; i < n; i++) {
			char *field = take_field(&at);
			bool is_null = strcmp(field, "~") == 0;

			assert_int_equal(
			    PQsetvalue(res, row, i, is_null ? NULL : field,
				is_null ? -1 : (int)strlen(field)),
			    1);
		}
	free(text);
	return res;
}

bool
ask_matches(
    const struct db_ask *ask, const char *sql, int n, const char *const *params)
{
	return ask->has != NULL && strstr(sql, ask->has) != NULL &&
	    params_are(ask->params, n, params);
}

void
params_text(int n, const char *const *params, char *out, size_t len)
{
	size_t at = 0;

	out[0] = '\0';
	for (int i = 0; i < n && at < len; i++)
		at += (size_t)snprintf(out + at, len - at, "%s%s",
		    i > 0 ? "|" : "", params[i] != NULL ? params[i] : "~");
}
