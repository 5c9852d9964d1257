#include "storage/scrub/scrub_spool.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/uuid.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"
#include "storage/spool/spool.h"
#include "storage/spool/spool_folder.h"

#define EVERY_S   600
#define SETTLED_S 3600  /* since it was changed */
#define HIDDEN_S  86400 /* somebody is writing it, or died over it */
#define FILES_MAX 100   /* findings; more say no more */

/* clang-format off */
static const char seen_sql[] =
"WITH seen AS (SELECT $1::text AS place, s.name, s.bytes"
"  FROM jsonb_to_recordset($2::jsonb) AS s(name text, bytes bigint)),"
" gone AS (DELETE FROM unknown_files u WHERE u.place = $1"
"  AND NOT EXISTS (SELECT FROM seen WHERE seen.name = u.name)) "
"INSERT INTO unknown_files (place, name, bytes) SELECT DISTINCT ON (name)"
" place, name, bytes FROM seen ON CONFLICT (place, name) DO UPDATE SET"
" bytes = excluded.bytes, last_seen = now()";
/* clang-format on */

struct scrub_spool {
	struct daemon *d;
	struct event *timer;
	char place[400]; /* "spool HOST:DIR" */
	json_t *found;   /* of the look under way */
};

/* PostgreSQL takes UTF-8 only; a name that is none is ours in no case. */
static void
plain(char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < ' ' || (unsigned char)*name > '~')
			*name = '?';
}

/* A name in that folder ("": the spool) that nobody knows. */
static void
note(struct scrub_spool *s, int dir, const char *folder, const char *name)
{
	uint64_t age_s = name[0] == '.' ? HIDDEN_S : SETTLED_S;
	char path[300];
	struct stat st;

	if (json_array_size(s->found) >= FILES_MAX ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    (uint64_t)st.st_mtim.tv_sec + age_s > clock_wall_ns() / NS_PER_S)
		return;
	snprintf(path, sizeof(path), "%s%s%s", folder,
	    folder[0] != '\0' ? "/" : "", name);
	plain(path);
	json_array_append_new(s->found,
	    json_pack("{s:s, s:I}", "name", path, "bytes",
		(json_int_t)(S_ISREG(st.st_mode) ? st.st_size : 0)));
}

static bool
is_known(const char *name)
{
	char id[SPOOL_FOLDER_MAX];

	return spool_name_has_id(name, id) &&
	    (strcmp(name + UUID_LEN, ".capture.kept") == 0 ||
		spool_name_is_of(
		    spool_segment_suffixes, SPOOL_SEGMENT_KINDS, name) ||
		spool_name_is_of(capture_suffixes, CAPTURE_KINDS, name));
}

/* Of the system, of other parts of storage, or set aside and audited. */
static bool
is_anothers(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	    strcmp(name, "lost+found") == 0 ||
	    strcmp(name, SPOOL_QUARANTINE) == 0 ||
	    strcmp(name, SPOOL_UPLOADS) == 0;
}

/* folder "": the spool, whose folders of sessions are looked into. */
static void
look_into(struct scrub_spool *s, const char *folder)
{
	int fd = spool_folder_open(s->d->spool->dir, folder);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (is_anothers(e->d_name) || is_known(e->d_name))
			continue;
		if (folder[0] == '\0' && is_uuid(e->d_name))
			look_into(s, e->d_name);
		else
			note(s, dirfd(dir), folder, e->d_name);
	}
	closedir(dir);
}

/* Of a name that is known, but no recording: its manifest is gone or refused.
 */
static void
look_at_segments(struct scrub_spool *s)
{
	const struct spool_segment *sg;
	char name[SPOOL_NAME_MAX];

	TAILQ_FOREACH(sg, &s->d->spool->segments, link) {
		if (sg->row.state != SPOOL_BAD || sg->row.is_registered)
			continue;
		for (size_t i = 0; i < SPOOL_SEGMENT_KINDS; i++)
			note(s, s->d->spool->dir, "",
			    spool_row_name(&sg->row,
				spool_segment_suffixes[i].suffix, name));
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct scrub_spool *s = arg;
	struct timeval tv = { EVERY_S, 0 };
	char *text = NULL;
	const char *params[] = { s->place, NULL };

	if (s->d->stopping || s->d->exiting)
		return;
	evtimer_add(s->timer, &tv);
	if (!db_is_connected(s->d->db))
		return;
	s->found = json_array();
	look_into(s, "");
	look_at_segments(s);
	text = json_dumps(s->found, JSON_COMPACT);
	if (json_array_size(s->found) > 0)
		log_warn("spool_files_unknown",
		    LOG_U("files", json_array_size(s->found)));
	json_decref(s->found);
	params[1] = text;
	if (text != NULL)
		db_query_now(s->d->db, seen_sql, 2, params, NULL, NULL);
	free(text);
}

void
scrub_spool_look(struct scrub_spool *s)
{
	on_timer(-1, 0, s);
}

int
scrub_spool_new(struct daemon *d)
{
	struct scrub_spool *s = calloc(1, sizeof(*s));
	char host[65] = "";
	struct timeval tv = { 60, 0 }; /* the spool was looked through then */

	if (s == NULL)
		return ERR_NOMEM;
	d->scrub_spool = s;
	s->d = d;
	if (gethostname(host, sizeof(host) - 1) != 0)
		strcpy(host, "localhost");
	snprintf(s->place, sizeof(s->place), "spool %s:%.300s", host,
	    d->spool_conf.dir);
	s->timer = evtimer_new(d->base, on_timer, s);
	return s->timer != NULL && evtimer_add(s->timer, &tv) == 0 ? 0
								   : ERR_NOMEM;
}

void
scrub_spool_free(struct scrub_spool *s)
{
	if (s == NULL)
		return;
	if (s->timer != NULL)
		event_free(s->timer);
	free(s);
}
