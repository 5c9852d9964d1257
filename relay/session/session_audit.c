/* Orders to a running session in the audit log: what gave them, what came of
 * them. A viewer or page that floods the relay with orders makes a few rows
 * and a number. */
#include <jansson.h>
#include <stdlib.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "relay/db_retry_queue.h"
#include "relay/session/session_internal.h"

#define ROWS_AT_ONCE 30
#define ROW_EVERY_NS (10 * NS_PER_S)
#define VALUE_MAX    64

static const char *const sources[] = { [ORDER_FROM_COMMAND] = "command",
	[ORDER_FROM_PAGE] = "page",
	[ORDER_FROM_VIEWER] = "viewer" };

/* A token bucket. Commands come through the database, which decided about
 * each, and relaycam waits for their rows. */
static bool
may_write(struct relay_session *s, enum order_source from)
{
	struct order_audit *a = &s->order_audit;
	uint64_t now = clock_mono_ns(), n;

	if (from == ORDER_FROM_COMMAND)
		return true;
	n = (now - a->since_ns) / ROW_EVERY_NS;
	if (a->since_ns == 0 || a->rows <= n) {
		a->since_ns = now;
		a->rows = 0;
	} else {
		a->since_ns += n * ROW_EVERY_NS;
		a->rows -= (unsigned)n;
	}
	if (a->rows >= ROWS_AT_ONCE)
		return false;
	a->rows++;
	return true;
}

static void
write_row(struct relay_session *s, const char *actor, const char *action,
    json_t *take)
{
	char *text = take != NULL ? json_dumps(take, JSON_COMPACT) : NULL;
	const char *params[] = { s->id, actor, action, text };

	if (text != NULL)
		db_retry_write(s->loop, "order",
		    "INSERT INTO audit (team_id, actor, action, object, "
		    "detail) SELECT team_id, $2, $3, id::text, $4::jsonb FROM "
		    "sessions WHERE id = $1",
		    4, params);
	free(text);
	json_decref(take);
}

/* At most VALUE_MAX bytes of text that others chose; jansson takes UTF-8. */
static json_t *
value_json(const char *value)
{
	char text[VALUE_MAX + 1];
	size_t n = 0;

	for (; value[n] != '\0' && n < VALUE_MAX; n++)
		text[n] = value[n] < ' ' || value[n] > '~' ? '?' : value[n];
	return json_stringn(text, n);
}

void
session_audit_order(struct relay_session *s, enum order_source from,
    const char *actor, const char *command, const char *value, const char *why)
{
	json_t *o;

	if (!s->has_row)
		return;
	if (!may_write(s, from)) {
		s->order_audit.n_omitted++;
		return;
	}
	o = json_pack("{s:s s:o s:s}", "command", command, "value",
	    value_json(value), "from", sources[from]);
	if (why != NULL)
		json_object_set_new(o, "why", json_string(why));
	if (s->order_audit.n_omitted > 0)
		json_object_set_new(o, "omitted_before",
		    json_integer((json_int_t)s->order_audit.n_omitted));
	s->order_audit.n_omitted = 0;
	write_row(s, actor,
	    why != NULL ? "session_command_refused" : "session_command_done",
	    o);
}

void
session_audit_end(struct relay_session *s)
{
	if (s->has_row && s->order_audit.n_omitted > 0)
		write_row(s, s->name.person, "session_commands_omitted",
		    json_pack("{s:I}", "count",
			(json_int_t)s->order_audit.n_omitted));
	s->order_audit.n_omitted = 0;
}
