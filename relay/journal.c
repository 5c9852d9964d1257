#include "relay/journal.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/relay.h"

struct entry {
	struct loop *loop;
	const char *what, *sql;
	int n;
	char *params[JOURNAL_PARAMS_MAX];
};

static void on_written(void *arg, PGresult *res);

static void
entry_free(struct entry *e)
{
	struct loop *l = e->loop;

	for (int i = 0; i < e->n; i++)
		free(e->params[i]);
	free(e);
	l->n_writes--;
	loop_session_gone(l);
}

static void
submit(struct entry *e)
{
	int rc = db_query(e->loop->db, e->sql, e->n,
	    (const char *const *)e->params, on_written, e);

	if (rc == 0)
		return;
	log_error("row_lost", LOG_S("what", e->what), LOG_ERR(rc));
	entry_free(e);
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	submit(arg);
}

/* The server is there and cannot: a moment may help, haste does not. */
static void
submit_later(struct entry *e)
{
	const struct timeval second = { 1, 0 };

	if (event_base_once(
		e->loop->base, -1, EV_TIMEOUT, on_later, e, &second) != 0)
		submit(e);
}

/*
 * No answer, or one that another try may change: classes 08 (connection), 40
 * (rollback), 53 (resources) and 57 (operator). PostgreSQL, appendix A.
 */
static bool
is_passing(const PGresult *res)
{
	static const char *const classes[] = { "08", "40", "53", "57" };
	const char *state = res == NULL ? "08" : db_sqlstate(res);

	for (size_t i = 0; i < N_ELEMENTS(classes); i++)
		if (strncmp(state, classes[i], 2) == 0)
			return true;
	return false;
}

static void
on_written(void *arg, PGresult *res)
{
	struct entry *e = arg;

	/* lost under way: once more, unless the loop is being taken down */
	if (is_passing(res) && !e->loop->is_closing) {
		if (res == NULL)
			submit(e);
		else
			submit_later(e);
		return;
	}
	if (!db_ok(res, e->what))
		log_error("row_lost", LOG_S("what", e->what));
	entry_free(e);
}

void
journal_write(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params)
{
	struct entry *e = calloc(1, sizeof(*e));

	assert(n <= JOURNAL_PARAMS_MAX);
	if (e == NULL) {
		log_error("row_lost", LOG_S("what", what));
		return;
	}
	*e = (struct entry){ .loop = l, .what = what, .sql = sql, .n = n };
	l->n_writes++;
	for (int i = 0; i < n; i++)
		if (params[i] != NULL &&
		    (e->params[i] = strdup(params[i])) == NULL) {
			log_error("row_lost", LOG_S("what", what));
			entry_free(e);
			return;
		}
	submit(e);
}
