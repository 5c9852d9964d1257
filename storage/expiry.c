#include "storage/expiry.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "manifest/object_key.h"
#include "storage/store/store.h"

/* Rows of one batch. */
#define BATCH 100

/*
 * $1 store, $2 and $3 the last row of the batch before: one that fails bars no
 * other. Each has a partial index of its own, the first one in this order, so
 * that a batch among a million rows costs no more than one among ten.
 */
static const char expired_sql[] =
    "SELECT id, expires_at::text FROM segments WHERE status = 'available' "
    "AND NOT locked AND expires_at <= now() AND store = $1 AND "
    "(expires_at, id) > ($2::timestamptz, $3::uuid) "
    "ORDER BY expires_at, id LIMIT 100";
static const char gone_sql[] =
    "SELECT id, $2::text FROM segments WHERE status IN ('missing', "
    "'corrupted', 'deleted') AND store IS NOT NULL AND store = $1 AND NOT "
    "locked AND (status = 'deleted' OR expires_at <= now()) AND id > "
    "$3::uuid ORDER BY id LIMIT 100";

/* $1 store, $2 id: as the batch found it, and no other daemon has it. While a
 * change of the team's retention is not applied to all, by whichever daemon, it
 * is not known which of its recordings stay. A legal hold goes first (hold.h): else
 * the store would keep what it says it deleted. */
static const char claim_sql[] =
    "SELECT g.object_key, g.status, s.team_id, coalesce(g.poster_key, ''), "
    "coalesce(v.object_key, '') "
    "FROM segments g JOIN sessions s ON s.id = g.session_id "
    "LEFT JOIN evidence v ON v.segment_id = g.id WHERE g.id = $2::uuid "
    "AND g.store = $1 AND NOT g.locked AND g.status IN ('available', "
    "'missing', 'corrupted', 'deleted') AND (g.status = 'deleted' OR "
    "g.expires_at <= now() AND NOT EXISTS (SELECT FROM retention_changes c "
    "WHERE c.team_id = s.team_id)) AND NOT g.legal_hold FOR UPDATE OF g SKIP LOCKED";

/* $1 seconds of a day, $2 rows, $3 who. */
static const char apply_sql[] =
    "SELECT retention_apply(make_interval(secs => $1::bigint), $2, $3)";

static const char done_sql[] =
    "WITH a AS (INSERT INTO audit (team_id, actor, action, object, detail) "
    "VALUES ($2, $3, CASE WHEN $4 = 'deleted' THEN 'recording_removed' ELSE "
    "'recording_expired' END, $1, jsonb_build_object('object_key', "
    "$5::text))) "
    "UPDATE segments SET status = CASE WHEN $4 = 'deleted' THEN 'deleted' "
    "ELSE 'expired' END, status_detail = CASE WHEN $4 = 'deleted' THEN "
    "status_detail ELSE 'deleted from storage at the end of its retention' "
    "END, store = NULL, poster_key = NULL, poster_bytes = NULL, "
    "poster_sha256 = NULL, poster_fault = NULL WHERE id = $1::uuid";

static const struct timeval soon_ = { 0, 300000 };

#define FIRST_ID   "00000000-0000-0000-0000-000000000000"
#define FIRST_TIME "-infinity"

static const char *const batch_sql[] = { expired_sql, gone_sql };
#define N_KINDS N_ELEMENTS(batch_sql)

struct expiry {
	struct daemon *d;
	struct db *db;
	struct event *timer;
	bool is_running;
	bool is_soon;        /* again, soon after this run */
	size_t kind;         /* of batch_sql */
	char ids[BATCH][37]; /* the batch */
	size_t n_ids, at;    /* at: the row that is being removed */
	char last_time[40];  /* expires_at of the batch's last row */
	char key[OBJECT_KEY_MAX + 1], status[16], team[24];
	/* what lies beside it; "": no more */
	char beside[2][OBJECT_KEY_MAX + 1];
};

static void claim(struct expiry *e);
static void next_batch(struct expiry *e);

/* The next walk begins with the oldest row. */
static void
rewind_to(struct expiry *e, size_t kind)
{
	e->kind = kind;
	e->n_ids = e->at = 0;
	strcpy(e->ids[0], FIRST_ID);
	strcpy(e->last_time, FIRST_TIME);
}

static void
pause_run(struct expiry *e)
{
	struct timeval tv = { e->d->conf.expiry_seconds, 0 };

	e->is_running = false;
	if (!e->d->exiting)
		evtimer_add(e->timer, e->is_soon ? &soon_ : &tv);
}

static void
on_end(void *arg, PGresult *res)
{
	struct expiry *e = arg;

	if (e->d->exiting || !db_ok(res, "end of expiry") || e->d->stopping) {
		pause_run(e);
		return;
	}
	e->at++;
	claim(e);
}

static void
end(struct expiry *e, const char *how)
{
	if (db_query_now(e->db, how, 0, NULL, on_end, e) != 0)
		pause_run(e);
}

static void
on_noted(void *arg, PGresult *res)
{
	struct expiry *e = arg;

	if (e->d->exiting || !db_ok(res, "write expiry")) {
		if (e->d->exiting)
			return;
		end(e, "ROLLBACK");
		return;
	}
	if (strcmp(e->status, "deleted") == 0)
		e->d->counters.deleted++;
	else
		e->d->counters.expired++;
	log_info("object_removed", LOG_S("segment", e->ids[e->at]),
	    LOG_SESSION_OF(e->key), LOG_S("key", e->key),
	    LOG_S("status", e->status));
	end(e, "COMMIT");
}

static void
on_removed(void *arg, const struct store_result *r)
{
	struct expiry *e = arg;
	const char *params[] = { e->ids[e->at], e->team, e->d->actor, e->status,
		e->key };

	if (e->d->exiting)
		return;
	for (size_t i = 0; r->err == 0 && i < N_ELEMENTS(e->beside); i++) {
		char key[OBJECT_KEY_MAX + 1];

		if (e->beside[i][0] == '\0')
			continue;
		strcpy(key, e->beside[i]);
		e->beside[i][0] = '\0';
		if (e->d->store->ops->remove(e->d->store, key, on_removed, e) !=
		    0)
			end(e, "ROLLBACK");
		return;
	}
	if (r->err != 0) {
		e->d->counters.expiry_failed++;
		log_warn("object_not_removed", LOG_S("segment", e->ids[e->at]),
		    LOG_SESSION_OF(e->key), LOG_S("key", e->key),
		    LOG_S("why", r->detail));
		end(e, "ROLLBACK");
	} else if (db_query_now(e->db, done_sql, 5, params, on_noted, e) != 0)
		pause_run(e);
}

static void
on_claimed(void *arg, PGresult *res)
{
	struct expiry *e = arg;

	if (e->d->exiting)
		return;
	if (!db_ok(res, "claim expiry")) {
		end(e, "ROLLBACK");
		return;
	}
	if (PQntuples(res) == 0) { /* locked, or another daemon's */
		end(e, "COMMIT");
		return;
	}
	snprintf(e->key, sizeof(e->key), "%s", PQgetvalue(res, 0, 0));
	snprintf(e->status, sizeof(e->status), "%s", PQgetvalue(res, 0, 1));
	snprintf(e->team, sizeof(e->team), "%s", PQgetvalue(res, 0, 2));
	for (int i = 0; i < 2; i++)
		snprintf(e->beside[i], sizeof(e->beside[i]), "%s",
		    PQgetvalue(res, 0, 3 + i));
	if (e->d->store->ops->remove(e->d->store, e->key, on_removed, e) != 0) {
		e->d->counters.expiry_failed++;
		end(e, "ROLLBACK");
	}
}

/* The next row of the batch, or the next batch. */
static void
claim(struct expiry *e)
{
	const char *params[] = { e->d->store->ops->name, e->ids[e->at] };

	if (e->at == e->n_ids) {
		next_batch(e);
		return;
	}
	if (db_query_now(e->db, "BEGIN", 0, NULL, NULL, NULL) != 0 ||
	    db_query_now(e->db, claim_sql, 2, params, on_claimed, e) != 0)
		pause_run(e);
}

static void
on_batch(void *arg, PGresult *res)
{
	struct expiry *e = arg;
	int n;

	if (e->d->exiting)
		return;
	if (!db_ok(res, "read what expired")) {
		pause_run(e);
		return;
	}
	n = PQntuples(res);
	if (n == 0 && e->kind + 1 == N_KINDS) {
		pause_run(e);
		return;
	}
	if (n == 0) {
		rewind_to(e, e->kind + 1);
		next_batch(e);
		return;
	}
	for (int i = 0; i < n && i < BATCH; i++)
		snprintf(
		    e->ids[i], sizeof(e->ids[i]), "%s", PQgetvalue(res, i, 0));
	snprintf(e->last_time, sizeof(e->last_time), "%s",
	    PQgetvalue(res, n - 1, 1));
	e->n_ids = (size_t)n;
	e->at = 0;
	claim(e);
}

static void
next_batch(struct expiry *e)
{
	const char *last = e->ids[e->n_ids > 0 ? e->n_ids - 1 : 0];
	const char *params[] = { e->d->store->ops->name, e->last_time, last };

	if (e->d->stopping ||
	    db_query_now(e->db, batch_sql[e->kind], 3, params, on_batch, e) !=
		0)
		pause_run(e);
}

static void apply(struct expiry *e);

static void
on_applied(void *arg, PGresult *res)
{
	struct expiry *e = arg;

	if (e->d->exiting)
		return;
	if (!db_ok(res, "apply a changed retention") || e->d->stopping) {
		pause_run(e);
	} else if (PQgetisnull(res, 0, 0)) {
		rewind_to(e, 0);
		next_batch(e);
	} else {
		apply(e);
	}
}

/* Changes of settings first: they decide what has expired. */
static void
apply(struct expiry *e)
{
	char day[24];
	const char *params[] = { day, "1000", e->d->actor };

	snprintf(
	    day, sizeof(day), "%" PRId64, e->d->conf.retention_day_seconds);
	if (db_query_now(e->db, apply_sql, 3, params, on_applied, e) != 0)
		pause_run(e);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expiry *e = arg;

	if (e->is_running || e->d->stopping)
		return;
	e->is_running = true;
	e->is_soon = false;
	apply(e);
}

void
expiry_kick(struct expiry *e)
{
	struct timeval now = { 0, 0 };

	if (!e->is_running)
		evtimer_add(e->timer, &now);
}

void
expiry_soon(struct expiry *e)
{
	bool is_planned = e->is_running || e->is_soon;

	e->is_soon = true;
	if (!is_planned)
		evtimer_add(e->timer, &soon_);
}

static void
on_state(void *arg, bool connected)
{
	if (connected)
		expiry_kick(arg);
}

int
expiry_new(struct daemon *d)
{
	struct expiry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return ERR_NOMEM;
	d->expiry = e;
	e->d = d;
	e->timer = evtimer_new(d->base, on_timer, e);
	if (e->timer != NULL)
		e->db = db_new(d->base, &d->database, on_state, e);
	return e->db != NULL ? 0 : ERR_NOMEM;
}

void
expiry_free(struct expiry *e)
{
	if (e == NULL)
		return;
	db_free(e->db);
	if (e->timer != NULL)
		event_free(e->timer);
	free(e);
}
