/*
 * Makes an object of the parts of an upload that nobody will go on with: those
 * from the first one on that the server lists as they were noted, before or
 * after they were sent (s3_early.c). Where it was done already, that object is
 * there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "manifest/object_key.h"
#include "storage/counters.h"
#include "storage/store/s3_upload.h"

/* The server has it, of this size. */
static void
take(struct part *p, const char *etag, uint64_t bytes)
{
	p->is_done = true;
	p->noted_bytes = bytes;
	memmove(p->etag, etag, strlen(etag) + 1);
}

void
s3_early_listed(struct upload *u, size_t i, uint64_t bytes, const char *etag)
{
	struct part *p = &u->parts[i];

	if ((bytes == p->next_bytes && strcmp(etag, p->next_etag) == 0) ||
	    (bytes == p->noted_bytes && strcmp(etag, p->noted_etag) == 0))
		take(p, etag, bytes);
}

void
s3_early_take_noted(struct upload *u)
{
	for (size_t i = 0; i < u->n_parts; i++)
		if (u->parts[i].noted_etag[0] != '\0')
			take(&u->parts[i], u->parts[i].noted_etag,
			    u->parts[i].noted_bytes);
}

void
s3_early_join(struct upload *u)
{
	size_t n = 0;

	while (n < u->n_parts && u->parts[n].is_done) {
		n++;
		if (u->parts[n - 1].noted_bytes < u->part_bytes)
			break; /* the last one, whatever follows */
	}
	u->n_parts = n;
	if (n == 0) {
		s3_upload_fail(u, ERR_NOTFOUND, "the store has nothing of it");
		return;
	}
	log_info("early_upload_joined", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_S("key", u->put.key),
	    LOG_U("parts", n));
	s3_upload_complete(u);
}

/* The ETag of the bytes that were about to replace part i, if it is not the one
 * that was named. */
static bool
take_next(struct part *p)
{
	if (p->next_etag[0] == '\0' || strcmp(p->etag, p->next_etag) == 0)
		return false;
	take(p, p->next_etag, p->next_bytes);
	p->next_etag[0] = '\0';
	return true;
}

/*
 * A key that may not list parts does not know which of those noted are there.
 * First the bytes that were about to be sent count as sent, then one part less
 * is named each time: what comes before it is better than nothing. Ceph joins
 * all parts that it has or none.
 */
void
s3_early_refused(struct upload *u)
{
	bool is_other = false;

	for (size_t i = 0; i < u->n_parts; i++)
		is_other |= take_next(&u->parts[i]);
	if (!is_other)
		u->n_parts--;
	log_warn("early_parts_refused", LOG_S("segment", u->put.segment),
	    LOG_SESSION_OF(u->put.key), LOG_U("parts_left", u->n_parts));
	if (u->n_parts == 0)
		s3_upload_fail(u, ERR_NOTFOUND,
		    "the store refuses to join the parts that were noted");
	else
		s3_upload_complete(u);
}

static void
take_row(struct upload *u, PGresult *res, int i)
{
	struct part *p;
	size_t n = strtoull(PQgetvalue(res, i, 2), NULL, 10);

	if (n < 1 || n > u->n_parts)
		return;
	p = &u->parts[n - 1];
	p->noted_bytes = strtoull(PQgetvalue(res, i, 3), NULL, 10);
	snprintf(
	    p->noted_etag, sizeof(p->noted_etag), "%s", PQgetvalue(res, i, 4));
	p->next_bytes = strtoull(PQgetvalue(res, i, 5), NULL, 10);
	snprintf(
	    p->next_etag, sizeof(p->next_etag), "%s", PQgetvalue(res, i, 6));
}

static void
on_rows(void *arg, PGresult *res)
{
	struct upload *u = arg;

	if (!db_ok(res, "read an early upload")) {
		s3_upload_fail(u, ERR_UNAVAILABLE, "PostgreSQL is away");
		return;
	}
	u->n_parts = (size_t)PQntuples(res);
	u->parts =
	    u->n_parts > 0 ? calloc(u->n_parts, sizeof(*u->parts)) : NULL;
	if (u->parts == NULL) {
		s3_upload_fail(
		    u, ERR_NOTFOUND, "nothing of it was sent to the store");
		return;
	}
	snprintf(
	    u->upload_id, sizeof(u->upload_id), "%s", PQgetvalue(res, 0, 0));
	u->part_bytes = strtoull(PQgetvalue(res, 0, 1), NULL, 10);
	for (int i = 0; i < PQntuples(res); i++)
		take_row(u, res, i);
	s3_upload_list(u);
}

static void
on_progress(void *arg, uint64_t bytes)
{
}

int
s3_early_end_start(struct s3_store *s, const char *segment, const char *key,
    store_done_cb *on_done, void *arg)
{
	struct upload *u = calloc(1, sizeof(*u));
	const char *params[] = { segment };
	int rc;

	if (u == NULL)
		return ERR_NOMEM;
	u->s = s;
	u->put = (struct store_put){ .segment = segment,
		.key = key,
		.fd = -1,
		.on_progress = on_progress,
		.on_done = on_done,
		.arg = arg };
	u->is_growing = u->was_restarted = true;
	u->hashes = &u->job.hash;
	buf_init(&u->xml, PARTS_MAX * XML_PART_MAX);
	rc = db_query(s->env.db,
	    "SELECT u.upload_id, u.part_bytes, p.part, p.bytes, p.etag, "
	    "p.next_bytes, p.next_etag FROM uploads u JOIN upload_parts p "
	    "ON p.segment_id = u.segment_id WHERE u.segment_id = $1 "
	    "AND u.store = 's3' AND u.is_early ORDER BY p.part",
	    1, params, on_rows, u);
	if (rc != 0)
		free(u);
	else
		s->env.counters->store_jobs++;
	return rc;
}
