#include "storage/files.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/http.h"
#include "common/links.h"
#include "common/log.h"
#include "common/tls.h"
#include "storage/daemon.h"
#include "storage/listener.h"
#include "storage/object_key.h"

#define CHUNK         (256 * 1024)
#define IDLE_SECONDS  60
#define HEADERS_MAX   8192
#define PREFIX        "/files/"
#define ETAG_MAX      64
#define HTTP_DATE_MAX 40

struct files {
	struct daemon *d;
	int root;
	uint8_t key[LINK_KEY_LEN];
	SSL_CTX *ctx;
	struct evhttp *http;
	struct evhttp_bound_socket *sock;
};

struct download {
	struct files *f;
	struct evhttp_request *req;
	struct evbuffer *chunk;
	int fd;
	uint64_t at, end; /* end: one past the last byte */
};

static void
add_header(struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

static const char *
get_header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* What every answer carries. */
static void
common_headers(struct files *f, struct evhttp_request *req)
{
	const char *origin = f->d->conf.cors_origin;

	add_header(req, "X-Content-Type-Options", "nosniff");
	add_header(req, "Referrer-Policy", "no-referrer");
	if (origin == NULL)
		return;
	add_header(req, "Access-Control-Allow-Origin", origin);
	add_header(req, "Access-Control-Allow-Headers", "Range, If-Range");
	add_header(req, "Access-Control-Expose-Headers",
	    "Accept-Ranges, Content-Length, Content-Range, ETag");
	add_header(req, "Vary", "Origin");
}

static void
refuse(struct files *f, struct evhttp_request *req, int code,
    const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	common_headers(f, req);
	add_header(req, "Content-Type", "text/plain; charset=utf-8");
	add_header(req, "Cache-Control", "no-store");
	if (body != NULL)
		evbuffer_add_printf(body, "%s\n", text);
	evhttp_send_reply(req, code, reason, body);
	if (body != NULL)
		evbuffer_free(body);
}

/* ---- a running download ---- */

static void
download_free(struct download *dl)
{
	dl->f->d->counters.files_active--;
	close(dl->fd);
	evbuffer_free(dl->chunk);
	free(dl);
}

/*
 * The client went away. libevent frees a request that still belongs to the
 * connection; after a timeout or an early end it is ours to finish.
 */
static void
on_close(struct evhttp_connection *conn, void *arg)
{
	struct download *dl = arg;
	struct evhttp_request *req = dl->req;

	download_free(dl);
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

static void
download_abort(struct download *dl)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(dl->req);

	/* shorter than announced: the client sees that it was cut off */
	evhttp_connection_free(conn); /* calls on_close */
}

static void
on_drained(struct evhttp_connection *conn, void *arg)
{
	struct download *dl = arg;
	size_t n = (size_t)min_u64(CHUNK, dl->end - dl->at);
	struct evbuffer_iovec room;
	ssize_t got;

	if (n == 0) {
		evhttp_connection_set_closecb(conn, NULL, NULL);
		evhttp_send_reply_end(dl->req);
		download_free(dl);
		return;
	}
	if (evbuffer_reserve_space(dl->chunk, (ssize_t)n, &room, 1) != 1) {
		download_abort(dl);
		return;
	}
	got = pread(dl->fd, room.iov_base, n, (off_t)dl->at);
	if (got <= 0) {
		log_warn("download_read", LOG_ERRNO());
		download_abort(dl);
		return;
	}
	room.iov_len = (size_t)got;
	evbuffer_commit_space(dl->chunk, &room, 1);
	dl->at += (uint64_t)got;
	dl->f->d->counters.files_bytes += (uint64_t)got;
	evhttp_send_reply_chunk_with_cb(dl->req, dl->chunk, on_drained, dl);
}

/* Takes fd. */
static void
download_start(struct files *f, struct evhttp_request *req, int fd,
    uint64_t first, uint64_t end, int code)
{
	struct download *dl = calloc(1, sizeof(*dl));
	struct evhttp_connection *conn = evhttp_request_get_connection(req);

	if (dl != NULL)
		dl->chunk = evbuffer_new();
	if (dl == NULL || dl->chunk == NULL) {
		free(dl);
		close(fd);
		refuse(f, req, 503, "Service Unavailable", "Out of memory.");
		return;
	}
	dl->f = f;
	dl->req = req;
	dl->fd = fd;
	dl->at = first;
	dl->end = end;
	f->d->counters.files_active++;
	evhttp_connection_set_closecb(conn, on_close, dl);
	evhttp_send_reply_start(
	    req, code, code == 206 ? "Partial Content" : "OK");
	on_drained(conn, dl);
}

/* ---- the request ---- */

static char *
make_etag(const struct stat *st, char out[ETAG_MAX])
{
	snprintf(out, ETAG_MAX, "\"%llx-%llx-%llx\"",
	    (unsigned long long)st->st_ino, (unsigned long long)st->st_size,
	    (unsigned long long)st->st_mtim.tv_sec * 1000000000 +
		(unsigned long long)st->st_mtim.tv_nsec);
	return out;
}

static void
http_date(time_t t, char out[HTTP_DATE_MAX])
{
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void
file_headers(struct files *f, struct evhttp_request *req, const char *key,
    const struct stat *st, const char *etag)
{
	char name[256], text[300], date[HTTP_DATE_MAX];

	common_headers(f, req);
	snprintf(text, sizeof(text), "inline; filename=\"%s\"",
	    link_filename(key, name, sizeof(name)));
	http_date(st->st_mtime, date);
	add_header(req, "Content-Type", "video/webm");
	add_header(req, "Content-Disposition", text);
	add_header(req, "Accept-Ranges", "bytes");
	add_header(req, "ETag", etag);
	add_header(req, "Last-Modified", date);
	add_header(req, "Cache-Control", "private, max-age=0");
}

/* Takes fd; the link was found right. */
static void
serve(struct files *f, struct evhttp_request *req, const char *key, int fd)
{
	bool is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	const char *if_range = get_header(req, "If-Range");
	const char *field = get_header(req, "Range");
	struct http_range r = { 0 };
	char etag[ETAG_MAX], text[80];
	struct stat st;
	int rc = 0;

	if (fstat(fd, &st) != 0) {
		close(fd);
		refuse(f, req, 500, "Internal Server Error", "Read error.");
		return;
	}
	make_etag(&st, etag);
	if (if_range == NULL || strcmp(if_range, etag) == 0)
		rc = http_range_parse(field, (uint64_t)st.st_size, &r);
	if (rc == 0 && st.st_size > 0)
		r.last = (uint64_t)st.st_size - 1;
	if (rc < 0) {
		snprintf(text, sizeof(text), "bytes */%llu",
		    (unsigned long long)st.st_size);
		add_header(req, "Content-Range", text);
		close(fd);
		refuse(f, req, 416, "Range Not Satisfiable",
		    "The range lies outside the file.");
		return;
	}
	file_headers(f, req, key, &st, etag);
	if (rc == 1) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu",
		    (unsigned long long)r.first, (unsigned long long)r.last,
		    (unsigned long long)st.st_size);
		add_header(req, "Content-Range", text);
	}
	snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)(st.st_size > 0 ? r.last - r.first + 1 : 0));
	add_header(req, "Content-Length", text);
	if (rc == 1)
		f->d->counters.files_partial++;
	else
		f->d->counters.files_ok++;
	if (is_head || st.st_size == 0) {
		close(fd);
		evhttp_send_reply(req, rc == 1 ? 206 : 200,
		    rc == 1 ? "Partial Content" : "OK", NULL);
		return;
	}
	download_start(f, req, fd, r.first, r.last + 1, rc == 1 ? 206 : 200);
}

/* The object key of a request's path; 0 or ERR_*. */
static int
request_key(
    struct evhttp_request *req, char *key, size_t key_len, const char **query)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	if (path == NULL || strncmp(path, PREFIX, strlen(PREFIX)) != 0)
		return ERR_NOTFOUND;
	path += strlen(PREFIX);
	*query = evhttp_uri_get_query(uri);
	if (http_decode(path, strlen(path), key, key_len) < 0 ||
	    !object_key_is_valid(key))
		return ERR_NOTFOUND;
	return 0;
}

static int
check_link(struct files *f, const char *key, const char *query)
{
	char expires[32], signature[80];

	if (http_query_value(query, "expires", expires, sizeof(expires)) < 0 ||
	    http_query_value(query, "signature", signature, sizeof(signature)) <
		0)
		return ERR_DENIED;
	return link_verify(
	    f->key, key, expires, signature, clock_wall_ns() / NS_PER_S);
}

static void
serve_signed(struct files *f, struct evhttp_request *req)
{
	char key[OBJECT_KEY_MAX + 1];
	const char *query = NULL;
	int rc = request_key(req, key, sizeof(key), &query);
	int fd;

	if (rc != 0) {
		f->d->counters.files_notfound++;
		refuse(f, req, 404, "Not Found", "There is no such file.");
		return;
	}
	rc = check_link(f, key, query);
	if (rc != 0) {
		f->d->counters.files_denied++;
		refuse(f, req, 403, "Forbidden",
		    rc == ERR_TIMEOUT
			? "This link has expired; ask for a new one."
			: "This link is not valid.");
		return;
	}
	if (f->d->counters.files_active >= f->d->conf.downloads_max) {
		f->d->counters.files_refused++;
		add_header(req, "Retry-After", "10");
		refuse(f, req, 503, "Service Unavailable",
		    "Too many downloads at a time; try again.");
		return;
	}
	fd = beneath_open(f->root, key);
	if (fd < 0) {
		f->d->counters.files_notfound++;
		refuse(f, req, 404, "Not Found", "There is no such file.");
		return;
	}
	serve(f, req, key, fd);
}

static void
on_request(struct evhttp_request *req, void *arg)
{
	struct files *f = arg;

	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		serve_signed(f, req);
		break;
	case EVHTTP_REQ_OPTIONS:
		common_headers(f, req);
		add_header(req, "Allow", "GET, HEAD, OPTIONS");
		evhttp_send_reply(req, 204, "No Content", NULL);
		break;
	default:
		add_header(req, "Allow", "GET, HEAD, OPTIONS");
		refuse(f, req, 405, "Method Not Allowed",
		    "Only GET and HEAD are served here.");
	}
}

/* ---- the server ---- */

static struct bufferevent *
on_accept(struct event_base *base, void *arg)
{
	struct files *f = arg;
	SSL *ssl = SSL_new(f->ctx);
	struct bufferevent *bev;

	if (ssl == NULL)
		return NULL;
	bev = bufferevent_openssl_socket_new(
	    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	else
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

static SSL_CTX *
make_ctx(struct files *f, char *err, size_t err_len)
{
	SSL_CTX *ctx = tls_server_new(
	    f->d->conf.tls_cert_file, f->d->conf.tls_key_file, err, err_len);

	/* bufferevent_openssl does not see records that were read ahead */
	if (ctx != NULL)
		SSL_CTX_set_read_ahead(ctx, 0);
	return ctx;
}

void
files_reload(struct files *f)
{
	char err[256];
	SSL_CTX *ctx;

	if (f == NULL)
		return;
	ctx = make_ctx(f, err, sizeof(err));
	if (ctx == NULL) {
		log_error("certificate_not_reloaded", LOG_S("why", err));
		return;
	}
	SSL_CTX_free(f->ctx);
	f->ctx = ctx;
	log_info(
	    "certificate_reloaded", LOG_S("file", f->d->conf.tls_cert_file));
}

static int
read_secrets(struct files *f, char *err, size_t err_len)
{
	const struct conf_store *c = &f->d->store_conf;

	f->root = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->root < 0) {
		snprintf(err, err_len, "store.folder %s: %s", c->folder,
		    strerror(errno));
		return ERR_CONFIG;
	}
	if (link_key_read(c->link_key_file, f->key) != 0) {
		snprintf(err, err_len,
		    "store.link_key_file %s: expected a readable file of "
		    "exactly 32 bytes",
		    c->link_key_file);
		return ERR_CONFIG;
	}
	f->ctx = make_ctx(f, err, err_len);
	return f->ctx != NULL ? 0 : ERR_CONFIG;
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
	rc = read_secrets(f, err, err_len);
	if (rc != 0)
		return rc;
	f->http = evhttp_new(d->base);
	if (f->http == NULL)
		return ERR_NOMEM;
	evhttp_set_allowed_methods(
	    f->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_OPTIONS);
	evhttp_set_max_headers_size(f->http, HEADERS_MAX);
	evhttp_set_max_body_size(f->http, 0);
	evhttp_set_timeout(f->http, IDLE_SECONDS);
	evhttp_set_bevcb(f->http, on_accept, f);
	evhttp_set_gencb(f->http, on_request, f);
	f->sock = listener_bind(
	    f->http, "storage.listen", d->conf.listen, err, err_len);
	return f->sock != NULL ? 0 : ERR_CONFIG;
}

void
files_stop(struct files *f)
{
	if (f != NULL && f->sock != NULL)
		evhttp_del_accept_socket(f->http, f->sock);
	if (f != NULL)
		f->sock = NULL;
}

void
files_free(struct files *f)
{
	if (f == NULL)
		return;
	if (f->http != NULL)
		evhttp_free(f->http);
	SSL_CTX_free(f->ctx);
	if (f->root >= 0)
		close(f->root);
	wipe(f->key, sizeof(f->key));
	free(f);
}
