/* Captures whose end could not be decoded, until their time is over (T12). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"

#define ID_LEN 36
#define SUFFIX ".capture.kept"

struct question {
	struct encode_queue *q;
	char id[ID_LEN + 1];
};

static const char over_sql[] = "SELECT FROM segments WHERE id = $1::uuid "
			       "AND status NOT IN ('expired', 'deleted')";

static void
on_answer(void *arg, PGresult *res)
{
	struct question *k = arg;
	char name[64];

	if (res != NULL && db_ok(res, "read the row of a kept capture") &&
	    PQntuples(res) == 0) {
		snprintf(name, sizeof(name), "%s" SUFFIX, k->id);
		if (unlinkat(k->q->dir, name, 0) == 0)
			log_info(
			    "kept_capture_removed", LOG_S("capture", k->id));
		else if (errno != ENOENT)
			log_error(
			    "spool_remove", LOG_S("file", name), LOG_ERRNO());
	}
	free(k);
}

static void
ask(struct encode_queue *q, const char *name)
{
	struct question *k = calloc(1, sizeof(*k));
	const char *params[1];

	if (k == NULL)
		return;
	k->q = q;
	snprintf(k->id, sizeof(k->id), "%.*s", ID_LEN, name);
	params[0] = k->id;
	if (db_query_now(q->d->db, over_sql, 1, params, on_answer, k) != 0)
		free(k);
}

/* As other names of the folder: "<uuid><suffix>". */
static bool
is_kept(const char *name)
{
	return strlen(name) == ID_LEN + strlen(SUFFIX) &&
	    strcmp(name + ID_LEN, SUFFIX) == 0 &&
	    strspn(name, "0123456789abcdef-") == ID_LEN;
}

void
encode_kept_tick(struct encode_queue *q)
{
	int fd;
	DIR *d;
	const struct dirent *e;

	if (q->d->stopping || q->kept_ns > clock_mono_ns() ||
	    !db_is_connected(q->d->db))
		return;
	q->kept_ns =
	    clock_mono_ns() + (uint64_t)q->d->conf.expiry_seconds * NS_PER_S;
	fd = openat(q->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd >= 0 ? fdopendir(fd) : NULL;
	while (d != NULL && (e = readdir(d)) != NULL)
		if (is_kept(e->d_name))
			ask(q, e->d_name);
	if (d != NULL)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}
