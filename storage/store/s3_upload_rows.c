/* What an upload notes in the database, so that a restart can go on. */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "storage/store/s3_upload.h"

static void
take_row(struct upload *u, PGresult *res, int i)
{
	long n = strtol(PQgetvalue(res, i, 3), NULL, 10);
	const char *sha256 = PQgetvalue(res, i, 5);
	struct part *p;

	if (PQgetisnull(res, i, 3) || n < 1 || (size_t)n > u->n_parts)
		return;
	p = &u->parts[n - 1];
	snprintf(
	    p->noted_etag, sizeof(p->noted_etag), "%s", PQgetvalue(res, i, 4));
	p->noted_bytes = strtoull(PQgetvalue(res, i, 6), NULL, 10);
	if (http_unhex(sha256, p->noted_sha256, 32) != 0)
		p->noted_etag[0] = '\0';
}

#define ABILITIES_NS (5 * NS_PER_S)

static void
cut_and_hash(struct upload *u, uint64_t part_bytes)
{
	if (s3_upload_cut(u, part_bytes) != 0)
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
	else
		s3_upload_hash(u);
}

/* As the evidence was hashed, or as the settings have it. */
static uint64_t
wanted_part_bytes(const struct upload *u)
{
	return u->put.hash != NULL && u->put.hash->part_bytes != 0
	    ? u->put.hash->part_bytes
	    : (uint64_t)u->s->env.conf->s3_part_bytes;
}

static void
on_rows(void *arg, PGresult *res)
{
	struct upload *u = arg;
	uint64_t part_bytes =
	    u->is_growing ? S3_PART_LEAST : wanted_part_bytes(u);

	if (!db_ok(res, "read uploads")) {
		s3_upload_fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
		return;
	}
	u->s->abilities_ns = clock_mono_ns();
	u->s->is_conditional = u->is_conditional =
	    PQgetvalue(res, 0, 0)[0] == 't';
	if (!PQgetisnull(res, 0, 1)) {
		snprintf(u->upload_id, sizeof(u->upload_id), "%s",
		    PQgetvalue(res, 0, 1));
		part_bytes = strtoull(PQgetvalue(res, 0, 2), NULL, 10);
		u->is_bare = PQgetvalue(res, 0, 7)[0] == 't';
	}
	if (s3_upload_cut(u, part_bytes) != 0) {
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	for (int i = 0; i < PQntuples(res); i++)
		take_row(u, res, i);
	if (!u->is_growing)
		s3_upload_hash(u);
	else if (PQgetvalue(res, 0, 8)[0] != 't')
		s3_upload_fail(u, ERR_CANCELLED, "it is not recorded any more");
	else if (u->upload_id[0] == '\0')
		s3_upload_clean(u);
	else if (u->is_bare)
		s3_early_next(u);
	else
		s3_upload_fail(u, ERR_CANCELLED, "its upload is under way");
}

/* On the loop, not before the call returned. */
static void
on_small(evutil_socket_t fd, short what, void *arg)
{
	struct upload *u = arg;

	u->is_conditional = u->s->is_conditional;
	cut_and_hash(u, wanted_part_bytes(u));
}

/* A small file has no parts to be noted, and what the server can do was read a
 * moment ago. */
static bool
needs_no_rows(const struct upload *u)
{
	return !u->put.was_early && u->put.bytes <= S3_PART_LEAST &&
	    u->s->abilities_ns != 0 &&
	    clock_mono_ns() - u->s->abilities_ns < ABILITIES_NS;
}

int
s3_upload_read_rows(struct upload *u)
{
	struct timeval now = { 0, 0 };

	if (needs_no_rows(u))
		return event_base_once(u->s->env.base, -1, EV_TIMEOUT, on_small,
			   u, &now) == 0
		    ? 0
		    : ERR_NOMEM;
	return s3_upload_read_early_rows(u);
}

int
s3_upload_read_early_rows(struct upload *u)
{
	const struct conf_store *conf = u->s->env.conf;
	const char *params[] = { u->put.segment, u->put.key, conf->s3_endpoint,
		conf->s3_bucket };

	/* one row at least */
	return db_query(u->s->env.db,
	    "SELECT a.conditional_writes, u.upload_id, u.part_bytes, p.part, "
	    "p.etag, encode(p.sha256, 'hex'), p.bytes, u.is_early, "
	    "EXISTS (SELECT FROM segments WHERE id = $1 AND "
	    "status = 'recording') FROM (SELECT) AS one "
	    "LEFT JOIN store_abilities a ON a.endpoint = $3 AND a.bucket = $4 "
	    "LEFT JOIN uploads u ON u.segment_id = $1 AND u.store = 's3' "
	    "AND u.object_key = $2 "
	    "LEFT JOIN upload_parts p ON p.segment_id = u.segment_id",
	    4, params, on_rows, u);
}

void
s3_upload_forget(struct upload *u)
{
	const char *params[] = { u->put.segment, u->upload_id };

	db_query(u->s->env.db,
	    "DELETE FROM uploads WHERE segment_id = $1 AND upload_id = $2", 2,
	    params, NULL, NULL);
	u->upload_id[0] = '\0';
	u->is_bare = false;
}

static void
on_noted(void *arg, PGresult *res)
{
	struct upload *u = arg;

	if (!db_ok(res, "write upload"))
		s3_upload_fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
	else if (u->is_growing)
		s3_early_next(u);
	else
		s3_upload_part(u);
}

void
s3_upload_note(struct upload *u)
{
	char bytes[24];
	const char *params[] = { u->put.segment, u->put.key, u->upload_id,
		bytes, u->is_growing ? "true" : "false", u->manifest };

	snprintf(
	    bytes, sizeof(bytes), "%llu", (unsigned long long)u->part_bytes);
	if (db_query(u->s->env.db,
		"INSERT INTO uploads (segment_id, store, object_key, "
		"upload_id, part_bytes, is_early, manifest) VALUES "
		"($1, 's3', $2, $3, $4, $5::boolean, $6) "
		"ON CONFLICT (segment_id) DO UPDATE SET object_key = $2, "
		"upload_id = $3, part_bytes = $4, is_early = $5::boolean, "
		"manifest = $6, started_at = now()",
		6, params, on_noted, u) != 0)
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
}

void
s3_upload_note_replacing(struct upload *u, size_t i)
{
	char number[16], bytes[24], etag[33], sha256[70] = "\\x";
	const char *params[] = { u->put.segment, number, bytes, etag, sha256 };

	snprintf(number, sizeof(number), "%zu", i + 1);
	snprintf(bytes, sizeof(bytes), "%llu",
	    (unsigned long long)s3_upload_part_len(u, i));
	http_hex(u->hashes->parts[i].md5, 16, etag);
	http_hex(u->hashes->parts[i].sha256, 32, sha256 + 2);
	db_query(u->s->env.db,
	    "UPDATE upload_parts SET next_bytes = $3, next_etag = $4, "
	    "next_sha256 = $5 WHERE segment_id = $1 AND part = $2",
	    5, params, NULL, NULL);
}

void
s3_upload_note_part(struct upload *u, size_t i)
{
	char number[16], bytes[24], sha256[70] = "\\x";
	const char *params[] = { u->put.segment, number, bytes,
		u->parts[i].etag, sha256 };

	snprintf(number, sizeof(number), "%zu", i + 1);
	snprintf(bytes, sizeof(bytes), "%llu",
	    (unsigned long long)s3_upload_part_len(u, i));
	http_hex(u->hashes->parts[i].sha256, 32, sha256 + 2);
	db_query(u->s->env.db,
	    "INSERT INTO upload_parts (segment_id, part, bytes, etag, sha256)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (segment_id, part) "
	    "DO UPDATE SET bytes = $3, etag = $4, sha256 = $5, "
	    "next_bytes = NULL, next_etag = NULL, next_sha256 = NULL",
	    5, params, NULL, NULL);
}
