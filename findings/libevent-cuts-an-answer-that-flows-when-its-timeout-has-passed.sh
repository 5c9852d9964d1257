#!/bin/bash
# libevent: an evhttp server with evhttp_set_timeout(), and an answer whose client
# takes it without a pause, for longer than that.
#
# Expected: the limit is on standing still, as of nginx's send_timeout ("between two
# successive write operations") and HAProxy's timeout client; event2/http.h says
# "timeout for an HTTP request", and the request has been read.
# Guess before it was run: the time runs from the last byte that left, so such a
# client is never cut off.
# Seen (libevent 2.1.12, Debian 12): it sets a timeout for reading, too, which runs
# while the answer is written: the connection is closed when it has passed, and the
# client has a part of the answer. With bufferevent_set_timeouts(bev, NULL, &limit)
# the same client gets all of it.
# Consequence: console/api/answer.c, limit_output_alone(), and
# storage/files/files_download.c, set_timeouts(), take that timeout away while they
# write.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
if ! command -v cc >/dev/null || ! command -v python3 >/dev/null || ! [ -e /usr/include/event2/http.h ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev python3 'libevent-dev=2.1.12*' >/dev/null 2>&1 ||
		{ echo "gcc, python3 and libevent-dev 2.1.12 cannot be installed"; exit 2; }
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 2
dpkg-query -W -f 'libevent ${Version}\n' libevent-2.1-7 2>/dev/null
cat >serve.c <<'C'
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static const struct timeval limit = { 3, 0 };
static size_t n_bytes;

static void
on_request(struct evhttp_request *request, void *is_for_writing)
{
	struct evbuffer *body = evbuffer_new();
	char *bytes = calloc(1, n_bytes);

	if (body == NULL || bytes == NULL)
		exit(2);
	evbuffer_add(body, bytes, n_bytes);
	free(bytes);
	if (is_for_writing != NULL)
		bufferevent_set_timeouts(evhttp_connection_get_bufferevent(
		    evhttp_request_get_connection(request)), NULL, &limit);
	evhttp_send_reply(request, 200, "OK", body);
	evbuffer_free(body);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound =
	    evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (argc < 2 || bound == NULL || getsockname(evhttp_bound_socket_get_fd(
	    bound), (struct sockaddr *)&address, &len) != 0)
		return 2;
	n_bytes = strtoul(argv[1], NULL, 10);
	evhttp_set_timeout_tv(http, &limit);
	evhttp_set_gencb(http, on_request, argc > 2 ? http : NULL);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return event_base_dispatch(base);
}
C
cc -O1 serve.c -o serve -levent || exit 2
timeout 120 python3 - <<'PY'
import socket
import subprocess
import sys
import time

TOTAL, PIECE = 48 << 20, 256 << 10     # 4 MiB a second: 12 s


def fetch(*option):
    """(share of the answer that came, longest time without a byte)"""
    server = subprocess.Popen(['./serve', str(TOTAL), *option],
                              stdout=subprocess.PIPE, text=True)
    try:
        port = int(server.stdout.readline())
        with socket.create_connection(('127.0.0.1', port), 30) as s:
            s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
            got, longest, last = 0, 0, time.monotonic()
            while data := s.recv(PIECE):
                now = time.monotonic()
                got, longest, last = got + len(data), max(longest, now - last), now
                time.sleep(PIECE / (4 << 20))
                if got > TOTAL:
                    break
        return got / TOTAL, longest
    except ConnectionError:
        return got / TOTAL, longest
    finally:
        server.kill()
        server.wait()


usual, longest = fetch()
print(f'evhttp_set_timeout of 3 s: {usual:.0%} came, longest pause {longest:.1f} s')
for_writing, pause = fetch('for-writing')
print(f'the same for writing only: {for_writing:.0%} came, longest pause {pause:.1f} s')
if max(longest, pause) > 2:
    sys.exit(2)     # a machine that stood still
sys.exit(0 if usual < 0.9 and for_writing >= 1 else 1)
PY
