#include "relay/session/forward.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/agent_proto.h"
#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/json.h"
#include "common/log.h"
#include "relay/base/loop_ref.h"
#include "relay/session/forward_internal.h"
#include "relay/session/session_internal.h"

#define READS_A_TURN   16
#define SECURITY_NONE  1
#define SECURITY_ULTRA 17 /* tells the other relay that it is UltraVNC's */

static const char version[] = "RFB 003.008\n";
#define VERSION_LEN 12

/* ---- its end ---- */

void
forward_release(struct forward *f)
{
	if (f->found != NULL)
		freeaddrinfo(f->found);
	SSL_CTX_free(f->ctx);
	wipe(f->ticket, sizeof(f->ticket));
	free(f);
}

/* The session hears of it where it waits: another relay, perhaps. */
static void
say_failed(const struct forward *f, const char *why)
{
	json_t *o = json_pack("{s:s s:s s:s s:s}", "session", f->session,
	    "command", "agent_failed", "value", why, "by", "relay");
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	const char *params[] = { text };

	if (text != NULL && !f->loop->is_closing)
		db_query(f->loop->db,
		    "SELECT pg_notify('relaycam_session', $1)", 1, params, NULL,
		    NULL);
	free(text);
	json_decref(o);
}

void
forward_end(struct forward *f, const char *why)
{
	struct loop *l = f->loop;

	if (f->is_gone)
		return;
	f->is_gone = true;
	log_info("forward_end", LOG_S("session", f->session),
	    LOG_S("relay", f->host), LOG_S("why", why),
	    LOG_U("bytes_from_endpoint", f->endpoint.transport.bytes_in));
	if (f->state < FORWARD_RUNNING)
		say_failed(f, why);
	TAILQ_REMOVE(&l->forwards, f, link);
	channel_release(&f->endpoint);
	channel_release(&f->relay);
	rfb_handshake_client_free(f->handshake);
	f->handshake = NULL;
	connection_limit_leave(l->relay->connections, &f->slot);
	if (f->deadline != NULL)
		event_free(f->deadline);
	if (!f->is_looking_up)
		forward_release(f);
	loop_unref(l);
}

void
forward_end_all(struct loop *l)
{
	struct forward *f;

	while ((f = TAILQ_FIRST(&l->forwards)) != NULL)
		forward_end(f, "the relay is being stopped");
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	forward_end(arg, "the relays did not reach each other in time");
}

/* ---- bytes, both ways ---- */

static bool
is_full(const struct channel *d)
{
	return buf_len(&d->out) > 0 || channel_wants_write(d);
}

/* As long as `to` takes what `from` has. Ends f when one of them is gone. */
static void
pass_on(struct forward *f, struct channel *from, struct channel *to)
{
	for (unsigned i = 0; i < READS_A_TURN; i++) {
		ssize_t n;

		if (is_full(to)) {
			channel_read(from, false);
			return;
		}
		n = channel_recv(
		    from, f->loop->scratch, sizeof(f->loop->scratch));
		if (n == ERR_AGAIN)
			return;
		if (n <= 0 ||
		    buf_append(&to->out, f->loop->scratch, (size_t)n) != 0 ||
		    channel_flush(to) != 0) {
			forward_end(f, "the connection was closed");
			return;
		}
	}
	channel_wake(from);
}

static void
has_room(struct forward *f, struct channel *to, struct channel *from)
{
	if (channel_flush(to) != 0)
		forward_end(f, "the connection was closed");
	else if (f->state == FORWARD_RUNNING && !is_full(to))
		channel_wake(from);
}

static void
on_server_readable(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;

	if (f->state == FORWARD_RUNNING)
		pass_on(f, &f->endpoint, &f->relay);
}

static void
on_server_writable(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;

	has_room(f, &f->endpoint, &f->relay);
}

/* ---- the other relay takes it for an endpoint without a password ---- */

static int
say_joined(struct forward *f)
{
	const struct agent_msg joined = { .type = AGENT_JOINED };
	int rc = agent_proto_encode(&f->relay.out, &joined);

	return rc != 0 ? rc : buf_append(&f->relay.out, version, VERSION_LEN);
}

static int
say_server_init(struct forward *f)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(f->handshake);
	uint8_t head[24], order[4 + RFB_PIXEL_FORMAT_LEN] = { 0 };
	int rc;

	store_be16(head, init->width);
	store_be16(head + 2, init->height);
	rfb_pixel_format_write(&init->pf, head + 4);
	store_be32(head + 20, (uint32_t)init->name_len);
	rc = buf_append(&f->relay.out, head, sizeof(head));
	if (rc == 0)
		rc = buf_append(&f->relay.out, init->name, init->name_len);
	/* what it sent behind its ServerInit, and while it waited */
	if (rc == 0)
		rc = buf_append(&f->relay.out, buf_head(&f->endpoint.in),
		    buf_len(&f->endpoint.in));
	buf_release(&f->endpoint.in);
	/* SetPixelFormat, which the other relay has no reason for */
	rfb_pixel_format_write(&init->pf, order + 4);
	if (rc == 0 && init->is_own_format_unknown)
		rc = buf_append(&f->endpoint.out, order, sizeof(order));
	if (rc == 0)
		rc = channel_flush(&f->endpoint);
	return rc;
}

static void
run(struct forward *f)
{
	f->state = FORWARD_RUNNING;
	event_del(f->deadline);
	rfb_handshake_client_free(f->handshake);
	f->handshake = NULL;
	channel_wake(&f->endpoint);
}

/* One message of the other relay. Returns the bytes it took, 0 for more, or
 * an error. */
static ssize_t
hear(struct forward *f, const uint8_t *data, size_t len)
{
	static const uint8_t none_failed[4] = { 0 };
	uint8_t types[] = { 1, SECURITY_NONE, SECURITY_ULTRA };
	struct agent_msg m;
	size_t used;
	int rc = 0;

	if (f->state == FORWARD_TICKET) {
		rc = agent_proto_parse(data, len, &used, &m);
		if (rc <= 0)
			return rc;
		if (m.type != AGENT_ACCEPTED)
			return ERR_DENIED;
		rc = say_joined(f);
		f->state = FORWARD_VERSION;
		return rc != 0 ? rc : (ssize_t)used;
	}
	used = f->state == FORWARD_VERSION ? VERSION_LEN : 1;
	if (len < used)
		return 0;
	if (f->state == FORWARD_VERSION) {
		if (memcmp(data, version, VERSION_LEN) != 0)
			return ERR_PROTOCOL;
		types[0] += rfb_handshake_client_is_ultra(f->handshake);
		rc = buf_append(&f->relay.out, types, types[0] + 1u);
	} else if (f->state == FORWARD_TYPE) {
		if (*data != SECURITY_NONE)
			return ERR_PROTOCOL;
		rc =
		    buf_append(&f->relay.out, none_failed, sizeof(none_failed));
	} else {
		rc = say_server_init(f);
	}
	f->state++;
	return rc != 0 ? rc : (ssize_t)used;
}

static void
hear_all(struct forward *f)
{
	ssize_t n = 1;

	while (n > 0 && f->state < FORWARD_RUNNING) {
		n = hear(f, buf_head(&f->relay.in), buf_len(&f->relay.in));
		if (n > 0)
			buf_consume(&f->relay.in, (size_t)n);
	}
	if (n < 0 || channel_flush(&f->relay) != 0) {
		forward_end(
		    f, "the relay of the session did not take the connection");
		return;
	}
	if (f->state < FORWARD_RUNNING)
		return;
	if (buf_append(&f->endpoint.out, buf_head(&f->relay.in),
		buf_len(&f->relay.in)) != 0 ||
	    channel_flush(&f->endpoint) != 0) {
		forward_end(f, "the connection was closed");
		return;
	}
	buf_release(&f->relay.in);
	run(f);
}

/* ---- towards the other relay ---- */

void
forward_relay_readable(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;
	ssize_t n = 1;

	if (f->state == FORWARD_TLS) {
		forward_dial_ready(f);
		return; /* what it answers comes later */
	}
	if (f->state == FORWARD_RUNNING) {
		pass_on(f, &f->relay, &f->endpoint);
		return;
	}
	if (f->state == FORWARD_CONNECT)
		return;
	n = channel_fill(&f->relay);
	if (n == ERR_AGAIN)
		return;
	if (n <= 0) {
		forward_end(f, "the relay of the session is gone");
		return;
	}
	if (channel_has_buffered(&f->relay))
		channel_wake(&f->relay);
	hear_all(f);
}

void
forward_relay_writable(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;

	if (f->state <= FORWARD_TLS)
		forward_dial_ready(f);
	else
		has_room(f, &f->relay, &f->endpoint);
}

/* ---- the order ---- */

/* On the loop of the parked connection. */
static void
start(struct job *j)
{
	struct forward *f = (struct forward *)j;
	struct loop *l = f->loop;
	struct timeval tv = { l->relay->conf.connect_seconds, 0 };
	struct channel parked = { .transport.fd = -1 };

	TAILQ_INSERT_TAIL(&l->forwards, f, link);
	loop_ref(l);
	f->deadline = evtimer_new(l->base, on_deadline, f);
	f->handshake =
	    session_parked_take(l, f->endpoint_id, &parked, &f->slot);
	if (f->deadline == NULL || f->handshake == NULL ||
	    channel_adopt(&f->endpoint, l, &parked, on_server_readable,
		on_server_writable, f) != 0) {
		channel_release(&parked);
		forward_end(f, "it closed the connection");
		return;
	}
	event_add(f->deadline, &tv);
	log_info("forward_start", LOG_S("session", f->session),
	    LOG_S("relay", f->host));
	forward_dial(f);
}

static void
take_order(struct loop *l, const json_t *o)
{
	struct forward *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return;
	f->endpoint.transport.fd = f->relay.transport.fd = -1;
	f->endpoint_id = json_integer_value(json_object_get(o, "endpoint"));
	snprintf(f->session, sizeof(f->session), "%s",
	    json_text_or_empty(o, "session"));
	snprintf(f->ticket, sizeof(f->ticket), "%s",
	    json_text_or_empty(o, "ticket"));
	f->loop = l;
	if (!forward_read_address(f, json_text_or_empty(o, "address"))) {
		say_failed(f, "its relay has no address");
		forward_release(f);
		return;
	}
	f->loop = session_parked_pick(f->endpoint_id);
	if (f->loop == NULL) {
		f->loop = l;
		say_failed(f, "it does not wait there any more");
		forward_release(f);
		return;
	}
	f->job.done = start;
	loop_post(f->loop, &f->job);
}

void
forward_on_order(struct loop *l, const json_t *order)
{
	/* each loop hears of it, one has to act */
	if (l->index == 0 &&
	    strcmp(json_text_or_empty(order, "node"), l->relay->node_id) == 0)
		take_order(l, order);
}
