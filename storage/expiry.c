#include "storage/expiry.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/object_key.h"
#include "storage/store/store.h"

/*
 * $1 store, $2 the last row tried: one that fails bars no other. Each half
 * has a partial index of its own, so that a million rows cost nothing.
 */
static const char claim_sql[] =
    "SELECT g.id, g.object_key, g.status, s.team_id, "
    "coalesce(g.poster_key, ''), coalesce(v.object_key, '') "
    "FROM segments g JOIN sessions s ON s.id = g.session_id "
    "LEFT JOIN evidence v ON v.segment_id = g.id WHERE g.id IN ("
    "SELECT id FROM segments WHERE status = 'available' AND NOT locked AND "
    "expires_at <= now() AND store = $1 AND id > $2::uuid UNION ALL "
    "SELECT id FROM segments WHERE status IN ('missing', 'corrupted', "
    "'deleted') AND store IS NOT NULL AND store = $1 AND NOT locked AND "
    "(status = 'deleted' OR expires_at <= now()) AND id > $2::uuid) "
    "AND g.store = $1 AND NOT g.locked AND g.status IN ('available', "
    "'missing', 'corrupted', 'deleted') AND (g.status = 'deleted' OR "
    "g.expires_at <= now()) ORDER BY g.id LIMIT 1 "
    "FOR UPDATE OF g SKIP LOCKED";

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

#define FIRST_ID "00000000-0000-0000-0000-000000000000"

struct expiry {
	struct daemon *d;
	struct db *db;
	struct event *timer;
	bool is_running;
	char id[37], key[OBJECT_KEY_MAX + 1], status[16], team[24];
	/* what lies beside it; "": no more */
	char beside[2][OBJECT_KEY_MAX + 1];
};

static void claim(struct expiry *e);

static void
pause_run(struct expiry *e)
{
	struct timeval tv = { e->d->conf.expiry_seconds, 0 };

	e->is_running = false;
	strcpy(e->id, FIRST_ID);
	if (!e->d->exiting)
		evtimer_add(e->timer, &tv);
}

static void
on_end(void *arg, PGresult *res)
{
	struct expiry *e = arg;

	if (e->d->exiting || !db_ok(res, "end of expiry") || e->d->stopping)
		pause_run(e);
	else
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
	log_info("object_removed", LOG_S("segment", e->id),
	    LOG_S("key", e->key), LOG_S("status", e->status));
	end(e, "COMMIT");
}

static void
on_removed(void *arg, const struct store_result *r)
{
	struct expiry *e = arg;
	const char *params[] = { e->id, e->team, e->d->actor, e->status,
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
		log_warn("object_not_removed", LOG_S("segment", e->id),
		    LOG_S("key", e->key), LOG_S("why", r->detail));
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
	if (PQntuples(res) == 0) {
		if (db_query_now(e->db, "COMMIT", 0, NULL, NULL, NULL) != 0)
			log_debug("expiry_commit");
		pause_run(e);
		return;
	}
	snprintf(e->id, sizeof(e->id), "%s", PQgetvalue(res, 0, 0));
	snprintf(e->key, sizeof(e->key), "%s", PQgetvalue(res, 0, 1));
	snprintf(e->status, sizeof(e->status), "%s", PQgetvalue(res, 0, 2));
	snprintf(e->team, sizeof(e->team), "%s", PQgetvalue(res, 0, 3));
	for (int i = 0; i < 2; i++)
		snprintf(e->beside[i], sizeof(e->beside[i]), "%s",
		    PQgetvalue(res, 0, 4 + i));
	if (e->d->store->ops->remove(e->d->store, e->key, on_removed, e) != 0) {
		e->d->counters.expiry_failed++;
		end(e, "ROLLBACK");
	}
}

static void
claim(struct expiry *e)
{
	const char *params[] = { e->d->store->ops->name, e->id };

	if (db_query_now(e->db, "BEGIN", 0, NULL, NULL, NULL) != 0 ||
	    db_query_now(e->db, claim_sql, 2, params, on_claimed, e) != 0)
		pause_run(e);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct expiry *e = arg;

	if (e->is_running || e->d->stopping)
		return;
	e->is_running = true;
	claim(e);
}

void
expiry_kick(struct expiry *e)
{
	struct timeval now = { 0, 0 };

	if (!e->is_running)
		evtimer_add(e->timer, &now);
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
	strcpy(e->id, FIRST_ID);
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
