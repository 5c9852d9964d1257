#include "storage/encode/encode_turns.h"

#include "common/bytes.h"
#include "common/clock.h"
#include "storage/encode/encode_queue.h"

#define SECONDS_PER_SECOND 3
#define LONGEST_S          90000 /* 24 hours, and what comes late */

int64_t
encode_limit_s(uint64_t start_ns, uint64_t last_ns, int64_t min_s)
{
	uint64_t s = last_ns > start_ns ? (last_ns - start_ns) / NS_PER_S : 0;

	return min_s + (int64_t)min_u64(s, LONGEST_S) * SECONDS_PER_SECOND;
}

/* The last turn of a team; 0: it had none, or that was long ago. */
static uint64_t
turn_of(const struct encode_turns *t, int64_t team_id)
{
	for (size_t i = 0; i < ENCODE_TEAMS; i++)
		if (t->teams[i].turn != 0 && t->teams[i].team_id == team_id)
			return t->teams[i].turn;
	return 0;
}

void
encode_turns_note(struct encode_turns *t, int64_t team_id)
{
	size_t at = 0;

	for (size_t i = 0; i < ENCODE_TEAMS; i++) {
		if (t->teams[i].turn != 0 && t->teams[i].team_id == team_id) {
			at = i;
			break;
		}
		if (t->teams[i].turn < t->teams[at].turn)
			at = i;
	}
	t->teams[at].team_id = team_id;
	t->teams[at].turn = ++t->n;
}

static unsigned
n_running(const struct encode_queue *q, int64_t team_id)
{
	const struct capture *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &q->captures, link)
		n += (c->row.state == SPOOL_ASKING ||
			 c->row.state == SPOOL_ENCODING) &&
		    c->row.m.team_id == team_id;
	return n;
}

/* Captures of one team keep the order of the list. */
static bool
is_before(const struct encode_queue *q, int64_t a, int64_t b)
{
	unsigned n_a = n_running(q, a), n_b = n_running(q, b);

	return n_a != n_b ? n_a < n_b
			  : turn_of(&q->turns, a) < turn_of(&q->turns, b);
}

bool
encode_turns_is_next(const struct encode_queue *q, const struct capture *c)
{
	const struct capture *o;
	int64_t team = c->row.m.team_id;

	TAILQ_FOREACH(o, &q->captures, link)
		if (o->row.state == SPOOL_CLOSED && o->may_begin &&
		    !o->row.is_busy && o->row.m.team_id != team &&
		    is_before(q, o->row.m.team_id, team))
			return false;
	return true;
}
