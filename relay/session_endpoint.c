/* The endpoint's side until its ServerInit came. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/err.h"
#include "common/log.h"
#include "common/tls.h"
#include "relay/journal.h"
#include "relay/sealed.h"
#include "relay/session_internal.h"

#define ENDPOINT_OUT_MAX (1 << 20)

/* A name lookup in a worker thread. */
struct lookup {
	struct job job;
	struct session *session;
	char host[256], port[8];
	struct addrinfo *found;
	int result; /* of getaddrinfo */
};

static void connect_next(struct session *s, const char *why_last);
static void feed_handshake(struct session *s);

/* "endpoint desk1 (host:port) ...", the form of every refusal here. */
static void
refuse(struct session *s, const char *what, const char *why)
{
	static const char *const ways[] = { [ENDPOINT_DIRECT] = "",
		[ENDPOINT_AGENT] = " (agent)",
		[ENDPOINT_ATTENDED] = "",
		[ENDPOINT_REVERSE] = " (dialled in)" };
	char reason[700], where[300];

	if (s->account.kind == ENDPOINT_DIRECT)
		snprintf(where, sizeof(where), " (%s:%s)", s->account.host,
		    s->account.port);
	else
		snprintf(where, sizeof(where), "%s", ways[s->account.kind]);
	snprintf(reason, sizeof(reason), "endpoint %s%s %s%s%s",
	    s->name.endpoint, where, what, why[0] != '\0' ? ": " : "", why);
	session_refuse(s, reason);
}

/* Tries the addresses of a lookup one after the other. */
static void
connect_found(struct session *s, const struct addrinfo *found, int result)
{
	s->addrs = calloc(SESSION_ADDRS, sizeof(*s->addrs));
	for (const struct addrinfo *a = found;
	     s->addrs != NULL && a != NULL && s->n_addrs < SESSION_ADDRS;
	     a = a->ai_next)
		memcpy(&s->addrs[s->n_addrs++], a->ai_addr, a->ai_addrlen);
	if (s->n_addrs == 0)
		refuse(s, "cannot be reached",
		    result != 0 ? gai_strerror(result) : "no address");
	else
		connect_next(s, "");
}

static void
looked_up(struct job *j)
{
	struct lookup *k = (struct lookup *)j;
	struct session *s = k->session;

	if (s->state == SESSION_DIAL)
		connect_found(s, k->found, k->result);
	if (k->found != NULL)
		freeaddrinfo(k->found);
	free(k);
	session_unref(s);
}

static void
run_lookup(struct job *j)
{
	struct lookup *k = (struct lookup *)j;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };

	k->result = getaddrinfo(k->host, k->port, &hints, &k->found);
}

/* Starts a lookup in a worker thread. */
static void
look_up(struct session *s)
{
	struct lookup *k = calloc(1, sizeof(*k));

	if (k == NULL) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	k->job = (struct job){
		.run = run_lookup, .done = looked_up, .inbox = &s->loop->inbox
	};
	k->session = s;
	k->result = EAI_AGAIN;
	snprintf(k->host, sizeof(k->host), "%s", s->account.host);
	snprintf(k->port, sizeof(k->port), "%s", s->account.port);
	session_ref(s);
	worker_submit(s->loop->relay->lookups, &k->job);
}

/* An address in digits needs no lookup. Returns false when it is a name. */
static bool
dial_address(struct session *s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *found = NULL;

	if (getaddrinfo(s->account.host, s->account.port, &hints, &found) != 0)
		return false;
	connect_found(s, found, 0);
	freeaddrinfo(found);
	return true;
}

void
session_endpoint_greet(struct session *s)
{
	struct rfb_client_params params = { .user = s->account.username,
		.password = s->account.password,
		.allow_clear = s->account.allow_clear,
		.is_in_tunnel = s->endpoint.leg.ssl != NULL,
		.ra2_key = s->loop->relay->ra2_key };

	/* an agent's or a parked connection has said something already */
	s->endpoint.out.limit = ENDPOINT_OUT_MAX;
	s->endpoint_handshake =
	    rfb_handshake_client_new(&s->endpoint.out, &params);
	if (s->endpoint_handshake == NULL)
		session_refuse(s, "the relay is out of memory");
}

void
session_endpoint_talk(struct session *s)
{
	session_endpoint_greet(s);
	if (s->state == SESSION_CLOSING || s->state == SESSION_DEAD)
		return;
	session_set_state(
	    s, SESSION_ENDPOINT, s->loop->relay->conf.connect_seconds);
	side_read(&s->endpoint, true);
	feed_handshake(s);
	if (s->state == SESSION_ENDPOINT && side_has_buffered(&s->endpoint))
		event_active(s->endpoint.readable, EV_READ, 0);
}

static void
dial_direct(struct session *s)
{
	session_set_state(
	    s, SESSION_DIAL, s->loop->relay->conf.connect_seconds);
	session_endpoint_greet(s);
	if (s->state == SESSION_DIAL && !dial_address(s))
		look_up(s);
}

void
session_dial(struct session *s)
{
	bool has_agent = s->account.kind == ENDPOINT_AGENT ||
	    s->account.kind == ENDPOINT_ATTENDED;

	if (s->account.is_secret_bad)
		refuse(s,
		    "has a stored password that this relay's seal key "
		    "does not open",
		    "");
	else if (s->account.asks_consent && !has_agent)
		refuse(s,
		    "asks the person in front of it for consent, which needs "
		    "relaycam-agent there",
		    "");
	else if (has_agent)
		session_agent_open(s);
	else if (s->account.kind == ENDPOINT_REVERSE)
		session_claim(s);
	else
		dial_direct(s);
}

/* Drops the socket and its events, keeps `out`, which the handshake holds. */
static void
drop_socket(struct side *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->writable != NULL)
		event_free(d->writable);
	d->readable = d->writable = NULL;
	d->is_reading = false;
	if (d->leg.batch != NULL)
		leg_release(&d->leg);
}

static int
open_socket(struct session *s, const struct sockaddr_storage *addr)
{
	socklen_t len = addr->ss_family == AF_INET6
	    ? sizeof(struct sockaddr_in6)
	    : sizeof(struct sockaddr_in);
	int fd = socket(
	    addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const int64_t ms =
	    s->loop->relay->conf.connect_seconds * 1000 / s->n_addrs;
	const struct timeval share = { ms / 1000, ms % 1000 * 1000 };
	int on = 1;

	if (fd < 0)
		return ERR_IO;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	leg_init(&s->endpoint.leg, fd, &s->loop->batch);
	buf_init(&s->endpoint.in, RFB_HANDSHAKE_INPUT_MAX);
	s->endpoint.readable = event_new(
	    s->loop->base, fd, EV_READ | EV_PERSIST, on_endpoint_readable, s);
	s->endpoint.writable =
	    event_new(s->loop->base, fd, EV_WRITE, on_endpoint_writable, s);
	if (s->endpoint.readable == NULL || s->endpoint.writable == NULL)
		return ERR_NOMEM;
	if (connect(fd, (const struct sockaddr *)addr, len) != 0 &&
	    errno != EINPROGRESS)
		return ERR_IO;
	/* a silent first address leaves time for the others */
	event_add(s->endpoint.writable, &share);
	return 0;
}

static void
connect_next(struct session *s, const char *why_last)
{
	while (s->addr_at < s->n_addrs) {
		drop_socket(&s->endpoint);
		if (open_socket(s, &s->addrs[s->addr_at++]) == 0)
			return;
		why_last = strerror(errno);
	}
	refuse(s, "cannot be reached", why_last);
}

static void
connected(struct session *s)
{
	socklen_t len = sizeof(int);
	int e = 0;

	getsockopt(s->endpoint.leg.fd, SOL_SOCKET, SO_ERROR, &e, &len);
	if (e != 0) {
		connect_next(s, strerror(e));
		return;
	}
	free(s->addrs);
	s->addrs = NULL;
	s->n_addrs = s->addr_at = 0;
	session_set_state(
	    s, SESSION_ENDPOINT, s->loop->relay->conf.connect_seconds);
	side_read(&s->endpoint, true);
}

/* Certificates from the row into a store of this session. */
static int
load_ca(struct session *s)
{
	BIO *bio = BIO_new_mem_buf(s->account.ca_pem, -1);
	int n = 0;
	X509 *x;

	s->ca_store = X509_STORE_new();
	if (bio == NULL || s->ca_store == NULL) {
		BIO_free(bio);
		return ERR_NOMEM;
	}
	while ((x = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		n += X509_STORE_add_cert(s->ca_store, x);
		X509_free(x);
	}
	ERR_clear_error();
	BIO_free(bio);
	return n > 0 ? 0 : ERR_CONFIG;
}

static void
start_tls(struct session *s)
{
	int rc =
	    leg_start_tls(&s->endpoint.leg, s->loop->relay->client_ctx, false);

	if (rc == 0 && s->account.ca_pem != NULL) {
		rc = load_ca(s);
		if (rc == ERR_CONFIG) {
			refuse(s,
			    "has a CA in its settings that is no "
			    "certificate",
			    "");
			return;
		}
		if (rc == 0) {
			SSL_set1_verify_cert_store(
			    s->endpoint.leg.ssl, s->ca_store);
			rc = tls_client_verify(
			    s->endpoint.leg.ssl, s->account.host);
		}
	} else if (rc == 0) {
		/* the pin is compared below; without one, first use pins */
		SSL_set_verify(s->endpoint.leg.ssl, SSL_VERIFY_NONE, NULL);
	}
	if (rc != 0) {
		session_refuse(s, "the relay is out of memory");
		return;
	}
	s->state = SESSION_ENDPOINT_TLS;
}

static void
remember_pin(struct session *s)
{
	char pin[65], id[24];
	const char *params[] = { id, pin, s->name.person, s->name.endpoint };

	for (int i = 0; i < 32; i++)
		snprintf(pin + 2 * i, 3, "%02x", s->seen_pin[i]);
	snprintf(id, sizeof(id), "%lld", (long long)s->account.endpoint_id);
	journal_write(s->loop, "endpoint pin",
	    "WITH u AS (UPDATE endpoints SET tls_pin_sha256 = decode($2, "
	    "'hex') WHERE id = $1 AND tls_pin_sha256 IS NULL RETURNING "
	    "team_id) INSERT INTO audit (team_id, actor, action, object, "
	    "detail) SELECT team_id, $3, 'endpoint_pinned', $4, "
	    "jsonb_build_object('sha256', $2::text) FROM u",
	    4, params);
}

/* seen_pin is the endpoint's; else it is refused. */
static bool
pin_is_right(struct session *s)
{
	if (s->account.has_pin &&
	    memcmp(s->seen_pin, s->account.pin, sizeof(s->seen_pin)) != 0) {
		refuse(s,
		    "showed another certificate or key than the one it is "
		    "pinned to; if it was replaced on purpose, set the "
		    "new one with relaycam endpoint set --pin",
		    "");
		return false;
	}
	if (!s->account.has_pin && s->account.ca_pem == NULL)
		remember_pin(s);
	return true;
}

/* The certificate is checked before anything secret is sent. */
static bool
certificate_is_right(struct session *s)
{
	if (tls_peer_sha256(s->endpoint.leg.ssl, s->seen_pin) == 0)
		return pin_is_right(s);
	refuse(s, "showed no certificate", "");
	return false;
}

/* RA2: so is its RSA key, which no CA vouches for. */
static bool
check_key(struct session *s)
{
	memcpy(s->seen_pin,
	    rfb_handshake_client_key_sha256(s->endpoint_handshake),
	    sizeof(s->seen_pin));
	if (s->account.ca_pem != NULL && !s->account.has_pin) {
		refuse(s,
		    "offers RA2, whose keys no CA vouches for; pin its key "
		    "with relaycam endpoint set --pin",
		    rfb_handshake_client_key_text(s->endpoint_handshake));
		return false;
	}
	if (!pin_is_right(s))
		return false;
	if (rfb_handshake_client_key_checked(s->endpoint_handshake) == 0 &&
	    side_flush(&s->endpoint) == 0)
		return true;
	refuse(s, "closed the connection", "");
	return false;
}

/* What was received behind the handshake is sealed already. */
static bool
start_cipher(struct session *s)
{
	struct side *d = &s->endpoint;
	int rc = side_flush(d);

	if (rc == 0)
		d->sealed = sealed_new(
		    rfb_handshake_client_take_cipher(s->endpoint_handshake),
		    buf_head(&d->in), buf_len(&d->in));
	buf_consume(&d->in, buf_len(&d->in));
	if (d->sealed != NULL)
		return true;
	refuse(s, "could not start its encryption", "");
	return false;
}

static void
tls_failed(struct session *s)
{
	char why[128];
	long verify = SSL_get_verify_result(s->endpoint.leg.ssl);

	if (verify != X509_V_OK)
		refuse(s, "showed a certificate that is not trusted",
		    X509_verify_cert_error_string(verify));
	else
		refuse(s, "could not start TLS", tls_error(why, sizeof(why)));
}

/* What only the check needed: about 10 KB that would live as long as the
 * session. Nothing is verified twice, renegotiation is off. */
static void
forget_chain(struct session *s)
{
	SSL *ssl = s->endpoint.leg.ssl;
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);

	/* the stack is the connection's, so are the references in it */
	while (sk_X509_num(chain) > 0)
		X509_free(sk_X509_pop(chain));
	SSL_set1_verify_cert_store(ssl, NULL);
	X509_STORE_free(s->ca_store);
	s->ca_store = NULL;
}

static void
go_on_with_tls(struct session *s)
{
	int rc = leg_handshake(&s->endpoint.leg);

	if (leg_wants_write(&s->endpoint.leg))
		event_add(s->endpoint.writable, NULL);
	if (rc == ERR_AGAIN)
		return;
	if (rc != 0) {
		tls_failed(s);
		return;
	}
	if (!certificate_is_right(s))
		return;
	forget_chain(s);
	s->state = SESSION_ENDPOINT;
	if (rfb_handshake_client_tls_started(s->endpoint_handshake) != 0 ||
	    side_flush(&s->endpoint) != 0)
		refuse(s, "closed the connection", "");
}

static bool
on_event(struct session *s, int event)
{
	switch (event) {
	case RFB_HANDSHAKE_STEP:
		return true;
	case RFB_HANDSHAKE_START_TLS:
		if (side_flush(&s->endpoint) != 0) {
			refuse(s, "closed the connection", "");
			return false;
		}
		start_tls(s);
		if (s->state == SESSION_ENDPOINT_TLS)
			go_on_with_tls(s);
		return false;
	case RFB_HANDSHAKE_CHECK_KEY:
		return check_key(s);
	case RFB_HANDSHAKE_START_CIPHER:
		return start_cipher(s);
	case RFB_HANDSHAKE_READY:
		side_flush(&s->endpoint);
		if (s->door == SESSION_BY_NOBODY) {
			session_park(s);
			return false;
		}
		side_read(&s->endpoint, false);
		session_open(s);
		return false;
	default:
		return false;
	}
}

static void
feed_handshake(struct session *s)
{
	size_t used;
	int rc;

	do {
		rc = rfb_handshake_client_feed(s->endpoint_handshake,
		    buf_head(&s->endpoint.in), buf_len(&s->endpoint.in), &used);
		if (rc < 0) {
			refuse(s, "cannot be used",
			    rfb_handshake_client_why(s->endpoint_handshake));
			return;
		}
		buf_consume(&s->endpoint.in, used);
	} while (on_event(s, rc));
	if (s->state == SESSION_ENDPOINT && side_flush(&s->endpoint) != 0)
		refuse(s, "closed the connection", "");
}

/* Reads once. Returns true when there may be more. */
static bool
read_handshake(struct session *s)
{
	ssize_t n = side_fill(&s->endpoint);

	if (n == ERR_AGAIN)
		return false;
	if (n <= 0) {
		refuse(s, "closed the connection", "");
		return false;
	}
	feed_handshake(s);
	return s->state == SESSION_ENDPOINT && s->endpoint.is_reading &&
	    (s->endpoint.leg.ssl != NULL || s->endpoint.sealed != NULL);
}

/* Reads once before the VNC server speaks, or after it has. */
static bool
read_early(struct session *s)
{
	ssize_t n = side_fill(&s->endpoint);

	if (n == ERR_AGAIN)
		return false;
	if (n == ERR_LIMIT && s->state == SESSION_PARKED) {
		/* it talks to nobody: what it says waits in its socket */
		side_read(&s->endpoint, false);
		return false;
	}
	if (n <= 0) {
		refuse(s, "closed the connection", "");
		return false;
	}
	if (s->state == SESSION_AGENT)
		session_agent_feed(s);
	return s->state == SESSION_AGENT || s->state == SESSION_PARKED;
}

void
on_endpoint_readable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == SESSION_RUNNING) {
		pump_from_endpoint(s);
		return;
	}
	session_ref(s);
	if (s->state == SESSION_AGENT || s->state == SESSION_PARKED)
		while (read_early(s))
			;
	if (s->state == SESSION_ENDPOINT_TLS)
		go_on_with_tls(s);
	if (s->state == SESSION_ENDPOINT)
		while (read_handshake(s))
			;
	session_unref(s);
}

void
on_endpoint_writable(evutil_socket_t fd, short what, void *arg)
{
	struct session *s = arg;

	if (s->state == SESSION_RUNNING)
		pump_to_endpoint(s);
	else if (s->state == SESSION_DIAL && (what & EV_TIMEOUT) != 0)
		connect_next(s, strerror(ETIMEDOUT));
	else if (s->state == SESSION_DIAL)
		connected(s);
	else if (s->state == SESSION_ENDPOINT_TLS)
		on_endpoint_readable(fd, what, arg);
	else if (side_flush(&s->endpoint) != 0)
		refuse(s, "closed the connection", "");
}
