#include "relay/db_retry_queue.h"

#include <assert.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/db_retry_class.h"
#include "relay/relay.h"

/* The server is there and cannot: a moment may help, haste does not. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS   30000

struct db_retry_entry {
	TAILQ_ENTRY(db_retry_entry) link;
	struct loop *loop;
	const char *what, *sql;
	int n;
	char *params[DB_RETRY_PARAMS_MAX];
	uint64_t not_before_ns;
	unsigned pause_ms;
};

static void send_next(struct loop *l);

static void
entry_free(struct db_retry_entry *e)
{
	struct loop *l = e->loop;

	for (int i = 0; i < e->n; i++)
		free(e->params[i]);
	free(e);
	l->retry_queue.n--;
	loop_unref(l);
}

static bool
is_same_object(const struct db_retry_entry *a, const struct db_retry_entry *b)
{
	return a->params[0] != NULL && b->params[0] != NULL &&
	    strcmp(a->params[0], b->params[0]) == 0;
}

/* ---- what is lost ---- */

/* All that it said, heap; NULL for memory or text that is no UTF-8. */
static char *
entry_text(const struct db_retry_entry *e)
{
	json_t *list = json_array();
	char *text;

	for (int i = 0; i < e->n; i++)
		json_array_append_new(list,
		    e->params[i] != NULL ? json_string(e->params[i])
					 : json_null());
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

static void
entry_lost(struct db_retry_entry *e, const char *sqlstate)
{
	char *text = entry_text(e);
	const char *params[] = { e->what, text != NULL ? text : "[]",
		sqlstate };

	log_error("row_lost", LOG_S("what", e->what),
	    LOG_S("sqlstate", sqlstate), LOG_S("parameters", params[1]));
	/* itself it is not lost in this way, or this would not end */
	if (!e->loop->is_closing && strcmp(e->what, "row_lost") != 0)
		db_retry_write(e->loop, "row_lost",
		    "INSERT INTO audit (actor, action, object, detail) VALUES "
		    "('relay', 'row_lost', $1, jsonb_build_object("
		    "'parameters', $2::jsonb, 'sqlstate', $3::text))",
		    3, params);
	free(text);
}

/* ---- sending ---- */

static void
set_timer(struct loop *l, uint64_t at_ns, uint64_t now_ns)
{
	uint64_t ms = at_ns > now_ns ? (at_ns - now_ns) / NS_PER_MS + 1 : 0;
	const struct timeval tv = { (time_t)(ms / 1000),
		(suseconds_t)(ms % 1000) * 1000 };

	event_add(l->retry_queue.timer, &tv);
}

static void
put_back(struct db_retry_entry *e)
{
	TAILQ_INSERT_HEAD(&e->loop->retry_queue.waiting, e, link);
}

static void
pause_entry(struct db_retry_entry *e, const char *sqlstate)
{
	e->pause_ms = e->pause_ms == 0       ? PAUSE_FIRST_MS
	    : e->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS
					     : e->pause_ms * 2;
	e->not_before_ns = clock_mono_ns() + e->pause_ms * NS_PER_MS;
	log_warn("row_waits", LOG_S("what", e->what),
	    LOG_S("sqlstate", sqlstate), LOG_U("retry_ms", e->pause_ms),
	    LOG_U("waiting", e->loop->retry_queue.n));
}

static void
on_written(void *arg, PGresult *res)
{
	struct db_retry_entry *e = arg;
	struct loop *l = e->loop;
	const char *sqlstate = db_sqlstate(res);

	l->retry_queue.sent = NULL;
	if (l->is_closing) {
		if (res == NULL || db_retry_classify(sqlstate) != DB_RETRY_DONE)
			entry_lost(e, sqlstate);
		entry_free(e);
		return;
	}
	if (res == NULL) { /* perhaps it ran */
		put_back(e);
		set_timer(l, 0, 0);
		return;
	}
	db_ok(res, e->what);
	switch (db_retry_classify(sqlstate)) {
	case DB_RETRY_DONE:
		entry_free(e);
		break;
	case DB_RETRY_AGAIN:
		put_back(e);
		pause_entry(e, sqlstate);
		break;
	case DB_RETRY_NEVER:
		entry_lost(e, sqlstate);
		entry_free(e);
		break;
	}
	send_next(l);
}

/* An earlier one of the same object waits. */
static bool
is_behind(const struct db_retry_entry *e)
{
	const struct db_retry_entry *p = e;

	while ((p = TAILQ_PREV(p, db_retry_list, link)) != NULL)
		if (is_same_object(p, e))
			return true;
	return false;
}

/* The first that may go, of the oldest few; NULL: none, *at_ns: when. */
static struct db_retry_entry *
pick(struct loop *l, uint64_t now_ns, uint64_t *at_ns)
{
	struct db_retry_entry *e;
	unsigned n = 0;

	*at_ns = UINT64_MAX;
	TAILQ_FOREACH(e, &l->retry_queue.waiting, link) {
		if (n++ == DB_RETRY_WINDOW)
			break;
		if (is_behind(e))
			continue;
		if (e->not_before_ns <= now_ns)
			return e;
		if (e->not_before_ns < *at_ns)
			*at_ns = e->not_before_ns;
	}
	return NULL;
}

/* One at a time: the next when it was answered. */
static void
send_next(struct loop *l)
{
	uint64_t now_ns = clock_mono_ns(), at_ns;
	struct db_retry_entry *e;

	if (l->retry_queue.sent != NULL || l->is_closing)
		return;
	e = pick(l, now_ns, &at_ns);
	if (e == NULL) {
		if (at_ns != UINT64_MAX)
			set_timer(l, at_ns, now_ns);
		return;
	}
	TAILQ_REMOVE(&l->retry_queue.waiting, e, link);
	l->retry_queue.sent = e;
	if (db_query(l->db, e->sql, e->n, (const char *const *)e->params,
		on_written, e) == 0)
		return;
	l->retry_queue.sent = NULL;
	put_back(e);
	set_timer(l, now_ns + PAUSE_FIRST_MS * NS_PER_MS, now_ns);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	send_next(arg);
}

/* ---- writing ---- */

static struct db_retry_entry *
entry_new(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params)
{
	struct db_retry_entry *e = calloc(1, sizeof(*e));

	assert(n <= DB_RETRY_PARAMS_MAX);
	if (e == NULL)
		return NULL;
	*e = (struct db_retry_entry){
		.loop = l, .what = what, .sql = sql, .n = n
	};
	l->retry_queue.n++;
	loop_ref(l);
	for (int i = 0; i < n; i++)
		if (params[i] != NULL &&
		    (e->params[i] = strdup(params[i])) == NULL) {
			entry_free(e);
			return NULL;
		}
	return e;
}

void
db_retry_write(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params)
{
	struct db_retry_entry *e = entry_new(l, what, sql, n, params);

	if (e == NULL) {
		log_error("row_lost", LOG_S("what", what), LOG_ERR(ERR_NOMEM));
		return;
	}
	TAILQ_INSERT_TAIL(&l->retry_queue.waiting, e, link);
	send_next(l);
}

/* The last that waits of e's object, if it is a state of the same kind. */
static struct db_retry_entry *
older_state(struct loop *l, const struct db_retry_entry *e)
{
	struct db_retry_entry *p;

	TAILQ_FOREACH_REVERSE(p, &l->retry_queue.waiting, db_retry_list, link)
	if (is_same_object(p, e))
		return p->sql == e->sql ? p : NULL;
	return NULL;
}

void
db_retry_write_state(struct loop *l, const char *what, const char *sql, int n,
    const char *const *params)
{
	struct db_retry_entry *e = entry_new(l, what, sql, n, params), *older;

	if (e == NULL) {
		log_error("row_lost", LOG_S("what", what), LOG_ERR(ERR_NOMEM));
		return;
	}
	older = older_state(l, e);
	if (older != NULL) {
		TAILQ_INSERT_BEFORE(older, e, link);
		TAILQ_REMOVE(&l->retry_queue.waiting, older, link);
		entry_free(older);
	} else {
		TAILQ_INSERT_TAIL(&l->retry_queue.waiting, e, link);
	}
	send_next(l);
}

bool
db_retry_is_full(const struct loop *l)
{
	return l->retry_queue.n >= DB_RETRY_HIGH;
}

int
db_retry_init(struct loop *l)
{
	TAILQ_INIT(&l->retry_queue.waiting);
	l->retry_queue.timer = evtimer_new(l->base, on_timer, l);
	return l->retry_queue.timer != NULL ? 0 : ERR_NOMEM;
}

void
db_retry_release(struct loop *l)
{
	struct db_retry_entry *e;

	while ((e = TAILQ_FIRST(&l->retry_queue.waiting)) != NULL) {
		TAILQ_REMOVE(&l->retry_queue.waiting, e, link);
		entry_lost(e, "");
		entry_free(e);
	}
	if (l->retry_queue.timer != NULL)
		event_free(l->retry_queue.timer);
	l->retry_queue.timer = NULL;
}
