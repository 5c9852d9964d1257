#include "storage/spool/transfer_db.h"

#include "common/db.h"
#include "common/err.h"
#include "common/uuid.h"
#include "storage/daemon.h"

static void
on_state(void *arg, bool connected)
{
}

int
transfer_db_new(struct daemon *d)
{
	for (unsigned i = 0; i < TRANSFER_DBS; i++) {
		d->transfer_db[i] = db_new(d->base, &d->database, on_state, d);
		if (d->transfer_db[i] == NULL)
			return ERR_NOMEM;
	}
	return 0;
}

void
transfer_db_free(struct daemon *d)
{
	for (unsigned i = 0; i < TRANSFER_DBS; i++)
		db_free(d->transfer_db[i]);
}

struct db *
transfer_db(const struct daemon *d, const char *segment)
{
	unsigned digit = (unsigned char)segment[UUID_LEN - 1];
	struct db *db = d->transfer_db[digit % TRANSFER_DBS];

	return db_is_connected(db) ? db : d->db;
}
