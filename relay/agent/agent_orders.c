/* What sessions of any relay want of an agent, and what it answers. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/json.h"
#include "relay/agent/agent_internal.h"

/* An agent says of each session that its capture was begun, and that it
 * failed, at most: more would fill the queue of rows. */
#define STATES_OF_SESSION 2

/* A session of some relay waits for what this agent cannot do. Each order
 * fails once: more would fill the queue of rows. */
void
agent_open_failed(struct agent *a, const struct agent_msg *m)
{
	json_t *o;
	char *text;
	const char *params[1];

	if (a->n_opens == 0)
		return;
	a->n_opens--;
	o = json_pack("{s:s s:s s:s s:s}", "session", m->end.session, "command",
	    "agent_failed", "value", m->end.reason, "by", "agent");
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	params[0] = text;
	if (text != NULL)
		db_query(a->loop->db,
		    "SELECT pg_notify('relaycam_session', $1)", 1, params, NULL,
		    NULL);
	free(text);
	json_decref(o);
}

/* How it stands with a capture: its session is on some relay. */
void
agent_capture_state(struct agent *a, const struct agent_msg *m)
{
	json_t *o;
	char *text;
	const char *params[1];

	if (a->n_states == 0)
		return;
	a->n_states--;
	o = json_pack("{s:s s:s s:s s:b s:s}", "session",
	    m->capture_state.session, "command", "agent_capture", "from",
	    a->endpoint_id, "is_failed",
	    m->capture_state.state == AGENT_CAPTURE_FAILED, "value",
	    m->capture_state.reason);
	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	params[0] = text;
	if (text != NULL)
		db_query(a->loop->db,
		    "SELECT pg_notify('relaycam_session', $1)", 1, params, NULL,
		    NULL);
	free(text);
	json_decref(o);
}

static unsigned
num(const json_t *o, const char *key)
{
	return (unsigned)json_integer_value(json_object_get(o, key));
}

static uint64_t
long_num(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

#define CLEAN(field, key)                                                      \
	agent_proto_clean(field, sizeof(field), json_text_or_empty(o, key))

static int
order_open(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_OPEN };

	CLEAN(m.open.session, "session");
	CLEAN(m.open.ticket, "ticket");
	if (strcmp(json_text_or_empty(o, "node"), a->loop->relay->node_id) != 0)
		CLEAN(m.open.address, "address");
	CLEAN(m.open.display, "display");
	CLEAN(m.open.technician, "technician");
	CLEAN(m.open.team, "team");
	CLEAN(m.open.access, "access");
	m.open.recorded = (uint8_t)num(o, "recorded");
	m.open.consent = (uint8_t)num(o, "consent");
	m.open.consent_s = (uint16_t)num(o, "consent_s");
	m.open.capture = (uint8_t)num(o, "capture");
	a->n_opens++;
	a->n_states += STATES_OF_SESSION;
	return agent_tell(a, &m);
}

static int
order_capture(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_CAPTURE };

	CLEAN(m.capture.session, "session");
	CLEAN(m.capture.id, "id");
	CLEAN(m.capture.storage, "storage");
	CLEAN(m.capture.key, "key");
	CLEAN(m.capture.meta, "meta");
	m.capture.offset = long_num(o, "offset");
	m.capture.now_ns = long_num(o, "now_ns");
	return agent_tell(a, &m);
}

static int
order_marks(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_CAPTURE_MARKS };

	CLEAN(m.marks.session, "session");
	CLEAN(m.marks.marks, "marks");
	m.marks.number = num(o, "number");
	m.marks.until = long_num(o, "until");
	return agent_tell(a, &m);
}

static int
order_indicator(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_INDICATOR };

	CLEAN(m.indicator.session, "session");
	CLEAN(m.indicator.text, "text");
	m.indicator.on = (uint8_t)num(o, "on");
	return agent_tell(a, &m);
}

/* Another relay took the row for a channel that came to nothing. */
static int
order_restore(struct agent *a, const json_t *o)
{
	agent_restore(a);
	return 0;
}

static int
order_end(struct agent *a, const json_t *o)
{
	struct agent_msg m = { .type = AGENT_END };

	CLEAN(m.end.session, "session");
	CLEAN(m.end.reason, "reason");
	return agent_tell(a, &m);
}

static const struct {
	const char *what;
	int (*give)(struct agent *a, const json_t *o);
} orders[] = {
	{ "open", order_open },
	{ "indicator", order_indicator },
	{ "end", order_end },
	{ "capture", order_capture },
	{ "marks", order_marks },
	{ "vacant", order_restore },
};

void
agents_on_order(struct loop *l, const json_t *o)
{
	const char *what = json_text_or_empty(o, "what"),
		   *to = json_text_or_empty(o, "channel");
	struct agent *a;
	int rc = 0;

	TAILQ_FOREACH(a, &l->agents, link)
		if (a->state == AGENT_STATE_READY &&
		    (strcmp(a->channel, to) == 0 ||
			(a->code[0] != '\0' && strcmp(a->code, to) == 0)))
			break;
	for (size_t i = 0; a != NULL && i < N_ELEMENTS(orders); i++)
		if (strcmp(what, orders[i].what) == 0)
			rc = orders[i].give(a, o);
	if (rc != 0)
		agent_close(a, "the connection broke");
}
