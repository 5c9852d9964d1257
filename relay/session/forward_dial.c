/* A forwarded connection on its way to the other relay. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/tcp_liveness.h"
#include "common/tls.h"
#include "relay/session/forward_internal.h"

/* ---- TLS ---- */

static int
start_tls(struct forward *f)
{
	static const uint8_t alpn[] = "\x0f" AGENT_ALPN_DATA;

	if (transport_start_tls(&f->relay.transport, f->ctx, false) != 0 ||
	    tls_client_verify(f->relay.transport.ssl, f->host) != 0 ||
	    SSL_set_alpn_protos(
		f->relay.transport.ssl, alpn, sizeof(alpn) - 1) != 0)
		return ERR_NOMEM;
	f->state = FORWARD_TLS;
	return 0;
}

static void
go_on_with_tls(struct forward *f)
{
	struct agent_msg m = { .type = AGENT_TICKET };
	int rc = transport_handshake(&f->relay.transport);
	char why[128], text[512];

	if (transport_wants_write(&f->relay.transport))
		event_add(f->relay.writable, NULL);
	if (rc == ERR_AGAIN)
		return;
	if (rc != 0) {
		snprintf(text, sizeof(text),
		    "TLS to the relay of the session at %s failed: %s", f->host,
		    tls_error(why, sizeof(why)));
		forward_end(f, text);
		return;
	}
	memcpy(m.ticket.ticket, f->ticket, sizeof(m.ticket.ticket));
	f->state = FORWARD_TICKET;
	if (agent_proto_encode(&f->relay.out, &m) != 0 ||
	    channel_flush(&f->relay) != 0)
		forward_end(f, "the relay of the session is gone");
	wipe(&m, sizeof(m));
}

/* ---- connecting ---- */

static int
connect_to(struct forward *f, const struct addrinfo *ai)
{
	struct loop *l = f->loop;
	int fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return ERR_IO;
	channel_release(&f->relay);
	if (channel_init(&f->relay, l, fd, forward_relay_readable,
		forward_relay_writable, f) != 0) {
		errno = ENOMEM;
		return ERR_NOMEM;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	tcp_liveness_start(fd, (unsigned)l->relay->conf.peer_lost_seconds);
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0 &&
	    errno != EINPROGRESS)
		return ERR_IO;
	event_add(f->relay.writable, NULL);
	return 0;
}

static void
connect_next(struct forward *f, int error)
{
	char why[400];

	f->state = FORWARD_CONNECT;
	while (f->next != NULL) {
		const struct addrinfo *ai = f->next;

		f->next = ai->ai_next;
		if (connect_to(f, ai) == 0)
			return;
		error = errno;
	}
	snprintf(why, sizeof(why),
	    "the relay of the session cannot be reached at %s:%s: %s", f->host,
	    f->port, strerror(error));
	forward_end(f, why);
}

static void
looked_up(struct job *j)
{
	struct forward *f = (struct forward *)j;

	f->is_looking_up = false;
	if (f->is_gone)
		forward_release(f);
	else if (f->why[0] != '\0')
		forward_end(f, f->why);
	else
		connect_next(f, ENOENT);
}

/* In a thread: what reads files and asks name servers. */
static void
run_lookup(struct job *j)
{
	struct forward *f = (struct forward *)j;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	int rc;

	f->ctx = tls_client_new(
	    f->loop->relay->conf.public_ca_file, f->why, sizeof(f->why));
	if (f->ctx == NULL)
		return;
	f->why[0] = '\0';
	rc = getaddrinfo(f->host, f->port, &hints, &f->found);
	if (rc != 0)
		snprintf(f->why, sizeof(f->why),
		    "the relay of the session cannot be reached at %.150s: %s",
		    f->host, gai_strerror(rc));
	f->next = f->found;
}

void
forward_dial(struct forward *f)
{
	f->is_looking_up = true;
	f->job = (struct job){
		.run = run_lookup, .done = looked_up, .inbox = &f->loop->inbox
	};
	worker_submit(f->loop->relay->lookups, &f->job);
}

static void
connected(struct forward *f)
{
	socklen_t len = sizeof(int);
	int e = 0;

	getsockopt(f->relay.transport.fd, SOL_SOCKET, SO_ERROR, &e, &len);
	if (e != 0) {
		connect_next(f, e);
		return;
	}
	channel_read(&f->relay, true);
	if (start_tls(f) != 0)
		forward_end(f, "out of memory");
	else
		go_on_with_tls(f);
}

void
forward_dial_ready(struct forward *f)
{
	if (f->state == FORWARD_TLS)
		go_on_with_tls(f);
	else
		connected(f);
}

bool
forward_read_address(struct forward *f, const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon != NULL ? (size_t)(colon - address) : 0;

	if (len >= 2 && address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(f->host) ||
	    strlen(colon + 1) >= sizeof(f->port))
		return false;
	memcpy(f->host, address, len);
	strcpy(f->port, colon + 1);
	return true;
}
