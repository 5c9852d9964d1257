/*
 * Endpoints that dialled in: their handshake is done at once, up to
 * ServerInit, because servers give up on a silent peer; then they wait. A
 * technician's session claims such a connection, on whatever loop it is:
 *
 *   CLAIM --job--> loop of the PARKED one: detach --job--> back: adopt
 *
 * or of another relay, which then dials this one (forward.h):
 *
 *   AGENT --NOTIFY--> relay of the PARKED one --data channel--> adopt
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/db_retry_queue.h"
#include "relay/listener/conn_ops.h"
#include "relay/session/session_internal.h"

/* One endpoint may not fill the relay. */
#define PARKED_MAX 16

/* A parked connection, as every loop may look it up. */
struct parked {
	TAILQ_ENTRY(parked) link;
	int64_t endpoint_id;
	struct loop *loop;
};
static TAILQ_HEAD(parked_list, parked) all = TAILQ_HEAD_INITIALIZER(all);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Under the lock. */
static unsigned
count(int64_t endpoint_id)
{
	struct parked *p;
	unsigned n = 0;

	TAILQ_FOREACH(p, &all, link)
		n += p->endpoint_id == endpoint_id;
	return n;
}

/* Returns 0, ERR_NOMEM, or ERR_LIMIT when PARKED_MAX of it wait. */
static int
list_add(struct loop *l, int64_t endpoint_id)
{
	struct parked *p = calloc(1, sizeof(*p));
	bool is_room;

	if (p == NULL)
		return ERR_NOMEM;
	p->endpoint_id = endpoint_id;
	p->loop = l;
	pthread_mutex_lock(&lock);
	is_room = count(endpoint_id) < PARKED_MAX;
	if (is_room)
		TAILQ_INSERT_TAIL(&all, p, link);
	pthread_mutex_unlock(&lock);
	if (!is_room)
		free(p);
	return is_room ? 0 : ERR_LIMIT;
}

/* Takes the newest off the list, which is the likeliest to be alive; l: of
 * that loop, NULL: of any. Returns its loop or NULL. */
static struct loop *
list_take(struct loop *l, int64_t endpoint_id)
{
	struct loop *found = NULL;
	struct parked *p;

	pthread_mutex_lock(&lock);
	TAILQ_FOREACH_REVERSE(p, &all, parked_list, link)
	if (p->endpoint_id == endpoint_id && (l == NULL || p->loop == l))
		break;
	if (p != NULL) {
		found = p->loop;
		TAILQ_REMOVE(&all, p, link);
		free(p);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

static bool
list_has(int64_t endpoint_id)
{
	bool has;

	pthread_mutex_lock(&lock);
	has = count(endpoint_id) > 0;
	pthread_mutex_unlock(&lock);
	return has;
}

static void
write_row(struct relay_session *s, bool is_parked)
{
	char id[24];
	const char *params[] = { id, s->loop->relay->node_id };

	snprintf(
	    id, sizeof(id), "%lld", (long long)s->authorization.endpoint_id);
	db_retry_write(s->loop, "parked endpoint",
	    is_parked ? "UPDATE endpoints SET parked_node = $2, parked_at = "
			"now() WHERE id = $1"
		      : "UPDATE endpoints SET parked_node = NULL WHERE id = "
			"$1 AND parked_node = $2",
	    2, params);
}

void
session_start_parked(struct loop *l, const struct conn_peer *peer,
    struct authorization *authorization, struct channel *channel,
    struct connection_slot *slot)
{
	struct relay_session *s = session_new(l, slot);

	if (s == NULL) {
		authorization_release(authorization);
		return;
	}
	s->door = SESSION_BY_NOBODY;
	s->authorization = *authorization;
	memcpy(s->client_addr, peer->client_addr, sizeof(s->client_addr));
	snprintf(s->name.endpoint, sizeof(s->name.endpoint), "%s",
	    authorization->endpoint);
	if (channel_adopt(&s->pump.endpoint, l, channel, on_endpoint_readable,
		on_endpoint_writable, s) != 0)
		session_end(s, "error", "out of memory");
	else
		session_endpoint_talk(s);
}

void
session_park(struct relay_session *s)
{
	int rc;

	if (connection_limit_move(
		s->loop->relay->connections, &s->slot, POOL_PARKED) != NULL) {
		session_end(s, "error", "max_parked connections wait already");
		return;
	}
	rc = list_add(s->loop, s->authorization.endpoint_id);
	if (rc != 0) {
		session_end(s, "error",
		    rc == ERR_LIMIT ? "too many connections of this endpoint "
				      "wait already"
				    : "out of memory");
		return;
	}
	authorization_forget_secrets(&s->authorization);
	session_set_state(s, SESSION_PARKED, 0);
	s->is_parked = true;
	write_row(s, true);
	log_info("endpoint_parked", LOG_S("endpoint", s->name.endpoint),
	    LOG_S("client", s->client_addr));
}

void
session_parked_gone(struct relay_session *s)
{
	if (!s->is_parked)
		return;
	s->is_parked = false;
	list_take(s->loop, s->authorization.endpoint_id);
	if (!list_has(s->authorization.endpoint_id))
		write_row(s, false);
}

void
session_drop_parked(struct loop *l, int64_t endpoint_id)
{
	struct relay_session *s, *next;

	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state == SESSION_PARKED &&
		    s->authorization.endpoint_id == endpoint_id)
			session_end(s, "command",
			    "the endpoint was changed or removed");
	}
}

/* ---- claiming ---- */

struct claim {
	struct job job;
	struct loop *from; /* of the technician's session */
	struct loop *at;   /* of the parked one */
	char session[UUID_TEXT_MAX];
	int64_t endpoint_id;
	struct channel channel;
	struct rfb_handshake_client *handshake; /* its ServerInit; or NULL */
};

static void
refuse(struct relay_session *s, const char *what)
{
	char reason[300];

	snprintf(
	    reason, sizeof(reason), "endpoint %s %s", s->name.endpoint, what);
	session_refuse(s, reason);
}

/* Back on the technician's loop. */
static void
take_over(struct relay_session *s, struct claim *c)
{
	if (c->handshake == NULL) {
		refuse(s, "closed the connection");
		return;
	}
	s->endpoint_handshake = c->handshake;
	c->handshake = NULL;
	if (channel_adopt(&s->pump.endpoint, s->loop, &c->channel,
		on_endpoint_readable, on_endpoint_writable, s) != 0)
		session_refuse(s, "the relay is out of memory");
	else
		session_open(s);
}

static void
on_claimed(struct job *j)
{
	struct claim *c = (struct claim *)j;
	struct relay_session *s;

	TAILQ_FOREACH(s, &c->from->sessions, link)
		if (s->state == SESSION_CLAIM && strcmp(s->id, c->session) == 0)
			break;
	if (s != NULL)
		take_over(s, c);
	/* nobody waits any more: the endpoint will dial in again */
	c->channel.transport.batch = &c->from->batch;
	channel_release(&c->channel);
	rfb_handshake_client_free(c->handshake);
	free(c);
}

struct loop *
session_parked_pick(int64_t endpoint_id)
{
	return list_take(NULL, endpoint_id);
}

struct rfb_handshake_client *
session_parked_take(struct loop *l, int64_t endpoint_id,
    struct channel *channel, struct connection_slot *slot)
{
	struct rfb_handshake_client *handshake;
	struct relay_session *s;

	TAILQ_FOREACH_REVERSE(s, &l->sessions, session_list, link)
	if (s->state == SESSION_PARKED &&
	    s->authorization.endpoint_id == endpoint_id)
		break;
	channel->transport.fd = -1;
	if (s == NULL || channel_detach(channel, &s->pump.endpoint) != 0)
		return NULL;
	handshake = s->endpoint_handshake;
	s->endpoint_handshake = NULL;
	if (slot != NULL)
		connection_limit_hand_over(
		    l->relay->connections, &s->slot, slot);
	/* the list knows already */
	s->is_parked = false;
	if (!list_has(endpoint_id))
		write_row(s, false);
	session_end(s, "normal", "a session took its connection");
	return handshake;
}

/* On the parked one's loop: hands the connection over. */
static void
give_up(struct job *j)
{
	struct claim *c = (struct claim *)j;

	c->handshake =
	    session_parked_take(c->at, c->endpoint_id, &c->channel, NULL);
	c->job.done = on_claimed;
	loop_post(c->from, &c->job);
}

void
session_claim(struct relay_session *s)
{
	struct loop *at = session_parked_pick(s->authorization.endpoint_id);
	const char *node = s->authorization.parked_node;
	struct claim *c;

	if (at == NULL && node != NULL &&
	    strcmp(node, s->loop->relay->node_id) != 0) {
		session_agent_ask_relay(s);
		return;
	}
	if (at == NULL) {
		refuse(
		    s, "has not dialled in, or is in use by another session");
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	session_set_state(
	    s, SESSION_CLAIM, s->loop->relay->conf.connect_seconds);
	c->job.done = give_up;
	c->from = s->loop;
	c->at = at;
	memcpy(c->session, s->id, sizeof(c->session));
	c->endpoint_id = s->authorization.endpoint_id;
	loop_post(at, &c->job);
}
