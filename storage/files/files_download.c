/* Bytes of an open file, or of a stored object, to a client, as fast as it
 * takes them. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/tls_connections.h"
#include "storage/daemon.h"
#include "storage/files/files_archive.h"
#include "storage/files/files_internal.h"
#include "storage/files/files_progress.h"
#include "storage/files/growing.h"
#include "storage/store/store.h"

#define CHUNK (256 * 1024)
/* between two looks at a growing file: for downloads; for those who watch */
#define FOLLOW_MS 250
#define WATCH_MS  40
#define GONE_NS   (5 * NS_PER_S) /* for the scan to see how it ended */

struct download {
	struct growing_wait wait; /* first: handed back by the scan */
	struct files_request r;
	struct evbuffer *chunk;
	int fd; /* -1: the store is asked for each chunk */
	char etag[100];
	bool is_reading;  /* it was asked */
	bool is_gone;     /* the client went away meanwhile */
	uint64_t at, end; /* end: one past the last byte */
	/* until the file is closed */
	bool follows;
	struct event *timer;
	uint64_t grew_ns;
	uint64_t gone_ns; /* since when it is not in the spool, 0: it is */
	/* runs while a chunk is on its way to the client */
	struct event *stall;
	bool is_paused;
	/* a ZIP: fd, at and end are those of the file in it */
	struct files_archive *archive;
	bool is_last; /* no file follows */
	struct progress progress;
};

static void on_drained(struct evhttp_connection *conn, void *arg);

/*
 * A client that reads takes its time without saying anything, and one that
 * takes nothing may be a player that is paused: on_stall looks after that.
 * The server's own limits come back for the next request.
 */
static void
set_timeouts(struct evhttp_connection *conn, bool is_download)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);
	struct timeval idle = { FILES_IDLE_SECONDS, 0 };

	if (bev != NULL)
		bufferevent_set_timeouts(bev, is_download ? NULL : &idle,
		    is_download ? NULL : &idle);
}

static void
download_free(struct download *dl)
{
	dl->r.f->d->counters.files_active--;
	if (dl->is_paused)
		dl->r.f->d->counters.files_paused--;
	progress_end(dl->r.f->progress, &dl->progress);
	files_archive_free(dl->archive);
	if (dl->stall != NULL)
		event_free(dl->stall);
	growing_cancel(&dl->wait);
	if (dl->timer != NULL)
		event_free(dl->timer);
	if (dl->chunk != NULL)
		evbuffer_free(dl->chunk);
	if (dl->fd >= 0)
		close(dl->fd);
	dl->is_gone = true;
	if (!dl->is_reading) /* else on_data does it */
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
	struct evhttp_request *req = dl->r.req;

	download_free(dl);
	if (evhttp_request_get_connection(req) == NULL)
		evhttp_send_reply_end(req);
}

/* Shorter than announced: the client sees that it was cut off. */
static void
download_abort(struct download *dl)
{
	evhttp_connection_free(
	    evhttp_request_get_connection(dl->r.req)); /* calls on_close */
}

static void
download_end(struct download *dl, struct evhttp_connection *conn)
{
	evhttp_connection_set_closecb(conn, NULL, NULL);
	set_timeouts(conn, false);
	evhttp_send_reply_end(dl->r.req);
	download_free(dl);
}

/* ---- pausing ---- */

/* The client has taken no whole chunk for stall_seconds. */
static void
on_stall(evutil_socket_t fd, short what, void *arg)
{
	struct download *dl = arg;
	struct files *f = dl->r.f;

	if (dl->is_paused)
		return;
	if (!tls_connections_pause(f->connections, dl->r.req)) {
		log_info("download_closed", LOG_S("key", dl->r.key),
		    LOG_S("why", "too many are paused"));
		download_abort(dl);
		return;
	}
	dl->is_paused = true;
	f->d->counters.files_paused++;
}

/* A chunk goes out. */
static void
stall_watch(struct download *dl)
{
	struct timeval tv = { dl->r.f->d->conf.stall_seconds, 0 };

	evtimer_add(dl->stall, &tv);
}

/* It has arrived. A connection that finds no place among the running ones
 * keeps the one that it has, and its end. */
static void
stall_end(struct download *dl)
{
	struct files *f = dl->r.f;

	evtimer_del(dl->stall);
	if (dl->is_paused &&
	    tls_connections_promote(f->connections, dl->r.req)) {
		dl->is_paused = false;
		f->d->counters.files_paused--;
	}
}

/* ---- following ---- */

static void
follow_later(struct download *dl)
{
	unsigned ms = dl->r.wants_frames ? WATCH_MS : FOLLOW_MS;
	struct timeval tv = { 0, ms * 1000 };

	evtimer_add(dl->timer, &tv);
}

/*
 * It went to the store between two looks, or it is lost. dl->fd has all that
 * was written, also what came after the scan: then another look tells.
 */
static int64_t
stored_size(
    struct download *dl, const struct webm_scan *scan, const struct stat *ours)
{
	if (scan->end == WEBM_SCAN_CUES && scan->duration_ms != 0)
		return ours->st_size;
	if (dl->gone_ns == 0)
		dl->gone_ns = clock_mono_ns();
	return clock_mono_ns() - dl->gone_ns < GONE_NS ? 0 : -1;
}

/* The size of the closed file, once it is closed; 0 before; -1: lost. */
static int64_t
closed_size(struct download *dl, const struct webm_scan *scan)
{
	struct stat ours, now;
	bool is_growing = false;
	int fd = files_open(dl->r.f, dl->r.key, &is_growing);
	int rc = fstat(dl->fd, &ours);

	if (fd < 0)
		return rc == 0 ? stored_size(dl, scan, &ours) : -1;
	if (fstat(fd, &now) != 0)
		rc = -1;
	close(fd);
	if (rc != 0)
		return -1;
	if (is_growing)
		return now.st_ino == ours.st_ino ? 0 : -1;
	return now.st_size == ours.st_size ? ours.st_size : -1;
}

static void
on_looked(struct growing_wait *w, const struct webm_scan *scan, int err)
{
	struct download *dl = (struct download *)w;
	struct evhttp_connection *conn =
	    evhttp_request_get_connection(dl->r.req);
	const struct daemon *d = dl->r.f->d;
	int64_t size = closed_size(dl, scan);
	uint64_t now = clock_mono_ns();
	uint64_t bytes = dl->r.wants_frames ? scan->open_bytes : scan->bytes;

	if (size > 0 && (uint64_t)size >= dl->at) {
		dl->follows = false;
		dl->end = (uint64_t)size;
		on_drained(conn, dl);
	} else if (err == 0 && size == 0 && bytes > dl->end) {
		dl->grew_ns = now;
		dl->end = bytes;
		on_drained(conn, dl);
	} else if (err != 0 || size != 0 || bytes < dl->end || d->stopping ||
	    now - dl->grew_ns > (uint64_t)d->conf.follow_seconds * NS_PER_S) {
		log_info("follow_ended", LOG_S("key", dl->r.key),
		    LOG_U("bytes", dl->at));
		download_abort(dl);
	} else
		follow_later(dl);
}

static void
on_follow_timer(evutil_socket_t fd, short what, void *arg)
{
	struct download *dl = arg;

	dl->wait.cb = on_looked;
	if (growing_look(dl->r.f->growing, dl->fd, &dl->wait) != 0)
		download_abort(dl);
}

/* ---- sending ---- */

/* A chunk is there, len bytes of the file in it. */
static void
send_chunk(struct download *dl, size_t len)
{
	dl->at += len;
	dl->progress.bytes_sent += len;
	if (dl->archive != NULL &&
	    files_archive_pack(dl->archive, dl->chunk) != 0) {
		log_warn("download_read", LOG_S("key", dl->r.key),
		    LOG_S("why", "it cannot be packed"));
		download_abort(dl);
		return;
	}
	dl->r.f->d->counters.files_bytes += evbuffer_get_length(dl->chunk);
	stall_watch(dl);
	evhttp_send_reply_chunk_with_cb(dl->r.req, dl->chunk, on_drained, dl);
}

/* The store's answer. */
static void
on_data(void *arg, const struct store_data *data)
{
	struct download *dl = arg;

	dl->is_reading = false;
	if (dl->is_gone) {
		free(dl);
		return;
	}
	if (data->err != 0 || data->len == 0 || data->len > dl->end - dl->at ||
	    evbuffer_add(dl->chunk, data->bytes, data->len) != 0) {
		log_warn("download_read", LOG_S("key", dl->r.key),
		    LOG_S("why", data->detail));
		download_abort(dl);
		return;
	}
	memcpy(dl->etag, data->etag, sizeof(dl->etag));
	send_chunk(dl, data->len);
}

static void
read_store(struct download *dl)
{
	struct store *store = dl->r.f->d->store;
	const struct store_read read = { .key = dl->r.key,
		.etag = dl->etag,
		.offset = dl->at,
		.len = min_u64(STORE_READ_MAX, dl->end - dl->at),
		.on_data = on_data,
		.arg = dl };

	dl->is_reading = true;
	if (store->ops->read(store, &read) != 0) {
		dl->is_reading = false;
		download_abort(dl);
	}
}

static void
read_file(struct download *dl)
{
	size_t n = (size_t)min_u64(CHUNK, dl->end - dl->at);
	struct evbuffer_iovec room;
	ssize_t got;

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
	send_chunk(dl, (size_t)got);
}

static void
read_more(struct download *dl)
{
	if (dl->fd >= 0)
		read_file(dl);
	else
		read_store(dl);
}

/* The file of a ZIP has been sent. */
static void
next_file(struct download *dl)
{
	struct archive_file file = { .fd = -1 };
	int rc;

	if (dl->fd >= 0)
		close(dl->fd);
	dl->fd = -1;
	rc = files_archive_next(dl->archive, &file);
	if (rc < 0) {
		log_warn("download_read", LOG_S("key", dl->r.key),
		    LOG_S("why",
			"the file of the ZIP behind it is not there "
			"as it was"));
		download_abort(dl);
		return;
	}
	dl->is_last = rc == 0;
	if (dl->is_last) {
		send_chunk(dl, 0);
		return;
	}
	dl->fd = file.fd;
	dl->at = 0;
	dl->end = file.bytes;
	dl->etag[0] = '\0';
	memcpy(dl->r.key, file.key, sizeof(dl->r.key));
	read_more(dl);
}

static void
on_drained(struct evhttp_connection *conn, void *arg)
{
	struct download *dl = arg;

	stall_end(dl);
	if (dl->at < dl->end)
		read_more(dl);
	else if (dl->archive != NULL && !dl->is_last)
		next_file(dl);
	else if (dl->follows)
		follow_later(dl);
	else
		download_end(dl, conn);
}

/* Takes fd; NULL after an answer. */
static struct download *
download_new(const struct files_request *r, int fd)
{
	struct download *dl = calloc(1, sizeof(*dl));

	if (dl != NULL) {
		dl->chunk = evbuffer_new();
		dl->stall = evtimer_new(r->f->d->base, on_stall, dl);
	}
	if (dl == NULL || dl->chunk == NULL || dl->stall == NULL) {
		if (dl != NULL && dl->chunk != NULL)
			evbuffer_free(dl->chunk);
		if (dl != NULL && dl->stall != NULL)
			event_free(dl->stall);
		free(dl);
		if (fd >= 0)
			close(fd);
		files_refuse_memory(r->f, r->req);
		return NULL;
	}
	dl->r = *r;
	dl->fd = fd;
	r->f->d->counters.files_active++;
	return dl;
}

static void
download_start(struct download *dl, int code)
{
	struct evhttp_connection *conn =
	    evhttp_request_get_connection(dl->r.req);

	evhttp_connection_set_closecb(conn, on_close, dl);
	set_timeouts(conn, true);
	evhttp_send_reply_start(
	    dl->r.req, code, code == 206 ? "Partial Content" : "OK");
	on_drained(conn, dl);
}

/* HEAD is answered by the headers alone. */
static bool
answer_head(const struct files_request *r, int fd, int code)
{
	if (evhttp_request_get_command(r->req) != EVHTTP_REQ_HEAD)
		return false;
	if (fd >= 0)
		close(fd);
	evhttp_send_reply(
	    r->req, code, code == 206 ? "Partial Content" : "OK", NULL);
	return true;
}

void
files_download(const struct files_request *r, int fd, uint64_t first,
    uint64_t end, uint64_t size, int code)
{
	struct download *dl;

	if (answer_head(r, fd, code) || (dl = download_new(r, fd)) == NULL)
		return;
	dl->at = first;
	dl->end = end;
	if (r->is_download) {
		dl->progress = (struct progress){
			.key = dl->r.key, .bytes = size, .bytes_sent = first
		};
		progress_begin(r->f->progress, &dl->progress);
	}
	download_start(dl, code);
}

void
files_download_archive(const struct files_request *r, struct files_archive *a)
{
	struct download *dl;

	if (answer_head(r, -1, 200) || (dl = download_new(r, -1)) == NULL) {
		files_archive_free(a);
		return;
	}
	dl->archive = a;
	dl->progress = (struct progress){ .archive = files_archive_id(a),
		.bytes = files_archive_bytes(a) };
	progress_begin(r->f->progress, &dl->progress);
	download_start(dl, 200);
}

void
files_follow(const struct files_request *r, int fd, uint64_t end)
{
	struct download *dl;

	if (answer_head(r, fd, 200) || (dl = download_new(r, fd)) == NULL)
		return;
	dl->timer = evtimer_new(r->f->d->base, on_follow_timer, dl);
	if (dl->timer == NULL) {
		download_free(dl);
		files_refuse_memory(r->f, r->req);
		return;
	}
	dl->at = r->from;
	dl->end = end;
	dl->follows = true;
	dl->grew_ns = clock_mono_ns();
	download_start(dl, 200);
}
