/*
 * One file to S3. The steps, each a function that starts it and one that
 * takes its answer:
 *
 *   rows       what an earlier try noted (uploads, upload_parts)
 *   hash       SHA-256 of all, SHA-256 and MD5 of each part, on a thread;
 *              not where the comparison with the evidence has made them
 *   stat       is the object there and right already? then done
 *   list       which parts the server has of the noted upload
 *   clean      abort uploads of this key that nobody noted; again after a
 *              create that took more than one try
 *   create     a new multipart upload; its id goes into uploads
 *   part       for each part that is missing, s3_parallel_parts at a time;
 *              noted in upload_parts
 *   complete   the server joins the parts
 *   head       verify; a stat when HEAD does not show that all is well, or
 *              when the object is encrypted with a key of a key service
 *
 * A file of one part is one PUT between stat and head. The stat is left
 * out when no earlier try can have stored it (put.was_tried): sending it costs
 * hardly more than asking. Another writer's object makes a server that knows
 * conditions refuse it (412), and the stat follows. The head is left out for
 * a poster or a manifest whose MD5 the server named as ETag when it took it.
 *
 * Where the server knows conditions (store_abilities), the object is made only
 * if what is there is still what the first stat saw: of two writers, as after
 * a node was taken for dead, the second one is refused (412). It succeeds too
 * if the other one stored the same file, and else fails.
 *
 * A part counts as finished when the server lists it with its right size and
 * with the MD5 of the local bytes as ETag (or, where ETags are no MD5s, the
 * ETag noted beside the same local SHA-256). Every body is sent with its MD5
 * and with its SHA-256 signed, so the server refuses bytes that changed under
 * way.
 *
 * A key without s3:ListBucket is told 403 of an object that is not there:
 * the file is sent then, and the last step decides. Without
 * s3:ListMultipartUploadParts the parts that were noted count as there, and
 * the server's answer to complete decides.
 *
 * What the last step proves: the object has the file's size, was created by
 * an upload of a file with this SHA-256 (x-amz-meta-sha256), and, where its
 * ETag is an MD5 (s3_etag.h), that it is the MD5 of the file. An object of
 * several parts was joined from those whose ETags complete names. Of an upload
 * that began while the file grew (s3_early.c) nobody knew the SHA-256: the
 * ETag of its object has to be the one that follows from the MD5s of the
 * file's parts.
 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/bytes.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/http.h"
#include "storage/counters.h"
#include "manifest/object_key.h"
#include "storage/store/s3_backoff.h"
#include "storage/store/s3_etag.h"
#include "storage/store/s3_upload.h"

void
s3_upload_finish(struct upload *u)
{
	struct store_put put = u->put;
	struct store_result r = u->r;

	if (r.err == 0)
		memcpy(r.sha256, u->hashes->sha256, SHA256_LEN);
	u->s->env.counters->store_jobs--;
	file_hash_release(&u->job.hash);
	free(u->parts);
	buf_release(&u->xml);
	free(u);
	put.on_done(put.arg, &r);
}

void
s3_upload_fail(struct upload *u, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(u->r.detail, sizeof(u->r.detail), fmt, ap);
	va_end(ap);
	u->r.err = err;
	s3_upload_finish(u);
}

void
s3_upload_send(struct upload *u, s3_cb *cb)
{
	int rc = s3_send(u->s->client, &u->rq, cb, u);

	if (rc != 0)
		s3_upload_fail(u, rc, "S3: %s", err_text(rc));
}

uint64_t
s3_upload_part_len(const struct upload *u, size_t i)
{
	return min_u64(u->part_bytes, u->put.bytes - i * u->part_bytes);
}

int
s3_upload_cut(struct upload *u, uint64_t part_bytes)
{
	u->part_bytes = s3_part_bytes(
	    u->put.bytes, part_bytes, u->s->part_bytes_per_second);
	u->n_parts =
	    (size_t)((u->put.bytes + u->part_bytes - 1) / u->part_bytes);
	u->parts = calloc(u->n_parts, sizeof(*u->parts));
	return u->parts != NULL ? 0 : ERR_NOMEM;
}

/* ---- hash ---- */

static void begin(struct upload *u);

static void
on_hashed(struct worker_job *work)
{
	struct upload *u = (struct upload *)work;

	if (u->job.err != 0)
		s3_upload_fail(u, u->job.err, "spool: %s",
		    u->job.err == ERR_IO ? strerror(u->job.saved_errno)
					 : err_text(u->job.err));
	else
		begin(u);
}

void
s3_upload_hash(struct upload *u)
{
	const struct file_hash *given = u->put.hash;

	if (given != NULL && given->bytes == u->put.bytes &&
	    given->part_bytes == u->part_bytes) {
		u->hashes = given;
		begin(u);
		return;
	}
	if (file_hash_init(&u->job.hash, u->put.bytes, u->part_bytes) != 0) {
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	u->hashes = &u->job.hash;
	u->job.work.run = hash_run;
	u->job.work.done = on_hashed;
	u->job.fd = u->put.fd;
	u->job.stopping = &u->s->stopping;
	workers_submit(u->s->env.workers, &u->job.work);
}

/* ---- stat ---- */

void
s3_upload_stat(struct upload *u, s3_cb *cb)
{
	s3_stat_request(&u->rq, u->put.key);
	s3_upload_send(u, cb);
}

/* The ETag that the parts of this file make. */
static bool
is_joined_of_parts(const struct upload *u, const char *etag)
{
	EVP_MD_CTX *md5 = EVP_MD_CTX_new();
	uint8_t sum[EVP_MAX_MD_SIZE];
	char hex[33], want[64];
	bool ok = md5 != NULL && EVP_DigestInit_ex(md5, EVP_md5(), NULL) == 1;

	for (size_t i = 0; ok && i < u->n_parts; i++)
		ok = EVP_DigestUpdate(md5, u->hashes->parts[i].md5, 16) == 1;
	ok = ok && EVP_DigestFinal_ex(md5, sum, NULL) == 1;
	EVP_MD_CTX_free(md5);
	snprintf(
	    want, sizeof(want), "%s-%zu", http_hex(sum, 16, hex), u->n_parts);
	return ok && strcasecmp(etag, want) == 0;
}

/* What the object says of itself is that it has these bytes. */
static bool
is_of_these_bytes(const struct upload *u, const struct s3_response *r)
{
	char hex[65];

	http_hex(u->hashes->sha256, 32, hex);
	if (r->sha256[0] == '\0' && u->is_bare)
		return is_joined_of_parts(u, r->etag);
	return strcmp(r->sha256, hex) == 0;
}

/* 0 when a stat's answer is our object, else ERR_CORRUPT and the reason. */
static int
compare(struct upload *u, const struct s3_response *r)
{
	bool is_single = u->n_parts == 1 && u->upload_id[0] == '\0';
	char md5[33];

	if (r->size != u->put.bytes)
		return store_fail(&u->r, ERR_CORRUPT,
		    "size differs: %llu stored, %llu in the spool",
		    (unsigned long long)r->size,
		    (unsigned long long)u->put.bytes);
	if (!is_of_these_bytes(u, r))
		return store_fail(&u->r, ERR_CORRUPT,
		    "%s of the stored object differs",
		    u->is_bare ? "ETag" : "noted SHA-256");
	http_hex(u->hashes->parts[0].md5, 16, md5);
	if (is_single &&
	    s3_etag_judge(r->etag, md5, r->encryption) == S3_ETAG_DIFFERS)
		return store_fail(&u->r, ERR_CORRUPT,
		    "ETag of the stored object is %.60s, the file's MD5 is %s",
		    r->etag, md5);
	return 0;
}

void
s3_upload_on_stored(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (u->is_growing) {
		if (r->err != 0)
			s3_upload_fail(u, r->err, "%s", r->detail);
		else
			s3_upload_finish(u);
		return;
	}
	if (r->err != 0) {
		/* gone between complete and here: the next try starts over */
		if (strcmp(r->code, "NoSuchKey") == 0 &&
		    u->upload_id[0] != '\0')
			s3_upload_forget(u);
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	if (compare(u, r) != 0 && u->upload_id[0] != '\0')
		s3_upload_forget(u);
	s3_upload_finish(u);
}

/* Reading it needs a right to the key that encrypts it, too. */
static bool
is_read_by_key(const struct s3_response *r)
{
	return strncmp(r->encryption, "aws:kms", 7) == 0;
}

/* HEAD says only that all is well, and that no server answered. */
static void
on_head(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (r->err == 0 ? !is_read_by_key(r) && compare(u, r) == 0
			: r->status == 0 || r->status >= 500) {
		s3_upload_on_stored(u, r);
		return;
	}
	memset(&u->r, 0, sizeof(u->r));
	s3_upload_stat(u, s3_upload_on_stored);
}

void
s3_upload_verify(struct upload *u)
{
	if (u->is_growing) {
		s3_upload_stat(u, s3_upload_on_stored);
		return;
	}
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "HEAD";
	u->rq.key = u->put.key;
	s3_upload_send(u, on_head);
}

static void
start_single(struct upload *u)
{
	if (atomic_load(&u->s->stopping)) {
		s3_upload_fail(u, ERR_CANCELLED, "stopped");
		return;
	}
	s3_upload_part(u);
}

static void
on_stat_first(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	/* denied may mean that it is not there, and s3:ListBucket neither */
	if (r->err != 0 && strcmp(r->code, "NoSuchKey") != 0 &&
	    r->status != 416 && !s3_is_denied(r)) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	if (r->err == 0 && compare(u, r) == 0) {
		u->put.on_progress(u->put.arg, u->put.bytes);
		s3_upload_finish(u);
		return;
	}
	memset(&u->r, 0, sizeof(u->r));
	u->was_absent = r->err != 0 && strcmp(r->code, "NoSuchKey") == 0;
	if (r->err == 0 && r->etag[0] != '\0')
		snprintf(u->replaces, sizeof(u->replaces), "\"%s\"", r->etag);
	if (u->upload_id[0] != '\0')
		s3_upload_list(u);
	else if (u->n_parts == 1)
		start_single(u);
	else
		s3_upload_clean(u);
}

/* A file of one part is sent at once, unless an earlier try may have done it.
 */
static void
begin(struct upload *u)
{
	u->was_absent =
	    u->n_parts == 1 && u->upload_id[0] == '\0' && !u->put.was_tried;
	if (u->was_absent)
		start_single(u);
	else
		s3_upload_stat(u, on_stat_first);
}

static void
add_header(struct s3_request *rq, const char *name, const char *value)
{
	rq->headers[rq->n_headers++] = (struct sigv4_pair){ name, value };
}

void
s3_upload_object_headers(struct upload *u, struct s3_request *rq)
{
	const struct conf_store *conf = u->s->env.conf;
	bool is_kms = strcmp(conf->s3_encryption, "kms") == 0;

	add_header(rq, "content-type", object_key_media_type(u->put.key));
	if (!u->is_growing)
		add_header(rq, "x-amz-meta-sha256",
		    http_hex(u->hashes->sha256, 32, u->hex));
	if (is_kms || strcmp(conf->s3_encryption, "s3") == 0)
		add_header(rq, "x-amz-server-side-encryption",
		    is_kms ? "aws:kms" : "AES256");
	if (is_kms && conf->s3_kms_key != NULL && conf->s3_kms_key[0] != '\0')
		add_header(rq, "x-amz-server-side-encryption-aws-kms-key-id",
		    conf->s3_kms_key);
}

void
s3_upload_condition(const struct upload *u, struct s3_request *rq)
{
	if (!u->is_conditional)
		return;
	if (u->was_absent)
		add_header(rq, "if-none-match", "*");
	else if (u->replaces[0] != '\0')
		add_header(rq, "if-match", u->replaces);
}

int
s3_upload_start(struct s3_store *s, const struct store_put *put)
{
	struct upload *u = calloc(1, sizeof(*u));
	int rc;

	if (u == NULL)
		return ERR_NOMEM;
	u->s = s;
	u->put = *put;
	buf_init(&u->xml, PARTS_MAX * XML_PART_MAX);
	rc = s3_upload_read_rows(u);
	if (rc != 0)
		free(u);
	else
		s->env.counters->store_jobs++;
	return rc;
}
