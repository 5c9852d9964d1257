#include "storage/store/folder_mark.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/conf.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/store_mark.h"
#include "manifest/object_key.h"
#include "storage/counters.h"
#include "storage/storage_worker.h"
#include "storage/store/store.h"

#define LOOK_S 5

/* One row at least: the id or "", an id for a new store, and some of what is
 * stored, or "". */
static const char id_sql[] =
    "SELECT coalesce(f.id::text, ''), gen_random_uuid()::text, "
    "coalesce(g.object_key, '') FROM (SELECT) AS one "
    "LEFT JOIN folder_store f ON true "
    "LEFT JOIN (SELECT object_key FROM segments WHERE store = 'folder' "
    "AND status = 'available' LIMIT 20) AS g ON f.id IS NULL";

struct folder_mark {
	struct worker_job work; /* first; a look */
	const struct conf_store *conf;
	struct db *db;
	struct workers *workers;
	struct counters *counters;
	struct event *timer;
	char id[UUID_TEXT_MAX], looked_id[UUID_TEXT_MAX];
	char found[STORE_DETAIL_MAX];   /* by the look; "": it is well */
	char trouble[STORE_DETAIL_MAX]; /* "": none */
	bool is_looking, is_asking;
};

static void
set_trouble(struct folder_mark *m, const char *why)
{
	if (strcmp(m->trouble, why) == 0)
		return;
	if (why[0] != '\0')
		log_error("store_not_there", LOG_S("why", why));
	else
		log_info("store_is_there", LOG_S("folder", m->conf->folder),
		    LOG_S("id", m->id));
	snprintf(m->trouble, sizeof(m->trouble), "%s", why);
}

/* ---- the look ---- */

static void
run(struct worker_job *work)
{
	struct folder_mark *m = (struct folder_mark *)work;
	int dir = store_mark_open(
	    m->conf->folder, m->looked_id, m->found, sizeof(m->found));

	if (dir < 0)
		return;
	m->found[0] = '\0';
	close(dir);
}

static void
done(struct worker_job *work)
{
	struct folder_mark *m = (struct folder_mark *)work;

	m->is_looking = false;
	m->counters->store_jobs--;
	set_trouble(m, m->found);
}

static void
look(struct folder_mark *m)
{
	if (m->is_looking || m->id[0] == '\0')
		return;
	m->is_looking = true;
	strcpy(m->looked_id, m->id);
	m->work.run = run;
	m->work.done = done;
	m->counters->store_jobs++;
	workers_submit(m->workers, &m->work);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct folder_mark *m = arg;

	if (m->id[0] == '\0') /* it could not be adopted: perhaps it can now */
		folder_mark_announce(m);
	else
		look(m);
}

/* ---- the id ---- */

/* One of the recordings that the database knows is in it, or it knows none. */
static bool
has_recordings(int dir, const PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const char *key = PQgetvalue(res, i, 2);
		int fd = key[0] != '\0' ? beneath_open(dir, key) : -1;

		if (fd >= 0)
			close(fd);
		if (fd >= 0 || key[0] == '\0')
			return true;
	}
	return false;
}

/* Of two folders that were adopted at once, the database has the id of one. */
static void
on_noted(void *arg, PGresult *res)
{
	if (db_ok(res, "note the store's id"))
		folder_mark_announce(arg);
}

/* The first start with this database, or with this version: the folder's mark
 * is made here. A few system calls, once in the life of a store. */
static void
adopt(struct folder_mark *m, const PGresult *res)
{
	const char *path = m->conf->folder;
	char why[STORE_DETAIL_MAX], id[UUID_TEXT_MAX];
	const char *params[] = { id };
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = dir >= 0 ? store_mark_read(dir, id) : ERR_IO;

	why[0] = '\0';
	if (rc == ERR_NOTFOUND && !has_recordings(dir, res))
		snprintf(why, sizeof(why),
		    "%s has none of the recordings that are stored: is it "
		    "mounted?",
		    path);
	else if (rc == ERR_NOTFOUND) {
		snprintf(id, sizeof(id), "%s", PQgetvalue(res, 0, 1));
		rc = store_mark_make(dir, id);
		if (rc == ERR_EXISTS) /* another daemon was first */
			rc = store_mark_read(dir, id);
	}
	if (rc != 0 && why[0] == '\0')
		snprintf(why, sizeof(why), "%s: its mark %s: %s", path,
		    STORE_MARK_NAME,
		    rc == ERR_IO ? strerror(errno) : err_text(rc));
	if (dir >= 0)
		close(dir);
	set_trouble(m, why);
	if (rc != 0)
		return;
	strcpy(m->id, id);
	db_query_now(m->db,
	    "INSERT INTO folder_store (id) VALUES ($1) ON CONFLICT DO NOTHING",
	    N_ELEMENTS(params), params, on_noted, m);
}

static void
on_id(void *arg, PGresult *res)
{
	struct folder_mark *m = arg;
	const char *id;

	m->is_asking = false;
	if (!db_ok(res, "read the store's id"))
		return;
	id = PQgetvalue(res, 0, 0);
	if (id[0] == '\0')
		adopt(m, res);
	else
		snprintf(m->id, sizeof(m->id), "%s", id);
	look(m);
}

void
folder_mark_announce(struct folder_mark *m)
{
	if (!m->is_asking)
		m->is_asking =
		    db_query_now(m->db, id_sql, 0, NULL, on_id, m) == 0;
}

/* ---- */

struct folder_mark *
folder_mark_new(const struct store_env *env)
{
	struct folder_mark *m = calloc(1, sizeof(*m));
	struct timeval tv = { LOOK_S, 0 };

	if (m == NULL)
		return NULL;
	m->conf = env->conf;
	m->db = env->db;
	m->workers = env->workers;
	m->counters = env->counters;
	m->timer = event_new(env->base, -1, EV_PERSIST, on_timer, m);
	if (m->timer == NULL || event_add(m->timer, &tv) != 0) {
		folder_mark_free(m);
		return NULL;
	}
	return m;
}

void
folder_mark_free(struct folder_mark *m)
{
	if (m->timer != NULL)
		event_free(m->timer);
	free(m);
}

const char *
folder_mark_path(const struct folder_mark *m)
{
	return m->conf->folder;
}

const char *
folder_mark_id(const struct folder_mark *m)
{
	return m->id;
}

const char *
folder_mark_trouble(const struct folder_mark *m)
{
	return m->trouble[0] != '\0' ? m->trouble : NULL;
}
