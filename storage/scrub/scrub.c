#include "storage/scrub/scrub.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/scrub/scrub_internal.h"
#include "storage/node.h"

#define TICK_S  60
#define STALE_S "600" /* a lease whose daemon does not beat */

/* clang-format off */
static const char take_sql[] =
"SELECT c.id, c.started_at::text, c.done_to, c.is_full, c.phase, c.n_rows,"
" c.n_listed, c.n_differ, c.n_hashed, CASE WHEN c.is_full THEN c.n_rows ELSE"
" least(c.n_rows, ceil(c.n_rows * $3::float8 / ($4::float8 * 86400))) END"
"::bigint "
"FROM storage_check_take($1, $2, make_interval(secs => $3::float8),"
" make_interval(secs => " STALE_S ")) c";

/* No row: another daemon has it. $3: the step that follows. */
static const char beat_sql[] =
"UPDATE storage_checks SET heartbeat_at = now(), phase = $3, done_to = $4,"
" n_listed = $5::bigint, n_differ = $6::bigint, n_to_hash = $7::bigint,"
" n_hashed = $8::bigint WHERE id = $1::bigint AND run_by = $2 AND"
" ended_at IS NULL RETURNING id";

/* What was unknown and is gone. $2: when the comparison began. */
static const char known_sql[] =
"DELETE FROM unknown_files WHERE place = $1 AND last_seen < $2::timestamptz";

/* The one that was not hashed for longest, and not by this comparison. */
static const char oldest_sql[] =
"SELECT id FROM segments WHERE store = $1 AND store IS NOT NULL AND status IN"
" ('available', 'missing', 'corrupted') AND sha256 IS NOT NULL AND"
" (hashed_at IS NULL OR hashed_at < $2::timestamptz)"
" ORDER BY hashed_at NULLS FIRST, id LIMIT 1";

static const char end_sql[] =
"WITH e AS (UPDATE storage_checks SET ended_at = now(), phase = 'done'"
" WHERE id = $1::bigint AND run_by = $2 AND ended_at IS NULL RETURNING *) "
"INSERT INTO audit (actor, action, object, detail) SELECT $3,"
" 'storage_checked', e.store, jsonb_build_object('objects', e.n_listed,"
" 'recordings', e.n_rows, 'hashed', e.n_hashed, 'asked_by', e.asked_by) ||"
" coalesce((SELECT jsonb_object_agg(kind, n) FROM (SELECT kind, count(*) AS n"
"  FROM storage_findings GROUP BY kind) f), '{}') FROM e";

static const char fail_sql[] =
"UPDATE storage_checks SET error = $3 WHERE id = $1::bigint AND run_by = $2"
" AND ended_at IS NULL";
/* clang-format on */

static void hash_next(struct scrub *c);

static void
pause_check(struct scrub *c)
{
	int64_t s = c->d->conf.check_seconds;
	struct timeval tv = { s < TICK_S ? s : TICK_S, 0 };
	struct timeval now = { 0, 0 };

	c->is_running = false;
	if (!c->d->exiting && !c->d->stopping)
		evtimer_add(c->timer, c->is_again ? &now : &tv);
	c->is_again = false;
}

/* The lease is kept, so this daemon or, when it dies, another one continues. */
void
scrub_fail(struct scrub *c, const char *why)
{
	const char *params[] = { c->id, node_id(c->d->node), why };

	log_warn("check_stopped", LOG_S("why", why));
	db_query_now(c->d->db, fail_sql, 3, params, NULL, NULL);
	c->id[0] = '\0';
	c->is_again = false;
	pause_check(c);
}

static void
number(char text[24], uint64_t n)
{
	snprintf(text, 24, "%" PRIu64, n);
}

static void
beat(struct scrub *c, const char *phase, db_result_cb *cb)
{
	char n[4][24];
	const char *params[] = { c->id, node_id(c->d->node), phase, c->done_to,
		n[0], n[1], n[2], n[3] };

	number(n[0], c->n_listed);
	number(n[1], c->n_differ);
	number(n[2], c->n_to_hash);
	number(n[3], c->n_hashed);
	if (db_query(c->d->db, beat_sql, 8, params, cb, c) != 0)
		scrub_fail(c, "out of memory");
}

/* False: it goes no further here. */
static bool
is_ours(struct scrub *c, PGresult *res)
{
	if (c->d->exiting)
		return false;
	if (!db_ok(res, "note a comparison's progress")) {
		scrub_fail(c, "the database is away");
		return false;
	}
	if (PQntuples(res) == 0 || c->d->stopping) {
		pause_check(c);
		return false;
	}
	return true;
}

/* ---- the second step ---- */

static void
on_ended(void *arg, PGresult *res)
{
	struct scrub *c = arg;

	if (c->d->exiting)
		return;
	if (db_ok(res, "end a comparison")) {
		c->d->counters.checks++;
		log_info("storage_checked",
		    LOG_I("objects", (int64_t)c->n_listed),
		    LOG_I("hashed", (int64_t)c->n_hashed));
	}
	pause_check(c);
}

static void
end(struct scrub *c)
{
	const char *params[] = { c->id, node_id(c->d->node), c->d->actor };

	if (db_query(c->d->db, end_sql, 3, params, on_ended, c) != 0)
		scrub_fail(c, "out of memory");
}

static void
on_oldest(void *arg, PGresult *res)
{
	struct scrub *c = arg;

	if (c->d->exiting)
		return;
	if (!db_ok(res, "find what was not hashed for longest"))
		scrub_fail(c, "the database is away");
	else if (PQntuples(res) == 0)
		end(c);
	else
		scrub_object_start(
		    c->scrub_object, PQgetvalue(res, 0, 0), true);
}

static void
on_hash_beat(void *arg, PGresult *res)
{
	struct scrub *c = arg;
	const char *params[] = { c->d->store->ops->name, c->started };

	if (!is_ours(c, res))
		return;
	if (c->n_hashed >= c->n_to_hash)
		end(c);
	else if (db_query(c->d->db, oldest_sql, 2, params, on_oldest, c) != 0)
		scrub_fail(c, "out of memory");
}

static void
hash_next(struct scrub *c)
{
	beat(c, "hash", on_hash_beat);
}

static void
compared(struct scrub *c)
{
	const char *params[] = { c->d->store->ops->name, c->started };

	c->is_hashing = true;
	db_query(c->d->db, known_sql, 2, params, NULL, NULL);
	hash_next(c);
}

/* ---- the first ---- */

static void
on_page_beat(void *arg, PGresult *res)
{
	struct scrub *c = arg;

	if (is_ours(c, res))
		scrub_compare_start(c);
}

void
scrub_page_done(struct scrub *c)
{
	if (c->is_end)
		compared(c);
	else
		beat(c, "store", on_page_beat);
}

static void
on_looked(void *arg, const char *why)
{
	struct scrub *c = arg;

	if (why != NULL) {
		scrub_fail(c, why);
	} else if (c->is_hashing) {
		c->n_hashed++;
		hash_next(c);
	} else {
		scrub_compare_object_done(c);
	}
}

/* ---- whose turn it is ---- */

static uint64_t
take_number(const PGresult *res, int col)
{
	return strtoull(PQgetvalue(res, 0, col), NULL, 10);
}

static void
on_taken(void *arg, PGresult *res)
{
	struct scrub *c = arg;

	if (c->d->exiting)
		return;
	if (!db_ok(res, "take a comparison") || PQntuples(res) == 0) {
		pause_check(c);
		return;
	}
	snprintf(c->id, sizeof(c->id), "%s", PQgetvalue(res, 0, 0));
	snprintf(c->started, sizeof(c->started), "%s", PQgetvalue(res, 0, 1));
	snprintf(c->done_to, sizeof(c->done_to), "%s", PQgetvalue(res, 0, 2));
	c->n_rows = take_number(res, 5);
	c->n_listed = take_number(res, 6);
	c->n_differ = take_number(res, 7);
	c->n_hashed = take_number(res, 8);
	c->n_to_hash = take_number(res, 9);
	c->is_hashing = strcmp(PQgetvalue(res, 0, 4), "hash") == 0;
	log_info(
	    "storage_check", LOG_S("id", c->id), LOG_S("from", c->done_to));
	if (c->is_hashing)
		hash_next(c);
	else
		scrub_compare_start(c);
}

static void
take(struct scrub *c)
{
	char every[24], days[24];
	const char *params[] = { c->d->store->ops->name, node_id(c->d->node),
		every, days };

	c->is_running = true;
	c->is_again = false;
	snprintf(every, sizeof(every), "%" PRId64, c->d->conf.check_seconds);
	snprintf(days, sizeof(days), "%" PRId64, c->d->conf.hash_days);
	if (c->d->stopping ||
	    db_query_now(c->d->db, take_sql, 4, params, on_taken, c) != 0)
		pause_check(c);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	take(arg);
}

void
scrub_kick(struct scrub *c)
{
	struct timeval now = { 0, 0 };

	if (c->is_running)
		c->is_again = true;
	else
		evtimer_add(c->timer, &now);
}

int
scrub_new(struct daemon *d)
{
	struct scrub *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	d->scrub = c;
	c->d = d;
	c->scrub_object = scrub_object_new(d, on_looked, c);
	c->timer = evtimer_new(d->base, on_timer, c);
	if (c->timer == NULL || c->scrub_object == NULL)
		return ERR_NOMEM;
	pause_check(c);
	return 0;
}

void
scrub_free(struct scrub *c)
{
	if (c == NULL)
		return;
	if (c->timer != NULL)
		event_free(c->timer);
	scrub_object_free(c->scrub_object);
	free(c->page);
	free(c);
}
