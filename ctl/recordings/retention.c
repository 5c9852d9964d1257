#include "ctl/recordings/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/command.h"
#include "ctl/names.h"
#include "ctl/pg.h"

#define LOCAL_TIME(name)                                                       \
	"to_char((p.v#>>'{" name ",from}')::timestamptz AT TIME ZONE "         \
	"t.time_zone, 'YYYY-MM-DD HH24:MI')"

/* clang-format off */
static const char preview_sql[] =
"SELECT p.v#>>'{first_day,recordings}',"
" pg_size_pretty((p.v#>>'{first_day,bytes}')::bigint), " LOCAL_TIME("first_day")
", p.v#>>'{later,recordings}', pg_size_pretty((p.v#>>'{later,bytes}')::bigint), "
LOCAL_TIME("later") ", p.v->>'longer', p.v->>'locked', t.time_zone"
" FROM teams t, retention_preview(t.id, $2, $3::integer) AS p(v)"
" WHERE t.id = $1::bigint AND p.v IS NOT NULL";
/* clang-format on */

static void
say_deleted(const PGresult *res, int col, const char *zone)
{
	if (strcmp(PQgetvalue(res, 0, col), "0") != 0)
		printf("  %s recordings (%s) are deleted earlier than now, the "
		       "first at %s %s\n",
		    PQgetvalue(res, 0, col), PQgetvalue(res, 0, col + 1),
		    PQgetvalue(res, 0, col + 2), zone);
}

static void
say_number(const PGresult *res, int col, const char *what)
{
	if (strcmp(PQgetvalue(res, 0, col), "0") != 0)
		printf("  %s recordings %s\n", PQgetvalue(res, 0, col), what);
}

int
retention_say(struct ctl *c, const struct team_ref *team, const char *access,
    const char *days, bool *is_deleting)
{
	PGresult *res = PG_QUERY(c, preview_sql, team->id, access, days);
	const char *zone;

	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0) {
		PQclear(res);
		return ctl_error("team %s lacks its settings for %s access: "
				 "\"relaycam check\" says what else is wrong",
		    team->name, access);
	}
	zone = PQgetvalue(res, 0, 8);
	printf("%s.retention_days=%s, team %s:\n", access, days, team->name);
	say_deleted(res, 0, zone);
	say_deleted(res, 3, zone);
	say_number(res, 6, "are kept longer than now");
	say_number(res, 7, "are locked and stay as long as they are locked");
	*is_deleting = strcmp(PQgetvalue(res, 0, 0), "0") != 0 ||
	    strcmp(PQgetvalue(res, 0, 3), "0") != 0;
	if (!*is_deleting)
		printf("  no recording is deleted earlier than now\n");
	PQclear(res);
	return 0;
}
