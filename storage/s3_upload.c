/*
 * One file to S3. The steps, each a function that starts it and one that
 * takes its answer:
 *
 *   rows       what an earlier try noted (uploads, upload_parts)
 *   hash       SHA-256 of all, SHA-256 and MD5 of each part, on a thread
 *   stat       is the object there and right already? then done
 *   list       which parts the server has of the noted upload
 *   clean      abort uploads of this key that nobody noted
 *   create     a new multipart upload; its id goes into uploads
 *   part       for each part that is missing; noted in upload_parts
 *   complete   the server joins the parts
 *   stat       verify
 *
 * A file of one part is one PUT between the two stats.
 *
 * A part counts as finished when the server lists it with its right size and
 * with the MD5 of the local bytes as ETag (or, where ETags are no MD5s, the
 * ETag noted beside the same local SHA-256). Every body is sent with its
 * SHA-256 signed, so the server refuses bytes that changed under way.
 *
 * What the last stat proves: the object has the file's size, was created by
 * an upload of a file with this SHA-256 (x-amz-meta-sha256), and, unless the
 * server encrypts with KMS (its ETags are opaque then), consists of parts
 * with exactly the MD5s of the local parts in their order (ETag).
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/conf.h"
#include "common/db.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/counters.h"
#include "storage/hash.h"
#include "storage/object_key.h"
#include "storage/s3_xml.h"
#include "storage/store_s3.h"

#define PARTS_MAX    10000
#define XML_PART_MAX 160

struct part {
	bool is_done;
	char etag[100]; /* known to the server */
	char noted_etag[100];
	uint8_t noted_sha256[32];
};

struct upload {
	struct hash_job hash; /* first: the worker hands it back */
	struct s3_store *s;
	struct store_put put;
	struct store_result r;
	uint64_t part_bytes, bytes_done;
	size_t n_parts, next;
	struct part *parts;
	char upload_id[1025];
	bool was_restarted; /* NoSuchUpload: begun again once */
	char marker[24];
	/* of the request under way */
	struct s3_request rq;
	char part_text[16], md5[32], hex[65];
	struct buf xml;
};

static void start_hash(struct upload *u);
static void start_stat(struct upload *u, s3_cb *cb);
static void start_list(struct upload *u);
static void start_clean(struct upload *u);
static void start_create(struct upload *u);
static void start_part(struct upload *u);
static void start_complete(struct upload *u);

static void
finish(struct upload *u)
{
	struct store_put put = u->put;
	struct store_result r = u->r;

	if (r.err == 0)
		memcpy(r.sha256, u->hash.sha256, 32);
	u->s->env.counters->store_jobs--;
	free(u->hash.parts);
	free(u->parts);
	buf_release(&u->xml);
	free(u);
	put.on_done(put.arg, &r);
}

__attribute__((format(printf, 3, 4))) static void
fail(struct upload *u, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(u->r.detail, sizeof(u->r.detail), fmt, ap);
	va_end(ap);
	u->r.err = err;
	finish(u);
}

static void
send(struct upload *u, s3_cb *cb)
{
	int rc = s3_send(u->s->client, &u->rq, cb, u);

	if (rc != 0)
		fail(u, rc, "S3: %s", err_text(rc));
}

static uint64_t
part_len(const struct upload *u, size_t i)
{
	return min_u64(u->part_bytes, u->put.bytes - i * u->part_bytes);
}

/* Sets how the file is cut; more than 10,000 parts are not allowed. */
static int
set_part_bytes(struct upload *u, uint64_t part_bytes)
{
	uint64_t least = (u->put.bytes + PARTS_MAX - 1) / PARTS_MAX;

	u->part_bytes = part_bytes > least ? part_bytes : least;
	u->n_parts =
	    (size_t)((u->put.bytes + u->part_bytes - 1) / u->part_bytes);
	u->parts = calloc(u->n_parts, sizeof(*u->parts));
	u->hash.parts = calloc(u->n_parts, sizeof(*u->hash.parts));
	return u->parts != NULL && u->hash.parts != NULL ? 0 : ERR_NOMEM;
}

/* ---- rows ---- */

static void
take_row(struct upload *u, PGresult *res, int i)
{
	long n = strtol(PQgetvalue(res, i, 2), NULL, 10);
	const char *sha256 = PQgetvalue(res, i, 4);
	struct part *p;

	if (PQgetisnull(res, i, 2) || n < 1 || (size_t)n > u->n_parts)
		return;
	p = &u->parts[n - 1];
	snprintf(
	    p->noted_etag, sizeof(p->noted_etag), "%s", PQgetvalue(res, i, 3));
	if (http_unhex(sha256, p->noted_sha256, 32) != 0)
		p->noted_etag[0] = '\0';
}

static void
on_rows(void *arg, PGresult *res)
{
	struct upload *u = arg;
	uint64_t part_bytes = (uint64_t)u->s->env.conf->s3_part_bytes;

	if (!db_ok(res, "read uploads")) {
		fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
		return;
	}
	if (PQntuples(res) > 0) {
		snprintf(u->upload_id, sizeof(u->upload_id), "%s",
		    PQgetvalue(res, 0, 0));
		part_bytes = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	}
	if (set_part_bytes(u, part_bytes) != 0) {
		fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	for (int i = 0; i < PQntuples(res); i++)
		take_row(u, res, i);
	start_hash(u);
}

static void
forget_upload(struct upload *u)
{
	const char *params[] = { u->put.segment, u->upload_id };

	db_query(u->s->env.db,
	    "DELETE FROM uploads WHERE segment_id = $1 AND upload_id = $2", 2,
	    params, NULL, NULL);
	u->upload_id[0] = '\0';
}

int
s3_upload_start(struct s3_store *s, const struct store_put *put)
{
	struct upload *u = calloc(1, sizeof(*u));
	const char *params[] = { put->segment, put->key };
	int rc;

	if (u == NULL)
		return ERR_NOMEM;
	u->s = s;
	u->put = *put;
	buf_init(&u->xml, PARTS_MAX * XML_PART_MAX);
	rc = db_query(s->env.db,
	    "SELECT u.upload_id, u.part_bytes, p.part, p.etag, "
	    "encode(p.sha256, 'hex') FROM uploads u LEFT JOIN upload_parts p "
	    "USING (segment_id) WHERE segment_id = $1 AND store = 's3' "
	    "AND object_key = $2",
	    2, params, on_rows, u);
	if (rc != 0)
		free(u);
	else
		s->env.counters->store_jobs++;
	return rc;
}

/* ---- hash ---- */

static void on_stat_first(void *arg, const struct s3_response *r);

static void
on_hashed(struct worker_job *work)
{
	struct upload *u = (struct upload *)work;

	if (u->hash.err != 0)
		fail(u, u->hash.err, "spool: %s",
		    u->hash.err == ERR_IO ? strerror(u->hash.saved_errno)
					  : err_text(u->hash.err));
	else
		start_stat(u, on_stat_first);
}

static void
start_hash(struct upload *u)
{
	u->hash.work.run = hash_run;
	u->hash.work.done = on_hashed;
	u->hash.fd = u->put.fd;
	u->hash.bytes = u->put.bytes;
	u->hash.part_bytes = u->part_bytes;
	u->hash.stopping = &u->s->stopping;
	workers_submit(u->s->env.workers, &u->hash.work);
}

/* ---- stat ---- */

static void
start_stat(struct upload *u, s3_cb *cb)
{
	s3_stat_request(&u->rq, u->put.key);
	send(u, cb);
}

/* MD5 for one part; for several the MD5 of their MD5s and "-n". */
static void
expected_etag(const struct upload *u, char out[64])
{
	EVP_MD_CTX *md;
	uint8_t digest[16];

	if (u->n_parts == 1 && u->upload_id[0] == '\0') {
		http_hex(u->hash.parts[0].md5, 16, out);
		return;
	}
	memset(digest, 0, sizeof(digest));
	md = EVP_MD_CTX_new();
	if (md != NULL && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1) {
		for (size_t i = 0; i < u->n_parts; i++)
			EVP_DigestUpdate(md, u->hash.parts[i].md5, 16);
		EVP_DigestFinal_ex(md, digest, NULL);
	}
	EVP_MD_CTX_free(md);
	http_hex(digest, 16, out);
	sprintf(out + 32, "-%zu", u->n_parts);
}

/* 0 when a stat's answer is our object, else ERR_CORRUPT and the reason. */
static int
compare(struct upload *u, const struct s3_response *r)
{
	char hex[65], etag[64];

	expected_etag(u, etag);
	http_hex(u->hash.sha256, 32, hex);
	if (r->size != u->put.bytes)
		return store_fail(&u->r, ERR_CORRUPT,
		    "size differs: %llu stored, %llu in the spool",
		    (unsigned long long)r->size,
		    (unsigned long long)u->put.bytes);
	if (strcmp(r->sha256, hex) != 0)
		return store_fail(&u->r, ERR_CORRUPT,
		    "SHA-256 noted with the stored object differs");
	if (strncmp(r->encryption, "aws:kms", 7) != 0 &&
	    strcmp(r->etag, etag) != 0)
		return store_fail(&u->r, ERR_CORRUPT,
		    "ETag of the stored object is %.60s, expected %s", r->etag,
		    etag);
	return 0;
}

static void
on_stat_last(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (r->err != 0) {
		/* gone between complete and here: the next try starts over */
		if (strcmp(r->code, "NoSuchKey") == 0 &&
		    u->upload_id[0] != '\0')
			forget_upload(u);
		fail(u, r->err, "%s", r->detail);
		return;
	}
	if (compare(u, r) != 0 && u->upload_id[0] != '\0')
		forget_upload(u);
	finish(u);
}

static void
start_single(struct upload *u)
{
	if (atomic_load(&u->s->stopping)) {
		fail(u, ERR_CANCELLED, "stopped");
		return;
	}
	start_part(u);
}

static void
on_stat_first(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (r->err != 0 && strcmp(r->code, "NoSuchKey") != 0 &&
	    r->status != 416) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	if (r->err == 0 && compare(u, r) == 0) {
		u->put.on_progress(u->put.arg, u->put.bytes);
		finish(u);
		return;
	}
	memset(&u->r, 0, sizeof(u->r));
	if (u->upload_id[0] != '\0')
		start_list(u);
	else if (u->n_parts == 1)
		start_single(u);
	else
		start_clean(u);
}

/* ---- list: what the server has ---- */

static void
take_listed(struct upload *u, const char *part, const char *end)
{
	char number[16], size[24], etag[100], hex[33];
	const char *at = part;
	struct part *p;
	size_t i;

	if (s3_xml_text(&at, "PartNumber", number, sizeof(number)) != 0)
		return;
	at = part;
	if (s3_xml_text(&at, "Size", size, sizeof(size)) != 0)
		return;
	at = part;
	if (s3_xml_text(&at, "ETag", etag, sizeof(etag)) != 0 || at > end)
		return;
	i = strtoull(number, NULL, 10) - 1;
	if (i >= u->n_parts || strtoull(size, NULL, 10) != part_len(u, i))
		return;
	p = &u->parts[i];
	memmove(etag, etag + (etag[0] == '"'), strlen(etag) + (etag[0] != '"'));
	etag[strcspn(etag, "\"")] = '\0';
	http_hex(u->hash.parts[i].md5, 16, hex);
	p->is_done = strcmp(etag, hex) == 0 ||
	    (strcmp(etag, p->noted_etag) == 0 &&
		memcmp(p->noted_sha256, u->hash.parts[i].sha256, 32) == 0);
	snprintf(p->etag, sizeof(p->etag), "%s", etag);
}

static void
count_resumed(struct upload *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_parts; i++)
		if (u->parts[i].is_done) {
			u->bytes_done += part_len(u, i);
			n++;
		}
	u->s->env.counters->parts_resumed += n;
	log_info("upload_resumed", LOG_S("segment", u->put.segment),
	    LOG_U("parts_there", n), LOG_U("parts", u->n_parts));
	if (n > 0)
		u->put.on_progress(u->put.arg, u->bytes_done);
}

/* The server does not know the upload: begin again, once. */
static void
restart(struct upload *u, const struct s3_response *r)
{
	if (u->was_restarted) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	log_warn("upload_lost", LOG_S("segment", u->put.segment),
	    LOG_S("why", r->detail));
	u->was_restarted = true;
	forget_upload(u);
	memset(u->parts, 0, u->n_parts * sizeof(*u->parts));
	u->next = 0;
	u->bytes_done = 0;
	start_clean(u);
}

/* For requests that name an upload; Ceph's list says NoSuchKey of it. */
static bool
is_lost(const struct s3_response *r)
{
	return r->err != 0 &&
	    (strcmp(r->code, "NoSuchUpload") == 0 ||
		strcmp(r->code, "NoSuchKey") == 0);
}

static void
on_listed(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body, *part, *end;
	char more[8] = "";

	if (is_lost(r)) {
		restart(u, r);
		return;
	}
	if (r->err != 0) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	while (s3_xml_element(&at, "Part", &part, &end) == 0)
		take_listed(u, part, end);
	at = r->body;
	s3_xml_text(&at, "IsTruncated", more, sizeof(more));
	at = r->body;
	if (strcmp(more, "true") == 0 &&
	    s3_xml_text(&at, "NextPartNumberMarker", u->part_text,
		sizeof(u->part_text)) == 0 &&
	    strtoul(u->part_text, NULL, 10) > strtoul(u->marker, NULL, 10)) {
		snprintf(u->marker, sizeof(u->marker), "%s", u->part_text);
		start_list(u);
		return;
	}
	count_resumed(u);
	start_part(u);
}

static void
start_list(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "GET";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploadId", u->upload_id };
	u->rq.n_query = 1;
	if (u->marker[0] != '\0')
		u->rq.query[u->rq.n_query++] =
		    (struct sigv4_pair){ "part-number-marker", u->marker };
	send(u, on_listed);
}

/* ---- clean: stale uploads of this key ---- */

static void
on_aborted(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	u->upload_id[0] = '\0';
	if (r->err != 0 && !is_lost(r))
		fail(u, r->err, "%s", r->detail);
	else
		start_clean(u);
}

static void
on_clean(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body, *one, *end, *in;
	char key[600];

	if (r->err != 0) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	while (s3_xml_element(&at, "Upload", &one, &end) == 0) {
		in = one;
		if (s3_xml_text(&in, "Key", key, sizeof(key)) != 0 ||
		    strcmp(key, u->put.key) != 0)
			continue;
		in = one;
		if (s3_xml_text(&in, "UploadId", u->upload_id,
			sizeof(u->upload_id)) != 0 ||
		    in > end)
			continue;
		log_info("upload_abandoned", LOG_S("key", key));
		memset(&u->rq, 0, sizeof(u->rq));
		u->rq.method = "DELETE";
		u->rq.key = u->put.key;
		u->rq.query[0] =
		    (struct sigv4_pair){ "uploadId", u->upload_id };
		u->rq.n_query = 1;
		send(u, on_aborted);
		return;
	}
	start_create(u);
}

static void
start_clean(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "GET";
	u->rq.key = "";
	u->rq.query[0] = (struct sigv4_pair){ "uploads", NULL };
	u->rq.query[1] = (struct sigv4_pair){ "prefix", u->put.key };
	u->rq.n_query = 2;
	send(u, on_clean);
}

/* ---- create ---- */

static void
on_noted(void *arg, PGresult *res)
{
	struct upload *u = arg;

	if (!db_ok(res, "write upload"))
		fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
	else
		start_part(u);
}

static void
on_created(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body;
	char bytes[24];
	const char *params[] = { u->put.segment, u->put.key, u->upload_id,
		bytes };

	if (r->err != 0) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	if (s3_xml_text(&at, "UploadId", u->upload_id, sizeof(u->upload_id)) !=
		0 ||
	    u->upload_id[0] == '\0') {
		fail(u, ERR_PROTOCOL, "S3: no UploadId in the answer");
		return;
	}
	snprintf(
	    bytes, sizeof(bytes), "%llu", (unsigned long long)u->part_bytes);
	if (db_query(u->s->env.db,
		"INSERT INTO uploads (segment_id, store, object_key, "
		"upload_id, part_bytes) VALUES ($1, 's3', $2, $3, $4) "
		"ON CONFLICT (segment_id) DO UPDATE SET object_key = $2, "
		"upload_id = $3, part_bytes = $4, started_at = now()",
		4, params, on_noted, u) != 0)
		fail(u, ERR_NOMEM, "out of memory");
}

static void
object_headers(struct upload *u)
{
	u->rq.headers[u->rq.n_headers++] = (struct sigv4_pair){ "content-type",
		object_key_media_type(u->put.key) };
	u->rq.headers[u->rq.n_headers++] =
	    (struct sigv4_pair){ "x-amz-meta-sha256",
		    http_hex(u->hash.sha256, 32, u->hex) };
}

static void
start_create(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "POST";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploads", NULL };
	u->rq.n_query = 1;
	object_headers(u);
	send(u, on_created);
}

/* ---- part ---- */

static void
note_part(struct upload *u, size_t i)
{
	char number[16], bytes[24], sha256[70] = "\\x";
	const char *params[] = { u->put.segment, number, bytes,
		u->parts[i].etag, sha256 };

	snprintf(number, sizeof(number), "%zu", i + 1);
	snprintf(
	    bytes, sizeof(bytes), "%llu", (unsigned long long)part_len(u, i));
	http_hex(u->hash.parts[i].sha256, 32, sha256 + 2);
	/* not waited for: the server's list is what a restart believes */
	db_query(u->s->env.db,
	    "INSERT INTO upload_parts (segment_id, part, bytes, etag, sha256)"
	    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (segment_id, part) "
	    "DO UPDATE SET bytes = $3, etag = $4, sha256 = $5",
	    5, params, NULL, NULL);
}

static void
on_part(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	struct part *p = &u->parts[u->next];

	if (is_lost(r)) {
		restart(u, r);
		return;
	}
	if (r->err != 0) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	p->is_done = true;
	snprintf(p->etag, sizeof(p->etag), "%s", r->etag);
	u->bytes_done += part_len(u, u->next);
	u->s->env.counters->parts_sent++;
	u->put.on_progress(u->put.arg, u->bytes_done);
	if (u->upload_id[0] == '\0') {
		start_stat(u, on_stat_last);
		return;
	}
	log_info("part_stored", LOG_S("segment", u->put.segment),
	    LOG_U("part", u->next + 1), LOG_U("parts", u->n_parts));
	note_part(u, u->next);
	start_part(u);
}

/* Sends the next part that is missing, or a file of one part whole. */
static void
start_part(struct upload *u)
{
	size_t i = u->next;

	while (i < u->n_parts && u->parts[i].is_done)
		i++;
	u->next = i;
	if (i == u->n_parts) {
		start_complete(u);
		return;
	}
	if (atomic_load(&u->s->stopping)) {
		fail(u, ERR_CANCELLED, "stopped");
		return;
	}
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "PUT";
	u->rq.key = u->put.key;
	u->rq.fd = u->put.fd;
	u->rq.offset = i * u->part_bytes;
	u->rq.len = part_len(u, i);
	EVP_EncodeBlock((uint8_t *)u->md5, u->hash.parts[i].md5, 16);
	u->rq.headers[0] = (struct sigv4_pair){ "content-md5", u->md5 };
	u->rq.n_headers = 1;
	if (u->upload_id[0] == '\0')
		object_headers(u);
	else {
		snprintf(u->part_text, sizeof(u->part_text), "%zu", i + 1);
		u->rq.query[0] =
		    (struct sigv4_pair){ "partNumber", u->part_text };
		u->rq.query[1] =
		    (struct sigv4_pair){ "uploadId", u->upload_id };
		u->rq.n_query = 2;
	}
	u->rq.sha256 = http_hex(u->hash.parts[i].sha256, 32, u->hex);
	send(u, on_part);
}

/* ---- complete ---- */

static void
on_completed(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body;
	char code[64] = "";

	/* the answer to an earlier try may have been lost: the stat tells */
	if (r->err != 0 && !is_lost(r)) {
		fail(u, r->err, "%s", r->detail);
		return;
	}
	/* an error may follow a 200 that was sent to keep the line open */
	if (r->err == 0 && strstr(r->body, "<Error>") != NULL) {
		s3_xml_text(&at, "Code", code, sizeof(code));
		fail(u, ERR_UNAVAILABLE, "S3: complete: %s", code);
		return;
	}
	start_stat(u, on_stat_last);
}

static int
write_complete(struct upload *u)
{
	char line[XML_PART_MAX + 60];
	static const char open[] = "<CompleteMultipartUpload>";
	static const char close[] = "</CompleteMultipartUpload>";
	int rc;

	buf_release(&u->xml);
	rc = buf_append(&u->xml, open, sizeof(open) - 1);
	for (size_t i = 0; rc == 0 && i < u->n_parts; i++) {
		int n = snprintf(line, sizeof(line),
		    "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>",
		    i + 1, u->parts[i].etag);

		rc = buf_append(&u->xml, line, (size_t)n);
	}
	return rc == 0 ? buf_append(&u->xml, close, sizeof(close) - 1) : rc;
}

static void
start_complete(struct upload *u)
{
	uint8_t digest[32];
	unsigned len = 32;

	if (write_complete(u) != 0 ||
	    EVP_Digest(buf_head(&u->xml), buf_len(&u->xml), digest, &len,
		EVP_sha256(), NULL) != 1) {
		fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "POST";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploadId", u->upload_id };
	u->rq.n_query = 1;
	u->rq.mem = (const char *)buf_head(&u->xml);
	u->rq.len = buf_len(&u->xml);
	u->rq.sha256 = http_hex(digest, 32, u->hex);
	send(u, on_completed);
}
