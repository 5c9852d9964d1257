/*
 * Parts of a file that still grows, so that what was recorded is in the store
 * before the file is closed: a node that is lost then loses the last minutes
 * only. Each call sends, one after another, the parts that became full since
 * the last one, and the bytes behind them as the last part, which the next
 * call replaces. Each is noted before it is sent (next_*) and after, so that
 * the database knows the SHA-256 of whatever part the server has.
 *
 * Nobody knows the file's SHA-256 when such an upload is created, so its
 * object has none among its metadata, and the ETag has to prove it
 * (s3_upload.c). Where ETags of parts are no MD5s it cannot: the upload is
 * aborted, and nothing is sent early any more.
 *
 * The first part has the header that a recorder writes at the beginning. When
 * the file is closed it is another one, and s3_upload.c sends that part again,
 * with those that follow the last call.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/counters.h"
#include "storage/spool/stop_point.h"
#include "storage/store/s3_etag.h"
#include "storage/store/s3_upload.h"

static void
on_no_proof_aborted(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	s3_upload_fail(
	    u, ERR_UNSUPPORTED, "S3: ETags of parts are not their MD5s");
}

/* What was sent could not be proven to be the file: sent when it is closed. */
static void
give_up(struct upload *u)
{
	u->s->is_early_off = true;
	log_warn("early_uploads_off", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_S("key", u->put.key),
	    LOG_S("why", "ETags of parts are not their MD5s"));
	strcpy(u->stale_id, u->upload_id);
	s3_upload_forget(u);
	s3_upload_abort(u, on_no_proof_aborted);
}

static void
on_part_noted(void *arg, PGresult *res)
{
	struct upload *u = arg;

	if (!db_ok(res, "note an early part")) {
		s3_upload_fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
		return;
	}
	stop_point("early_part_noted");
	s3_early_next(u);
}

/* The part that was noted as the next one is there. */
static void
note_sent(struct upload *u, size_t i)
{
	char number[16];
	const char *params[] = { u->put.segment, number };

	snprintf(number, sizeof(number), "%zu", i + 1);
	if (db_query(u->s->env.db,
		"UPDATE upload_parts SET bytes = next_bytes, etag = next_etag, "
		"sha256 = next_sha256, next_bytes = NULL, next_etag = NULL, "
		"next_sha256 = NULL WHERE segment_id = $1 AND part = $2 "
		"AND next_etag IS NOT NULL",
		2, params, on_part_noted, u) != 0)
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
}

static void
on_part(void *arg, const struct s3_response *r)
{
	struct part_sending *p = arg;
	struct upload *u = p->upload;
	char md5[33];

	if (s3_upload_is_lost(r)) {
		store_fail(&u->r, r->err, "%s", r->detail);
		s3_upload_restart(u);
		return;
	}
	if (r->err != 0) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	http_hex(u->hashes->parts[0].md5, 16, md5);
	if (s3_etag_judge(r->etag, md5, r->encryption) != S3_ETAG_SAME) {
		give_up(u);
		return;
	}
	stop_point("early_part_sent");
	u->parts[p->i].noted_bytes = p->rq.len;
	u->s->env.counters->parts_sent++;
	log_info("early_part_stored", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_S("key", u->put.key),
	    LOG_U("part", p->i + 1), LOG_U("bytes", p->rq.len));
	note_sent(u, p->i);
}

static void
send_part(struct upload *u)
{
	struct part_sending *p = &u->sending[0];
	const struct part_hash *hash = &u->hashes->parts[0];
	int rc;

	memset(&p->rq, 0, sizeof(p->rq));
	p->upload = u;
	p->rq.method = "PUT";
	p->rq.key = u->put.key;
	p->rq.fd = u->put.fd;
	p->rq.offset = p->i * u->part_bytes;
	p->rq.len = s3_upload_part_len(u, p->i);
	EVP_EncodeBlock((uint8_t *)p->md5, hash->md5, 16);
	p->rq.headers[0] = (struct sigv4_pair){ "content-md5", p->md5 };
	p->rq.n_headers = 1;
	snprintf(p->number, sizeof(p->number), "%zu", p->i + 1);
	p->rq.query[0] = (struct sigv4_pair){ "partNumber", p->number };
	p->rq.query[1] = (struct sigv4_pair){ "uploadId", u->upload_id };
	p->rq.n_query = 2;
	p->rq.sha256 = http_hex(hash->sha256, 32, p->hex);
	rc = s3_send(u->s->client, &p->rq, on_part, p);
	if (rc != 0)
		s3_upload_fail(u, rc, "S3: %s", err_text(rc));
}

static void
on_next_noted(void *arg, PGresult *res)
{
	struct upload *u = arg;

	if (!db_ok(res, "note the next early part"))
		s3_upload_fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
	else if (strcmp(PQcmdTuples(res), "1") != 0)
		s3_upload_fail(u, ERR_CANCELLED, "its upload was ended");
	else
		send_part(u);
}

static void
on_hashed(struct worker_job *work)
{
	struct upload *u = (struct upload *)work;
	const struct part_hash *hash = &u->job.hash.parts[0];
	char number[16], bytes[24], etag[33], sha256[70] = "\\x";
	const char *params[] = { u->put.segment, number, bytes, etag, sha256,
		u->upload_id };

	if (u->job.err != 0) {
		s3_upload_fail(
		    u, u->job.err, "spool: %s", err_text(u->job.err));
		return;
	}
	snprintf(number, sizeof(number), "%zu", u->sending[0].i + 1);
	snprintf(bytes, sizeof(bytes), "%llu",
	    (unsigned long long)u->job.hash.bytes);
	http_hex(hash->md5, 16, etag);
	http_hex(hash->sha256, 32, sha256 + 2);
	if (db_query(u->s->env.db,
		"INSERT INTO upload_parts (segment_id, part, bytes, etag, "
		"sha256, next_bytes, next_etag, next_sha256) SELECT "
		"segment_id, "
		"$2, $3, '', $5, $3, $4, $5 FROM uploads WHERE segment_id = $1 "
		"AND upload_id = $6 ON CONFLICT (segment_id, part) DO UPDATE "
		"SET next_bytes = $3, next_etag = $4, next_sha256 = $5",
		6, params, on_next_noted, u) != 0)
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
}

static void
hash_part(struct upload *u, size_t i)
{
	uint64_t len = s3_upload_part_len(u, i);

	u->sending[0].i = i;
	file_hash_release(&u->job.hash);
	if (file_hash_init(&u->job.hash, len, len) != 0) {
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	u->job.work.run = hash_run;
	u->job.work.done = on_hashed;
	u->job.fd = u->put.fd;
	u->job.offset = i * u->part_bytes;
	u->job.stopping = &u->s->stopping;
	workers_submit(u->s->env.workers, &u->job.work);
}

void
s3_early_next(struct upload *u)
{
	u->is_bare = true;
	if (atomic_load(&u->s->stopping)) {
		s3_upload_fail(u, ERR_CANCELLED, "stopped");
		return;
	}
	for (size_t i = 0; i < u->n_parts; i++)
		if (u->parts[i].noted_bytes < s3_upload_part_len(u, i)) {
			hash_part(u, i);
			return;
		}
	s3_upload_finish(u);
}

static void
on_progress(void *arg, uint64_t bytes)
{
}

/* On the loop, not before the call returned. */
static void
on_off(void *arg, PGresult *res)
{
	s3_upload_fail(
	    arg, ERR_UNSUPPORTED, "S3: ETags of parts are not their MD5s");
}

int
s3_early_start(struct s3_store *s, const struct store_early *early)
{
	struct upload *u = calloc(1, sizeof(*u));
	int rc;

	if (u == NULL)
		return ERR_NOMEM;
	u->s = s;
	u->put = (struct store_put){ .segment = early->segment,
		.key = early->key,
		.fd = early->fd,
		.bytes = early->bytes,
		.on_progress = on_progress,
		.on_done = early->on_done,
		.arg = early->arg };
	u->is_growing = true;
	u->manifest = early->manifest;
	u->hashes = &u->job.hash;
	buf_init(&u->xml, PARTS_MAX * XML_PART_MAX);
	rc = s->is_early_off ? db_query(s->env.db, "SELECT", 0, NULL, on_off, u)
			     : s3_upload_read_early_rows(u);
	if (rc != 0)
		free(u);
	else
		s->env.counters->store_jobs++;
	return rc;
}
