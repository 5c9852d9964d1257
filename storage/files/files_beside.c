/* What is kept in S3 beside a recording, its poster and its signed manifest:
 * small, and sent once all of it is here. */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"
#include "storage/store/store.h"

#define BESIDE_MAX (4 * 1024 * 1024) /* of a manifest, docs/spool.md */

/* A request that waits for the store; req is NULL once it went away. */
struct beside {
	struct files_request r;
	struct evbuffer *body;
	char etag[100];
};

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct beside *b = arg;
	struct evhttp_request *req = b->r.req;

	b->r.req = NULL;
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
beside_free(struct beside *b)
{
	b->r.f->d->counters.files_active--;
	if (b->r.req != NULL)
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(b->r.req), NULL, NULL);
	evbuffer_free(b->body);
	free(b);
}

static void
send_body(struct beside *b)
{
	files_media_headers(&b->r);
	files_add_header(b->r.req, "Cache-Control", "private, max-age=0");
	b->r.f->d->counters.files_ok++;
	b->r.f->d->counters.files_bytes += evbuffer_get_length(b->body);
	evhttp_send_reply(b->r.req, 200, "OK", b->body);
}

static void
refuse(struct beside *b, const char *why)
{
	log_warn("download_read", LOG_S("key", b->r.key), LOG_S("why", why));
	files_add_header(b->r.req, "Retry-After", "10");
	files_refuse(b->r.f, b->r.req, 503, "Service Unavailable",
	    "The store does not give this file now.");
}

static int read_more(struct beside *b);

static void
on_data(void *arg, const struct store_data *data)
{
	struct beside *b = arg;
	size_t have;

	if (b->r.req == NULL || b->r.f->d->exiting) {
		beside_free(b);
		return;
	}
	if (data->err != 0 || data->len == 0 || data->size > BESIDE_MAX ||
	    evbuffer_add(b->body, data->bytes, data->len) != 0) {
		refuse(b, data->err != 0 ? data->detail : "it is too large");
		beside_free(b);
		return;
	}
	memcpy(b->etag, data->etag, sizeof(b->etag));
	have = evbuffer_get_length(b->body);
	if (have < data->size && read_more(b) == 0)
		return;
	if (have < data->size)
		refuse(b, "the store takes no request");
	else
		send_body(b);
	beside_free(b);
}

static int
read_more(struct beside *b)
{
	struct store *store = b->r.f->d->store;
	const struct store_read read = { .key = b->r.key,
		.etag = b->etag,
		.offset = evbuffer_get_length(b->body),
		.len = STORE_READ_MAX,
		.on_data = on_data,
		.arg = b };

	return store->ops->read(store, &read);
}

void
files_serve_beside(const struct files_request *r)
{
	struct beside *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->body = evbuffer_new();
	if (b == NULL || b->body == NULL) {
		free(b);
		files_refuse_memory(r->f, r->req);
		return;
	}
	b->r = *r;
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, b);
	if (read_more(b) != 0) {
		refuse(b, "the store takes no request");
		beside_free(b);
	}
}
