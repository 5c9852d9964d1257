/* Answers of the server of signed files: headers, refusals, whole files. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/keyvalq_struct.h>

#include "common/err.h"
#include "common/http.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"

#define ETAG_MAX      64
#define HTTP_DATE_MAX 40

void
files_add_header(
    struct evhttp_request *req, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(req), name, value);
}

const char *
files_get_header(struct evhttp_request *req, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

void
files_common_headers(struct files *f, struct evhttp_request *req)
{
	const char *origin = f->d->conf.cors_origin;

	files_add_header(req, "Strict-Transport-Security", HTTP_HSTS);
	files_add_header(req, "X-Content-Type-Options", "nosniff");
	files_add_header(req, "Referrer-Policy", "no-referrer");
	if (origin == NULL)
		return;
	files_add_header(req, "Access-Control-Allow-Origin", origin);
	files_add_header(
	    req, "Access-Control-Allow-Headers", "Range, If-Range");
	files_add_header(req, "Access-Control-Max-Age", "600");
	files_add_header(req, "Access-Control-Expose-Headers",
	    "Accept-Ranges, Content-Length, Content-Range, ETag, "
	    "Retry-After");
	files_add_header(req, "Vary", "Origin");
}

void
files_media_headers(const struct files_request *r)
{
	char name[256], text[300];

	files_common_headers(r->f, r->req);
	snprintf(text, sizeof(text), "%s; filename=\"%s\"",
	    r->is_download ? "attachment" : "inline",
	    link_filename(r->key, name, sizeof(name)));
	files_add_header(r->req, "Content-Type", object_key_media_type(r->key));
	files_add_header(r->req, "Content-Disposition", text);
	files_grant_header(r);
}

void
files_refuse(struct files *f, struct evhttp_request *req, int code,
    const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	files_common_headers(f, req);
	files_add_header(req, "Content-Type", "text/plain; charset=utf-8");
	files_add_header(req, "Cache-Control", "no-store");
	if (body != NULL)
		evbuffer_add_printf(body, "%s\n", text);
	evhttp_send_reply(req, code, reason, body);
	if (body != NULL)
		evbuffer_free(body);
}

void
files_refuse_memory(struct files *f, struct evhttp_request *req)
{
	files_refuse(f, req, 503, "Service Unavailable", "Out of memory.");
}

void
files_refuse_range(const struct files_request *r, uint64_t size)
{
	char text[80];

	snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)size);
	files_add_header(r->req, "Content-Range", text);
	files_refuse(r->f, r->req, 416, "Range Not Satisfiable",
	    "The range lies outside the file.");
}

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

/* date: NULL: it has none. */
static void
file_headers(const struct files_request *r, const char *etag, const char *date)
{
	files_media_headers(r);
	files_add_header(r->req, "Accept-Ranges", "bytes");
	files_add_header(r->req, "ETag", etag);
	if (date != NULL)
		files_add_header(r->req, "Last-Modified", date);
	files_add_header(r->req, "Cache-Control", "private, max-age=0");
}

/* Content-Range and Content-Length; returns the status. */
static int
range_headers(struct evhttp_request *req, const struct http_range *range,
    bool is_part, uint64_t size)
{
	char text[80];

	if (is_part) {
		snprintf(text, sizeof(text), "bytes %llu-%llu/%llu",
		    (unsigned long long)range->first,
		    (unsigned long long)range->last, (unsigned long long)size);
		files_add_header(req, "Content-Range", text);
	}
	snprintf(text, sizeof(text), "%llu",
	    (unsigned long long)(size > 0 ? range->last - range->first + 1
					  : 0));
	files_add_header(req, "Content-Length", text);
	return is_part ? 206 : 200;
}

/* Sends a whole file of size bytes or a range of it; fd -1: from the store.
 * Takes fd. */
static void
serve_range(const struct files_request *r, int fd, uint64_t size,
    const char *etag, const char *date)
{
	const char *if_range = files_get_header(r->req, "If-Range");
	struct http_range range = { 0 };
	int rc = 0, code;

	if (if_range == NULL || strcmp(if_range, etag) == 0)
		rc = http_range_parse(
		    files_get_header(r->req, "Range"), size, &range);
	if (rc == 0 && size > 0)
		range.last = size - 1;
	if (rc < 0) {
		if (fd >= 0)
			close(fd);
		files_refuse_range(r, size);
		return;
	}
	file_headers(r, etag, date);
	code = range_headers(r->req, &range, rc == 1, size);
	if (rc == 1)
		r->f->d->counters.files_partial++;
	else
		r->f->d->counters.files_ok++;
	if (size == 0) {
		if (fd >= 0)
			close(fd);
		evhttp_send_reply(r->req, code, "OK", NULL);
		return;
	}
	files_download(r, fd, range.first, range.last + 1, size, code);
}

void
files_serve(const struct files_request *r, int fd)
{
	char etag[ETAG_MAX], date[HTTP_DATE_MAX];
	struct stat st;

	if (fstat(fd, &st) != 0) {
		close(fd);
		files_refuse(
		    r->f, r->req, 500, "Internal Server Error", "Read error.");
		return;
	}
	make_etag(&st, etag);
	http_date(st.st_mtime, date);
	serve_range(r, fd, (uint64_t)st.st_size, etag, date);
}

void
files_serve_stored(
    const struct files_request *r, uint64_t size, const char *sha256)
{
	char etag[ETAG_MAX + 16];

	snprintf(etag, sizeof(etag), "\"%.64s\"", sha256);
	serve_range(r, -1, size, etag, NULL);
}
