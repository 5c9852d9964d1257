/* Captures whose end could not be decoded, until their time is over (T12). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/encode/encode_queue.h"

#define SUFFIX ".capture.kept"

struct question {
	struct encode_queue *q;
	char id[UUID_LEN + 1];
	char name[SPOOL_NAME_MAX];
};

static const char over_sql[] = "SELECT FROM segments WHERE id = $1::uuid "
			       "AND status NOT IN ('expired', 'deleted')";

static void
on_answer(void *arg, PGresult *res)
{
	struct question *k = arg;

	if (res != NULL && db_ok(res, "read the row of a kept capture") &&
	    PQntuples(res) == 0) {
		if (unlinkat(k->q->dir, k->name, 0) == 0)
			log_info(
			    "kept_capture_removed", LOG_S("capture", k->id));
		else if (errno != ENOENT)
			log_error("spool_remove", LOG_S("file", k->name),
			    LOG_ERRNO());
	}
	free(k);
}

static void
ask(void *arg, const char *folder, const char *id)
{
	struct question *k = calloc(1, sizeof(*k));
	const char *params[1];

	if (k == NULL)
		return;
	k->q = arg;
	spool_name(folder, id, SUFFIX, k->name);
	strcpy(k->id, id);
	params[0] = k->id;
	if (db_query_now(k->q->d->db, over_sql, 1, params, on_answer, k) != 0)
		free(k);
}

void
encode_quarantine_tick(struct encode_queue *q)
{
	static const struct spool_suffix kinds[] = { { SUFFIX, 1 } };
	struct spool_walk walk = {
		.kinds = kinds, .n_kinds = 1, .found = ask, .arg = q
	};

	if (q->d->stopping || q->quarantine_ns > clock_mono_ns() ||
	    !db_is_connected(q->d->db))
		return;
	q->quarantine_ns =
	    clock_mono_ns() + (uint64_t)q->d->conf.expiry_seconds * NS_PER_S;
	spool_walk(q->dir, &walk);
}
