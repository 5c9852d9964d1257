/*
 * One connection of an agent. The HTTP server of signed files accepts it; when
 * its first bytes come and TLS chose TUS_ALPN, its callbacks are taken from
 * that server, and given back for the end alone, so that the server frees it.
 */
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/log.h"
#include "common/tls.h"
#include "storage/files/files.h"
#include "storage/upload/receiver_internal.h"

#define INPUT_MAX  (256 * 1024) /* bytes that wait to be written */
#define LINGER_NS  (5 * NS_PER_S)
#define LOOK_BYTES (8 * 1024 * 1024) /* the disk is looked at this often */
#define PIECES     8

/* ---- TLS ---- */

static bool
speaks_tus(const struct upload_conn *c)
{
	const unsigned char *name;
	unsigned len;

	SSL_get0_alpn_selected(
	    bufferevent_openssl_get_ssl(c->bev), &name, &len);
	return len == strlen(TUS_ALPN) && memcmp(name, TUS_ALPN, len) == 0;
}

/* ---- its end ---- */

/* The request under way comes to its end: what arrived counts, unless it had
 * a checksum. */
static void
leave_upload(struct upload_conn *c)
{
	struct upload *u = c->u;

	c->u = NULL;
	if (u == NULL || u->conn != c)
		return;
	u->conn = NULL;
	if (c->state != UPLOAD_CONN_BODY)
		return;
	if (upload_file_end(&u->f, c->sum == NULL) != 0)
		log_error("capture_cut_failed", LOG_S("capture", u->f.id),
		    LOG_ERRNO());
	u->f.last_s = clock_wall_ns() / NS_PER_S;
}

static void
leave(struct upload_conn *c)
{
	leave_upload(c);
	upload_rows_forget(c);
	EVP_MD_CTX_free(c->sum);
	c->sum = NULL;
}

/* The server it came from frees it, and with it c. */
static void
give_back(struct upload_conn *c, short what)
{
	struct bufferevent *bev = c->bev;

	leave(c);
	c->state = UPLOAD_CONN_OTHER;
	TAILQ_REMOVE(&c->d->receiver->conns, c, link);
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	bufferevent_setcb(bev, c->read_cb, c->write_cb, c->event_cb, c->cb_arg);
	c->event_cb(bev, what, c->cb_arg);
}

void
upload_conn_end(struct upload_conn *c)
{
	give_back(c, BEV_EVENT_EOF | BEV_EVENT_READING);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	give_back(arg, what);
}

/* ---- bytes ---- */

/* True: the disk has room for more. */
static bool
look_at_disk(struct upload_conn *c, size_t n)
{
	c->since_look += n;
	if (c->since_look < LOOK_BYTES)
		return true;
	c->since_look = 0;
	return receiver_free_bytes(c->d->receiver) >=
	    receiver_min_free(c->d->receiver);
}

/* The next n bytes of the body. 0 or ERR_*. */
static int
take_piece(struct upload_conn *c, const uint8_t *data, size_t n)
{
	int rc = look_at_disk(c, n) ? upload_file_write(&c->u->f, data, n)
				    : ERR_NOSPACE;

	if (rc == 0 && c->sum != NULL)
		EVP_DigestUpdate(c->sum, data, n);
	return rc;
}

/* What is here of the body goes to the disk. 0 or ERR_*. */
static int
take_bytes(struct upload_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	struct evbuffer_iovec v[PIECES];
	int rc = 0;

	while (rc == 0 && c->body_left > 0 && evbuffer_get_length(in) > 0) {
		size_t taken = 0;
		int n = evbuffer_peek(in, -1, NULL, v, PIECES);

		for (int i = 0; rc == 0 && i < n && i < PIECES; i++) {
			size_t len =
			    (size_t)min_u64(v[i].iov_len, c->body_left);

			if (len == 0)
				break;
			rc = take_piece(c, v[i].iov_base, len);
			c->body_left -= len;
			taken += len;
		}
		evbuffer_drain(in, taken);
	}
	return rc;
}

static bool
is_sum_right(struct upload_conn *c)
{
	uint8_t sum[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	bool is_right;

	if (c->sum == NULL)
		return true;
	is_right = EVP_DigestFinal_ex(c->sum, sum, &len) == 1 &&
	    len <= sizeof(c->req.sum) && memcmp(sum, c->req.sum, len) == 0;
	EVP_MD_CTX_free(c->sum);
	c->sum = NULL;
	return is_right;
}

void
upload_conn_work(struct upload_conn *c)
{
	c->state = UPLOAD_CONN_WORK;
	bufferevent_disable(c->bev, EV_READ);
	if (!upload_work_start(c->u))
		upload_answer(c, 503, NULL, "Out of memory.");
}

/* All of the body is there, or nothing more of it can be stored. */
static void
end_body(struct upload_conn *c, int err)
{
	bool is_right = is_sum_right(c);
	struct upload *u = c->u;
	int rc = upload_file_end(&u->f, err == 0 && is_right);

	u->f.last_s = clock_wall_ns() / NS_PER_S;
	/* not twice, when the connection ends */
	c->state = UPLOAD_CONN_WORK;
	if (err == 0)
		err = rc;
	if (err == ERR_NOSPACE)
		upload_answer(c, 507, u,
		    "There is too little free space on the disk of the "
		    "recordings.");
	else if (err != 0)
		upload_answer(c, 500, u, "The disk refused the bytes.");
	else if (!is_right)
		upload_answer(c, 460, u,
		    "Upload-Checksum is not that of the bytes: they were "
		    "dropped.");
	else
		upload_conn_work(c);
}

static void
feed_body(struct upload_conn *c)
{
	int rc = take_bytes(c);

	if (rc != 0 || c->body_left == 0)
		end_body(c, rc);
}

static const EVP_MD *
checksum_of(const struct upload_conn *c)
{
	return c->req.checksum == TUS_CHECKSUM_SHA1 ? EVP_sha1() : EVP_sha256();
}

/* Why bytes are not taken, for upload_file_begin's errors. */
static void
refuse_bytes(struct upload_conn *c, const struct upload *u, int err)
{
	if (err == ERR_PROTOCOL)
		upload_answer(c, 409, u,
		    "Upload-Offset is not the number of bytes that are here.");
	else if (err == ERR_LIMIT)
		upload_answer(
		    c, 413, u, "More bytes than Upload-Length has left.");
	else if (err == ERR_EXISTS)
		upload_answer(c, 423, NULL, "Another request sends it.");
	else
		upload_answer(c, 503, NULL, "The disk refused the file.");
}

/* The body is wanted from now on. */
void
upload_conn_begin_body(struct upload_conn *c, struct upload *u, uint64_t at)
{
	int rc = upload_file_begin(
	    &u->f, at, c->body_left, c->req.checksum != TUS_CHECKSUM_NONE);

	if (rc != 0) {
		refuse_bytes(c, u, rc);
		return;
	}
	c->u = u;
	u->conn = c;
	c->state = UPLOAD_CONN_BODY;
	if (c->req.checksum != TUS_CHECKSUM_NONE) {
		c->sum = EVP_MD_CTX_new();
		if (c->sum == NULL ||
		    EVP_DigestInit_ex(c->sum, checksum_of(c), NULL) != 1) {
			end_body(c, ERR_NOMEM);
			return;
		}
	}
	if (c->req.wants_continue)
		evbuffer_add_printf(bufferevent_get_output(c->bev),
		    "HTTP/1.1 100 Continue\r\n\r\n");
	bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_MAX);
	bufferevent_enable(c->bev, EV_READ);
	feed_body(c);
}

/* ---- a request ---- */

static void
refuse_request(struct upload_conn *c, const struct tus_refusal *why)
{
	c->must_close = true;
	upload_answer(c, why->status, NULL, why->text);
}

/* Its head is complete: who is it, and what is known of the capture? */
static void
begin_request(struct upload_conn *c)
{
	c->body_left = c->req.body_len;
	if (c->req.method == TUS_OPTIONS) {
		upload_answer(c, 204, NULL, NULL);
		return;
	}
	if (c->cert[0] == '\0') {
		upload_answer(c, 403, NULL,
		    "Captures are taken from enrolled endpoints, which show "
		    "their certificate.");
		return;
	}
	c->state = UPLOAD_CONN_ASKING;
	bufferevent_disable(c->bev, EV_READ);
	if (c->d->stopping || upload_rows_ask(c) != 0)
		upload_answer(c, 503, NULL, "The database is away; try again.");
}

static void
feed_head(struct upload_conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t len = min_size(evbuffer_get_length(in), HTTP_HEAD_MAX);
	struct tus_refusal why;
	long n;

	if (len == 0)
		return;
	n = tus_parse(&c->req,
	    (const char *)evbuffer_pullup(in, (ev_ssize_t)len), len, &why);
	if (n < 0) {
		refuse_request(c, &why);
		return;
	}
	if (n == 0)
		return;
	evbuffer_drain(in, (size_t)n);
	begin_request(c);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct upload_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);

	switch (c->state) {
	case UPLOAD_CONN_HEAD:
		feed_head(c);
		break;
	case UPLOAD_CONN_BODY:
		feed_body(c);
		break;
	case UPLOAD_CONN_LINGER:
		evbuffer_drain(in, evbuffer_get_length(in));
		break;
	case UPLOAD_CONN_ASKING:
	case UPLOAD_CONN_NEW:
	case UPLOAD_CONN_OTHER:
	case UPLOAD_CONN_WORK:
	default: /* the next request waits */
		break;
	}
}

/* An answer went out: an agent that reads nothing is not written to. */
static void
on_write(struct bufferevent *bev, void *arg)
{
	struct upload_conn *c = arg;

	if (c->state == UPLOAD_CONN_LINGER)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

void
upload_conn_next(struct upload_conn *c)
{
	leave(c);
	c->body_left = 0;
	if (c->must_close || c->d->stopping) {
		/* bytes that are under way would reset the connection before
		 * the answer is read */
		c->state = UPLOAD_CONN_LINGER;
		c->linger_ns = clock_mono_ns() + LINGER_NS;
	} else
		c->state = UPLOAD_CONN_HEAD;
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	/* the next request may be here already */
	bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

void
upload_conn_tick(struct upload_conn *c)
{
	if (c->state == UPLOAD_CONN_LINGER && clock_mono_ns() >= c->linger_ns)
		upload_conn_end(c);
}

/* ---- life ---- */

static void
take(struct upload_conn *c)
{
	unsigned char sum[32];

	c->state = UPLOAD_CONN_HEAD;
	if (tls_peer_sha256(bufferevent_openssl_get_ssl(c->bev), sum) == 0)
		http_hex(sum, sizeof(sum), c->cert);
	TAILQ_INSERT_TAIL(&c->d->receiver->conns, c, link);
	bufferevent_getcb(
	    c->bev, &c->read_cb, &c->write_cb, &c->event_cb, &c->cb_arg);
	bufferevent_setcb(c->bev, on_read, on_write, on_event, c);
}

/* Before the server of signed files sees them. */
static void
on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct upload_conn *c = arg;

	if (c->state != UPLOAD_CONN_NEW || info->n_added == 0)
		return;
	if (c->d->receiver != NULL && speaks_tus(c))
		take(c);
	else
		c->state = UPLOAD_CONN_OTHER;
}

void *
receiver_opened(void *daemon, struct bufferevent *bev)
{
	struct upload_conn *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->d = daemon;
	c->bev = bev;
	if (evbuffer_add_cb(bufferevent_get_input(bev), on_input, c) == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void
receiver_closed(void *guard)
{
	struct upload_conn *c = guard;

	/* the server was freed, and has not asked */
	if (c->state != UPLOAD_CONN_NEW && c->state != UPLOAD_CONN_OTHER) {
		leave(c);
		TAILQ_REMOVE(&c->d->receiver->conns, c, link);
	}
	free(c);
}
