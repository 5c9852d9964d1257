#include "storage/spool/transfer_lock.h"

#include "common/bytes.h"
#include "common/db.h"
#include "common/log.h"
#include "storage/daemon.h"
#include "storage/spool/spool.h"

#define LOCK "hashtextextended('relaycam segment ' || $1, 0)"

static void
on_asked(void *arg, PGresult *res)
{
	struct spool_segment *sg = arg;
	struct spool_row *r = &sg->row;

	r->is_busy = false;
	if (r->d->exiting)
		return;
	if (!db_ok(res, "lock a segment") || PQgetvalue(res, 0, 0)[0] != 't') {
		if (res != NULL)
			log_info("transfer_waits", LOG_S("segment", r->id),
			    LOG_S("session", r->folder),
			    LOG_S("why", "another daemon stores a copy of it"));
		spool_row_retry(r, CAUSE_LATER, r->detail);
		return;
	}
	sg->lock = r->d->n_connects;
	r->is_known = false;
	r->sent_status[0] = '\0';
	spool_row_sync(r);
}

void
transfer_lock_take(struct spool_segment *sg)
{
	const char *params[] = { sg->row.id };

	sg->row.is_busy =
	    db_query_now(sg->row.d->db, "SELECT pg_try_advisory_lock(" LOCK ")",
		1, params, on_asked, sg) == 0;
}

bool
transfer_lock_is_held(const struct spool_segment *sg)
{
	return sg->lock != 0 && sg->lock == sg->row.d->n_connects;
}

void
transfer_lock_release(struct spool_segment *sg)
{
	const char *params[] = { sg->row.id };

	if (transfer_lock_is_held(sg))
		db_query_now(sg->row.d->db,
		    "SELECT pg_advisory_unlock(" LOCK ")", 1, params, NULL,
		    NULL);
	sg->lock = 0;
}
