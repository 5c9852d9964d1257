/* The requests of a multipart upload: list, clean, create, complete. */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/counters.h"
#include "storage/store/s3_etag.h"
#include "storage/store/s3_upload.h"
#include "common/s3_xml.h"

#define ABORTS_MAX 1000 /* of abandoned uploads, for one put */

static void start_create(struct upload *u);

/* ---- list: what the server has ---- */

/* Part i was sent earlier, with the bytes that the file has now. */
static bool
is_noted(const struct upload *u, size_t i)
{
	const struct part *p = &u->parts[i];

	return p->noted_etag[0] != '\0' &&
	    memcmp(p->noted_sha256, u->hashes->parts[i].sha256, 32) == 0;
}

/* The key may not list parts: what was noted has to do. */
static void
take_noted(struct upload *u)
{
	for (size_t i = 0; i < u->n_parts; i++) {
		struct part *p = &u->parts[i];

		p->is_done = is_noted(u, i);
		if (p->is_done)
			strcpy(p->etag, p->noted_etag);
	}
}

/* part: the inside of a Part, as text. */
static void
take_listed(struct upload *u, const char *part)
{
	char number[16], size[24], etag[100], hex[33];
	const char *at = part;
	struct part *p;
	uint64_t bytes;
	size_t i;

	if (s3_xml_text(&at, "PartNumber", number, sizeof(number)) != 0)
		return;
	at = part;
	if (s3_xml_text(&at, "Size", size, sizeof(size)) != 0)
		return;
	at = part;
	if (s3_xml_text(&at, "ETag", etag, sizeof(etag)) != 0)
		return;
	i = strtoull(number, NULL, 10) - 1;
	bytes = strtoull(size, NULL, 10);
	memmove(etag, etag + (etag[0] == '"'), strlen(etag) + (etag[0] != '"'));
	etag[strcspn(etag, "\"")] = '\0';
	if (u->is_growing && i < u->n_parts)
		s3_early_listed(u, i, bytes, etag);
	if (u->is_growing || i >= u->n_parts ||
	    bytes != s3_upload_part_len(u, i))
		return;
	p = &u->parts[i];
	http_hex(u->hashes->parts[i].md5, 16, hex);
	p->is_done = s3_etag_judge(etag, hex, "") == S3_ETAG_SAME ||
	    (strcmp(etag, p->noted_etag) == 0 && is_noted(u, i));
	snprintf(p->etag, sizeof(p->etag), "%s", etag);
}

static void
count_resumed(struct upload *u)
{
	size_t n = 0;

	for (size_t i = 0; i < u->n_parts; i++)
		if (u->parts[i].is_done) {
			u->bytes_done += s3_upload_part_len(u, i);
			n++;
		}
	u->s->env.counters->parts_resumed += n;
	log_info("upload_resumed", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_U("parts_there", n),
	    LOG_U("parts", u->n_parts));
	if (n > 0)
		u->put.on_progress(u->put.arg, u->bytes_done);
}

void
s3_upload_restart(struct upload *u)
{
	if (u->was_restarted) {
		s3_upload_finish(u);
		return;
	}
	log_warn("upload_lost", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_S("why", u->r.detail));
	memset(&u->r, 0, sizeof(u->r));
	u->was_restarted = true;
	s3_upload_forget(u);
	memset(u->parts, 0, u->n_parts * sizeof(*u->parts));
	u->bytes_done = 0;
	s3_upload_clean(u);
}

/* The same, for the reason that r gives. */
static void
restart(struct upload *u, const struct s3_response *r)
{
	store_fail(&u->r, r->err, "%s", r->detail);
	s3_upload_restart(u);
}

/* Ceph's list says NoSuchKey of an upload. */
bool
s3_upload_is_lost(const struct s3_response *r)
{
	return r->err != 0 &&
	    (strcmp(r->code, "NoSuchUpload") == 0 ||
		strcmp(r->code, "NoSuchKey") == 0);
}

/* The parts of one page; false: out of memory. */
static bool
take_page(struct upload *u, const char *body)
{
	const char *at = body, *start, *end;

	while (s3_xml_element(&at, "Part", &start, &end) == 0) {
		char *part = strndup(start, (size_t)(end - start));

		if (part == NULL)
			return false;
		take_listed(u, part);
		free(part);
	}
	return true;
}

/* Parts are numbered to 10,000: pages that go on behind them have no end. */
static bool
goes_on(struct upload *u, const char *body)
{
	const char *at = body;
	char more[8] = "";
	unsigned long n;

	s3_xml_text(&at, "IsTruncated", more, sizeof(more));
	at = body;
	if (strcmp(more, "true") != 0 ||
	    s3_xml_text(&at, "NextPartNumberMarker", u->part_text,
		sizeof(u->part_text)) != 0)
		return false;
	n = strtoul(u->part_text, NULL, 10);
	return n > strtoul(u->marker, NULL, 10) && n <= PARTS_MAX;
}

static void
listed(struct upload *u)
{
	if (u->is_growing) {
		s3_early_join(u);
		return;
	}
	count_resumed(u);
	s3_upload_part(u);
}

static void
on_listed(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (s3_upload_is_lost(r) && u->is_growing) {
		s3_upload_stat(u, s3_upload_on_stored); /* joined before? */
		return;
	}
	if (s3_upload_is_lost(r)) {
		restart(u, r);
		return;
	}
	if (s3_is_denied(r)) {
		log_warn("parts_not_listed", LOG_S("segment", u->put.segment),
		    LOG_SESSION_OF(u->put.key), LOG_S("why", r->detail));
		if (u->is_growing)
			s3_early_take_noted(u);
		else
			take_noted(u);
		listed(u);
		return;
	}
	if (r->err != 0) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	if (!take_page(u, r->body)) {
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
		return;
	}
	if (goes_on(u, r->body)) {
		snprintf(u->marker, sizeof(u->marker), "%s", u->part_text);
		s3_upload_list(u);
		return;
	}
	listed(u);
}

void
s3_upload_list(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "GET";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploadId", u->upload_id };
	u->rq.n_query = 1;
	if (u->marker[0] != '\0')
		u->rq.query[u->rq.n_query++] =
		    (struct sigv4_pair){ "part-number-marker", u->marker };
	s3_upload_send(u, on_listed);
}

/* ---- clean: stale uploads of this key ---- */

void
s3_upload_abort(struct upload *u, s3_cb *cb)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "DELETE";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploadId", u->stale_id };
	u->rq.n_query = 1;
	s3_upload_send(u, cb);
}

static void
cleaned(struct upload *u)
{
	if (u->upload_id[0] != '\0')
		s3_upload_note(u);
	else
		start_create(u);
}

static void
on_aborted(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;

	if (r->err != 0 && !s3_upload_is_lost(r) && !s3_is_denied(r))
		s3_upload_fail(u, r->err, "%s", r->detail);
	else if (s3_is_denied(r) || ++u->n_aborted == ABORTS_MAX)
		cleaned(u); /* they stay */
	else
		s3_upload_clean(u);
}

/* The inside of an Upload, as text: another one of this key? Then its id is
 * in u->stale_id. */
static bool
take_stale(struct upload *u, const char *one)
{
	const char *at = one;
	char key[600];

	if (s3_xml_text(&at, "Key", key, sizeof(key)) != 0 ||
	    strcmp(key, u->put.key) != 0)
		return false;
	at = one;
	return s3_xml_text(&at, "UploadId", u->stale_id, sizeof(u->stale_id)) ==
	    0 &&
	    strcmp(u->stale_id, u->upload_id) != 0;
}

static void
on_clean(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body, *start, *end;

	if (s3_is_denied(r)) {
		log_warn("uploads_not_listed", LOG_S("segment", u->put.segment),
		    LOG_SESSION_OF(u->put.key), LOG_S("why", r->detail));
		cleaned(u);
		return;
	}
	if (r->err != 0) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	while (s3_xml_element(&at, "Upload", &start, &end) == 0) {
		char *one = strndup(start, (size_t)(end - start));
		bool is_stale = one != NULL && take_stale(u, one);

		free(one);
		if (!is_stale)
			continue;
		log_info("upload_abandoned", LOG_S("key", u->put.key),
		    LOG_SESSION_OF(u->put.key));
		s3_upload_abort(u, on_aborted);
		return;
	}
	cleaned(u);
}

void
s3_upload_clean(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "GET";
	u->rq.key = "";
	u->rq.query[0] = (struct sigv4_pair){ "uploads", NULL };
	u->rq.query[1] = (struct sigv4_pair){ "prefix", u->put.key };
	u->rq.n_query = 2;
	s3_upload_send(u, on_clean);
}

/* ---- create ---- */

static void
on_created(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body;

	if (r->err != 0) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	if (s3_xml_text(&at, "UploadId", u->upload_id, sizeof(u->upload_id)) !=
		0 ||
	    u->upload_id[0] == '\0') {
		s3_upload_fail(
		    u, ERR_PROTOCOL, "S3: no UploadId in the answer");
		return;
	}
	/* a try whose answer was lost may have made one as well */
	if (r->tries > 1)
		s3_upload_clean(u);
	else
		s3_upload_note(u);
}

static void
start_create(struct upload *u)
{
	memset(&u->rq, 0, sizeof(u->rq));
	u->rq.method = "POST";
	u->rq.key = u->put.key;
	u->rq.query[0] = (struct sigv4_pair){ "uploads", NULL };
	u->rq.n_query = 1;
	s3_upload_object_headers(u, &u->rq);
	s3_upload_send(u, on_created);
}

/* ---- complete ---- */

static void
on_completed(void *arg, const struct s3_response *r)
{
	struct upload *u = arg;
	const char *at = r->body;
	char code[64] = "";

	if (r->status == 412) {
		s3_upload_superseded(u);
		return;
	}
	if (strcmp(r->code, "InvalidPart") == 0) {
		/* it has other parts than were noted */
		if (u->is_growing)
			s3_early_refused(u);
		else
			restart(u, r);
		return;
	}
	/* the answer to an earlier try may have been lost: the stat tells */
	if (r->err != 0 && !s3_upload_is_lost(r)) {
		s3_upload_fail(u, r->err, "%s", r->detail);
		return;
	}
	/* an error may follow a 200 that was sent to keep the line open */
	if (r->err == 0 && strstr(r->body, "<Error>") != NULL) {
		s3_xml_text(&at, "Code", code, sizeof(code));
		s3_upload_fail(u, ERR_UNAVAILABLE, "S3: complete: %s", code);
		return;
	}
	s3_upload_verify(u);
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

void
s3_upload_complete(struct upload *u)
{
	uint8_t digest[32];
	unsigned len = 32;

	if (write_complete(u) != 0 ||
	    EVP_Digest(buf_head(&u->xml), buf_len(&u->xml), digest, &len,
		EVP_sha256(), NULL) != 1) {
		s3_upload_fail(u, ERR_NOMEM, "out of memory");
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
	s3_upload_condition(u, &u->rq);
	s3_upload_send(u, on_completed);
}
