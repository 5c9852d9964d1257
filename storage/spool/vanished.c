#include "storage/spool/vanished.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/node.h"
#include "storage/spool/lost_nodes.h"
#include "storage/spool/spool_folder.h"
#include "storage/store/store.h"

#define LOOK_NS  (60 * NS_PER_S)
#define AGAIN_NS (5 * NS_PER_S)

/* One of them is there for as long as a segment is being recorded, repaired,
 * kept to be encoded, or encoded: docs/spool.md. */
static const char *const suffixes[] = { ".webm.part", ".webm", ".json",
	".json.open", ".capture.part", ".capture", ".capture.json", ".encode",
	".encoded", ".capture.kept" };

/* Also when that cannot be told, as with a disk that gives errors. */
static bool
is_file(const struct vanished *v, const char *folder, const char *id,
    const char *suffix)
{
	char name[SPOOL_NAME_MAX];
	struct stat st;

	return fstatat(v->dir, spool_name(folder, id, suffix, name), &st,
		   AT_SYMLINK_NOFOLLOW) == 0 ||
	    (errno != ENOENT && errno != ENOTDIR);
}

static bool
has_files(const struct vanished *v, const char *folder, const char *id)
{
	for (size_t i = 0; i < N_ELEMENTS(suffixes); i++)
		if (is_file(v, folder, id, suffixes[i]))
			return true;
	return false;
}

/* Only a row that still says so: it may have been stored meanwhile. */
static void
close_row(const struct vanished *v, const char *id, const char *session,
    const char *status)
{
	const char *params[] = { id, status };

	log_warn("segment_vanished", LOG_S("segment", id),
	    LOG_S("session", session));
	db_query_now(v->d->db,
	    "UPDATE segments SET status = 'missing', status_detail = CASE "
	    "status WHEN 'recording' THEN "
	    "'its recorder ended before the first picture' ELSE "
	    "'its files are gone from the spool' END, "
	    "end_mono_ns = coalesce(end_mono_ns, start_mono_ns), "
	    "ended_at = coalesce(ended_at, started_at), "
	    "recovered = recovered OR status = 'recording', "
	    "end_why = coalesce(end_why, 'crash') "
	    "WHERE id = $1::uuid AND status = $2 AND store IS NULL",
	    2, params, NULL, NULL);
}

/* is_early: some of it is in the store. */
static void
gone(struct vanished *v, const char *id, const char *session,
    const char *status, bool is_early)
{
	if (!is_early || v->d->store->ops->early_end == NULL) {
		close_row(v, id, session, status);
		return;
	}
	lost_nodes_want(v->d->lost_nodes, id);
	v->next_ns = clock_mono_ns() + AGAIN_NS; /* one at a time */
}

static void
on_rows(void *arg, PGresult *res)
{
	struct vanished *v = arg;
	const char *id, *session;

	v->is_asked = false;
	if (v->d->exiting)
		return;
	if (res == NULL || !db_ok(res, "segments being recorded")) {
		v->next_ns = 0;
		return;
	}
	for (int i = 0; i < PQntuples(res); i++) {
		id = PQgetvalue(res, i, 0);
		session = PQgetvalue(res, i, 1);
		if (!has_files(v, session, id) && !has_files(v, "", id) &&
		    !is_file(v, SPOOL_UPLOADS, id, ".data"))
			gone(v, id, session, PQgetvalue(res, i, 2),
			    PQgetvalue(res, i, 3)[0] == 't');
	}
}

void
vanished_look(struct vanished *v)
{
	const char *params[] = { node_id(v->d->node) };
	uint64_t now = clock_mono_ns();

	if (v->is_asked || now < v->next_ns || !db_is_connected(v->d->db))
		return;
	v->is_asked = db_query_now(v->d->db,
			  "SELECT id, session_id, status, EXISTS (SELECT FROM "
			  "uploads u WHERE u.segment_id = segments.id AND "
			  "u.is_early AND u.manifest IS NOT NULL) "
			  "FROM segments WHERE "
			  "status IN ('recording', 'transfer', 'downloaded', "
			  "'encoding', 'encoding_failed') AND store IS NULL "
			  "AND spool_node = $1::uuid",
			  1, params, on_rows, v) == 0;
	if (v->is_asked)
		v->next_ns = now + LOOK_NS;
}

void
vanished_soon(struct vanished *v)
{
	v->next_ns = 0;
}
