/*
 * Sends the parts of an upload, several at a time, or a file of one part
 * whole. After a failure nothing new is begun, and what is under way is waited
 * for: its callbacks name the upload.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/counters.h"
#include "storage/store/s3_etag.h"
#include "storage/store/s3_upload.h"

static void on_part(void *arg, const struct s3_response *r);

/* What one part gets of the link, as a moving mean: for the next cut. */
static void
note_rate(struct upload *u, const struct part_sending *p)
{
	uint64_t ns = clock_mono_ns() - p->begun_ns;
	uint64_t rate =
	    ns == 0 ? 0 : (uint64_t)((double)p->rq.len * NS_PER_S / (double)ns);
	uint64_t *mean = &u->s->part_bytes_per_second;

	*mean = *mean == 0 ? rate : (3 * *mean + rate) / 4;
}

static void
fill_request(struct part_sending *p)
{
	struct upload *u = p->upload;
	const struct part_hash *hash = &u->hashes->parts[p->i];

	memset(&p->rq, 0, sizeof(p->rq));
	p->rq.method = "PUT";
	p->rq.key = u->put.key;
	p->rq.fd = u->put.fd;
	p->rq.offset = p->i * u->part_bytes;
	p->rq.len = s3_upload_part_len(u, p->i);
	EVP_EncodeBlock((uint8_t *)p->md5, hash->md5, 16);
	p->rq.headers[0] = (struct sigv4_pair){ "content-md5", p->md5 };
	p->rq.n_headers = 1;
	if (u->upload_id[0] == '\0') {
		s3_upload_object_headers(u, &p->rq);
		s3_upload_condition(u, &p->rq);
	} else {
		snprintf(p->number, sizeof(p->number), "%zu", p->i + 1);
		p->rq.query[0] = (struct sigv4_pair){ "partNumber", p->number };
		p->rq.query[1] =
		    (struct sigv4_pair){ "uploadId", u->upload_id };
		p->rq.n_query = 2;
	}
	p->rq.sha256 = http_hex(hash->sha256, 32, p->hex);
	p->begun_ns = clock_mono_ns();
}

/* Nothing new is sent; the first reason counts. */
static void
end_with(struct upload *u, enum upload_end end, int err, const char *why)
{
	if (u->end != UPLOAD_GOES_ON)
		return;
	u->end = end;
	u->r.err = err;
	snprintf(u->r.detail, sizeof(u->r.detail), "%s", why);
}

static bool
is_being_sent(const struct upload *u, size_t i)
{
	for (size_t k = 0; k < S3_PARALLEL_MAX; k++)
		if (u->sending[k].is_busy && u->sending[k].i == i)
			return true;
	return false;
}

/* The next part that is missing; n_parts: none. */
static size_t
next_part(const struct upload *u)
{
	size_t i = 0;

	while (i < u->n_parts && (u->parts[i].is_done || is_being_sent(u, i)))
		i++;
	return i;
}

static struct part_sending *
free_slot(struct upload *u)
{
	size_t most = (size_t)u->s->env.conf->s3_parallel_parts;

	for (size_t k = 0; k < most && k < S3_PARALLEL_MAX; k++)
		if (!u->sending[k].is_busy)
			return &u->sending[k];
	return NULL;
}

static void
start_parts(struct upload *u)
{
	struct part_sending *p;
	size_t i;
	int rc;

	while (u->end == UPLOAD_GOES_ON && (p = free_slot(u)) != NULL &&
	    (i = next_part(u)) < u->n_parts) {
		if (atomic_load(&u->s->stopping)) {
			end_with(u, UPLOAD_FAILS, ERR_CANCELLED, "stopped");
			return;
		}
		p->upload = u;
		p->i = i;
		fill_request(p);
		if (u->is_bare)
			s3_upload_note_replacing(u, i);
		rc = s3_send(u->s->client, &p->rq, on_part, p);
		if (rc != 0) {
			end_with(u, UPLOAD_FAILS, rc, err_text(rc));
			return;
		}
		p->is_busy = true;
		u->n_sending++;
	}
}

/* The server named the MD5 of what it has taken. */
static bool
is_taken_as_sent(const struct upload *u)
{
	char md5[33];

	http_hex(u->hashes->parts[0].md5, 16, md5);
	return s3_etag_judge(u->parts[0].etag, md5, "") == S3_ETAG_SAME;
}

void
s3_upload_part(struct upload *u)
{
	enum upload_end end;

	start_parts(u);
	if (u->n_sending > 0)
		return;
	end = u->end;
	u->end = UPLOAD_GOES_ON;
	if (end == UPLOAD_RESTARTS)
		s3_upload_restart(u);
	else if (end == UPLOAD_SUPERSEDED)
		s3_upload_superseded(u);
	else if (end == UPLOAD_FAILS)
		s3_upload_finish(u);
	else if (u->upload_id[0] != '\0')
		s3_upload_complete(u);
	else if (u->put.is_beside && is_taken_as_sent(u))
		s3_upload_finish(u);
	else
		s3_upload_verify(u);
}

static void
part_done(struct upload *u, const struct part_sending *p, const char *etag)
{
	struct part *part = &u->parts[p->i];

	part->is_done = true;
	snprintf(part->etag, sizeof(part->etag), "%s", etag);
	u->bytes_done += p->rq.len;
	u->s->env.counters->parts_sent++;
	u->put.on_progress(u->put.arg, u->bytes_done);
	note_rate(u, p);
	if (u->upload_id[0] == '\0')
		return;
	log_info("part_stored", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_U("part", p->i + 1),
	    LOG_U("parts", u->n_parts));
	s3_upload_note_part(u, p->i);
}

static void
on_part(void *arg, const struct s3_response *r)
{
	struct part_sending *p = arg;
	struct upload *u = p->upload;

	p->is_busy = false;
	u->n_sending--;
	if (r->status == 412)
		end_with(u, UPLOAD_SUPERSEDED, r->err, r->detail);
	else if (s3_upload_is_lost(r))
		end_with(u, UPLOAD_RESTARTS, r->err, r->detail);
	else if (r->err != 0)
		end_with(u, UPLOAD_FAILS, r->err, r->detail);
	else
		part_done(u, p, r->etag);
	s3_upload_part(u);
}
