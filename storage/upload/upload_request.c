/* What the requests of agents do, once the database has answered. */
#include <string.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/files/files.h"
#include "storage/upload/receiver_internal.h"

#define CONNS_SPARE 16 /* beside one for each upload of an endpoint */

/*
 * Another connection had it: its agent has come back before it was noticed
 * that it went. False: a thread has it, or its row is being written.
 */
static bool
take_over(struct upload *u)
{
	if (u->job != NULL || u->is_asking)
		return false;
	if (u->conn != NULL)
		upload_conn_end(u->conn);
	return true;
}

/* Its offset is told once its bytes are synced, and its length once a whole one
 * was checked. */
static void
tell_offset(struct upload_conn *c, struct upload *u)
{
	c->u = u;
	u->conn = c;
	upload_conn_work(c);
}

static void
do_append(struct upload_conn *c, struct upload *u)
{
	if (c->req.has_digest && u->f.has_digest &&
	    memcmp(c->req.digest, u->f.digest, sizeof(u->f.digest)) != 0) {
		upload_answer(c, 409, u,
		    "Repr-Digest is another one than that of the beginning.");
		return;
	}
	upload_conn_begin_body(c, u, c->req.offset);
}

/* Its device gave it up: the row says so, or is made to say so. */
static void
on_given_up(void *arg, bool is_written)
{
}

static void
do_delete(struct upload_conn *c, struct upload *u, struct upload_facts *facts)
{
	struct receiver *r = c->d->receiver;
	const char *why = "its device gave it up";

	log_warn("capture_given_up", LOG_S("capture", c->req.id));
	if (u != NULL) {
		upload_rows_end(r, u->f.id, "missing", why);
		upload_file_remove(r->dir, u->f.id);
		receiver_drop(u);
	} else if (!facts->is_copy &&
	    upload_rows_write(r, facts->order, c->req.id, facts->session,
		"missing", why, on_given_up, NULL) != 0) {
		upload_answer(c, 503, NULL, "The database is away; try again.");
		return;
	}
	upload_answer(c, 204, NULL, NULL);
}

/* ---- a new one ---- */

static const struct {
	int status;
	const char *text;
} verdicts[] = {
	[UPLOAD_TOO_LARGE] = { 413,
	    "The capture is larger than storage.capture_max_bytes." },
	[UPLOAD_TOO_MANY] = { 429,
	    "This endpoint has storage.captures_per_endpoint unfinished "
	    "uploads." },
	[UPLOAD_TOO_MANY_ALL] = { 429,
	    "There are too many unfinished uploads." },
	[UPLOAD_NO_ROOM] = { 507,
	    "There is too little free space on the disk of the recordings." },
};

/* Makes its files, then its row. */
static void
create(struct upload_conn *c, struct upload_facts *facts)
{
	struct receiver *r = c->d->receiver;
	struct upload_file f = { .dir = r->dir,
		.fd = -1,
		.endpoint_id = facts->endpoint_id,
		.is_sealed = c->req.is_sealed,
		.has_digest = c->req.has_digest,
		.last_s = clock_wall_ns() / NS_PER_S };
	struct upload *u = NULL;

	memcpy(f.id, c->req.id, sizeof(f.id));
	memcpy(f.session, facts->session, sizeof(f.session));
	memcpy(f.digest, c->req.digest, sizeof(f.digest));
	f.order = json_incref(facts->order);
	if (upload_offset_init(&f.at, c->req.length, 0) != 0) {
		upload_file_release(&f);
		upload_answer(c, 400, NULL, "A capture has at least a byte.");
		return;
	}
	if (upload_file_create(&f) != 0)
		upload_file_release(&f);
	else
		u = receiver_add(r, &f);
	if (u == NULL) {
		upload_file_remove(r->dir, c->req.id);
		upload_answer(c, 503, NULL, "The disk refused the file.");
		return;
	}
	u->is_copy = facts->is_copy;
	c->u = u;
	u->conn = c;
	receiver_register(u);
}

/* An upload of before is the same, or it is dropped. True: it is the same. */
static bool
is_resumed(const struct upload_conn *c, struct upload *u)
{
	return u->f.at.length == c->req.length &&
	    u->f.is_sealed == c->req.is_sealed &&
	    u->f.has_digest == c->req.has_digest &&
	    memcmp(u->f.digest, c->req.digest, sizeof(u->f.digest)) == 0;
}

static void
do_create(struct upload_conn *c, struct upload *u, struct upload_facts *facts)
{
	enum upload_verdict v;

	if (u != NULL && is_resumed(c, u)) {
		if (upload_offset_is_whole(&u->f.at)) {
			tell_offset(c, u);
			return;
		}
		upload_answer(
		    c, 409, u, "It has begun: ask for its offset and go on.");
		return;
	}
	if (u != NULL)
		receiver_drop(u);
	v = receiver_may_begin(c->d->receiver, facts->endpoint_id,
	    c->req.length, c->req.is_sealed);
	if (v != UPLOAD_MAY)
		upload_answer(c, verdicts[v].status, NULL, verdicts[v].text);
	else
		create(c, facts);
}

void
upload_conn_created(struct upload_conn *c, bool is_written)
{
	struct upload *u = c->u;

	if (!is_written) {
		c->u = NULL;
		upload_file_remove(u->r->dir, u->f.id);
		receiver_drop(u);
		upload_answer(c, 503, NULL,
		    "The recording's row could not be written; try again.");
		return;
	}
	log_info("capture_upload_begun", LOG_S("capture", u->f.id),
	    LOG_S("session", u->f.session), LOG_U("bytes", u->f.at.length));
	if (c->body_left > 0)
		upload_conn_begin_body(c, u, 0);
	else
		upload_answer(c, 201, u, NULL);
}

/* ---- answers of others ---- */

static const char received_before[] = "It was received before.";

void
upload_conn_done(
    struct upload_conn *c, int status, uint64_t bytes, const char *why)
{
	struct upload *u = c->u;
	bool is_created = c->req.body_len > 0 && c->body_left == 0;
	int right = c->req.method == TUS_HEAD ? 200
	    : c->req.method == TUS_APPEND     ? 204
	    : is_created                      ? 201
					      : 409; /* it was there before */

	if (bytes > 0) {
		c->u = NULL;
		upload_answer_whole(c, right, (int64_t)bytes,
		    right == 409 ? received_before : NULL);
	} else if (status != 0)
		upload_answer(c, status, NULL, why);
	else
		upload_answer(c, right, u, NULL);
}

static const char *
why_denied(const struct upload_facts *f)
{
	return !f->is_peer ? "This certificate is not that of an enrolled "
			     "endpoint."
	    : !f->is_ordered || f->order == NULL
	    ? "No capture of that UUID was ordered from this endpoint."
	    : NULL;
}

/*
 * It was received before: nothing more is wanted. A crash may have kept its
 * size from being noted; POST has it then.
 */
static void
answer_known(struct upload_conn *c, const struct upload_facts *facts)
{
	int64_t bytes = facts->bytes > 0  ? facts->bytes
	    : c->req.method == TUS_CREATE ? (int64_t)c->req.length
					  : 0;

	if (c->req.method == TUS_HEAD && bytes == 0)
		upload_answer(c, 404, NULL, NULL);
	else if (c->req.method == TUS_HEAD)
		upload_answer_whole(c, 200, bytes, NULL);
	else
		upload_answer_whole(c, 409, bytes, received_before);
}

/* An endpoint that opens many connections and leaves them would take the
 * places of all others. */
static void
end_oldest(const struct upload_conn *c)
{
	const struct receiver *r = c->d->receiver;
	struct upload_conn *other, *oldest = NULL;
	int64_t n = 0;

	TAILQ_FOREACH(other, &r->conns, link)
		if (other != c && strcmp(other->cert, c->cert) == 0) {
			if (oldest == NULL)
				oldest = other;
			n++;
		}
	if (n >= r->d->conf.captures_per_endpoint + CONNS_SPARE)
		upload_conn_end(oldest);
}

void
upload_conn_answered(struct upload_conn *c, struct upload_facts *facts)
{
	struct receiver *r = c->d->receiver;
	struct upload *u;
	const char *why;

	if (facts == NULL || c->d->stopping) {
		upload_answer(c, 503, NULL, "The database is away; try again.");
		return;
	}
	why = why_denied(facts);
	if (why != NULL) {
		c->must_close = true; /* the next try costs a handshake */
		log_warn("capture_denied", LOG_S("certificate", c->cert),
		    LOG_S("capture", c->req.id), LOG_S("why", why));
		upload_answer(c, 403, NULL, why);
		return;
	}
	end_oldest(c);
	if (!files_promote(c->d->files, c->bev)) {
		upload_answer(c, 503, NULL, "Too many connections; try again.");
		return;
	}
	u = receiver_find(r, c->req.id);
	if (u != NULL && u->f.endpoint_id != facts->endpoint_id)
		u = NULL; /* of an order of before */
	if (u != NULL)
		u->is_copy = facts->is_copy;
	if (u != NULL && !take_over(u)) {
		upload_answer(c, 423, NULL, "It is being looked at.");
		return;
	}
	if (facts->is_whole && u != NULL && !u->f.is_kept) {
		/* somebody deleted the recording meanwhile */
		upload_file_remove(r->dir, u->f.id);
		receiver_drop(u);
		u = NULL;
	}
	if (facts->is_whole || (u != NULL && u->f.is_kept) ||
	    receiver_is_in_spool(r, facts->session, c->req.id))
		answer_known(c, facts);
	else if (c->req.method == TUS_CREATE)
		do_create(c, u, facts);
	else if (c->req.method == TUS_DELETE)
		do_delete(c, u, facts);
	else if (u == NULL)
		upload_answer(c, 404, NULL,
		    "There is no such upload: create it with POST.");
	else if (c->req.method == TUS_HEAD)
		tell_offset(c, u);
	else
		do_append(c, u);
}
