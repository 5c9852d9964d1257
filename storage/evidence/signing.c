#include "manifest/object_key.h"
#include "storage/evidence/signing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "manifest/evidence_keyfile.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool/early.h"
#include "storage/spool/spool.h"
#include "storage/spool/transfer_db.h"

/* The root of the segment before, and what was seen of this one. */
static const char known_sql[] =
    "SELECT encode(p.root, 'hex'), h.head_from, h.head_to, "
    "encode(h.head_sha256, 'hex') FROM (SELECT) one "
    "LEFT JOIN segments g ON g.session_id = $2::uuid AND g.seq = $3::int - 1 "
    "LEFT JOIN evidence p ON p.segment_id = g.id "
    "LEFT JOIN evidence h ON h.segment_id = $1::uuid";

/* A key stays; a segment that is stored again gets what is true now. */
static const char note_sql[] =
    "WITH k AS (INSERT INTO evidence_keys (id, public_key, host) "
    "SELECT $5::text, $6::bytea, $7::text WHERE $5::text IS NOT NULL "
    "ON CONFLICT DO NOTHING) "
    "INSERT INTO evidence (segment_id, root, sha256, object_key, key_id, "
    "signature, manifest_bytes, manifest_sha256) VALUES ($1::uuid, "
    "$2::bytea, $3::bytea, $4, $5::text, $8::bytea, $9::bigint, $10::bytea) "
    "ON CONFLICT (segment_id) DO UPDATE SET root = excluded.root, "
    "sha256 = excluded.sha256, object_key = excluded.object_key, "
    "key_id = excluded.key_id, signature = excluded.signature, "
    "manifest_bytes = excluded.manifest_bytes, "
    "manifest_sha256 = excluded.manifest_sha256, manifest_fault = NULL";

static const char announce_sql[] =
    "INSERT INTO evidence_keys (id, public_key, host) "
    "VALUES ($1, $2::bytea, $3) ON CONFLICT DO NOTHING";

struct signing {
	struct daemon *d;
	bool has_key;
	struct evidence_signer signer;
	atomic_bool stopping;
};

#define BYTEA_MAX (2 * EVIDENCE_SIGNATURE_LEN + 3)

static const char *
bytea(const uint8_t *data, size_t len, char out[BYTEA_MAX])
{
	strcpy(out, "\\x");
	http_hex(data, len, out + 2);
	return out;
}

/* At the first start there is no key yet: one is made. 0, or ERR_* and err. */
static int
open_key(struct signing *s, const char *key_file, char *err, size_t err_len)
{
	int rc = evidence_signer_read(&s->signer, key_file, err, err_len);
	struct evidence_key k;

	if (rc != ERR_NOTFOUND)
		return rc;
	rc = evidence_keyfile_create(key_file, &k);
	if (rc == 0)
		log_info("evidence_key_made", LOG_S("id", k.id),
		    LOG_S("file", key_file));
	else if (rc != ERR_IO || errno != EEXIST) {
		snprintf(err, err_len, "evidence key %s: %s", key_file,
		    rc == ERR_IO ? strerror(errno) : err_text(rc));
		return rc;
	} /* EEXIST: another one was faster */
	return evidence_signer_read(&s->signer, key_file, err, err_len);
}

/* Who signs, for people: the log, and the file beside the key. */
static void
tell_key(const struct signing *s, const char *key_file)
{
	const struct evidence_key *k = &s->signer.key;
	char line[EVIDENCE_KEY_TEXT_MAX];

	log_info("evidence_key", LOG_S("id", k->id),
	    LOG_S("public", evidence_key_print(k, line)),
	    LOG_S("file", key_file));
	if (evidence_keyfile_publish(key_file, k) != 0)
		log_warn("evidence_key_not_published",
		    LOG_S("beside", key_file), LOG_ERRNO());
}

int
signing_new(struct daemon *d, const char *key_file, char *err, size_t err_len)
{
	struct signing *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (s == NULL)
		return ERR_NOMEM;
	d->signing = s;
	s->d = d;
	if (key_file == NULL || key_file[0] == '\0') {
		log_warn("recordings_are_not_signed",
		    LOG_S("why", "secrets.evidence_key_file is empty"));
		return 0;
	}
	rc = open_key(s, key_file, err, err_len);
	s->has_key = rc == 0;
	if (rc == 0)
		tell_key(s, key_file);
	return rc;
}

void
signing_free(struct signing *s)
{
	if (s != NULL)
		wipe(&s->signer, sizeof(s->signer));
	free(s);
}

const struct evidence_signer *
signing_signer(const struct signing *s)
{
	return s->has_key ? &s->signer : NULL;
}

void
signing_announce(struct signing *s)
{
	char hex[BYTEA_MAX];
	const char *params[] = { s->signer.key.id,
		bytea(s->signer.key.bytes, EVIDENCE_PUBLIC_LEN, hex),
		s->d->actor };

	if (s->has_key)
		db_query_now(s->d->db, announce_sql, 3, params, NULL, NULL);
}

void
signing_stop(struct signing *s)
{
	atomic_store(&s->stopping, true);
}

void
signing_forget(struct spool_segment *sg)
{
	struct signing_job *j = sg->signing;

	if (j != NULL && j->manifest_fd >= 0)
		close(j->manifest_fd);
	if (j != NULL)
		file_hash_release(&j->hash);
	free(j);
	sg->signing = NULL;
}

/* What is told may outlive the job: who is told may forget it. */
static void
finish(struct signing_job *j)
{
	struct store_result r = j->r;

	j->sg->row.d->counters.store_jobs--;
	j->done(j->sg, &r);
}

/* ---- before the transfer ---- */

static void
on_run(struct worker_job *work)
{
	struct signing_job *j = (struct signing_job *)work;

	finish(j);
}

/* The segment before may wait in this spool, its row not written yet. */
static void
look_in_spool(struct signing_job *j)
{
	const struct manifest *m = &j->sg->row.m;
	const struct spool_segment *sg;

	TAILQ_FOREACH(sg, &j->sg->row.d->spool->segments, link)
		if (sg->row.has_manifest && sg->row.m.has_root &&
		    sg->row.m.seq == m->seq - 1 &&
		    strcmp(sg->row.m.session, m->session) == 0) {
			memcpy(
			    j->previous, sg->row.m.root, sizeof(j->previous));
			j->has_previous = true;
		}
}

static void
take_known(struct signing_job *j, PGresult *res)
{
	j->has_previous =
	    http_unhex(PQgetvalue(res, 0, 0), j->previous, 32) == 0;
	if (!j->has_previous)
		look_in_spool(j);
	if (http_unhex(PQgetvalue(res, 0, 3), j->head.sha256, 32) != 0)
		return;
	j->head.from = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	j->head.to = strtoull(PQgetvalue(res, 0, 2), NULL, 10);
}

static void
on_known(void *arg, PGresult *res)
{
	struct signing_job *j = arg;
	struct daemon *d = j->sg->row.d;

	if (d->exiting || !db_ok(res, "read evidence") || PQntuples(res) != 1) {
		store_fail(&j->r, ERR_UNAVAILABLE, "PostgreSQL is away");
		on_run(&j->work);
		return;
	}
	take_known(j, res);
	workers_submit(d->workers, &j->work);
}

/* As the store will send it; 0: it has no use for parts. */
static uint64_t
store_part_bytes(const struct spool_segment *sg)
{
	struct store *s = sg->row.d->store;

	if (early_may_have_begun(sg))
		return s->ops->early_part_bytes;
	return s->ops->part_bytes != NULL
	    ? s->ops->part_bytes(s, (uint64_t)sg->row.m.bytes)
	    : 0;
}

int
signing_start(struct spool_segment *sg,
    void (*done)(struct spool_segment *sg, const struct store_result *r))
{
	struct signing_job *j = calloc(1, sizeof(*j));
	struct daemon *d = sg->row.d;
	char seq[24];
	const char *params[] = { sg->row.id, sg->row.m.session, seq };

	if (j == NULL)
		return ERR_NOMEM;
	signing_forget(sg);
	sg->signing = j;
	j->work.run = signing_run;
	j->work.done = on_run;
	j->sg = sg;
	j->done = done;
	j->stopping = &d->signing->stopping;
	j->signer = d->signing->has_key ? &d->signing->signer : NULL;
	j->fd = sg->fd;
	j->dir = d->spool->dir;
	j->bytes = (uint64_t)sg->row.m.bytes;
	j->part_bytes = store_part_bytes(sg);
	j->seq = sg->row.m.seq;
	j->manifest_fd = -1;
	strcpy(j->id, sg->row.id);
	spool_row_name(&sg->row, ".json", j->name);
	object_key_manifest(sg->row.m.object_key, j->key);
	snprintf(seq, sizeof(seq), "%lld", (long long)sg->row.m.seq);
	d->counters.store_jobs++;
	if (db_queue_prepared(transfer_db(d, sg->row.id), known_sql, 3, params,
		on_known, j) == 0)
		return 0;
	d->counters.store_jobs--;
	signing_forget(sg);
	return ERR_NOMEM;
}

/* ---- behind the transfer ---- */

const struct file_hash *
signing_hash(const struct spool_segment *sg)
{
	return sg->signing != NULL && sg->signing->manifest_fd >= 0
	    ? &sg->signing->hash
	    : NULL;
}

bool
signing_agrees(const struct spool_segment *sg, const uint8_t sha256[32])
{
	return sg->signing == NULL || sg->signing->manifest_fd < 0 ||
	    memcmp(sg->signing->hash.sha256, sha256, 32) == 0;
}

const char *
signing_key_of(const struct spool_segment *sg)
{
	return sg->signing != NULL && sg->signing->manifest_fd >= 0
	    ? sg->signing->key
	    : "";
}

static void
on_noted(void *arg, PGresult *res)
{
	struct signing_job *j = arg;

	if (j->sg->row.d->exiting || !db_ok(res, "write evidence"))
		store_fail(&j->r, ERR_UNAVAILABLE,
		    "the evidence cannot be written to PostgreSQL");
	else
		log_info("manifest_stored", LOG_S("segment", j->id),
		    LOG_SESSION_OF(j->key), LOG_S("key", j->key),
		    LOG_S("signed_by", j->is_signed ? j->signer->key.id : ""));
	finish(j);
}

/* stored: SHA-256 of the manifest. */
static int
note(struct signing_job *j, const uint8_t stored[32])
{
	char root[BYTEA_MAX], sha256[BYTEA_MAX], public_key[BYTEA_MAX];
	char signature[BYTEA_MAX], manifest[BYTEA_MAX], bytes[24];
	const struct evidence_key *k = j->is_signed ? &j->signer->key : NULL;
	const char *params[] = { j->id, bytea(j->root, 32, root),
		bytea(j->hash.sha256, 32, sha256), j->key, k ? k->id : NULL,
		k ? bytea(k->bytes, sizeof(k->bytes), public_key) : NULL,
		j->sg->row.d->actor,
		k ? bytea(j->signature, sizeof(j->signature), signature) : NULL,
		bytes, bytea(stored, 32, manifest) };

	snprintf(bytes, sizeof(bytes), "%" PRIu64, j->manifest_len);
	return db_queue_prepared(transfer_db(j->sg->row.d, j->id), note_sql,
	    N_ELEMENTS(params), params, on_noted, j);
}

static void
on_stored(void *arg, const struct store_result *r)
{
	struct signing_job *j = arg;

	if (r->err == 0 && !j->sg->row.d->exiting) {
		if (note(j, r->sha256) == 0)
			return;
		store_fail(&j->r, ERR_NOMEM, "out of memory");
	} else
		j->r = *r;
	finish(j);
}

static void
on_progress(void *arg, uint64_t bytes)
{
}

bool
signing_store(struct spool_segment *sg,
    void (*done)(struct spool_segment *sg, const struct store_result *r))
{
	struct signing_job *j = sg->signing;
	struct store_put put = { .segment = sg->row.id,
		.was_tried = sg->was_tried,
		.is_beside = true,
		.on_progress = on_progress,
		.on_done = on_stored,
		.arg = j };

	if (j == NULL || j->manifest_fd < 0)
		return false;
	j->done = done;
	put.key = j->key;
	put.fd = j->manifest_fd;
	put.bytes = j->manifest_len;
	sg->row.d->counters.store_jobs++;
	if (sg->row.d->store->ops->put(sg->row.d->store, &put) != 0) {
		store_fail(&j->r, ERR_NOMEM, "out of memory");
		finish(j);
	}
	return true;
}
