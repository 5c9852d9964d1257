/*
 * Answers about what is still being written (X1): ranges of the part that
 * may be shown, and the index, which is made of closed files too.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/http.h"
#include "storage/daemon.h"
#include "storage/files/files_internal.h"
#include "storage/files/growing.h"

/* A request that waits for a scan. */
struct ask {
	struct growing_wait wait; /* first: handed back by the scan */
	struct files_request r;
	int fd;
	bool is_growing;
};

static void
ask_free(struct ask *a)
{
	growing_cancel(&a->wait);
	if (a->fd >= 0)
		close(a->fd);
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

/* ---- the index ---- */

static void
print_index(struct evbuffer *out, const struct ask *a,
    const struct webm_scan *scan, uint64_t bytes)
{
	evbuffer_add_printf(out,
	    "{\"growing\":%s,\"duration_ms\":%" PRIu64 ",\"bytes\":%" PRIu64
	    ",\"header_bytes\":%" PRIu64 ",\"codec\":",
	    a->is_growing ? "true" : "false",
	    a->is_growing || scan->duration_ms == 0 ? scan->last_ms
						    : scan->duration_ms,
	    bytes, scan->header_len);
	if (scan->codec != NULL)
		evbuffer_add_printf(out, "\"%s\"", scan->codec);
	else
		evbuffer_add_printf(out, "null");
	evbuffer_add_printf(out, ",\"cues\":[");
	for (size_t i = 0; i < scan->n_cues; i++)
		evbuffer_add_printf(out, "%s[%" PRIu64 ",%" PRIu64 "]",
		    i > 0 ? "," : "", scan->cues[i].time_ms,
		    scan->cues[i].offset);
	evbuffer_add_printf(out, "]}\n");
}

static void
answer_index(const struct ask *a, const struct webm_scan *scan)
{
	struct evbuffer *out = evbuffer_new();
	struct stat st;
	uint64_t bytes = scan->bytes;

	if (out == NULL) {
		files_refuse_memory(a->r.f, a->r.req);
		return;
	}
	if (!a->is_growing && fstat(a->fd, &st) == 0)
		bytes = (uint64_t)st.st_size;
	print_index(out, a, scan, bytes);
	files_common_headers(a->r.f, a->r.req);
	files_add_header(a->r.req, "Content-Type", "application/json");
	files_add_header(a->r.req, "Cache-Control", "no-store");
	files_grant_header(&a->r);
	a->r.f->d->counters.files_ok++;
	evhttp_send_reply(a->r.req, 200, "OK", out);
	evbuffer_free(out);
}

/* ---- the media ---- */

/*
 * Nothing may be kept, and there is no validator (ETag, Last-Modified): the
 * header changes when the file is closed, so that a download with If-Range
 * starts anew, while a player with plain ranges continues.
 */
static void
growing_headers(const struct files_request *r)
{
	files_media_headers(r);
	files_add_header(r->req, "Cache-Control", "no-store");
}

static void
answer_nothing(const struct files_request *r, bool has_range)
{
	files_add_header(r->req, "Retry-After", "1");
	if (has_range)
		files_refuse_range(r, 0);
	else
		files_refuse(r->f, r->req, 503, "Service Unavailable",
		    "The recording has just begun; nothing can be shown yet.");
}

/*
 * Ranges of the clusters that are closed now. Their end is given as the total:
 * libavformat takes an unknown one (an asterisk) as 0 and reads nothing, and
 * Chromium cannot seek without one. Takes a->fd.
 */
static void
answer_media(struct ask *a, const struct webm_scan *scan)
{
	const struct files_request *r = &a->r;
	const char *field = files_get_header(r->req, "Range");
	struct http_range range = { 0, scan->bytes - 1 };
	char text[80];
	int fd = a->fd, rc = 0;

	/* If-Range needs a validator, and this file has none yet */
	if (files_get_header(r->req, "If-Range") == NULL)
		rc = http_range_parse(field, scan->bytes, &range);
	if (scan->bytes == 0) {
		answer_nothing(r, rc != 0);
		return;
	}
	if (rc < 0) {
		files_add_header(r->req, "Retry-After", "1");
		files_refuse_range(r, scan->bytes);
		return;
	}
	growing_headers(r);
	files_add_header(r->req, "Accept-Ranges", "bytes");
	if (rc == 1) {
		snprintf(text, sizeof(text),
		    "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range.first,
		    range.last, scan->bytes);
		files_add_header(r->req, "Content-Range", text);
		r->f->d->counters.files_partial++;
	} else {
		range = (struct http_range){ 0, scan->bytes - 1 };
		r->f->d->counters.files_ok++;
	}
	snprintf(text, sizeof(text), "%" PRIu64, range.last - range.first + 1);
	files_add_header(r->req, "Content-Length", text);
	a->fd = -1;
	files_download(r, fd, range.first, range.last + 1, scan->bytes,
	    rc == 1 ? 206 : 200);
}

static void
answer_follow(struct ask *a, const struct webm_scan *scan)
{
	int fd = a->fd;

	growing_headers(&a->r);
	files_add_header(a->r.req, "Accept-Ranges", "none");
	a->r.f->d->counters.files_ok++;
	a->fd = -1;
	files_follow(
	    &a->r, fd, a->r.wants_frames ? scan->open_bytes : scan->bytes);
}

static void
on_looked(struct growing_wait *w, const struct webm_scan *scan, int err)
{
	struct ask *a = (struct ask *)w;

	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(a->r.req), NULL, NULL);
	if (err != 0)
		files_refuse(a->r.f, a->r.req, 500, "Internal Server Error",
		    "Read error.");
	else if (a->r.what == FILES_INDEX)
		answer_index(a, scan);
	else if (a->r.what == FILES_FOLLOW)
		answer_follow(a, scan);
	else
		answer_media(a, scan);
	ask_free(a);
}

void
files_look(const struct files_request *r, int fd, bool is_growing)
{
	struct ask *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		close(fd);
		files_refuse_memory(r->f, r->req);
		return;
	}
	a->r = *r;
	a->fd = fd;
	a->is_growing = is_growing;
	a->wait.cb = on_looked;
	r->f->d->counters.files_active++;
	if (growing_look(r->f->growing, fd, &a->wait) != 0) {
		files_add_header(r->req, "Retry-After", "10");
		files_refuse(r->f, r->req, 503, "Service Unavailable",
		    "Too many recordings are being looked at; try again.");
		ask_free(a);
		return;
	}
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(r->req), on_close, a);
}
