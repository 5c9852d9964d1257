#!/bin/bash
# libevent: evhttp_send_reply_chunk_with_cb() with an empty buffer, or for HEAD.
#
# Expected: the callback comes when the chunk has been taken, at once if there is
# nothing to take (event2/http.h names no exception and the function returns
# nothing), so that a program may make its next chunk in the callback.
# Guess before it was run: it comes for each call.
# Seen (libevent 2.1.12, Debian 12): for an empty buffer it never comes, and for a
# HEAD request for no buffer at all, though the connection is well: a program that
# goes on in the callback leaves the client waiting for the rest of the answer.
# Consequence: console/api/list_csv.c, send_rows(): an empty page of rows asks for
# the next one itself.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
if ! command -v cc >/dev/null || ! [ -e /usr/include/event2/http.h ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev 'libevent-dev=2.1.12*' >/dev/null 2>&1 ||
		{ echo "gcc and libevent-dev 2.1.12 cannot be installed"; exit 2; }
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/try.c" <<'C'
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct event_base *base;
static struct event *limit;
static struct evhttp_request *request;
static int is_done;

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	event_base_loopbreak(base);
}

static void
run_for(int seconds)
{
	struct timeval tv = { .tv_sec = seconds };

	event_add(limit, &tv);
	event_base_dispatch(base);
	event_del(limit);
}

static void
on_request(struct evhttp_request *r, void *arg)
{
	request = r;
	evhttp_send_reply_start(r, 200, "OK");
	event_base_loopbreak(base);
}

static void
on_taken(struct evhttp_connection *c, void *arg)
{
	is_done = 1;
	event_base_loopbreak(base);
}

/* Whether the callback for such a chunk comes within so many seconds. */
static int
calls_back(const char *text, int seconds)
{
	struct evbuffer *chunk = evbuffer_new();

	is_done = 0;
	evbuffer_add(chunk, text, strlen(text));
	evhttp_send_reply_chunk_with_cb(request, chunk, on_taken, NULL);
	evbuffer_free(chunk);
	run_for(seconds);
	return is_done;
}

/* A client's connection that has sent a request, which the server has. */
static struct bufferevent *
ask(struct sockaddr_in *addr, const char *method)
{
	struct bufferevent *b = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	request = NULL;
	if (b == NULL || bufferevent_enable(b, EV_READ) != 0 ||
	    bufferevent_socket_connect(b, (struct sockaddr *)addr, sizeof(*addr)) != 0)
		exit(2);
	evbuffer_add_printf(bufferevent_get_output(b),
	    "%s / HTTP/1.1\r\nHost: localhost\r\n\r\n", method);
	run_for(10);
	if (request == NULL)
		exit(2);
	return b;
}

int
main(void)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);
	struct evhttp_bound_socket *bound;
	struct bufferevent *client;
	struct evhttp *http;
	int first, empty, last, head;

	base = event_base_new();
	limit = evtimer_new(base, on_limit, NULL);
	http = evhttp_new(base);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
	    (struct sockaddr *)&addr, &len) != 0)
		return 2;
	evhttp_set_gencb(http, on_request, NULL);
	client = ask(&addr, "GET");
	first = calls_back("one", 10);
	empty = calls_back("", 2);
	last = calls_back("two", 10);
	evhttp_send_reply_end(request);
	bufferevent_free(client);
	client = ask(&addr, "HEAD");
	head = calls_back("one", 2);
	evhttp_send_reply_end(request);
	bufferevent_free(client);
	printf("libevent %s\n", event_get_version());
	printf("called back: GET: for a chunk of 3 bytes %d, of 0 bytes %d, "
	       "of 3 bytes %d; HEAD: of 3 bytes %d\n", first, empty, last, head);
	evhttp_free(http);
	event_free(limit);
	event_base_free(base);
	if (!first || !last)
		return 2;
	return empty || head;
}
C
cc -o "$dir/try" "$dir/try.c" -levent || exit 2
timeout 60 "$dir/try"
case $? in
0) exit 0 ;;
1) echo "changed"; exit 1 ;;
*) exit 2 ;;
esac
