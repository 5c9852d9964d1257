#include "ctl/storage/storage_check.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "ctl/command.h"
#include "ctl/pg.h"
#include "ctl/table.h"

#define TAKEN_S   90 /* a daemon that lives has taken it by then */
#define SILENT_S  900
#define ASK_MS    200
#define LIST_MOST "1000"

static const struct column cols[] = {
	{ "kind", "WHAT", COLUMN_TEXT, "f.kind" },
	{ "place", "WHERE", COLUMN_TEXT, "f.place" },
	{ "name", "NAME", COLUMN_TEXT, "f.name" },
	{ "recording", NULL, COLUMN_TEXT, "f.segment_id" },
	{ "bytes", "SIZE", COLUMN_BYTES, "f.bytes" },
	{ "detail", "WHY", COLUMN_TEXT, "f.detail" },
	{ "action", "WHAT CAN BE DONE", COLUMN_TEXT, "f.action" },
};
#define N_COLS (int)N_ELEMENTS(cols)

static const struct column check_cols[] = {
	{ "id", NULL, COLUMN_INT, "k.id" },
	{ "store", NULL, COLUMN_TEXT, "k.store" },
	{ "asked_by", NULL, COLUMN_TEXT, "k.asked_by" },
	{ "full", NULL, COLUMN_BOOL, "k.is_full" },
	{ "phase", NULL, COLUMN_TEXT, "k.phase" },
	{ "started_at", NULL, COLUMN_TIME, "k.started_at" },
	{ "ended_at", NULL, COLUMN_TIME, "k.ended_at" },
	{ "recordings", NULL, COLUMN_INT, "k.n_rows" },
	{ "objects", NULL, COLUMN_INT, "k.n_listed" },
	{ "looked_at", NULL, COLUMN_INT, "k.n_differ" },
	{ "hashed", NULL, COLUMN_INT, "k.n_hashed" },
	{ "findings", NULL, COLUMN_INT,
	    "(SELECT count(*) FROM storage_findings)" },
};
#define N_CHECK_COLS (int)N_ELEMENTS(check_cols)

/* ---- asking ---- */

/* One that waits or runs already is followed. */
static int
ask(struct ctl *c, bool is_full, char id[24])
{
	const char *store = c->store.kind, *full = is_full ? "t" : "f";
	PGresult *res;
	int rc = PG_RUN(c, "BEGIN");

	if (rc == 0)
		rc = PG_RUN(c,
		    "INSERT INTO storage_checks (store, asked_by, is_full) "
		    "VALUES ($1, session_user, $2) ON CONFLICT DO NOTHING",
		    store, full);
	if (rc != 0)
		return rc;
	res = PG_QUERY(c,
	    "SELECT id, is_full OR NOT $2::boolean FROM storage_checks "
	    "WHERE store = $1 AND ended_at IS NULL",
	    store, full);
	if (res == NULL)
		return STATUS_FAILED;
	if (PQntuples(res) == 0)
		rc =
		    ctl_error("the comparison ended at this moment; ask again");
	else if (PQgetvalue(res, 0, 1)[0] == 'f')
		rc = ctl_error("a comparison runs that does not hash all "
			       "bytes; ask again when it has ended");
	else
		snprintf(id, 24, "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	if (rc == 0)
		rc = pg_audit(c, NULL, "storage_check", store,
		    json_pack("{s:b}", "full", is_full));
	if (rc == 0)
		rc = PG_RUN(c, "NOTIFY relaycam_check");
	return rc != 0 ? rc : PG_RUN(c, "COMMIT");
}

/* ---- following ---- */

static void
show_progress(const PGresult *res)
{
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%s: %s objects compared, %s of %s recordings hashed",
	    PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2),
	    PQgetvalue(res, 0, 3));
}

enum seen { RUNS, ENDED, FAILED };

static enum seen
look(struct ctl *c, const char *id, uint64_t asked_ns)
{
	PGresult *res = PG_QUERY(c,
	    "SELECT phase, n_listed, n_hashed, n_to_hash, error, "
	    "extract(epoch FROM now() - heartbeat_at)::bigint "
	    "FROM storage_checks WHERE id = $1::bigint",
	    id);
	enum seen seen = FAILED;

	if (res == NULL)
		return FAILED;
	if (PQntuples(res) == 0 || strcmp(PQgetvalue(res, 0, 0), "done") == 0)
		seen = ENDED;
	else if (PQgetisnull(res, 0, 5) &&
	    clock_mono_ns() > asked_ns + TAKEN_S * NS_PER_S)
		ctl_error("no storage daemon began within %d s: is "
			  "relaycam-storage running? The comparison "
			  "waits for it",
		    TAKEN_S);
	else if (*PQgetvalue(res, 0, 4) != '\0' &&
	    atoll(PQgetvalue(res, 0, 5)) > 5)
		ctl_error("the comparison stopped: %s; storage tries "
			  "again by itself",
		    PQgetvalue(res, 0, 4));
	else if (clock_mono_ns() > asked_ns + TAKEN_S * NS_PER_S &&
	    atoll(PQgetvalue(res, 0, 5)) > SILENT_S)
		ctl_error("nothing was heard of the comparison for %d "
			  "minutes; look at the log of relaycam-storage",
		    SILENT_S / 60);
	else {
		show_progress(res);
		seen = RUNS;
	}
	PQclear(res);
	return seen;
}

static int
follow(struct ctl *c, const char *id)
{
	uint64_t asked_ns = clock_mono_ns();
	enum seen seen;

	while ((seen = look(c, id, asked_ns)) == RUNS)
		poll(NULL, 0, ASK_MS);
	if (isatty(STDERR_FILENO))
		fputc('\n', stderr);
	return seen == ENDED ? 0 : STATUS_FAILED;
}

/* ---- what was found ---- */

static PGresult *
query(struct ctl *c, const struct column *columns, int n, const char *tail,
    const char *value)
{
	struct sql q;
	PGresult *res;

	if (sql_init(&q) != 0)
		return NULL;
	table_select(&q, columns, n, "'UTC'");
	if (value != NULL)
		sql_value(&q, tail, value);
	else
		sql_add(&q, tail);
	res = table_query(c, &q);
	sql_release(&q);
	return res;
}

static int
print(struct ctl *c, const PGresult *check, const PGresult *found, bool json)
{
	const char *total = PQgetvalue(check, 0, N_CHECK_COLS - 1);
	int rc = strcmp(total, "0") != 0 ? STATUS_DIFFERS : STATUS_OK;

	if (json)
		return print_json(json_pack("{s:o,s:o}", "check",
			   table_row_json(check, 0, check_cols, N_CHECK_COLS),
			   "findings", table_json(found, cols, N_COLS))) != 0
		    ? STATUS_FAILED
		    : rc;
	if (PQntuples(found) > 0)
		table_print(found, cols, N_COLS, true, "");
	printf("%s objects of %s recordings compared, %s recordings hashed: "
	       "%s findings\n",
	    PQgetvalue(check, 0, 8), PQgetvalue(check, 0, 7),
	    PQgetvalue(check, 0, 10), total);
	return rc;
}

static int
report(struct ctl *c, const char *id, bool json)
{
	PGresult *check = query(c, check_cols, N_CHECK_COLS,
	    "FROM storage_checks k WHERE k.id = ?::bigint", id);
	PGresult *found = check == NULL
	    ? NULL
	    : query(c, cols, N_COLS,
		  "FROM storage_findings f ORDER BY f.kind, f.place, f.name "
		  "LIMIT " LIST_MOST,
		  NULL);
	int rc = STATUS_FAILED;

	if (found != NULL && PQntuples(check) == 1)
		rc = print(c, check, found, json);
	PQclear(found);
	PQclear(check);
	return rc;
}

int
storage_run_check(struct ctl *c, const struct args *a)
{
	char id[24];
	int rc = ask(c, args_has(a, "full"), id);

	if (rc == 0 && !args_has(a, "no-wait"))
		rc = follow(c, id);
	if (rc == 0 && args_has(a, "no-wait") && !args_has(a, "json"))
		printf("asked for comparison %s\n", id);
	else if (rc == 0)
		rc = report(c, id, args_has(a, "json"));
	return rc;
}
