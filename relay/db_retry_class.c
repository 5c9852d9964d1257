#include "relay/db_retry_class.h"

#include <stddef.h>
#include <string.h>

/*
 * Of the statement itself: classes 21 and 22 (data), 23 (constraints), 42
 * (syntax and names), and what a function of ours raises (P0, 44). All else
 * is of the server, its state or its administrator.
 */
static const char *const never[] = { "21", "22", "23", "42", "44", "P0" };
/* Of class 42, what an administrator can put right: rights, and a schema
 * that is being made or restored. */
static const char *const again[] = { "42501", "42P01", "42703", "42883" };

enum db_retry_class
db_retry_classify(const char *sqlstate)
{
	if (*sqlstate == '\0')
		return DB_RETRY_DONE;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (strcmp(sqlstate, again[i]) == 0)
			return DB_RETRY_AGAIN;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		if (strncmp(sqlstate, never[i], 2) == 0)
			return DB_RETRY_NEVER;
	return DB_RETRY_AGAIN;
}
