/*
 * Signed links to what this node does not have: in S3, on another node, or
 * gone. The database knows.
 */
#include <event2/buffer.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/links.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"
#include "storage/node.h"
#include "storage/spool/spool.h"

static const char where_sql[] =
    "SELECT g.status, coalesce(g.store, ''), coalesce(g.bytes, 0), "
    "coalesce(g.duration_ms, 0), g.codec, coalesce(n.host, ''), "
    "coalesce(g.spool_node = $2::uuid, false), g.is_capture, g.progress, "
    "g.status_detail, g.object_key, coalesce(encode(g.sha256, 'hex'), '') "
    "FROM segments g LEFT JOIN nodes n ON n.id = g.spool_node "
    "WHERE g.object_key = $1 OR g.poster_key = $1 OR g.capture_key = $1 "
    "OR g.id = (SELECT e.segment_id FROM evidence e WHERE e.object_key = $1)";
enum {
	STATUS,
	STORE,
	BYTES,
	DURATION,
	CODEC,
	HOST,
	IS_HERE,
	IS_CAPTURE,
	PROGRESS,
	DETAIL,
	KEY,
	DIGEST
};

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

/* The database could not say where it is. */
static void
answer_unknown(const struct files_request *r)
{
	r->f->d->counters.files_refused++;
	files_add_header(r->req, "Retry-After", "5");
	files_refuse(r->f, r->req, 503, "Service Unavailable",
	    "The database is away, so it is not known where this recording "
	    "is.");
}

/*
 * To the S3 server, by a link that dies when the one that was used does: the
 * time of a link that was handed on cannot be stretched (T6).
 */
static void
answer_s3(const struct files_request *r)
{
	char url[LINK_URL_MAX], err[300] = "out of memory";
	struct conf_store conf = r->f->d->store_conf;
	struct link_signer *signer;
	int rc;

	conf.s3_links = "direct";
	rc = link_signer_new(&signer, &conf, err, sizeof(err));

	if (rc == 0) {
		rc = link_make_until(signer, r->key, clock_wall_ns() / NS_PER_S,
		    r->expires_s, url, sizeof(url));
		link_signer_free(signer);
	}
	if (rc == ERR_TIMEOUT) { /* while the database was asked */
		r->f->d->counters.files_denied++;
		files_refuse(r->f, r->req, 403, "Forbidden", FILES_EXPIRED);
		return;
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

/* From the S3 server through this daemon, where the same client may ask
 * again (T6), and where pages of the console may read it. */
static void
serve_s3(const struct files_request *r, PGresult *res)
{
	uint64_t bytes = strtoull(PQgetvalue(res, 0, BYTES), NULL, 10);

	if (link_is_direct(&r->f->d->store_conf) || bytes == 0)
		answer_s3(r);
	else if (!object_key_is_valid(r->key))
		files_serve_beside(r);
	else
		files_serve_stored(r, bytes, PQgetvalue(res, 0, DIGEST));
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
	    PQgetvalue(res, 0, DURATION), PQgetvalue(res, 0, BYTES),
	    PQgetvalue(res, 0, CODEC));
	files_common_headers(r->f, r->req);
	files_add_header(r->req, "Content-Type", "application/json");
	files_add_header(r->req, "Cache-Control", "no-store");
	evhttp_send_reply(r->req, 200, "OK", out);
	evbuffer_free(out);
}

static bool
is_true(PGresult *res, int col)
{
	return PQgetvalue(res, 0, col)[0] == 't';
}

/*
 * What may be watched later, in the sentence that is shown, and after how
 * many seconds it is worth asking again; 0: it is not on its way here.
 */
static int
comes_later(
    const struct files_request *r, PGresult *res, char *text, size_t len)
{
	const char *status = PQgetvalue(res, 0, STATUS);
	const char *detail = PQgetvalue(res, 0, DETAIL);
	bool is_capture = is_true(res, IS_CAPTURE);

	if (strcmp(status, "recording") == 0 && is_capture) {
		snprintf(text, len,
		    "This session goes on and is captured; its recording can "
		    "be watched when it has been encoded.");
		return 30;
	}
	if (strcmp(status, "transfer") == 0 && is_capture) {
		snprintf(text, len,
		    "The device that captured this recording is sending it, "
		    "%s %%.",
		    PQgetvalue(res, 0, PROGRESS));
		return 30;
	}
	if (strcmp(status, "downloaded") == 0) {
		snprintf(text, len,
		    "This recording waits to be encoded%s%.160s.",
		    detail[0] != '\0' ? ": " : "", detail);
		return 30;
	}
	if (strcmp(status, "encoding") == 0) {
		snprintf(text, len, "This recording is being encoded, %s %%.",
		    PQgetvalue(res, 0, PROGRESS));
		return 5;
	}
	if (is_true(res, IS_HERE) && spool_expects(r->f->d->spool, r->key)) {
		snprintf(text, len, "This recording is being looked for.");
		return 1;
	}
	return 0;
}

static struct evbuffer *
later_json(PGresult *res, const char *text)
{
	json_t *j = json_pack("{s:b,s:s,s:i,s:s}", "growing", false, "status",
	    PQgetvalue(res, 0, STATUS), "progress",
	    atoi(PQgetvalue(res, 0, PROGRESS)), "text", text);
	char *line = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	struct evbuffer *out = line != NULL ? evbuffer_new() : NULL;

	if (out != NULL)
		evbuffer_add_printf(out, "%s\n", line);
	free(line);
	json_decref(j);
	return out;
}

/* 503: players and curl ask again; a page shows the words. */
static void
answer_later(
    const struct files_request *r, PGresult *res, int seconds, const char *text)
{
	struct evbuffer *out;
	char number[16];

	snprintf(number, sizeof(number), "%d", seconds);
	files_add_header(r->req, "Retry-After", number);
	if (r->what != FILES_INDEX) {
		files_refuse(r->f, r->req, 503, "Service Unavailable", text);
		return;
	}
	out = later_json(res, text);
	files_common_headers(r->f, r->req);
	files_add_header(r->req, "Content-Type", "application/json");
	files_add_header(r->req, "Cache-Control", "no-store");
	evhttp_send_reply(r->req, 503, "Service Unavailable", out);
	if (out != NULL)
		evbuffer_free(out);
}

static void
answer_not_here(const struct files_request *r, PGresult *res)
{
	const char *status = PQgetvalue(res, 0, STATUS);
	const char *host = PQgetvalue(res, 0, HOST);
	char text[300];

	if (host[0] != '\0' && !is_true(res, IS_HERE) &&
	    (strcmp(status, "recording") == 0 ||
		strcmp(status, "transfer") == 0))
		snprintf(text, sizeof(text),
		    "This recording is still on node %.64s, not on this one; "
		    "ask for a new link.",
		    host);
	else if (strcmp(status, "encoding_failed") == 0)
		snprintf(text, sizeof(text),
		    "This recording could not be encoded (%.160s); that is "
		    "tried again when storage starts.",
		    PQgetvalue(res, 0, DETAIL));
	else
		snprintf(text, sizeof(text),
		    "This file is not here; the recording is %.20s.", status);
	answer_gone(r, text);
}

/* Where the row says it is. */
static void
answer_row(const struct files_request *r, PGresult *res)
{
	char text[300];
	int seconds;

	if (strcmp(PQgetvalue(res, 0, STATUS), "available") == 0 &&
	    r->f->root < 0 && strcmp(PQgetvalue(res, 0, STORE), "s3") == 0) {
		if (r->what == FILES_INDEX)
			answer_s3_index(r, res);
		else
			serve_s3(r, res);
		return;
	}
	seconds = comes_later(r, res, text, sizeof(text));
	if (seconds > 0)
		answer_later(r, res, seconds, text);
	else
		answer_not_here(r, res);
}

/* A capture's link, and what was made of it has another key by now. */
static bool
serve_renamed(const struct files_request *r)
{
	bool is_growing;
	int fd = files_open(r->f, r->key, &is_growing);

	if (fd < 0)
		return false;
	if (is_growing || r->what == FILES_INDEX)
		files_look(r, fd, is_growing);
	else
		files_serve(r, fd);
	return true;
}

static void
answer_found(const struct files_request *asked, PGresult *res)
{
	struct files_request r = *asked;

	if (object_key_is_valid(r.key) &&
	    strcmp(r.key, PQgetvalue(res, 0, KEY)) != 0) {
		snprintf(r.key, sizeof(r.key), "%s", PQgetvalue(res, 0, KEY));
		if (serve_renamed(&r))
			return;
	}
	answer_row(&r, res);
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
		if (!db_ok(res, "find recording"))
			answer_unknown(r);
		else if (PQntuples(res) > 0)
			answer_found(r, res);
		else
			answer_gone(r, "There is no such file.");
	}
	free(l);
}

void
files_redirect(const struct files_request *r)
{
	struct lookup *l = calloc(1, sizeof(*l));
	const char *params[] = { r->key, node_id(r->f->d->node) };

	if (l != NULL)
		l->r = *r;
	if (l == NULL ||
	    db_query_now(r->f->d->db, where_sql, 2, params, on_row, l) != 0) {
		free(l);
		answer_unknown(r);
		return;
	}
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, l);
}
