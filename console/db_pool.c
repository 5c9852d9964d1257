#include "console/db_pool.h"

#include <stdlib.h>

#include "common/err.h"
#include "console/conf.h"
#include "console/node.h"
#include "console/worker.h"

struct connection {
	struct db_pool *pool;
	struct db *db;
	unsigned n_waiting;
};

struct db_pool {
	struct worker *worker;
	unsigned n;
	struct connection connections[];
};

/* A statement and whom its answer is for. */
struct statement {
	struct connection *connection;
	db_result_cb *cb;
	void *arg;
};

static void
on_state(void *arg, bool connected)
{
	struct db_pool *p = ((struct connection *)arg)->pool;
	struct worker *w = p->worker;

	if (w->db != p)
		return; /* it is being made, or freed */
	atomic_store(&w->place->state,
	    db_pool_trouble(p) == NULL ? WORKER_READY : WORKER_NO_DATABASE);
	if (connected && w->node != NULL && !w->is_stopping)
		node_beat(w->node);
}

struct db_pool *
db_pool_new(struct worker *w)
{
	unsigned n = (unsigned)w->conf->console.database_connections;
	struct db_pool *p =
	    calloc(1, sizeof(*p) + n * sizeof(p->connections[0]));

	if (p == NULL)
		return NULL;
	p->worker = w;
	for (; p->n < n; p->n++) {
		struct connection *c = &p->connections[p->n];

		c->pool = p;
		c->db = db_new(w->base, &w->conf->database, on_state, c);
		if (c->db == NULL) {
			db_pool_free(p);
			return NULL;
		}
	}
	return p;
}

void
db_pool_free(struct db_pool *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < p->n; i++)
		db_free(p->connections[i].db);
	free(p);
}

const char *
db_pool_trouble(const struct db_pool *p)
{
	const char *trouble = NULL;

	for (unsigned i = 0; i < p->n; i++) {
		trouble = db_trouble(p->connections[i].db);
		if (trouble == NULL)
			return NULL;
	}
	return trouble;
}

static void
on_result(void *arg, PGresult *res)
{
	struct statement *s = arg;
	struct worker_counters *n =
	    &s->connection->pool->worker->place->counters;

	s->connection->n_waiting--;
	if (PQresultStatus(res) != PGRES_TUPLES_OK &&
	    PQresultStatus(res) != PGRES_COMMAND_OK)
		atomic_fetch_add(&n->query_errors, 1);
	if (s->cb != NULL)
		s->cb(s->arg, res);
	free(s);
}

static struct connection *
least_busy(struct db_pool *p)
{
	struct connection *best = NULL;

	for (unsigned i = 0; i < p->n; i++) {
		struct connection *c = &p->connections[i];

		if (db_is_connected(c->db) &&
		    (best == NULL || c->n_waiting < best->n_waiting))
			best = c;
	}
	return best;
}

typedef int send_fn(struct db *db, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg);

static int
send_by(send_fn *send, struct db_pool *p, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	struct connection *c = least_busy(p);
	struct statement *s;
	int rc;

	if (c == NULL)
		return ERR_UNAVAILABLE;
	s = malloc(sizeof(*s));
	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct statement){ .connection = c, .cb = cb, .arg = arg };
	rc = send(c->db, sql, n, params, on_result, s);
	if (rc != 0) {
		free(s);
		return rc;
	}
	c->n_waiting++;
	atomic_fetch_add(&p->worker->place->counters.queries, 1);
	return 0;
}

int
db_pool_query(struct db_pool *p, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return send_by(db_query_now, p, sql, n, params, cb, arg);
}

int
db_pool_query_prepared(struct db_pool *p, const char *sql, int n,
    const char *const *params, db_result_cb *cb, void *arg)
{
	return send_by(db_query_prepared, p, sql, n, params, cb, arg);
}
