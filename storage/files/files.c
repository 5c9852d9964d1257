#include "storage/files/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/keyfile.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "common/tls_connections.h"
#include "storage/files/files_archive.h"
#include "storage/files/files_internal.h"
#include "storage/files/files_progress.h"
#include "storage/files/growing.h"
#include "storage/storage_listener.h"
#include "storage/spool/spool.h"
#include "storage/upload/receiver.h"

#define HEADERS_MAX 8192
#define PREFIX      "/files/"
#define INDEX       "/index.json"

int
files_open(struct files *f, const char *key, bool *is_growing)
{
	int fd = f->root >= 0 ? beneath_open(f->root, key) : -1;

	*is_growing = false;
	return fd >= 0 ? fd : spool_open(f->d->spool, key, is_growing);
}

/* Key and purpose of a request's path; 0 or ERR_*. */
static int
read_path(struct files_request *r, const char **query)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(r->req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	size_t len;

	if (path == NULL || strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return ERR_NOTFOUND;
	path += strlen(PREFIX);
	len = strlen(path);
	if (len > strlen(INDEX) &&
	    strcmp(path + len - strlen(INDEX), INDEX) == 0) {
		len -= strlen(INDEX);
		r->what = FILES_INDEX;
	}
	*query = evhttp_uri_get_query(uri);
	if (http_decode(path, len, r->key, sizeof(r->key)) < 0)
		return ERR_NOTFOUND;
	if (r->what == FILES_INDEX)
		return object_key_is_valid(r->key) ? 0 : ERR_NOTFOUND;
	return object_key_is_safe(r->key) || files_archive_is_key(r->key)
	    ? 0
	    : ERR_NOTFOUND;
}

/* A value of the query that may be missing: NULL then. */
static int
optional_value(
    const char *query, const char *name, char *out, size_t len, char **value)
{
	long rc = http_query_value(query, name, out, len);

	*value = rc >= 0 ? out : NULL;
	return rc >= 0 || rc == ERR_NOTFOUND ? 0 : ERR_DENIED;
}

/* How a link is used is up to its user, and not signed. */
static bool
is_on(const char *query, const char *name)
{
	char text[4];

	return http_query_value(query, name, text, sizeof(text)) == 1 &&
	    text[0] == '1';
}

/* A number of bytes; 0: none, or no number. */
static uint64_t
number_of(const char *query, const char *name)
{
	char text[16];

	return http_query_value(query, name, text, sizeof(text)) > 0 &&
		strspn(text, "0123456789") == strlen(text)
	    ? strtoull(text, NULL, 10)
	    : 0;
}

/* 0, ERR_DENIED, or ERR_TIMEOUT: it is genuine and dead. */
static int
check_link(struct files_request *r, const char *query, char signature[80])
{
	char expires[32], text[32], *person;
	int rc;

	if (http_query_value(query, "expires", expires, sizeof(expires)) < 0 ||
	    http_query_value(query, "signature", signature, 80) < 0 ||
	    optional_value(query, "person", text, sizeof(text), &person) != 0)
		return ERR_DENIED;
	rc = link_verify(r->f->key, r->key, expires, person, signature,
	    clock_wall_ns() / NS_PER_S, &r->expires_s);
	if (rc != ERR_DENIED && person != NULL)
		r->person = (int64_t)strtoull(person, NULL, 10);
	r->wants_follow = is_on(query, "follow");
	r->wants_frames = is_on(query, "frames");
	r->is_download = is_on(query, "download");
	r->from = number_of(query, "from");
	return rc;
}

/* This client may have it. */
static void
serve(const struct files_request *asked)
{
	struct files_request r = *asked;
	bool is_growing;
	int fd;

	if (r.what != FILES_INDEX &&
	    (files_serve_clip(&r) || files_serve_archive(&r)))
		return;
	fd = files_open(r.f, r.key, &is_growing);
	if (fd < 0) {
		files_redirect(&r);
		return;
	}
	if (r.what == FILES_MEDIA && is_growing &&
	    (r.wants_follow || r.wants_frames))
		r.what = FILES_FOLLOW;
	if (is_growing || r.what == FILES_INDEX)
		files_look(&r, fd, is_growing);
	else
		files_serve(&r, fd);
}

/* One more may be served; else it was refused. */
static bool
has_place(const struct files_request *r)
{
	const struct daemon *d = r->f->d;

	if (tls_connections_promote(r->f->connections, r->req) &&
	    d->counters.files_active - d->counters.files_paused <
		d->conf.downloads_max)
		return true;
	r->f->d->counters.files_refused++;
	files_add_header(r->req, "Retry-After", "10");
	files_refuse(r->f, r->req, 503, "Service Unavailable",
	    "Too many downloads at a time; try again.");
	return false;
}

static void
serve_signed(struct files *f, struct evhttp_request *req)
{
	struct files_request r = { .f = f, .req = req, .what = FILES_MEDIA };
	const char *query = NULL;
	char signature[80];
	bool is_dead;
	int rc = read_path(&r, &query);

	if (rc != 0) {
		f->d->counters.files_notfound++;
		files_refuse(
		    f, req, 404, "Not Found", "There is no such file.");
		return;
	}
	rc = check_link(&r, query, signature);
	is_dead = rc == ERR_TIMEOUT;
	if (rc != 0 && !(is_dead && files_has_grant(&r))) {
		f->d->counters.files_denied++;
		files_refuse(f, req, 403, "Forbidden",
		    is_dead ? FILES_EXPIRED : "This link is not valid.");
		return;
	}
	if (!has_place(&r))
		return;
	if (is_dead) {
		files_check_grant(&r, serve);
		return;
	}
	files_link_opened(&r, signature);
	serve(&r);
}

/* A request that is part of a trace is found in the log by that; the query has
 * the link's signature and is left out. */
static void
log_traced(struct evhttp_request *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
	char id[HTTP_TRACE_ID_MAX];

	if (http_trace_id(files_get_header(req, "traceparent"), id) == 0)
		log_info("request", LOG_S("trace_id", id),
		    LOG_S("path", path != NULL ? path : ""));
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct files *f = arg;

	log_traced(req);
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		serve_signed(f, req);
		break;
	case EVHTTP_REQ_OPTIONS:
		files_common_headers(f, req);
		files_add_header(req, "Allow", "GET, HEAD, OPTIONS");
		evhttp_send_reply(req, 204, "No Content", NULL);
		break;
	case EVHTTP_REQ_CONNECT:
	case EVHTTP_REQ_DELETE:
	case EVHTTP_REQ_PATCH:
	case EVHTTP_REQ_POST:
	case EVHTTP_REQ_PUT:
	case EVHTTP_REQ_TRACE:
	default:
		files_add_header(req, "Allow", "GET, HEAD, OPTIONS");
		files_refuse(f, req, 405, "Method Not Allowed",
		    "Only GET and HEAD are served here.");
	}
}

/* ---- the server ---- */

void
files_reload(struct files *f)
{
	if (f != NULL)
		tls_connections_reload(f->connections, f->d->conf.tls_cert_file,
		    f->d->conf.tls_key_file);
}

static int
read_secrets(struct files *f, char *err, size_t err_len)
{
	const struct conf_store *c = &f->d->store_conf;
	bool is_s3 = strcmp(c->kind, "s3") == 0;

	if (!is_s3)
		f->root = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->root < 0 && !is_s3) {
		snprintf(err, err_len, "store.folder %s: %s", c->folder,
		    strerror(errno));
		return ERR_CONFIG;
	}
	if (keyfile_read("store.link_key_file", c->link_key_file, f->key,
		sizeof(f->key), err, err_len) != 0)
		return ERR_CONFIG;
	return 0;
}

/* Browsers open several connections for one download. */
#define CONNECTIONS_PER_DOWNLOAD 4
#define LIFE_SECONDS             30 /* from accepting to a valid link */

/* A quarter of the descriptors for those without a link, as many for those
 * with one, the rest for files, the store and the encoders. */
static int
new_connections(
    struct daemon *d, struct tls_connections **out, char *err, size_t err_len)
{
	uint64_t quarter = d->n_descriptors / 4;
	struct tls_connections_conf conf = {
		.max = (unsigned)min_size(
		    (size_t)d->conf.max_connections, quarter),
		.max_per_address =
		    (unsigned)d->conf.max_connections_per_address,
		.life_seconds = LIFE_SECONDS,
		.max_promoted = (unsigned)min_size(
		    (size_t)d->conf.downloads_max * CONNECTIONS_PER_DOWNLOAD,
		    quarter),
		.promoted_setting = "downloads_max",
		/* each has an open file, too */
		.max_paused =
		    (unsigned)min_size((size_t)d->conf.paused_max, quarter / 4),
		.max_paused_per_address =
		    (unsigned)d->conf.paused_max_per_address,
		.paused_seconds = (unsigned)d->conf.paused_seconds,
		.read_ahead_max = 2 * HEADERS_MAX,
		.expired = "it brought no valid link in time",
		.displaced =
		    "more connections came than storage.max_connections and "
		    "max_connections_per_address allow",
		.pause_expired = "it was paused for storage.paused_seconds",
		.pause_displaced = "more are paused than storage.paused_max "
				   "and paused_max_per_address allow",
	};

	if (d->conf.captures) {
		conf.opened = receiver_opened;
		conf.closed = receiver_closed;
		conf.arg = d;
		conf.prepare = receiver_prepare;
	}
	if (proxy_networks_read(
		&conf.proxies, d->conf.proxy_protocol_from, err, err_len) != 0)
		return ERR_CONFIG;
	*out = tls_connections_new(d->base, &conf);
	return *out != NULL ? 0 : ERR_NOMEM;
}

int
files_new(struct daemon *d, char *err, size_t err_len)
{
	struct files *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return ERR_NOMEM;
	d->files = f;
	f->d = d;
	f->root = -1;
	rc = read_secrets(f, err, err_len);
	if (rc != 0)
		return rc;
	rc = new_connections(d, &f->connections, err, err_len);
	if (rc != 0)
		return rc;
	f->http = evhttp_new(d->base);
	f->growing = growing_set_new(d->base);
	f->progress = progress_set_new(d);
	if (f->http == NULL || f->growing == NULL || f->progress == NULL)
		return ERR_NOMEM;
	rc = tls_connections_load(f->connections, d->conf.tls_cert_file,
	    d->conf.tls_key_file, err, err_len);
	if (rc != 0)
		return rc;
	evhttp_set_allowed_methods(
	    f->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_OPTIONS);
	evhttp_set_max_headers_size(f->http, HEADERS_MAX);
	evhttp_set_max_body_size(f->http, 0);
	evhttp_set_timeout(f->http, FILES_IDLE_SECONDS);
	evhttp_set_bevcb(f->http, tls_connections_accept, f->connections);
	evhttp_set_gencb(f->http, on_request, f);
	f->sock = storage_listener_bind(
	    f->http, "storage.listen", d->conf.listen, err, err_len);
	if (f->sock == NULL)
		return ERR_CONFIG;
	return tls_connections_watch(f->connections, f->sock, "storage.listen");
}

bool
files_promote(struct files *f, struct bufferevent *bev)
{
	return tls_connections_promote_bev(f->connections, bev);
}

void
files_stop(struct files *f)
{
	if (f != NULL && f->sock != NULL) {
		tls_connections_unwatch(f->connections);
		evhttp_del_accept_socket(f->http, f->sock);
	}
	if (f != NULL)
		f->sock = NULL;
}

void
files_free(struct files *f)
{
	if (f == NULL)
		return;
	growing_set_stop(f->growing);
	if (f->connections != NULL)
		tls_connections_unwatch(f->connections);
	if (f->http != NULL)
		evhttp_free(f->http); /* ends all requests */
	tls_connections_free(f->connections);
	growing_set_free(f->growing);
	progress_set_free(f->progress);
	if (f->root >= 0)
		close(f->root);
	wipe(f->key, sizeof(f->key));
	free(f);
}
