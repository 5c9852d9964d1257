#!/bin/bash
# libevent: an evhttp server over TLS (bufferevent_openssl), and the time of a
# small answer on a connection that is kept.
#
# Expected: head and body leave together, as without TLS, or Nagle's algorithm
# (RFC 9293, 3.7.4) is off, as servers do that write in parts: nginx's tcp_nodelay
# is on by default and always for TLS, Go's net sets TCP_NODELAY on its own.
# Guess before it was run: as quick as without TLS.
# Seen (libevent 2.1.12, Debian 12): each buffer of the output becomes a record
# and a write of its own, and TCP_NODELAY is not set. The body waits until the
# client acknowledges the head, which Linux delays by 40 ms; with TCP_NODELAY set
# on the connection, and without TLS, it does not wait.
# Consequence: common/tls_connections.c, admit(), sets TCP_NODELAY.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
if ! command -v cc >/dev/null || ! command -v openssl >/dev/null || ! command -v python3 >/dev/null ||
	! [ -e /usr/include/event2/bufferevent_ssl.h ] || ! [ -e /usr/include/openssl/ssl.h ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev openssl python3 libssl-dev 'libevent-dev=2.1.12*' >/dev/null 2>&1 ||
		{ echo "gcc, openssl, python3 and libevent-dev 2.1.12 cannot be installed"; exit 2; }
fi
dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; wait; rm -rf "$dir"' EXIT
cd "$dir" || exit 2
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 \
	-subj /CN=localhost -keyout key.pem -out cert.pem 2>/dev/null || exit 2
cat >serve.c <<'C'
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* tls: NULL without TLS. */
struct server {
	struct event_base *base;
	SSL_CTX *tls;
	int sets_nodelay;
};

static struct bufferevent *
make_connection(struct event_base *base, void *arg)
{
	struct server *s = arg;

	if (s->tls == NULL)
		return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	return bufferevent_openssl_socket_new(base, -1, SSL_new(s->tls),
	    BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

/* Answers with the socket's TCP_NODELAY. */
static void
on_request(struct evhttp_request *r, void *arg)
{
	struct server *s = arg;
	int fd = bufferevent_getfd(evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(r)));
	struct evbuffer *body = evbuffer_new();
	int on = 1;
	socklen_t len = sizeof(on);

	if (s->sets_nodelay)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0)
		evbuffer_add_printf(body, "%d", on != 0);
	evhttp_send_reply(r, 200, "OK", body);
	evbuffer_free(body);
}

/* A server on a port of its own; the port, or 0. */
static int
serve(struct server *s)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct evhttp *http = evhttp_new(s->base);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http,
	    "127.0.0.1", 0);

	if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
	    (struct sockaddr *)&addr, &len) != 0)
		return 0;
	evhttp_set_bevcb(http, make_connection, s);
	evhttp_set_gencb(http, on_request, s);
	return ntohs(addr.sin_port);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
	struct server plain = { base, NULL, 0 }, as_is = { base, tls, 0 };
	struct server with_nodelay = { base, tls, 1 };

	if (SSL_CTX_use_certificate_file(tls, "cert.pem", SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, "key.pem", SSL_FILETYPE_PEM) != 1)
		return 2;
	printf("libevent %s\n%d %d %d\n", event_get_version(), serve(&plain),
	    serve(&as_is), serve(&with_nodelay));
	fflush(stdout);
	event_base_dispatch(base);
	return 2;
}
C
cc -o serve serve.c -levent -levent_openssl -lssl -lcrypto || exit 2
cat >ask.py <<'PY'
import http.client
import ssl
import statistics
import sys
import time


def measure(port, tls):
    """TCP_NODELAY of the server's socket, and an answer's median in ms, once
    the first answers are past, which Linux acknowledges at once."""
    if tls:
        context = ssl.create_default_context(cafile='cert.pem')
        c = http.client.HTTPSConnection('localhost', port, context=context, timeout=20)
    else:
        c = http.client.HTTPConnection('localhost', port, timeout=20)
    times = []
    for _ in range(80):
        start = time.monotonic()
        c.request('GET', '/')
        said = c.getresponse().read()
        times.append(1000 * (time.monotonic() - start))
    return said.decode(), statistics.median(times[40:])


found = []
for name, port in zip(('plain', 'TLS', 'TLS, TCP_NODELAY set'), sys.argv[1:]):
    found.append(measure(int(port), name != 'plain'))
    print(f'{name}: TCP_NODELAY is {found[-1][0]}, an answer takes {found[-1][1]:.1f} ms')
(_, plain), (as_is, waits), (is_set, quick) = found
if is_set != '1':
    sys.exit(2)
if as_is != '0' or waits < 30:
    sys.exit(1)
# a machine so busy that nothing is quick shows nothing
sys.exit(0 if max(plain, quick) < waits / 2 else 2)
PY
timeout 90 ./serve >said &
pid=$!
for _ in $(seq 200); do [ "$(wc -l <said)" = 2 ] && break; sleep 0.05; done
[ "$(wc -l <said)" = 2 ] || exit 2
sed -n 1p said
read -r plain as_is with_nodelay < <(sed -n 2p said)
timeout 80 python3 ask.py "$plain" "$as_is" "$with_nodelay"
case $? in
0) exit 0 ;;
1) echo "changed"; exit 1 ;;
*) exit 2 ;;
esac
