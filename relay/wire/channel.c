#include "relay/wire/channel.h"

#include "common/bytes.h"
#include "common/err.h"
#include "relay/relay.h"
#include "relay/wire/ra2_transport.h"
#include "relay/http/websocket.h"
#include "rfb/handshake.h"

#define CHANNEL_OUT_MAX (1 << 20)
/* at a time: messages of a handshake are shorter */
#define FILL_LEN 512

static int
make_events(struct channel *d, struct loop *l, event_callback_fn on_readable,
    event_callback_fn on_writable, void *arg)
{
	d->readable = event_new(
	    l->base, d->transport.fd, EV_READ | EV_PERSIST, on_readable, arg);
	d->writable =
	    event_new(l->base, d->transport.fd, EV_WRITE, on_writable, arg);
	return d->readable != NULL && d->writable != NULL ? 0 : ERR_NOMEM;
}

void
channel_open(struct channel *d, struct loop *l, int fd)
{
	*d = (struct channel){ .transport.fd = -1 };
	transport_init(&d->transport, fd, &l->batch);
	buf_init(&d->in, RFB_HANDSHAKE_INPUT_MAX);
	buf_init(&d->out, CHANNEL_OUT_MAX);
}

int
channel_init(struct channel *d, struct loop *l, int fd,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg)
{
	channel_open(d, l, fd);
	return make_events(d, l, on_readable, on_writable, arg);
}

static void
drop_events(struct channel *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	d->readable = d->writable = NULL;
	d->is_reading = false;
}

/* What a channel holds besides its transport and its events. */
static void
move_input(struct channel *to, struct channel *from)
{
	to->in = from->in;
	to->ra2 = from->ra2;
	buf_init(&from->in, 0);
	from->ra2 = NULL;
	buf_release(&from->out); /* all of it was sent */
}

int
channel_detach(struct channel *to, struct channel *from)
{
	drop_events(from);
	if (transport_detach(&from->transport) != 0)
		return ERR_NOMEM;
	transport_move(&to->transport, &from->transport, from->transport.batch);
	move_input(to, from);
	return 0;
}

int
channel_adopt(struct channel *d, struct loop *l, struct channel *from,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg)
{
	drop_events(from);
	transport_move(&d->transport, &from->transport, &l->batch);
	move_input(d, from);
	buf_init(&d->out, CHANNEL_OUT_MAX);
	return make_events(d, l, on_readable, on_writable, arg);
}

void
channel_release(struct channel *d)
{
	drop_events(d);
	ws_free(d->ws);
	ra2_transport_free(d->ra2);
	if (d->transport.batch != NULL || d->transport.fd >= 0)
		transport_release(&d->transport);
	buf_release(&d->in);
	buf_release(&d->out);
	*d = (struct channel){ .transport.fd = -1 };
}

void
channel_read(struct channel *d, bool on)
{
	if (on == d->is_reading || d->readable == NULL)
		return;
	d->is_reading = on;
	if (on)
		event_add(d->readable, NULL);
	else
		event_del(d->readable);
}

void
channel_wake(struct channel *d)
{
	/* first: libevent ignores event_add() on an event that is active, and
	 * it would never be watched again */
	channel_read(d, true);
	event_active(d->readable, EV_READ, 0);
}

int
channel_flush(struct channel *d)
{
	ssize_t n;
	int rc = d->ws != NULL ? ws_flush(d->ws)
	    : d->ra2 != NULL   ? ra2_transport_flush(d->ra2, &d->transport)
			       : transport_flush(&d->transport);

	while (rc == 0 && buf_len(&d->out) > 0) {
		n = channel_send(d, buf_head(&d->out), buf_len(&d->out));
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		buf_consume(&d->out, (size_t)n);
	}
	if (rc != 0 && rc != ERR_AGAIN)
		return rc;
	if (channel_wants_write(d) || buf_len(&d->out) > 0)
		event_add(d->writable, NULL);
	return 0;
}

ssize_t
channel_fill(struct channel *d)
{
	size_t room = d->in.limit - buf_len(&d->in);
	uint8_t *p;
	ssize_t n;

	if (room == 0)
		return ERR_LIMIT;
	p = buf_reserve(&d->in, min_size(room, FILL_LEN));
	if (p == NULL)
		return ERR_NOMEM;
	n = channel_recv(d, p, min_size(room, FILL_LEN));
	if (n > 0)
		buf_commit(&d->in, (size_t)n);
	return n;
}

void
channel_shrink(struct channel *d)
{
	if (buf_len(&d->in) == 0)
		buf_release(&d->in);
	if (buf_len(&d->out) == 0)
		buf_release(&d->out);
}

ssize_t
channel_recv(struct channel *d, uint8_t *data, size_t len)
{
	if (d->ra2 != NULL)
		return ra2_transport_recv(d->ra2, &d->transport, data, len);
	return d->ws != NULL ? ws_recv(d->ws, data, len)
			     : transport_read(&d->transport, data, len);
}

ssize_t
channel_send(struct channel *d, const uint8_t *data, size_t len)
{
	if (d->ra2 != NULL)
		return ra2_transport_send(d->ra2, &d->transport, data, len);
	return d->ws != NULL ? ws_send(d->ws, data, len)
			     : transport_write(&d->transport, data, len);
}

bool
channel_has_buffered(const struct channel *d)
{
	if (d->ra2 != NULL && ra2_transport_has_buffered(d->ra2))
		return true;
	return d->ws != NULL ? ws_has_buffered(d->ws)
			     : transport_has_buffered(&d->transport);
}

bool
channel_wants_write(const struct channel *d)
{
	return d->ws != NULL ? ws_wants_write(d->ws)
			     : transport_wants_write(&d->transport);
}
