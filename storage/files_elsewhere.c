/*
 * Signed links to what this node does not have: in S3, on another node, or
 * gone. The database knows.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/links.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/files_internal.h"

static const char where_sql[] =
    "SELECT g.status, coalesce(g.store, ''), coalesce(g.bytes, 0), "
    "coalesce(g.duration_ms, 0), g.codec, coalesce(n.host, '') "
    "FROM segments g LEFT JOIN nodes n ON n.id = g.spool_node "
    "WHERE g.object_key = $1 OR g.poster_key = $1";

/* A request that waits for the database; req is NULL once it went away. */
struct lookup {
	struct files_request r;
};

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct lookup *l = arg;
	struct evhttp_request *req = l->r.req;

	l->r.req = NULL;
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
answer_gone(const struct files_request *r, const char *text)
{
	r->f->d->counters.files_notfound++;
	files_refuse(r->f, r->req, 404, "Not Found", text);
}

/* To the S3 server, by a link of its own. */
static void
answer_s3(const struct files_request *r)
{
	char url[LINK_URL_MAX], err[300] = "out of memory";
	struct link_signer *signer;
	int rc =
	    link_signer_new(&signer, &r->f->d->store_conf, err, sizeof(err));

	if (rc == 0) {
		rc = link_make(signer, r->key, clock_wall_ns() / NS_PER_S, url,
		    sizeof(url), NULL);
		link_signer_free(signer);
	}
	if (rc != 0) {
		log_warn(
		    "link_not_made", LOG_S("key", r->key), LOG_S("why", err));
		answer_gone(r, "The recording is stored; ask for a new link.");
		return;
	}
	files_add_header(r->req, "Location", url);
	files_refuse(r->f, r->req, 307, "Temporary Redirect",
	    "The recording was stored.");
}

/* The cues are in the file; a player finds them there. */
static void
answer_s3_index(const struct files_request *r, PGresult *res)
{
	struct evbuffer *out = evbuffer_new();

	if (out == NULL) {
		files_refuse_memory(r->f, r->req);
		return;
	}
	evbuffer_add_printf(out,
	    "{\"growing\":false,\"duration_ms\":%s,\"bytes\":%s,"
	    "\"header_bytes\":0,\"codec\":\"%s\",\"cues\":[]}\n",
	    PQgetvalue(res, 0, 3), PQgetvalue(res, 0, 2),
	    PQgetvalue(res, 0, 4));
	files_common_headers(r->f, r->req);
	files_add_header(r->req, "Content-Type", "application/json");
	files_add_header(r->req, "Cache-Control", "no-store");
	evhttp_send_reply(r->req, 200, "OK", out);
	evbuffer_free(out);
}

/* Where the row says it is. */
static void
answer_row(const struct files_request *r, PGresult *res)
{
	const char *status = PQgetvalue(res, 0, 0);
	const char *host = PQgetvalue(res, 0, 5);
	char text[200];

	if (strcmp(status, "available") == 0 && r->f->root < 0 &&
	    strcmp(PQgetvalue(res, 0, 1), "s3") == 0) {
		if (r->what == FILES_INDEX)
			answer_s3_index(r, res);
		else
			answer_s3(r);
		return;
	}
	if (host[0] != '\0' &&
	    (strcmp(status, "recording") == 0 ||
		strcmp(status, "transfer") == 0))
		snprintf(text, sizeof(text),
		    "This recording is still on node %.64s, not on this one; "
		    "ask for a new link.",
		    host);
	else
		snprintf(text, sizeof(text),
		    "This file is not here; the recording is %.20s.", status);
	answer_gone(r, text);
}

static void
on_row(void *arg, PGresult *res)
{
	struct lookup *l = arg;
	const struct files_request *r = &l->r;

	r->f->d->counters.files_active--;
	if (r->req != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(r->req), NULL, NULL);
	if (r->req != NULL && !r->f->d->exiting) {
		if (db_ok(res, "find recording") && PQntuples(res) > 0)
			answer_row(r, res);
		else
			answer_gone(r, "There is no such file.");
	}
	free(l);
}

void
files_elsewhere(const struct files_request *r)
{
	struct lookup *l = calloc(1, sizeof(*l));
	const char *params[] = { r->key };

	if (l != NULL)
		l->r = *r;
	if (l == NULL ||
	    db_query_now(r->f->d->db, where_sql, 1, params, on_row, l) != 0) {
		free(l);
		answer_gone(r, "There is no such file.");
		return;
	}
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, l);
}
