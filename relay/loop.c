#include "relay/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/db.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "relay/agent/agent.h"
#include "relay/base/loop_ref.h"
#include "relay/listener/conn.h"
#include "relay/listener/listener.h"
#include "relay/listener/proxied.h"
#include "relay/session/forward.h"
#include "relay/session/session.h"
#include "relay/session/session_test.h"
#include "relay/wire/lingering_close.h"

#define LIFE_LOOK_SECONDS 1

static const struct conn_ops conn_ops = {
	.on_viewer = session_start_viewer,
	.on_websocket = session_start_websocket,
	.on_agent = agent_start,
	.on_agent_data = agent_data_arrived,
	.on_reverse = session_start_parked,
};

/* ---- connections whose slot is gone ---- */

static void
on_evictions(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	connection_limit_run_evictions(l->relay->connections, &l->home);
}

/* From any thread. */
static void
wake_for_evictions(void *arg)
{
	struct loop *l = arg;

	event_active(l->evictions, EV_READ, 0);
}

static void
on_life_look(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	connection_limit_expire(l->relay->connections, clock_mono_ns());
	measure_loop(l);
}

static int
start_evictions(struct loop *l)
{
	const struct timeval tv = { LIFE_LOOK_SECONDS, 0 };

	connection_home_init(&l->home, wake_for_evictions, l);
	l->evictions = event_new(l->base, -1, 0, on_evictions, l);
	l->life_timer = event_new(l->base, -1, EV_PERSIST, on_life_look, l);
	return l->evictions != NULL && l->life_timer != NULL &&
		event_add(l->life_timer, &tv) == 0
	    ? 0
	    : ERR_NOMEM;
}

/* Rows of sessions that have ended get this long to reach the database. */
#define LAST_WRITES_SECONDS 5

static void
end_all(struct loop *l, const char *reason)
{
	const struct timeval last = { LAST_WRITES_SECONDS, 0 };
	struct relay_session *s, *next;

	l->is_told_to_end = true;
	event_add(l->drain_timer, &last);
	for (s = TAILQ_FIRST(&l->sessions); s != NULL; s = next) {
		next = session_next(s);
		session_end_by_command(s, reason);
	}
	forward_end_all(l);
	loop_end_if_idle(l);
}

static void
on_drain_time(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	if (!l->is_told_to_end) {
		end_all(l, "the relay is being stopped");
		return;
	}
	log_error("rows_not_written", LOG_U("rows", l->retry_queue.n),
	    LOG_U("sessions", l->n_sessions));
	event_base_loopexit(l->base, NULL);
}

static void
close_listeners(struct loop *l)
{
	const struct relay *r = l->relay;
	struct conn *c;

	for (unsigned i = 0; l->listeners != NULL && i < r->n_listen_addrs; i++)
		listener_close(&l->listeners[i]);
	proxied_close_all(l);
	while ((c = TAILQ_FIRST(&l->conns)) != NULL)
		conn_close(c, "the relay is being stopped");
	agents_close(l);
}

static void
on_command(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;
	struct timeval tv = { l->relay->conf.drain_seconds, 0 };
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	close_listeners(l);
	sessions_refuse_logins(l, "the relay is being stopped");
	if (atomic_load(&l->wanted) == LOOP_STOP || tv.tv_sec == 0) {
		end_all(l, "the relay is being stopped");
		return;
	}
	event_add(l->drain_timer, &tv);
	loop_end_if_idle(l);
}

void
loop_tell(struct loop *l, enum loop_command c)
{
	uint64_t one = 1;

	atomic_store(&l->wanted, c);
	if (write(l->command_fd, &one, sizeof(one)) < 0)
		log_error("loop_command_failed", LOG_ERRNO());
}

/* An order for an agent, or for a relay where a server waits. */
static void
on_dial(void *loop, const char *channel, const char *payload)
{
	json_t *o = json_loads(payload, 0, NULL);

	if (strcmp(json_text_or_empty(o, "what"), "parked") == 0)
		forward_on_order(loop, o);
	else
		agents_on_order(loop, o);
	json_decref(o);
}

/* Its certificate, secret or kind is another, or it was removed. */
static void
on_endpoint_changed(void *loop, const char *channel, const char *payload)
{
	agents_check(loop, payload);
	session_drop_parked(loop, strtoll(payload, NULL, 10));
}

/* What is here is so in the database too. */
static void
restore(struct loop *l)
{
	const struct timeval tv = { l->relay->conf.node_lost_seconds, 0 };

	agents_restore(l);
	sessions_restore(l);
	event_add(l->restore_timer, &tv);
}

static void
on_restore_time(evutil_socket_t fd, short what, void *arg)
{
	restore(arg);
}

/* Notices may have been lost while it was away. */
static void
on_db_state(void *arg, bool connected)
{
	if (!connected)
		return;
	session_access_check(arg);
	session_orders_check(arg);
	session_tests_check(arg);
	agents_check(arg, NULL);
	restore(arg);
}

/* Another relay, or the clean-up of our own start, wrote a node off. */
static void
on_node_lost(void *loop, const char *channel, const char *payload)
{
	struct loop *l = loop;

	if (strcmp(payload, l->relay->node_id) == 0) {
		restore(l);
		return;
	}
	/* it may have taken the rows of agents that stayed here */
	agents_restore(l);
	sessions_node_lost(l, payload);
}

/* What other programs ask of sessions and agents of this loop. */
static int
loop_listen_for_orders(struct loop *l)
{
	int rc = session_orders_init(l);

	if (rc == 0)
		rc = db_listen(l->db, "relaycam_dial", on_dial, l);
	if (rc == 0)
		rc = db_listen(
		    l->db, "relaycam_endpoint", on_endpoint_changed, l);
	if (rc == 0)
		rc = db_listen(l->db, "relaycam_node", on_node_lost, l);
	if (rc == 0)
		rc = session_access_init(l);
	if (rc == 0)
		rc = session_tests_init(l);
	return rc;
}

int
loop_init(struct loop *l, struct relay *r, unsigned index)
{
	memset(l, 0, sizeof(*l));
	l->relay = r;
	l->index = index;
	l->conn_ops = &conn_ops;
	tickets_init(&l->tickets, index);
	TAILQ_INIT(&l->sessions);
	TAILQ_INIT(&l->conns);
	TAILQ_INIT(&l->proxied);
	TAILQ_INIT(&l->agents);
	TAILQ_INIT(&l->lingering);
	TAILQ_INIT(&l->forwards);
	l->listeners = calloc(LISTEN_ADDRS_MAX, sizeof(*l->listeners));
	l->base = event_base_new();
	if (l->base == NULL ||
	    event_base_priority_init(l->base, LOOP_PRIORITIES) != 0)
		return ERR_NOMEM;
	l->command_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->listeners == NULL || l->command_fd < 0)
		return ERR_NOMEM;
	l->command = event_new(
	    l->base, l->command_fd, EV_READ | EV_PERSIST, on_command, l);
	l->drain_timer = evtimer_new(l->base, on_drain_time, l);
	l->restore_timer = evtimer_new(l->base, on_restore_time, l);
	l->db = db_new(l->base, &r->database, on_db_state, l);
	if (l->command == NULL || l->drain_timer == NULL ||
	    l->restore_timer == NULL || l->db == NULL ||
	    db_retry_init(l) != 0 || job_inbox_init(&l->inbox, l->base) != 0 ||
	    start_evictions(l) != 0)
		return ERR_NOMEM;
	event_add(l->command, NULL);
	return loop_listen_for_orders(l);
}

int
loop_listen(struct loop *l, unsigned index, int fd)
{
	return listener_open(
	    &l->listeners[index], l, &l->relay->listen_addrs[index], fd);
}

void *
loop_main(void *arg)
{
	struct loop *l = arg;

	event_base_dispatch(l->base);
	return NULL;
}

/* What is under way ends, as far as it is this loop's. */
static void
close_loop(struct loop *l)
{
	close_listeners(l);
	lingering_close_stop(l);
	forward_end_all(l);
	l->is_closing = true;
	session_access_stop(l);
	sessions_end_noted(l);
	db_free(l->db);
	sessions_end_noted(l);
}

static void
free_loop(struct loop *l)
{
	lingering_close_stop(l); /* of sides that came with the last jobs */
	job_inbox_release(&l->inbox);
	event_free(l->command);
	event_free(l->drain_timer);
	event_free(l->evictions);
	event_free(l->life_timer);
	event_free(l->restore_timer);
	db_retry_release(l);
	session_orders_release(l);
	free(l->spare_ring);
	free(l->listeners);
	close(l->command_fd);
	event_base_free(l->base);
}

void
loops_release(struct relay *r)
{
	bool any;

	for (unsigned i = 0; i < r->n_loops; i++)
		close_loop(&r->loops[i]);
	/* a job may have been on its way to a loop that had ended, and what
	 * it does may send it on */
	do {
		any = false;
		for (unsigned i = 0; i < r->n_loops; i++) {
			any |= job_inbox_drain(&r->loops[i].inbox);
			sessions_end_noted(&r->loops[i]);
		}
	} while (any);
	for (unsigned i = 0; i < r->n_loops; i++)
		free_loop(&r->loops[i]);
}
