/* A browser at the web listener: a file of the page, or a WebSocket. */
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "relay/http/http_request.h"
#include "relay/listener/conn.h"
#include "relay/relay.h"
#include "relay/http/static_files.h"

/* An answer may be a large file: it goes out before the next request. */
static void
answer(struct conn *c, int rc, bool keep_alive)
{
	if (rc != 0) {
		conn_close(c, "out of memory");
		return;
	}
	if (!keep_alive) {
		conn_finish(c);
		return;
	}
	conn_wait(c);
}

static void
refuse(struct conn *c, unsigned status, const struct http_request *req)
{
	log_info("http_refused", LOG_S("client", c->peer.client_addr),
	    LOG_U("status", status),
	    LOG_S("path", req != NULL ? req->path : ""));
	answer(c, http_answer_error(&c->channel.out, status, NULL, req),
	    req != NULL && req->is_keep_alive);
}

static bool
is_socket_path(const char *path)
{
	return strcmp(path, "/session") == 0 ||
	    strcmp(path, "/websockify") == 0;
}

static void
upgrade(struct conn *c, const struct http_request *req)
{
	const char *origins = c->loop->relay->conf.web_origins;
	unsigned status = http_request_websocket_status(req);

	if (status == 101 && !http_request_origin_ok(req, origins))
		status = 403;
	/* nothing may come behind the request before it was answered */
	if (status == 101 && buf_len(&c->channel.in) > 0)
		status = 400;
	if (status != 101) {
		refuse(c, status, req);
		return;
	}
	if (http_answer_upgrade(&c->channel.out, req) != 0 ||
	    channel_flush(&c->channel) != 0 || buf_len(&c->channel.out) > 0) {
		conn_close(c, "the peer closed the connection");
		return;
	}
	if (http_trace_id(req->traceparent, c->peer.trace_id) != 0)
		c->peer.trace_id[0] = '\0';
	c->loop->conn_ops->on_websocket(c->loop, &c->peer,
	    strcmp(req->path, "/session") == 0, &c->channel, &c->slot);
	conn_handed_over(c);
}

static void
serve(struct conn *c, const struct http_request *req)
{
	struct relay *r = c->loop->relay;

	if (r->files == NULL) {
		refuse(c, 404, req);
		return;
	}
	c->channel.out.limit = STATIC_FILES_MAX_BYTES + STATIC_FILES_HEAD_MAX;
	answer(c, static_files_answer(r->files, req, &c->channel.out),
	    req->is_keep_alive);
}

void
conn_feed_http(struct conn *c)
{
	struct http_request req;
	ssize_t n;

	if (c->is_waiting)
		return; /* one answer after the other */
	n = http_request_parse(
	    &req, buf_head(&c->channel.in), buf_len(&c->channel.in));
	if (n == 0)
		return;
	if (n < 0) {
		refuse(c, http_request_error_status((int)n), NULL);
		return;
	}
	buf_consume(&c->channel.in, (size_t)n);
	req.frame_origins = c->loop->relay->conf.web_frame_origins;
	if (is_socket_path(req.path))
		upgrade(c, &req);
	else
		serve(c, &req);
	http_request_wipe(&req);
}
