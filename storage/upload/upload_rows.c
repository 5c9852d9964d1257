/* What the receiver asks of the database and writes there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/upload/capture_order.h"
#include "storage/upload/receiver_internal.h"

#define OVERDUE_NS (10 * 60 * NS_PER_S) /* between two looks */

/* clang-format off */

/* One row: whether the capture was received whole before. What is missing or
 * corrupted as a capture is wanted again. */
#define IS_WHOLE \
	"coalesce(CASE WHEN g.id IS NULL THEN c.received_at IS NOT NULL" \
	"  AND c.is_copy" \
	" WHEN NOT g.is_capture THEN true" \
	" WHEN g.status IN ('missing', 'corrupted') THEN false" \
	" WHEN g.status IN ('recording', 'transfer')" \
	"  THEN c.received_at IS NOT NULL" \
	" ELSE true END, false)"

static const char ask_sql[] =
"SELECT e.id, c.session_id, c.meta::text, coalesce(c.bytes, 0), c.is_copy, "
IS_WHOLE " FROM endpoints e"
" LEFT JOIN device_captures c ON c.id = $2::uuid AND c.endpoint_id = e.id"
" LEFT JOIN segments g ON g.id = c.id"
" WHERE e.agent_cert_sha256 = decode($1, 'hex') AND e.deleted_at IS NULL";

static const char adopt_sql[] =
"SELECT c.endpoint_id, c.session_id, c.meta::text, coalesce(c.bytes, 0),"
" c.is_copy, " IS_WHOLE " FROM device_captures c"
" LEFT JOIN segments g ON g.id = c.id WHERE c.id = $1::uuid";

static const char end_sql[] =
"UPDATE segments SET status = $2, status_detail = $3"
" WHERE id = $1::uuid AND is_capture AND (status = 'transfer'"
"  OR (status = 'recording' AND $2 = 'missing'))";

/* Nothing of it ever came, and its order is as old as schema/check.sql lets a
 * device have one. */
static const char overdue_sql[] =
"UPDATE segments g SET status = 'missing', status_detail ="
" 'its device has not sent it for 30 days' FROM device_captures c"
" WHERE c.id = g.id AND g.status = 'transfer' AND g.is_capture"
" AND g.spool_node IS NULL AND c.received_at IS NULL"
" AND c.ordered_at < now() - make_interval(secs => 30 * $1::bigint)";

static const char received_sql[] =
"UPDATE device_captures SET received_at = now(), bytes = $2::bigint,"
" sha256 = decode($3, 'hex') WHERE id = $1::uuid";

/* Of one that is wanted again, though it was received before. */
static const char anew_sql[] =
"UPDATE device_captures c SET received_at = NULL, bytes = NULL, sha256 = NULL"
" FROM segments g WHERE c.id = $1::uuid AND g.id = c.id AND g.is_capture"
" AND g.status IN ('missing', 'corrupted') AND c.received_at IS NOT NULL";

static const char announce_sql[] =
"WITH n AS (INSERT INTO capture_key (public_key) VALUES (decode($1, 'hex'))"
" ON CONFLICT DO NOTHING RETURNING public_key)"
" SELECT encode(public_key, 'hex') FROM n"
" UNION ALL SELECT encode(public_key, 'hex') FROM capture_key LIMIT 1";
/* clang-format on */

/* ---- questions ---- */

struct upload_question {
	struct upload_conn *conn; /* NULL: it is gone */
	struct upload *upload;    /* or this; it stays until the answer */
};

static bool
is_true(const PGresult *res, int column)
{
	return PQgetvalue(res, 0, column)[0] == 't';
}

static void
read_facts(struct upload_facts *f, const PGresult *res)
{
	memset(f, 0, sizeof(*f));
	f->is_peer = PQntuples(res) > 0;
	f->is_ordered = f->is_peer && !PQgetisnull(res, 0, 1);
	if (!f->is_ordered)
		return;
	f->endpoint_id = atoll(PQgetvalue(res, 0, 0));
	snprintf(f->session, sizeof(f->session), "%s", PQgetvalue(res, 0, 1));
	f->order = json_loads(PQgetvalue(res, 0, 2), 0, NULL);
	f->bytes = atoll(PQgetvalue(res, 0, 3));
	f->is_copy = is_true(res, 4);
	f->is_whole = is_true(res, 5);
}

static void
on_facts(void *arg, PGresult *res)
{
	struct upload_question *q = arg;
	struct upload_facts facts = { 0 }, *f = NULL;

	if (q->conn != NULL)
		q->conn->question = NULL;
	if (res != NULL && db_ok(res, "read the order of a capture")) {
		read_facts(&facts, res);
		f = &facts;
	}
	if (q->conn != NULL)
		upload_conn_answered(q->conn, f);
	else if (q->upload != NULL)
		upload_adopted(q->upload, f);
	json_decref(facts.order);
	free(q);
}

int
upload_rows_ask(struct upload_conn *c)
{
	const char *params[] = { c->cert,
		c->req.id[0] != '\0' ? c->req.id : NULL };
	struct upload_question *q = calloc(1, sizeof(*q));
	int rc;

	if (q == NULL)
		return ERR_NOMEM;
	q->conn = c;
	rc = db_query_now(
	    c->d->db, ask_sql, N_ELEMENTS(params), params, on_facts, q);
	if (rc != 0)
		free(q);
	else
		c->question = q;
	return rc;
}

void
upload_rows_forget(struct upload_conn *c)
{
	if (c->question != NULL)
		c->question->conn = NULL;
	c->question = NULL;
}

int
upload_rows_adopt(struct upload *u)
{
	const char *params[] = { u->f.id };
	struct upload_question *q = calloc(1, sizeof(*q));
	int rc;

	if (q == NULL)
		return ERR_NOMEM;
	q->upload = u;
	rc = db_query_now(u->r->d->db, adopt_sql, 1, params, on_facts, q);
	if (rc != 0)
		free(q);
	return rc;
}

/* ---- the row of one ---- */

struct row_write {
	struct receiver *r;
	struct manifest m;
	char status[16], detail[160];
	bool is_provisional;
	int tries;
	void (*done)(void *arg, bool is_written);
	void *arg;
};

static int send_row(struct row_write *w);

static void
end_write(struct row_write *w, bool is_written)
{
	manifest_release(&w->m);
	w->done(w->arg, is_written);
	free(w);
}

static void
on_seq(void *arg, PGresult *res)
{
	struct row_write *w = arg;

	if (res == NULL || !db_ok(res, "number of a capture")) {
		end_write(w, false);
		return;
	}
	w->m.seq = atoll(PQgetvalue(res, 0, 0));
	w->is_provisional = true;
	if (send_row(w) != 0)
		end_write(w, false);
}

static void
on_row(void *arg, PGresult *res)
{
	struct row_write *w = arg;

	/* it gets its own when it is encoded */
	if (res != NULL && rows_is_seq_taken(res) &&
	    w->tries++ < ROWS_SEQ_TRIES &&
	    rows_free_seq(w->r->d->db, &w->m, true, false, on_seq, w) == 0)
		return;
	end_write(w,
	    res != NULL && db_ok(res, "write the row of a device's capture") &&
		PQntuples(res) > 0);
}

static int
send_row(struct row_write *w)
{
	const struct rows_state state = { .node = node_id(w->r->d->node),
		.status = w->status,
		.detail = w->detail,
		.is_capture = true,
		.is_provisional = w->is_provisional };

	return db_is_connected(w->r->d->db)
	    ? rows_upsert(w->r->d->db, &w->m, &state, on_row, w)
	    : ERR_UNAVAILABLE;
}

static int
read_manifest(struct manifest *m, const json_t *order, const char *id,
    const char *session)
{
	char why[160] = "";
	json_t *o =
	    capture_order_manifest(order, id, session, why, sizeof(why));
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	int rc = ERR_NOMEM;

	json_decref(o);
	if (text != NULL)
		rc = manifest_parse(
		    m, text, strlen(text), id, false, why, sizeof(why));
	free(text);
	if (rc != 0)
		log_error("capture_order_refused", LOG_S("capture", id),
		    LOG_S("why", why));
	return rc;
}

int
upload_rows_write(struct receiver *r, const json_t *order, const char *id,
    const char *session, const char *status, const char *detail,
    void (*done)(void *arg, bool is_written), void *arg)
{
	struct row_write *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return ERR_NOMEM;
	w->r = r;
	w->done = done;
	w->arg = arg;
	snprintf(w->status, sizeof(w->status), "%s", status);
	snprintf(w->detail, sizeof(w->detail), "%s", detail);
	rc = read_manifest(&w->m, order, id, session);
	if (rc == 0)
		rc = send_row(w);
	if (rc != 0) {
		manifest_release(&w->m);
		free(w);
	}
	return rc;
}

int
upload_rows_begin(struct upload *u, void (*done)(void *arg, bool is_written))
{
	const char *params[] = { u->f.id };
	int rc = db_query(u->r->d->db, anew_sql, 1, params, NULL, NULL);

	return rc != 0 ? rc
		       : upload_rows_write(u->r, u->f.order, u->f.id,
			     u->f.session, "transfer", "", done, u);
}

void
upload_rows_end(
    struct receiver *r, const char *id, const char *status, const char *detail)
{
	const char *params[] = { id, status, detail };

	db_query(r->d->db, end_sql, N_ELEMENTS(params), params, NULL, NULL);
}

void
upload_rows_overdue(struct receiver *r)
{
	char day[24];
	const char *params[] = { day };
	uint64_t now = clock_mono_ns();

	if (now < r->overdue_ns || !db_is_connected(r->d->db))
		return;
	r->overdue_ns = now + OVERDUE_NS;
	snprintf(day, sizeof(day), "%lld",
	    (long long)r->d->conf.retention_day_seconds);
	db_query_now(r->d->db, overdue_sql, 1, params, NULL, NULL);
}

void
upload_rows_received(
    struct receiver *r, const struct upload *u, const uint8_t digest[32])
{
	char bytes[24], hex[65];
	const char *params[] = { u->f.id, bytes, http_hex(digest, 32, hex) };

	snprintf(
	    bytes, sizeof(bytes), "%llu", (unsigned long long)u->f.at.length);
	db_query(
	    r->d->db, received_sql, N_ELEMENTS(params), params, NULL, NULL);
}

/* ---- the key ---- */

static void
on_announced(void *arg, PGresult *res)
{
	struct receiver *r = arg;
	char mine[65];

	if (r->d->exiting || res == NULL ||
	    !db_ok(res, "announce the key of captures") || PQntuples(res) == 0)
		return;
	http_hex(r->key.public_key, sizeof(r->key.public_key), mine);
	if (strcmp(PQgetvalue(res, 0, 0), mine) != 0)
		log_error("capture_key_differs",
		    LOG_S("file", r->d->conf.capture_key_file),
		    LOG_S("why",
			"agents encrypt to another key: copy the file of the "
			"storage daemon that was first, or delete the row of "
			"capture_key to change it"));
}

void
upload_rows_announce(struct receiver *r)
{
	char hex[65];
	const char *params[] = { http_hex(
	    r->key.public_key, sizeof(r->key.public_key), hex) };

	db_query_now(r->d->db, announce_sql, 1, params, on_announced, r);
}
