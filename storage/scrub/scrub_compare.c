/* Reconciliation, the first step: the store's list beside the rows. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/scrub/scrub_internal.h"

/* clang-format off */
#define RANGE(key) \
	key " COLLATE \"C\" > $3 AND ($4::text IS NULL OR " key \
	" COLLATE \"C\" <= $4)"

/*
 * $1 the page, $2 store, $3 and $4 the keys it lies between; $4 NULL: it is
 * the last one. A file without a row of its own may be that of a recording
 * whose row does not say yet, or not any more, that it is stored (owner).
 */
static const char diff_sql[] =
"WITH page AS (SELECT key, bytes FROM jsonb_to_recordset($1::jsonb)"
" AS p(key text, bytes bigint) WHERE key COLLATE \"C\" > $3),"
" stored AS ("
"SELECT g.object_key AS key, g.id, g.bytes, g.status = 'available' AS is_well"
" FROM segments g WHERE g.store = $2 AND g.sha256 IS NOT NULL AND g.status IN"
" ('available', 'missing', 'corrupted') AND " RANGE("g.object_key")
" UNION ALL SELECT g.poster_key, g.id, g.poster_bytes, g.poster_fault IS NULL"
" FROM segments g WHERE g.store = $2 AND g.sha256 IS NOT NULL AND g.status IN"
" ('available', 'missing', 'corrupted') AND g.poster_key IS NOT NULL AND "
	RANGE("g.poster_key")
" UNION ALL SELECT e.object_key, g.id, e.manifest_bytes, e.manifest_fault"
" IS NULL FROM evidence e JOIN segments g ON g.id = e.segment_id WHERE"
" g.store = $2 AND g.sha256 IS NOT NULL AND g.status IN ('available',"
" 'missing', 'corrupted') AND " RANGE("e.object_key") ") "
"SELECT coalesce(p.key, s.key), coalesce(s.id::text, ''),"
" coalesce(p.bytes, 0), coalesce(o.id::text, ''),"
" coalesce(o.team_id::text, '') "
"FROM page p FULL JOIN stored s ON s.key = p.key "
"LEFT JOIN LATERAL (SELECT x.id, x.team_id, x.store IS NULL AND x.status IN"
"  ('expired', 'deleted') AS is_left FROM segments x WHERE s.id IS NULL AND"
"  (x.object_key = regexp_replace(p.key, '[.](jpg|json)$', '.webm') OR x.id ="
"   CASE WHEN p.key ~ '/[.][0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.]part$'"
"   THEN left(right(p.key, 41), 36)::uuid END) LIMIT 1) o ON true "
"WHERE CASE WHEN s.id IS NULL THEN o.id IS NULL OR o.is_left"
" ELSE p.key IS NULL OR s.bytes <> p.bytes OR NOT s.is_well END "
"ORDER BY coalesce(p.key, s.key) COLLATE \"C\" LIMIT 100";

/* $1 store, $2 key, $3 bytes. So many are kept; more add nothing. */
static const char unknown_sql[] =
"INSERT INTO unknown_files AS u (place, name, bytes) SELECT $1, $2, $3::bigint"
" WHERE EXISTS (SELECT FROM unknown_files x WHERE x.place = $1 AND x.name = $2)"
" OR (SELECT count(*) FROM (SELECT FROM unknown_files LIMIT 10000) n) < 10000"
" ON CONFLICT (place, name) DO UPDATE SET bytes = excluded.bytes,"
" last_seen = now()";

static const char removed_sql[] =
"INSERT INTO audit (team_id, actor, action, object, detail) VALUES"
" ($1::bigint, $2, 'object_removed', $3, jsonb_build_object('object_key',"
" $4::text, 'why', 'its recording was removed before'))";
/* clang-format on */

static void next_page(struct scrub *c);
static void ask_diffs(struct scrub *c);

static void
next_diff(struct scrub *c)
{
	c->at++;
	scrub_compare_object_done(c);
}

static void
on_unknown_there(void *arg, const struct store_result *r)
{
	struct scrub *c = arg;
	const struct diff *f = &c->diffs[c->at];
	char bytes[24];
	const char *params[] = { c->d->store->ops->name, f->key, bytes };

	if (c->d->exiting)
		return;
	snprintf(bytes, sizeof(bytes), "%" PRIu64, f->bytes);
	if (r->err == 0) {
		log_info("unknown_object", LOG_S("key", f->key),
		    LOG_SESSION_OF(f->key));
		db_query(c->d->db, unknown_sql, 3, params, NULL, NULL);
	}
	next_diff(c);
}

/* Ours, or not: what is not safe as a key of ours cannot be asked for. */
static void
note_unknown(struct scrub *c, const struct diff *f)
{
	struct store_object object = { .key = f->key };
	struct store_result there = { 0 };

	if (c->d->store->ops->check(
		c->d->store, &object, on_unknown_there, c) != 0)
		on_unknown_there(c, &there);
}

static void
on_left_removed(void *arg, const struct store_result *r)
{
	struct scrub *c = arg;
	const struct diff *f = &c->diffs[c->at];
	const char *params[] = { f->team, c->d->actor, f->owner, f->key };

	if (c->d->exiting)
		return;
	if (r->err == 0) {
		log_info("left_object_removed", LOG_S("segment", f->owner),
		    LOG_SESSION_OF(f->key), LOG_S("key", f->key));
		db_query(c->d->db, removed_sql, 4, params, NULL, NULL);
	} else {
		log_warn("left_object_not_removed", LOG_S("key", f->key),
		    LOG_SESSION_OF(f->key), LOG_S("why", r->detail));
	}
	next_diff(c);
}

/* The difference at c->at, or the rest of the page. */
void
scrub_compare_object_done(struct scrub *c)
{
	const struct diff *f = &c->diffs[c->at];

	if (c->at == c->n_diffs && c->n_diffs == DIFFS_MAX) {
		strcpy(c->from, c->diffs[DIFFS_MAX - 1].key);
		ask_diffs(c);
	} else if (c->at == c->n_diffs) {
		strcpy(c->done_to, c->to);
		scrub_page_done(c);
	} else if (f->segment[0] != '\0' && c->at > 0 &&
	    strcmp(f->segment, f[-1].segment) == 0) {
		next_diff(c); /* what lies beside it; it was looked at, too */
	} else if (f->segment[0] != '\0') {
		c->n_differ++;
		c->at++;
		scrub_object_start(c->scrub_object, f->segment, true);
	} else if (f->owner[0] != '\0' &&
	    c->d->store->ops->remove(c->d->store, f->key, on_left_removed, c) ==
		0) {
		return;
	} else {
		note_unknown(c, f);
	}
}

static void
take_diffs(struct scrub *c, const PGresult *res)
{
	c->n_diffs = c->at = 0;
	for (int i = 0; i < PQntuples(res) && i < DIFFS_MAX; i++) {
		struct diff *f = &c->diffs[c->n_diffs];

		snprintf(f->key, sizeof(f->key), "%s", PQgetvalue(res, i, 0));
		snprintf(f->segment, sizeof(f->segment), "%s",
		    PQgetvalue(res, i, 1));
		f->bytes = strtoull(PQgetvalue(res, i, 2), NULL, 10);
		snprintf(
		    f->owner, sizeof(f->owner), "%s", PQgetvalue(res, i, 3));
		snprintf(f->team, sizeof(f->team), "%s", PQgetvalue(res, i, 4));
		c->n_diffs++;
	}
}

static void
on_diffs(void *arg, PGresult *res)
{
	struct scrub *c = arg;

	if (c->d->exiting)
		return;
	if (!db_ok(res, "compare stored objects with rows")) {
		scrub_fail(c, "the database is away");
		return;
	}
	take_diffs(c, res);
	scrub_compare_object_done(c);
}

static void
ask_diffs(struct scrub *c)
{
	const char *params[] = { c->page, c->d->store->ops->name, c->from,
		c->is_end ? NULL : c->to };

	if (db_query(c->d->db, diff_sql, 4, params, on_diffs, c) != 0)
		scrub_fail(c, "out of memory");
}

/* PostgreSQL takes UTF-8 only; a key that is none is not ours. */
static json_t *
key_json(const char *key)
{
	json_t *text = json_string(key);
	char plain[STORE_LIST_KEY_MAX + 1];
	size_t i;

	if (text != NULL)
		return text;
	for (i = 0; key[i] != '\0'; i++)
		plain[i] = (unsigned char)key[i] < 0x80 ? key[i] : '?';
	plain[i] = '\0';
	return json_string(plain);
}

static char *
page_json(const struct store_listing *l)
{
	json_t *page = json_array();
	char *text;

	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(page,
		    json_pack("{s:o,s:I}", "key", key_json(l->entries[i].key),
			"bytes", (json_int_t)l->entries[i].bytes));
	text = json_dumps(page, JSON_COMPACT);
	json_decref(page);
	return text;
}

static void
on_listing(void *arg, const struct store_listing *l)
{
	struct scrub *c = arg;

	if (c->d->exiting)
		return;
	if (l->err != 0) {
		scrub_fail(c, l->detail);
		return;
	}
	free(c->page);
	c->page = page_json(l);
	if (c->page == NULL) {
		scrub_fail(c, "out of memory");
		return;
	}
	c->is_end = l->is_end;
	c->n_listed += l->n;
	strcpy(c->from, c->done_to);
	if (l->n > 0)
		strcpy(c->to, l->entries[l->n - 1].key);
	ask_diffs(c);
}

static void
next_page(struct scrub *c)
{
	int rc = c->d->store->ops->list(c->d->store, c->done_to, on_listing, c);

	if (rc != 0)
		scrub_fail(c, err_text(rc));
}

void
scrub_compare_start(struct scrub *c)
{
	strcpy(c->to, c->done_to);
	next_page(c);
}
