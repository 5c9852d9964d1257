#include "storage/spool/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"

static const char note_sql[] =
    "WITH s AS (SELECT team_id FROM sessions WHERE id = $1::uuid), "
    "u AS (UPDATE segments SET status = 'missing', status_detail = "
    "'set aside: its manifest names another session', "
    "end_mono_ns = coalesce(end_mono_ns, start_mono_ns), "
    "ended_at = coalesce(ended_at, started_at), recovered = true, "
    "end_why = coalesce(end_why, 'crash') "
    "WHERE id = $2::uuid AND session_id = $1::uuid AND status IN "
    "('recording', 'transfer', 'corrupted', 'downloaded', 'encoding')) "
    "INSERT INTO audit (team_id, actor, action, object, detail) "
    "VALUES ((SELECT team_id FROM s), $4, 'recording_quarantined', $1, "
    "jsonb_build_object('segment', $2::text, 'named', $3::text))";

struct move {
	struct daemon *d;
	struct quarantine q; /* folder and id are those below */
	char folder[SPOOL_FOLDER_MAX], id[SPOOL_FOLDER_MAX];
};

bool
quarantine_is_due(const char *folder, const char *session)
{
	return folder[0] != '\0' && strcmp(folder, session) != 0;
}

/* A folder below dir, made if need be; or -1. */
static int
open_made(int dir, const char *name)
{
	if (mkdirat(dir, name, 0700) != 0 && errno != EEXIST)
		return -1;
	return spool_folder_open(dir, name);
}

/* SPOOL/quarantine/SESSION, or -1. */
static int
open_quarantine(int spool, const char *folder)
{
	int all = open_made(spool, SPOOL_QUARANTINE), one = -1;

	if (all >= 0) {
		one = open_made(all, folder);
		fsync(all);
		close(all);
	}
	return one;
}

/* 0, also when it is not there. */
static int
move_file(const struct move *m, int from, int to, const char *suffix)
{
	char name[SPOOL_NAME_MAX];

	spool_name("", m->id, suffix, name);
	return renameat(from, name, to, name) == 0 || errno == ENOENT ? 0
								      : ERR_IO;
}

/* The manifest is the last: by it the others are found again. */
static int
move_files(const struct move *m, int from, int to)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < m->q.n_kinds; i++)
		if (strcmp(m->q.kinds[i].suffix, m->q.manifest) != 0)
			rc = move_file(m, from, to, m->q.kinds[i].suffix);
	if (rc == 0 && fsync(to) != 0)
		rc = ERR_IO;
	if (rc == 0)
		rc = move_file(m, from, to, m->q.manifest);
	if (rc == 0 && (fsync(to) != 0 || fsync(from) != 0))
		rc = ERR_IO;
	return rc;
}

static bool
set_aside(const struct move *m)
{
	int spool = m->d->spool->dir;
	int from = spool_folder_open(spool, m->folder);
	int to = from >= 0 ? open_quarantine(spool, m->folder) : -1;
	bool is_moved = to >= 0 && move_files(m, from, to) == 0;

	if (is_moved) {
		m->d->counters.quarantined++;
		log_error("recording_quarantined", LOG_S("session", m->folder),
		    LOG_S("segment", m->id));
	} else
		log_error("quarantine_failed", LOG_S("session", m->folder),
		    LOG_S("segment", m->id), LOG_ERRNO());
	if (to >= 0)
		close(to);
	if (from >= 0)
		close(from);
	return is_moved;
}

static void
on_noted(void *arg, PGresult *res)
{
	struct move *m = arg;
	bool may_move = !m->d->exiting && res != NULL &&
	    db_ok(res, "note what is set aside");

	m->q.done(m->q.arg, may_move && set_aside(m));
	free(m);
}

int
quarantine_start(struct daemon *d, const struct quarantine *q)
{
	const char *params[] = { q->folder, q->id, q->named, d->actor };
	struct move *m = calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return ERR_NOMEM;
	m->d = d;
	m->q = *q;
	m->q.named = NULL;
	strcpy(m->folder, q->folder);
	strcpy(m->id, q->id);
	m->q.folder = m->folder;
	m->q.id = m->id;
	rc = db_query_now(
	    d->db, note_sql, N_ELEMENTS(params), params, on_noted, m);
	if (rc != 0)
		free(m);
	return rc;
}
