#include "storage/node.h"

#include <event2/event.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/uuid.h"
#include "storage/daemon.h"

#define HEARTBEAT_S 5

struct node {
	struct daemon *d;
	struct event *timer;
	char id[UUID_TEXT_MAX], host[65];
	bool is_known; /* the row is there */
	uint64_t audit_writes;
	const char *trouble; /* NULL: the last heartbeat is in it */
};

/* An RFC 9562 version 8 UUID: the hash of who we are. */
static void
make_id(struct node *n)
{
	char text[512];
	unsigned char h[32];
	int len = snprintf(text, sizeof(text), "relaycam-storage\n%s\n%s",
	    n->host, n->d->spool_conf.dir);

	if ((size_t)len >= sizeof(text))
		len = sizeof(text) - 1;
	SHA256((const unsigned char *)text, (size_t)len, h);
	uuid_of_hash(h, n->id);
}

/* PostgreSQL counts the rows of the audit log as it adds them. */
#define AUDIT_WRITES                                                           \
	" RETURNING (SELECT n_tup_ins FROM pg_stat_user_tables WHERE "         \
	"relid = 'audit'::regclass)"

static void
on_beat(void *arg, PGresult *res)
{
	struct node *n = arg;

	n->trouble = db_ok(res, "heartbeat") ? NULL : db_why(res);
	/* somebody may have removed it */
	n->is_known = n->trouble == NULL && PQntuples(res) == 1;
	if (n->is_known)
		n->audit_writes = strtoull(PQgetvalue(res, 0, 0), NULL, 10);
}

void
node_announce(struct node *n)
{
	const char *params[] = { n->id, n->host, RELAYCAM_VERSION,
		n->d->files != NULL ? n->d->store_conf.public_url : NULL };

	db_query_now(n->d->db,
	    "INSERT INTO nodes (id, program, host, version, files_url) "
	    "VALUES ($1, 'storage', $2, $3, $4) ON CONFLICT (id) DO UPDATE "
	    "SET host = $2, version = $3, files_url = $4, "
	    "started_at = clock_timestamp(), heartbeat_at = "
	    "clock_timestamp(), stopped_at = NULL" AUDIT_WRITES,
	    4, params, on_beat, n);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct node *n = arg;
	const char *params[] = { n->id };

	if (!n->is_known)
		node_announce(n);
	else
		db_query_now(n->d->db,
		    "UPDATE nodes SET heartbeat_at = clock_timestamp() WHERE "
		    "id = $1" AUDIT_WRITES,
		    1, params, on_beat, n);
	log_report_suppressed();
}

uint64_t
node_audit_writes(const struct node *n)
{
	return n->audit_writes;
}

const char *
node_trouble(const struct node *n)
{
	const char *trouble = db_trouble(n->d->db);

	return trouble != NULL ? trouble : n->trouble;
}

void
node_stop(struct node *n)
{
	const char *params[] = { n->id };

	db_query_now(n->d->db,
	    "UPDATE nodes SET heartbeat_at = clock_timestamp(), stopped_at = "
	    "clock_timestamp() WHERE id = $1",
	    1, params, NULL, NULL);
}

int
node_new(struct daemon *d)
{
	struct node *n = calloc(1, sizeof(*n));
	struct timeval tv = { HEARTBEAT_S, 0 };

	if (n == NULL)
		return ERR_NOMEM;
	d->node = n;
	n->d = d;
	n->trouble = "cannot be reached";
	if (gethostname(n->host, sizeof(n->host) - 1) != 0)
		strcpy(n->host, "localhost");
	snprintf(d->actor, sizeof(d->actor), "storage@%s", n->host);
	make_id(n);
	n->timer = event_new(d->base, -1, EV_PERSIST, on_timer, n);
	return n->timer != NULL && event_add(n->timer, &tv) == 0 ? 0
								 : ERR_NOMEM;
}

const char *
node_id(const struct node *n)
{
	return n->id;
}

void
node_free(struct node *n)
{
	if (n != NULL && n->timer != NULL)
		event_free(n->timer);
	free(n);
}
