/*
 * Grants (grant.h) of the server of signed files: given with the answers to
 * a living link, checked in the database when the link has died, and what
 * the audit log says of both (X7).
 */
#include <event2/buffer.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tls_connections.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"

/* ---- the audit log ---- */

/* One line per link and address. Waits while the database is away. */
static void
audit(const struct files_request *r, const char *what, const char *link)
{
	const char *address = tls_connections_client(r->req);
	const struct daemon *d = r->f->d;
	char *detail, person[24];
	json_t *j;

	if (!opened_note(&r->f->opened, link, address))
		return;
	j = json_pack("{s:s,s:s,s:I}", "client", address, "grant", r->grant.id,
	    "link_expires", (json_int_t)r->expires_s);
	detail = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	snprintf(person, sizeof(person), "%lld", (long long)r->person);
	if (detail != NULL) {
		const char *params[] = { r->key, r->person != 0 ? person : NULL,
			d->actor, what, detail };

		db_query(d->db,
		    "SELECT file_opened($1, $2::bigint, $3, $4, $5::jsonb)", 5,
		    params, NULL, NULL);
	}
	free(detail);
}

/* ---- a living link ---- */

static int
read_grant(const struct files_request *r, struct grant *g)
{
	return grant_read(g, r->f->key, files_get_header(r->req, "Cookie"),
	    r->key, clock_wall_ns() / NS_PER_S);
}

void
files_link_opened(struct files_request *r, const char *signature)
{
	const struct daemon *d = r->f->d;
	uint64_t now_s = clock_wall_ns() / NS_PER_S;
	uint64_t until_s = now_s + (uint64_t)d->conf.grant_seconds;
	uint64_t link_s = (uint64_t)d->store_conf.link_seconds;

	if (!object_key_is_valid(r->key))
		return; /* a poster is no film that somebody pauses */
	/* the one that the client has is as good as a new one */
	if (d->conf.grant_seconds > 0 &&
	    (read_grant(r, &r->grant) != 0 || r->grant.person != r->person ||
		r->grant.expires_s + link_s < until_s))
		r->gives_grant = grant_new(&r->grant, until_s, r->person) == 0;
	audit(r, "link_opened", signature);
}

void
files_grant_header(const struct files_request *r)
{
	const struct daemon *d = r->f->d;
	char text[GRANT_TEXT_MAX];

	if (r->gives_grant &&
	    grant_write(&r->grant, r->f->key, d->store_conf.public_url, r->key,
		clock_wall_ns() / NS_PER_S, text) == 0)
		files_add_header(r->req, "Set-Cookie", text);
}

/* ---- a dead one ---- */

bool
files_has_grant(struct files_request *r)
{
	return r->f->d->conf.grant_seconds > 0 &&
	    read_grant(r, &r->grant) == 0 && r->grant.person == r->person;
}

/* A request that waits for the database; req is NULL once it went away. */
struct question {
	struct files_request r;
	files_serve_cb *serve;
	bool is_living; /* the link */
};

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct question *q = arg;
	struct evhttp_request *req = q->r.req;

	q->r.req = NULL;
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
answer_unknown(const struct files_request *r, bool is_living)
{
	r->f->d->counters.files_refused++;
	files_add_header(r->req, "Retry-After", "5");
	files_refuse(r->f, r->req, 503, "Service Unavailable",
	    is_living
		? "The database is away, so it is not known whether this is "
		  "still there."
		: "This link has expired, and the database is away, so it is "
		  "not known whether this client may continue.");
}

static void
answer_living(struct question *q, PGresult *res)
{
	const struct files_request *r = &q->r;
	char text[300];

	if (PQgetisnull(res, 0, 0)) {
		q->serve(r);
		return;
	}
	r->f->d->counters.files_notfound++;
	snprintf(text, sizeof(text), "There is no such file: %.200s.",
	    PQgetvalue(res, 0, 0));
	files_refuse(r->f, r->req, 404, "Not Found", text);
}

static void
answer(struct question *q, PGresult *res)
{
	struct files_request *r = &q->r;
	char text[300];

	if (!db_ok(res, "check a grant") || PQntuples(res) != 1) {
		answer_unknown(r, q->is_living);
	} else if (q->is_living) {
		answer_living(q, res);
	} else if (!PQgetisnull(res, 0, 0)) {
		r->f->d->counters.files_denied++;
		snprintf(text, sizeof(text), "This link has expired: %.200s.",
		    PQgetvalue(res, 0, 0));
		files_refuse(r->f, r->req, 403, "Forbidden", text);
	} else {
		r->f->d->counters.files_resumed++;
		audit(r, "link_resumed", r->grant.id);
		/* of a link that is made in the place of this one */
		r->expires_s = clock_wall_ns() / NS_PER_S +
		    (uint64_t)r->f->d->store_conf.link_seconds;
		q->serve(r);
	}
}

static void
on_answer(void *arg, PGresult *res)
{
	struct question *q = arg;
	struct files *f = q->r.f;

	f->d->counters.files_active--;
	if (q->r.req != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(q->r.req), NULL, NULL);
	if (q->r.req != NULL && !f->d->exiting)
		answer(q, res);
	free(q);
}

static void
ask(const struct files_request *r, bool is_living, files_serve_cb *serve)
{
	struct question *q = calloc(1, sizeof(*q));
	char person[24];
	/* a living link is whoever's has it (T6) */
	const char *params[] = { r->key,
		r->person != 0 && !is_living ? person : NULL };

	snprintf(person, sizeof(person), "%lld", (long long)r->person);
	if (q != NULL) {
		q->r = *r;
		q->serve = serve;
		q->is_living = is_living;
	}
	if (q == NULL ||
	    db_query_now(r->f->d->db, "SELECT file_refusal($1, $2::bigint)", 2,
		params, on_answer, q) != 0) {
		free(q);
		answer_unknown(r, is_living);
		return;
	}
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, q);
}

void
files_check_grant(const struct files_request *r, files_serve_cb *serve)
{
	ask(r, false, serve);
}

void
files_check_there(const struct files_request *r, files_serve_cb *serve)
{
	ask(r, true, serve);
}
