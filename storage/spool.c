#include "storage/spool.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/rows.h"
#include "storage/signing.h"

#define SOON_MS    50
#define REMNANT_S  86400 /* files without a manifest are kept this long */
#define RECHECK_MS 300   /* a lock is let go just after the last close */

enum { F_PART = 1, F_WEBM = 2, F_JSON = 4, F_OPEN = 8, F_TMP = 16, F_JPG = 32 };

/* In the order they are looked for: a rename never hides the media. */
static const struct {
	const char *suffix;
	unsigned bit;
} suffixes[] = {
	{ ".webm.part", F_PART },
	{ ".webm", F_WEBM },
	{ ".json", F_JSON },
	{ ".json.open", F_OPEN },
	{ ".json.tmp", F_TMP },
	{ ".jpg", F_JPG },
};

const char *const item_state_names[ITEM_STATES] = { "new", "recording",
	"closed", "transfer", "stored", "repair", "wait", "missing", "bad" };

static char *
file_name(const struct item *it, const char *suffix, char out[64])
{
	snprintf(out, 64, "%s%s", it->id, suffix);
	return out;
}

static unsigned
look(const struct item *it)
{
	unsigned files = 0;
	struct stat st;
	char name[64];

	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++)
		if (fstatat(it->d->spool->dir,
			file_name(it, suffixes[i].suffix, name), &st,
			AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode))
			files |= suffixes[i].bit;
	return files;
}

/* 1: a recorder holds it; 0: nobody does; negative: it is not there. */
static int
is_locked(const struct item *it)
{
	char name[64];
	int fd = openat(it->d->spool->dir, file_name(it, ".webm.part", name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int locked;

	if (fd < 0)
		return ERR_NOTFOUND;
	locked = flock(fd, LOCK_EX | LOCK_NB) != 0;
	close(fd);
	return locked;
}

static off_t
file_size(const struct item *it, const char *suffix, time_t *changed)
{
	struct stat st;
	char name[64];

	if (fstatat(it->d->spool->dir, file_name(it, suffix, name), &st,
		AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	if (changed != NULL)
		*changed = st.st_mtime;
	return st.st_size;
}

int
spool_open_file(const struct item *it, const char *suffix)
{
	char name[64];
	struct stat st;
	int fd = openat(it->d->spool->dir, file_name(it, suffix, name),
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void
change_state(struct item *it, enum item_state to, const char *why)
{
	if (it->state == to)
		return;
	log_info("segment_state", LOG_S("segment", it->id),
	    LOG_S("from", item_state_names[it->state]),
	    LOG_S("to", item_state_names[to]), LOG_S("why", why));
	it->state = to;
}

/* ---- the row ---- */

static void item_sync(struct item *it);

static bool
is_final(const char *status)
{
	return strcmp(status, "deleted") == 0 || strcmp(status, "expired") == 0;
}

/* The row says `status` now; what does that mean for the files? */
static void
on_row_status(struct item *it, const char *status)
{
	if (is_final(status) && it->state == ITEM_CLOSED) {
		log_warn("segment_discarded", LOG_S("segment", it->id),
		    LOG_S("status", status));
		item_remove_files(it);
	} else if (it->state == ITEM_MISSING &&
	    (is_final(status) || strcmp(status, "available") == 0))
		item_remove_files(it); /* died after the media was removed */
}

static void
on_row(void *arg, PGresult *res)
{
	struct item *it = arg;

	it->row_busy = false;
	if (it->d->exiting)
		return;
	if (res == NULL) {
		it->sent_status[0] = '\0'; /* sent again on reconnect */
		return;
	}
	if (!db_ok(res, "write segment") || PQntuples(res) == 0) {
		if (PQntuples(res) == 0 && db_sqlstate(res)[0] == '\0')
			log_error("segment_of_another_session",
			    LOG_S("segment", it->id));
		it->sent_status[0] = '\0';
		it->row_known = false;
		it->row_retry_ns = clock_mono_ns() +
		    (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
		item_retry_later(it);
		return;
	}
	it->row_known = it->is_registered = true;
	on_row_status(it, PQgetvalue(res, 0, 0));
	item_sync(it);
	item_update(it);
}

static void
item_sync(struct item *it)
{
	const struct rows_state state = { .node = node_id(it->d->node),
		.status = it->status,
		.detail = it->detail };

	if (!it->has_manifest || it->status[0] == '\0' ||
	    (strcmp(it->status, it->sent_status) == 0 &&
		strcmp(it->detail, it->sent_detail) == 0))
		return;
	/* behind what is wanted, also for as long as nothing can be sent */
	it->row_known = false;
	if (it->row_busy || it->row_retry_ns > clock_mono_ns() ||
	    !db_is_connected(it->d->db))
		return;
	if (rows_upsert(it->d->db, &it->m, &state, on_row, it) != 0)
		return;
	it->row_busy = true;
	strcpy(it->sent_status, it->status);
	strcpy(it->sent_detail, it->detail);
}

void
item_want(struct item *it, const char *status, const char *detail)
{
	snprintf(it->status, sizeof(it->status), "%s", status);
	snprintf(it->detail, sizeof(it->detail), "%s", detail);
	item_sync(it);
}

void
item_retry_later(struct item *it)
{
	change_state(it, ITEM_WAIT, it->detail);
	it->retry_ns =
	    clock_mono_ns() + (uint64_t)it->d->conf.retry_seconds * NS_PER_S;
}

/* ---- decisions ---- */

static int
unlink_file(struct item *it, const char *suffix)
{
	char name[64];

	if (unlinkat(it->d->spool->dir, file_name(it, suffix, name), 0) == 0 ||
	    errno == ENOENT)
		return 0;
	log_error("spool_remove", LOG_S("file", name), LOG_ERRNO());
	return ERR_IO;
}

void
item_remove_files(struct item *it)
{
	it->state = ITEM_NEW;
	if (unlink_file(it, ".webm") != 0) {
		item_retry_later(it);
		return;
	}
	fsync(it->d->spool->dir);
	unlink_file(it, ".jpg");
	unlink_file(it, ".json.open");
	unlink_file(it, ".json");
	fsync(it->d->spool->dir);
	it->has_manifest = false; /* files of that name are new ones */
	it->row_known = it->is_registered = false;
	it->status[0] = it->sent_status[0] = '\0';
	spool_kick(it->d->spool, false);
}

static void
log_once(struct item *it, const char *event, const char *why)
{
	if (!it->was_logged)
		log_warn(event, LOG_S("segment", it->id), LOG_S("why", why));
	it->was_logged = true;
}

/* Reads the manifest once for each kind; the final one replaces the other. */
static int
load_manifest(struct item *it, bool closed)
{
	char name[64], err[160] = "";
	int rc;

	if (it->has_manifest && it->m.is_closed == closed)
		return 0;
	manifest_release(&it->m);
	rc = manifest_load(&it->m, it->d->spool->dir,
	    file_name(it, closed ? ".json" : ".json.open", name), it->id,
	    closed, err, sizeof(err));
	it->has_manifest = rc == 0;
	if (rc == 0 && it->m.refused != NULL)
		log_warn("manifest_field_refused", LOG_S("segment", it->id),
		    LOG_S("field", it->m.refused));
	if (rc == ERR_PROTOCOL || rc == ERR_IO) {
		log_once(it, "manifest_refused", err);
		change_state(it, ITEM_BAD, err);
	}
	return rc;
}

static void
recheck(struct spool *s)
{
	struct timeval tv = { 0, RECHECK_MS * 1000 };

	if (!evtimer_pending(s->soon, NULL))
		evtimer_add(s->soon, &tv);
}

/* .json with .webm.part: finish the rename, unless somebody is at it. */
static void
finish_rename(struct item *it)
{
	char from[64], to[64];

	if (is_locked(it) != 0) {
		change_state(it, ITEM_RECORDING, "being closed");
		recheck(it->d->spool);
		return;
	}
	if (file_size(it, ".webm.part", NULL) != it->m.bytes) {
		change_state(it, ITEM_REPAIR, "size is not the manifest's");
		repair_start(it);
		return;
	}
	renameat(it->d->spool->dir, file_name(it, ".webm.part", from),
	    it->d->spool->dir, file_name(it, ".webm", to));
	fsync(it->d->spool->dir);
	spool_kick(it->d->spool, false);
}

static void
update_closed(struct item *it)
{
	char why[120];
	long long size;

	if (load_manifest(it, true) != 0)
		return;
	if (it->files & F_WEBM) {
		size = (long long)file_size(it, ".webm", NULL);
		if (size != it->m.bytes) {
			snprintf(why, sizeof(why),
			    "size differs: %lld in the spool, %lld in the "
			    "manifest",
			    size, (long long)it->m.bytes);
			change_state(it, ITEM_BAD, why);
			item_want(it, "corrupted", why);
			return;
		}
		change_state(it, ITEM_CLOSED, "closed");
		/* a retry keeps the reason of the last failure in sight */
		item_want(it, "transfer",
		    strcmp(it->status, "transfer") == 0 ? it->detail : "");
		if (it->row_known)
			transfer_start(it);
	} else if (it->files & F_PART)
		finish_rename(it);
	else {
		change_state(it, ITEM_MISSING, "manifest without media");
		item_want(it, "missing", "the recording is not in the spool");
	}
}

static void
update_open(struct item *it)
{
	int locked;

	if (load_manifest(it, false) != 0)
		return;
	if ((it->files & F_PART) == 0) {
		change_state(it, ITEM_MISSING, "manifest without media");
		item_want(it, "missing", "the recording is not in the spool");
		return;
	}
	locked = is_locked(it);
	if (locked == 1) {
		change_state(it, ITEM_RECORDING, "locked by its recorder");
		item_want(it, "recording", "");
	} else if (locked == 0) {
		change_state(it, ITEM_REPAIR, "its recorder died");
		repair_start(it);
	}
}

/* Files that nothing can be made of go after a day. */
static void
update_remnant(struct item *it)
{
	static const char *const kinds[] = { ".webm.part", ".json.tmp",
		".jpg" };
	time_t changed;

	log_once(it, "spool_remnant", "no manifest; removed after a day");
	change_state(it, ITEM_BAD, "no manifest");
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (file_size(it, kinds[i], &changed) >= 0 &&
		    (uint64_t)changed + REMNANT_S <
			clock_wall_ns() / NS_PER_S &&
		    (i > 0 || is_locked(it) == 0))
			unlink_file(it, kinds[i]);
}

static bool
is_under_way(const struct item *it)
{
	return it->state == ITEM_TRANSFER || it->state == ITEM_STORED ||
	    it->pid != 0;
}

void
item_update(struct item *it)
{
	if (is_under_way(it) || it->row_busy)
		return;
	it->files = look(it);
	if (it->files == 0) {
		TAILQ_REMOVE(&it->d->spool->items, it, link);
		manifest_release(&it->m);
		signing_forget(it);
		free(it);
		return;
	}
	if (it->retry_ns > clock_mono_ns() || it->d->stopping)
		return;
	if (it->files & F_JSON)
		update_closed(it);
	else if ((it->files & F_OPEN) && !(it->files & F_WEBM))
		update_open(it);
	else
		update_remnant(it);
}

/* ---- the folder ---- */

static struct item *
find_item(struct spool *s, const char *id)
{
	struct item *it;

	TAILQ_FOREACH(it, &s->items, link)
	if (strcmp(it->id, id) == 0)
		return it;
	it = calloc(1, sizeof(*it));
	if (it == NULL)
		return NULL;
	it->d = s->d;
	it->fd = it->poster_fd = -1;
	strcpy(it->id, id);
	TAILQ_INSERT_TAIL(&s->items, it, link);
	return it;
}

/* A spool file's segment, if it is one. */
static bool
parse_name(const char *name, char id[37])
{
	if (strlen(name) < 37)
		return false;
	memcpy(id, name, 36);
	id[36] = '\0';
	if (!is_uuid(id))
		return false;
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++)
		if (strcmp(name + 36, suffixes[i].suffix) == 0)
			return true;
	return false;
}

static void
scan(struct spool *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct item *it, *next;
	char id[37];

	s->next_scan_ns =
	    clock_mono_ns() + (uint64_t)s->d->conf.scan_seconds * NS_PER_S;
	if (dir == NULL) {
		log_error("spool_unreadable", LOG_ERRNO());
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (parse_name(e->d_name, id))
			find_item(s, id);
	closedir(dir);
	for (it = TAILQ_FIRST(&s->items); it != NULL; it = next) {
		next = TAILQ_NEXT(it, link);
		item_sync(it);
		item_update(it);
	}
}

static void
on_soon(evutil_socket_t fd, short what, void *arg)
{
	scan(arg);
}

void
spool_kick(struct spool *s, bool retry)
{
	struct timeval tv = { 0, SOON_MS * 1000 };
	struct item *it;

	if (retry)
		TAILQ_FOREACH(it, &s->items, link)
	it->retry_ns = it->row_retry_ns = 0;
	evtimer_add(s->soon, &tv);
}

static void
on_inotify(evutil_socket_t fd, short what, void *arg)
{
	struct spool *s = arg;
	char events[8192];
	ssize_t n;
	bool closed = false;

	while ((n = read(fd, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;

			memcpy(&e, events + at, sizeof(e));
			closed |= (e.mask & IN_CLOSE_WRITE) != 0;
			at += (ssize_t)(sizeof(e) + e.len);
		}
	/* the lock goes a moment after the event of the last close */
	if (closed && !evtimer_pending(s->soon, NULL))
		recheck(s);
	else
		spool_kick(s, false);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct spool *s = arg;
	struct item *it;
	bool due = clock_mono_ns() >= s->next_scan_ns;

	memset(s->n_state, 0, sizeof(s->n_state));
	s->bytes_waiting = 0;
	TAILQ_FOREACH(it, &s->items, link)
	{
		s->n_state[it->state]++;
		if (it->has_manifest && it->m.is_closed && (it->files & F_WEBM))
			s->bytes_waiting += (uint64_t)it->m.bytes;
		if (it->state == ITEM_WAIT && it->retry_ns <= clock_mono_ns())
			due = true;
		if (it->state == ITEM_TRANSFER &&
		    it->percent != it->percent_sent) {
			it->percent_sent = it->percent;
			rows_progress(s->d->db, it->id, it->percent);
		}
	}
	if (due)
		scan(s);
}

static void
on_child(evutil_socket_t fd, short what, void *arg)
{
	repair_reap(arg);
}

/* As its recorder named it; the closed file first. */
static int
open_media(const struct item *it, bool *is_growing)
{
	int fd = spool_open_file(it, ".webm");

	*is_growing = fd < 0;
	return fd >= 0 ? fd : spool_open_file(it, ".webm.part");
}

static bool
is_key_of(const struct item *it, const char *key)
{
	char poster[OBJECT_KEY_MAX + 1];

	return it->is_registered &&
	    (strcmp(it->m.object_key, key) == 0 ||
		(it->m.poster[0] != '\0' &&
		    strcmp(object_key_poster(it->m.object_key, poster), key) ==
			0));
}

int
spool_open(const struct spool *s, const char *key, bool *is_growing)
{
	const struct item *it;

	*is_growing = false;
	TAILQ_FOREACH(it, &s->items, link)
	if (is_key_of(it, key))
		break;
	if (it == NULL)
		return -1;
	return object_key_is_poster(key) ? spool_open_file(it, ".jpg")
					 : open_media(it, is_growing);
}

unsigned
spool_busy(const struct spool *s)
{
	const struct item *it;
	unsigned n = 0;

	TAILQ_FOREACH(it, &s->items, link)
	n += is_under_way(it) || it->row_busy;
	return n;
}

static int
add_events(struct spool *s)
{
	struct event_base *base = s->d->base;
	struct timeval second = { 1, 0 };

	s->ev =
	    event_new(base, s->inotify, EV_READ | EV_PERSIST, on_inotify, s);
	s->soon = evtimer_new(base, on_soon, s);
	s->tick = event_new(base, -1, EV_PERSIST, on_tick, s);
	s->child = evsignal_new(base, SIGCHLD, on_child, s);
	if (s->ev == NULL || s->soon == NULL || s->tick == NULL ||
	    s->child == NULL || event_add(s->ev, NULL) != 0 ||
	    event_add(s->tick, &second) != 0 || event_add(s->child, NULL) != 0)
		return ERR_NOMEM;
	return 0;
}

int
spool_new(struct daemon *d, char *err, size_t err_len)
{
	struct spool *s = calloc(1, sizeof(*s));
	const char *dir = d->spool_conf.dir;

	if (s == NULL)
		return ERR_NOMEM;
	s->d = d;
	d->spool = s;
	TAILQ_INIT(&s->items);
	s->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (s->dir < 0 || s->inotify < 0 ||
	    inotify_add_watch(s->inotify, dir,
		IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE |
		    IN_MOVED_FROM) < 0) {
		snprintf(
		    err, err_len, "spool.dir %s: %s", dir, strerror(errno));
		return ERR_CONFIG;
	}
	if (faccessat(s->dir, ".", W_OK | X_OK, AT_EACCESS) != 0) {
		snprintf(
		    err, err_len, "spool.dir %s: %s", dir, strerror(errno));
		return ERR_CONFIG;
	}
	if (add_events(s) != 0)
		return ERR_NOMEM;
	spool_kick(s, false);
	return 0;
}

void
spool_free(struct spool *s)
{
	struct event *events[] = { s->ev, s->soon, s->tick, s->child };
	struct item *it;

	for (size_t i = 0; i < N_ELEMENTS(events); i++)
		if (events[i] != NULL)
			event_free(events[i]);
	while ((it = TAILQ_FIRST(&s->items)) != NULL) {
		TAILQ_REMOVE(&s->items, it, link);
		if (it->fd >= 0)
			close(it->fd);
		if (it->poster_fd >= 0)
			close(it->poster_fd);
		manifest_release(&it->m);
		signing_forget(it);
		free(it);
	}
	if (s->dir >= 0)
		close(s->dir);
	if (s->inotify >= 0)
		close(s->inotify);
	free(s);
}
