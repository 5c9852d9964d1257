/* Clips, and their manifests: made when their link is opened. */
#include <event2/buffer.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "storage/clips/clip_set.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"

/* A request that waits for its clip. */
struct ask {
	struct clip_wait wait; /* first: handed back by the set */
	struct files_request r;
	bool is_manifest;
};

static void
ask_free(struct ask *a)
{
	clip_set_cancel(&a->wait);
	a->r.f->d->counters.files_active--;
	free(a);
}

static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct ask *a = arg;
	struct evhttp_request *req = a->r.req;

	ask_free(a);
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
refuse(const struct files_request *r, int err, const char *text)
{
	switch (err) {
	case ERR_NOTFOUND:
		r->f->d->counters.files_notfound++;
		files_refuse(r->f, r->req, 404, "Not Found", text);
		break;
	case ERR_CORRUPT:
	case ERR_LIMIT:
		files_refuse(r->f, r->req, 409, "Conflict", text);
		break;
	default:
		r->f->d->counters.files_refused++;
		files_add_header(r->req, "Retry-After", "10");
		files_refuse(r->f, r->req, 503, "Service Unavailable", text);
	}
}

static void
send_manifest(const struct files_request *r, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (body == NULL || evbuffer_add(body, text, strlen(text)) != 0) {
		if (body != NULL)
			evbuffer_free(body);
		files_refuse_memory(r->f, r->req);
		return;
	}
	files_media_headers(r);
	files_add_header(r->req, "Cache-Control", "private, max-age=0");
	r->f->d->counters.files_ok++;
	r->f->d->counters.files_bytes += strlen(text);
	evhttp_send_reply(r->req, 200, "OK", body);
	evbuffer_free(body);
}

static void
send_media(const struct files_request *r, int made)
{
	int fd = fcntl(made, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		files_refuse_memory(r->f, r->req);
	else
		files_serve(r, fd);
}

static void
on_clip(struct clip_wait *w, const struct clip_result *result)
{
	struct ask *a = (struct ask *)w;
	const struct files_request *r = &a->r;

	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), NULL, NULL);
	if (result->err != 0)
		refuse(r, result->err, result->text);
	else if (a->is_manifest)
		send_manifest(r, result->manifest);
	else
		send_media(r, result->fd);
	ask_free(a);
}

/* Its recording is there. */
static void
serve(const struct files_request *r)
{
	struct clip_key key;
	struct ask *a;
	int rc;

	if (!clip_key_read(&key, r->key))
		return;
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		files_refuse_memory(r->f, r->req);
		return;
	}
	a->r = *r;
	a->is_manifest = key.is_manifest;
	a->wait.cb = on_clip;
	r->f->d->counters.files_active++;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, a);
	rc = clip_set_get(r->f->d->clips, &key, &a->wait);
	if (rc == 0)
		return;
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), NULL, NULL);
	refuse(r, ERR_UNAVAILABLE,
	    rc == ERR_LIMIT ? "Too many clips are being made; try again."
		: rc == ERR_NOMEM
		? "The clip cannot be made now; try again."
		: "The database is away, so the clip cannot be made.");
	ask_free(a);
}

bool
files_serve_clip(const struct files_request *r)
{
	struct clip_key key;

	if (!clip_key_read(&key, r->key))
		return false;
	files_check_there(r, serve);
	return true;
}
