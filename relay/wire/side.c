#include "relay/wire/side.h"

#include "common/bytes.h"
#include "common/err.h"
#include "relay/relay.h"
#include "relay/wire/sealed.h"
#include "relay/http/websocket.h"
#include "rfb/handshake.h"

#define SIDE_OUT_MAX (1 << 20)

static int
make_events(struct side *d, struct loop *l, event_callback_fn on_readable,
    event_callback_fn on_writable, void *arg)
{
	d->readable = event_new(
	    l->base, d->leg.fd, EV_READ | EV_PERSIST, on_readable, arg);
	d->writable = event_new(l->base, d->leg.fd, EV_WRITE, on_writable, arg);
	return d->readable != NULL && d->writable != NULL ? 0 : ERR_NOMEM;
}

int
side_init(struct side *d, struct loop *l, int fd, event_callback_fn on_readable,
    event_callback_fn on_writable, void *arg)
{
	leg_init(&d->leg, fd, &l->batch);
	buf_init(&d->in, RFB_HANDSHAKE_INPUT_MAX);
	buf_init(&d->out, SIDE_OUT_MAX);
	return make_events(d, l, on_readable, on_writable, arg);
}

static void
drop_events(struct side *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	d->readable = d->writable = NULL;
	d->is_reading = false;
}

/* What a side holds besides its leg and its events. */
static void
move_input(struct side *to, struct side *from)
{
	to->in = from->in;
	to->sealed = from->sealed;
	buf_init(&from->in, 0);
	from->sealed = NULL;
	buf_release(&from->out); /* all of it was sent */
}

int
side_detach(struct side *to, struct side *from)
{
	drop_events(from);
	if (leg_detach(&from->leg) != 0)
		return ERR_NOMEM;
	leg_move(&to->leg, &from->leg, from->leg.batch);
	move_input(to, from);
	return 0;
}

int
side_adopt(struct side *d, struct loop *l, struct side *from,
    event_callback_fn on_readable, event_callback_fn on_writable, void *arg)
{
	drop_events(from);
	leg_move(&d->leg, &from->leg, &l->batch);
	move_input(d, from);
	buf_init(&d->out, SIDE_OUT_MAX);
	return make_events(d, l, on_readable, on_writable, arg);
}

void
side_release(struct side *d)
{
	drop_events(d);
	ws_free(d->ws);
	sealed_free(d->sealed);
	if (d->leg.batch != NULL || d->leg.fd >= 0)
		leg_release(&d->leg);
	buf_release(&d->in);
	buf_release(&d->out);
	*d = (struct side){ .leg.fd = -1 };
}

void
side_read(struct side *d, bool on)
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
side_wake(struct side *d)
{
	/* first: libevent ignores event_add() on an event that is active, and
	 * it would never be watched again */
	side_read(d, true);
	event_active(d->readable, EV_READ, 0);
}

int
side_flush(struct side *d)
{
	ssize_t n;
	int rc = d->ws != NULL  ? ws_flush(d->ws)
	    : d->sealed != NULL ? sealed_flush(d->sealed, &d->leg)
				: leg_flush(&d->leg);

	while (rc == 0 && buf_len(&d->out) > 0) {
		n = side_send(d, buf_head(&d->out), buf_len(&d->out));
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		buf_consume(&d->out, (size_t)n);
	}
	if (rc != 0 && rc != ERR_AGAIN)
		return rc;
	if (side_wants_write(d) || buf_len(&d->out) > 0)
		event_add(d->writable, NULL);
	return 0;
}

ssize_t
side_fill(struct side *d)
{
	size_t room = d->in.limit - buf_len(&d->in);
	uint8_t *p;
	ssize_t n;

	if (room == 0)
		return ERR_LIMIT;
	p = buf_reserve(&d->in, min_size(room, 2048));
	if (p == NULL)
		return ERR_NOMEM;
	n = side_recv(d, p, min_size(room, 2048));
	if (n > 0)
		buf_commit(&d->in, (size_t)n);
	return n;
}

void
side_shrink(struct side *d)
{
	if (buf_len(&d->in) == 0)
		buf_release(&d->in);
	if (buf_len(&d->out) == 0)
		buf_release(&d->out);
}

ssize_t
side_recv(struct side *d, uint8_t *data, size_t len)
{
	if (d->sealed != NULL)
		return sealed_recv(d->sealed, &d->leg, data, len);
	return d->ws != NULL ? ws_recv(d->ws, data, len)
			     : leg_read(&d->leg, data, len);
}

ssize_t
side_send(struct side *d, const uint8_t *data, size_t len)
{
	if (d->sealed != NULL)
		return sealed_send(d->sealed, &d->leg, data, len);
	return d->ws != NULL ? ws_send(d->ws, data, len)
			     : leg_write(&d->leg, data, len);
}

bool
side_has_buffered(const struct side *d)
{
	if (d->sealed != NULL && sealed_has_buffered(d->sealed))
		return true;
	return d->ws != NULL ? ws_has_buffered(d->ws)
			     : leg_has_buffered(&d->leg);
}

bool
side_wants_write(const struct side *d)
{
	return d->ws != NULL ? ws_wants_write(d->ws) : leg_wants_write(&d->leg);
}
