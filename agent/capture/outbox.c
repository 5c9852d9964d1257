#include "agent/capture/outbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/capture/outbox_folder.h"
#include "agent/capture/upload.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "common/uuid.h"

#define LOOK_S     2  /* the folder is looked through so often */
#define DOUBLE_MAX 12 /* waits double so often */

struct waiting {
	TAILQ_ENTRY(waiting) link;
	struct outbox *o;
	char id[UUID_TEXT_MAX];
	struct hostport storage;
	enum outbox_found found;
	bool is_listed; /* in this look */
	bool is_told;   /* that it has vanished */
	unsigned failures;
	uint64_t offset; /* that storage had */
	uint64_t due_ns; /* next try */
	struct upload *upload;
};

struct outbox {
	struct event_base *base;
	const struct settings *settings;
	const struct trust *trust;
	int dir;
	struct event *timer; /* looks */
	struct event *retry; /* when something is due next */
	TAILQ_HEAD(, waiting) list;
	unsigned n, n_uploads;
};

static void
drop(struct waiting *w)
{
	struct outbox *o = w->o;

	if (w->upload != NULL)
		o->n_uploads--;
	upload_cancel(w->upload);
	TAILQ_REMOVE(&o->list, w, link);
	o->n--;
	free(w);
}

int
outbox_order(struct outbox *o, const char *id, const char *storage)
{
	return o->n >= OUTBOX_MAX ? ERR_LIMIT
				  : outbox_folder_order(o->dir, id, storage);
}

int
outbox_dir(const struct outbox *o)
{
	return o->dir;
}

/* ---- handing over ---- */

static void
wait_again(struct waiting *w, const struct upload_result *res)
{
	uint64_t most = (uint64_t)w->o->settings->conf.upload_retry_s;
	uint64_t wait_s = res->wait_s;

	if (res->offset > w->offset)
		w->failures = 0;
	w->offset = res->offset;
	if (wait_s == 0)
		wait_s = min_u64(UINT64_C(1) << w->failures, most);
	if (w->failures < DOUBLE_MAX)
		w->failures++;
	w->due_ns = clock_mono_ns() + wait_s * NS_PER_S;
	log_warn("upload_failed", LOG_S("capture", w->id),
	    LOG_S("reason", res->why), LOG_U("offset", res->offset),
	    LOG_U("again_in_s", wait_s));
}

static void start_uploads(struct outbox *o);

static void
on_upload(void *arg, const struct upload_result *res)
{
	struct waiting *w = arg;
	struct outbox *o = w->o;

	w->upload = NULL; /* it frees itself */
	o->n_uploads--;
	switch (res->end) {
	case UPLOAD_DONE:
		outbox_folder_remove(o->dir, w->id);
		log_info("upload_done", LOG_S("capture", w->id),
		    LOG_U("sent", res->sent));
		drop(w);
		break;
	case UPLOAD_GONE:
		w->is_told = true;
		break;
	case UPLOAD_AGAIN:
		wait_again(w, res);
	}
	start_uploads(o);
}

static void
start_one(struct waiting *w)
{
	struct outbox *o = w->o;
	const struct settings *s = o->settings;
	struct upload_to to = { .settings = s,
		.trust = o->trust,
		.storage = w->storage,
		.id = w->id,
		.fd = w->found == FOUND_SEALED
		    ? outbox_folder_open_file(o->dir, w->id)
		    : -1,
		.rate = (uint64_t)(s->conf.upload_rate / s->conf.uploads) };

	if (w->found == FOUND_SEALED && to.fd < 0)
		return; /* the next look sees it */
	log_info(to.fd >= 0 ? "upload_start" : "capture_missing",
	    LOG_S("capture", w->id));
	w->upload = upload_start(o->base, &to, on_upload, w);
	if (w->upload != NULL)
		o->n_uploads++;
	else
		w->due_ns = clock_mono_ns() + NS_PER_S;
}

static bool
has_work(const struct waiting *w)
{
	return w->upload == NULL &&
	    (w->found == FOUND_SEALED ||
		(w->found == FOUND_NOTHING && !w->is_told));
}

static void
arm_retry(struct outbox *o, uint64_t wait_ns)
{
	const uint64_t us = wait_ns / 1000 + 1;
	const struct timeval tv = { (time_t)(us / 1000000),
		(suseconds_t)(us % 1000000) };

	event_add(o->retry, &tv); /* else the next look comes first */
}

static void
start_uploads(struct outbox *o)
{
	uint64_t now = clock_mono_ns(), next = UINT64_MAX;
	struct waiting *w;

	TAILQ_FOREACH(w, &o->list, link) {
		if (o->n_uploads >= (unsigned)o->settings->conf.uploads)
			return;
		if (!has_work(w))
			continue;
		if (w->due_ns <= now)
			start_one(w);
		else
			next = min_u64(next, w->due_ns);
	}
	if (next != UINT64_MAX)
		arm_retry(o, next - now);
}

/* ---- looking through the folder ---- */

static struct waiting *
find(struct outbox *o, const char *id)
{
	struct waiting *w;

	TAILQ_FOREACH(w, &o->list, link)
		if (strcmp(w->id, id) == 0)
			return w;
	return NULL;
}

static struct waiting *
add(struct outbox *o, const char *id)
{
	struct waiting *w;

	if (o->n >= OUTBOX_MAX)
		return NULL;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return NULL;
	if (outbox_folder_read_order(o->dir, id, &w->storage) != 0) {
		log_error("capture_order_unreadable", LOG_S("capture", id));
		free(w);
		return NULL;
	}
	w->o = o;
	snprintf(w->id, sizeof(w->id), "%s", id);
	TAILQ_INSERT_TAIL(&o->list, w, link);
	o->n++;
	return w;
}

/* Notes that the files of w changed. A file that is being sent may be removed:
 * it is open. */
static void
see(struct waiting *w, enum outbox_found found)
{
	if (w->found == found)
		return;
	if (w->upload != NULL && w->found == FOUND_SEALED)
		return;
	w->found = found;
	w->is_told = false;
	w->failures = 0;
	w->due_ns = 0;
	if (w->upload == NULL)
		return;
	upload_cancel(w->upload);
	w->upload = NULL;
	w->o->n_uploads--;
}

static void
look_at(struct outbox *o, const char *id)
{
	struct waiting *w = find(o, id);

	if (outbox_folder_has(o->dir, id, OUTBOX_DONE)) {
		outbox_folder_remove_done(o->dir, id);
		return;
	}
	if (w == NULL)
		w = add(o, id);
	if (w == NULL)
		return;
	w->is_listed = true;
	see(w, outbox_folder_look(o->dir, id));
}

static void
look(struct outbox *o)
{
	int fd = openat(o->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	char id[UUID_TEXT_MAX];
	struct waiting *w, *next;
	struct dirent *e;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	TAILQ_FOREACH(w, &o->list, link)
		w->is_listed = false;
	while ((e = readdir(d)) != NULL)
		if (outbox_folder_is_name(e->d_name, OUTBOX_ORDER, id))
			look_at(o, id);
		else if (outbox_folder_is_name(e->d_name, OUTBOX_DONE, id) &&
		    !outbox_folder_has(o->dir, id, OUTBOX_ORDER))
			outbox_folder_remove_done(o->dir, id);
	closedir(d);
	/* without its order nothing is known of it: somebody gave it up */
	for (w = TAILQ_FIRST(&o->list); w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (!w->is_listed)
			drop(w);
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	look(arg);
	start_uploads(arg);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	start_uploads(arg);
}

void
outbox_kick(struct outbox *o)
{
	struct waiting *w;

	if (o == NULL)
		return;
	TAILQ_FOREACH(w, &o->list, link)
		w->due_ns = 0;
	event_active(o->timer, EV_TIMEOUT, 0);
}

struct outbox *
outbox_new(struct event_base *base, const struct settings *settings,
    const struct trust *trust, char *why, size_t why_len)
{
	static const struct timeval period = { .tv_sec = LOOK_S };
	struct outbox *o;
	int dir = outbox_folder_open(settings->conf.state_dir, why, why_len);

	if (dir < 0)
		return NULL;
	o = calloc(1, sizeof(*o));
	if (o == NULL) {
		snprintf(why, why_len, "%s", err_text(ERR_NOMEM));
		close(dir);
		return NULL;
	}
	TAILQ_INIT(&o->list);
	o->base = base;
	o->settings = settings;
	o->trust = trust;
	o->dir = dir;
	o->timer = event_new(base, -1, EV_PERSIST, on_timer, o);
	o->retry = evtimer_new(base, on_retry, o);
	if (o->timer == NULL || o->retry == NULL ||
	    event_add(o->timer, &period) != 0) {
		snprintf(why, why_len, "%s", err_text(ERR_NOMEM));
		outbox_free(o);
		return NULL;
	}
	event_active(o->timer, EV_TIMEOUT, 0);
	return o;
}

void
outbox_free(struct outbox *o)
{
	struct waiting *w;

	if (o == NULL)
		return;
	while ((w = TAILQ_FIRST(&o->list)) != NULL)
		drop(w);
	if (o->timer != NULL)
		event_free(o->timer);
	if (o->retry != NULL)
		event_free(o->retry);
	close(o->dir);
	free(o);
}
