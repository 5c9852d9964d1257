/* doctor: the database, what is in it, and the clock beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/keyfile.h"
#include "common/password.h"
#include "ctl/schema/schema_check.h"
#include "ctl/doctor/doctor.h"
#include "ctl/endpoint/endpoint_test.h"
#include "ctl/pg.h"
#include "ctl/doctor/remedy.h"
#include "ctl/schema/schema.h"

#define CLOCK_WARN_MS 2000
#define CLOCK_FAIL_MS 30000
#define POSTGRES_MIN  130000

/* One value, or NULL; errors are no news of their own here. */
static char *
ask(struct ctl *c, const char *sql)
{
	PGresult *res = PG_TRY(c, sql);
	char *value =
	    PQresultStatus(res) == PGRES_TUPLES_OK ? pg_copy(res) : NULL;

	PQclear(res);
	return value;
}

static bool
check_version(struct doctor *d)
{
	char *text = ask(d->ctl, "SELECT max(version) FROM schema_migrations");
	int have = text != NULL ? atoi(text) : 0;
	int want = schema_newest();

	free(text);
	if (have == want)
		return true;
	if (have < want)
		doctor_fail(d, "database", "run \"relaycam migrate\"",
		    "the schema is at version %d, %d is needed", have, want);
	else
		doctor_fail(d, "database", "install the newer programs",
		    "the schema is at version %d, these programs know %d", have,
		    want);
	return false;
}

static void
check_rules(struct doctor *d)
{
	json_t *found = json_array();
	int n_rules = 0;
	int rc = check_collect(d->ctl, found, &n_rules);

	if (rc != 0)
		doctor_fail(d, "rules", "run \"relaycam check\"",
		    "the rules could not be checked");
	else if (json_array_size(found) > 0)
		doctor_warn(d, "rules", "\"relaycam check\" lists them",
		    "%zu violations of the database's rules",
		    json_array_size(found));
	else
		doctor_ok(d, "rules", "%d rules of the database hold", n_rules);
	json_decref(found);
}

void
doctor_database(struct doctor *d)
{
	char why[512];

	if (pg_try_open(d->ctl, why, sizeof(why)) != 0) {
		doctor_fail(
		    d, "database", remedy_of_connection(why), "%s", why);
		return;
	}
	if (!pg_answers(d->ctl)) {
		doctor_fail(d, "database",
		    "look at PostgreSQL's log and at pg_stat_activity; is it "
		    "stopped, or its disk full?",
		    "connected, and no answer for %d s",
		    (int)d->ctl->database.answer_seconds);
		return;
	}
	if (PQserverVersion(d->ctl->db) < POSTGRES_MIN)
		doctor_fail(d, "database", "use PostgreSQL 13 or newer",
		    "PostgreSQL is version %d",
		    PQserverVersion(d->ctl->db) / 10000);
	if (!check_version(d))
		return;
	doctor_ok(d, "database", "%s at PostgreSQL %d, schema version %d",
	    PQdb(d->ctl->db), PQserverVersion(d->ctl->db) / 10000,
	    schema_newest());
	check_rules(d);
}

/* Links, tickets and heartbeats compare this clock with others. */
void
doctor_clock(struct doctor *d)
{
	int64_t here, there;
	char *text;

	if (d->ctl->db == NULL)
		return;
	text = ask(d->ctl,
	    "SELECT floor(extract(epoch from clock_timestamp()) * 1000)"
	    "::bigint");
	here = (int64_t)(clock_wall_ns() / NS_PER_MS);
	there = text != NULL ? strtoll(text, NULL, 10) : here;
	free(text);
	if (llabs(here - there) > CLOCK_FAIL_MS)
		doctor_fail(d, "clock", "synchronise both clocks (NTP)",
		    "this clock and the database's are %lld s apart",
		    (long long)(here - there) / 1000);
	else if (llabs(here - there) > CLOCK_WARN_MS)
		doctor_warn(d, "clock", "synchronise both clocks (NTP)",
		    "this clock and the database's are %lld ms apart",
		    (long long)(here - there));
	else
		doctor_ok(d, "clock", "agrees with the database's");
}

/* --- endpoints ----------------------------------------------------------- */

static bool
opens(const PGresult *res, int row, const uint8_t key[SEAL_KEY_LEN])
{
	uint8_t out[4096];
	size_t len = 0;
	unsigned char *sealed = PQunescapeBytea(
	    (const unsigned char *)PQgetvalue(res, row, 1), &len);
	bool ok = sealed != NULL && len <= sizeof(out) &&
	    seal_open(key, sealed, len, out) >= 0;

	wipe(out, sizeof(out));
	PQfreemem(sealed);
	return ok;
}

/* A key file that was replaced shows only when a session starts. */
void
doctor_sealed(struct doctor *d)
{
	uint8_t key[SEAL_KEY_LEN];
	char why[KEYFILE_WHY_MAX];
	PGresult *res;
	int good = 0;

	if (d->ctl->db == NULL ||
	    keyfile_read("seal key", d->ctl->secrets.seal_key_file, key,
		sizeof(key), why, sizeof(why)) != 0)
		return; /* said elsewhere */
	res = PG_TRY(d->ctl,
	    "SELECT name, secret_sealed FROM endpoints "
	    "WHERE secret_sealed IS NOT NULL AND deleted_at IS NULL "
	    "ORDER BY name");
	for (int i = 0; i < PQntuples(res); i++) {
		if (opens(res, i, key))
			good++;
		else
			doctor_fail(d, "seal key",
			    "restore the key that sealed it, or store the "
			    "password again: \"relaycam endpoint set NAME "
			    "--password-file FILE\"",
			    "the password of endpoint %s was sealed with "
			    "another key",
			    PQgetvalue(res, i, 0));
	}
	if (good > 0)
		doctor_ok(d, "seal key",
		    "opens the passwords of %d "
		    "endpoints",
		    good);
	wipe(key, sizeof(key));
	PQclear(res);
}

static void
check_endpoint(struct doctor *d, const char *id, const char *name)
{
	json_t *facts = endpoint_probe(d->ctl, id, 10);
	const json_t *problems = json_object_get(facts, "problems");
	size_t i;
	json_t *v;

	json_array_foreach(problems, i, v)
		doctor_fail(
		    d, "endpoint", "", "%s: %s", name, json_string_value(v));
	if (facts != NULL && json_array_size(problems) == 0)
		doctor_ok(
		    d, "endpoint", "%s: %s", name, json_text(facts, "choice"));
	json_decref(facts);
}

void
doctor_endpoints(struct doctor *d)
{
	PGresult *res;

	if (!d->with_endpoints || d->ctl->db == NULL)
		return;
	res = PG_TRY(d->ctl,
	    "SELECT id, name FROM endpoints WHERE deleted_at IS NULL "
	    "ORDER BY name");
	for (int i = 0; i < PQntuples(res); i++)
		check_endpoint(d, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1));
	PQclear(res);
}
