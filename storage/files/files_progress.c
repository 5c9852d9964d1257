#include "storage/files/files_progress.h"

#include <event2/event.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/db.h"
#include "storage/daemon.h"
#include "storage/node.h"

#define NOTE_S 2

struct progress_set {
	struct daemon *d;
	struct event *timer;
	TAILQ_HEAD(, progress) list;
	uint64_t last_number;
	bool has_rows; /* the database may have some of this node */
	bool is_asking;
};

static json_t *
to_json(const struct progress_set *set)
{
	json_t *list = json_array();
	const struct progress *p;

	TAILQ_FOREACH(p, &set->list, link)
		json_array_append_new(list,
		    json_pack("{s:I,s:s?,s:s?,s:I,s:I}", "number",
			(json_int_t)p->number, "key", p->key, "archive",
			p->archive, "bytes", (json_int_t)p->bytes, "bytes_sent",
			(json_int_t)p->bytes_sent));
	return list;
}

static void
on_noted(void *arg, PGresult *res)
{
	struct progress_set *set = arg;

	set->is_asking = false;
	if (!db_ok(res, "note downloads"))
		set->has_rows = true;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct progress_set *set = arg;
	bool is_empty = TAILQ_EMPTY(&set->list);
	json_t *list;
	char *text;

	if (set->is_asking || (is_empty && !set->has_rows) ||
	    !db_is_connected(set->d->db))
		return;
	list = to_json(set);
	text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	if (text != NULL) {
		const char *params[] = { node_id(set->d->node), text };

		set->is_asking = db_query_now(set->d->db,
				     "SELECT downloads_note($1, $2::jsonb)", 2,
				     params, on_noted, set) == 0;
	}
	if (set->is_asking)
		set->has_rows = !is_empty;
	free(text);
}

struct progress_set *
progress_set_new(struct daemon *d)
{
	const struct timeval tv = { NOTE_S, 0 };
	struct progress_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	TAILQ_INIT(&set->list);
	set->d = d;
	set->has_rows = true;               /* of an earlier life */
	set->last_number = clock_wall_ns(); /* above all numbers of that */
	set->timer = event_new(d->base, -1, EV_PERSIST, on_timer, set);
	if (set->timer == NULL || event_add(set->timer, &tv) != 0) {
		progress_set_free(set);
		return NULL;
	}
	return set;
}

void
progress_set_free(struct progress_set *set)
{
	if (set == NULL)
		return;
	if (set->timer != NULL)
		event_free(set->timer);
	free(set);
}

void
progress_begin(struct progress_set *set, struct progress *p)
{
	p->number = ++set->last_number;
	TAILQ_INSERT_TAIL(&set->list, p, link);
}

void
progress_end(struct progress_set *set, struct progress *p)
{
	if (p->number == 0)
		return;
	TAILQ_REMOVE(&set->list, p, link);
	p->number = 0;
}
