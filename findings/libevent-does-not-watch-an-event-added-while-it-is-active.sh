#!/bin/bash
# libevent: event_add() on a persistent read event that event_active() has made
# active, and whose callback has not run yet.
#
# Expected: event_add() "schedules a pending event" (event2/event.h); it
# returns 0, so that from then on the callback runs whenever the descriptor
# can be read, as when both calls come the other way round.
# Guess before it was run: the callback runs once for event_active(), and then
# for input.
# Seen (libevent 2.1.12, Debian 12): it returns 0 and event_pending() says that
# reading is pending, but the descriptor is not watched: after the one call for
# event_active() no input is reported, with every backend tried. The other way
# round all of it is.
# Consequence: relay/wire/side.c, side_wake(): watch first, then wake.
# Exits 0 while that is so, 1 when it changed, 2 when it could not be run.
set -u
if ! command -v cc >/dev/null || ! [ -e /usr/include/event2/event.h ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends gcc libc6-dev 'libevent-dev=2.1.12*' >/dev/null 2>&1 ||
		{ echo "gcc and libevent-dev 2.1.12 cannot be installed"; exit 2; }
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/try.c" <<'C'
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int n_calls;

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	char c;

	n_calls++;
	if (*(int *)arg && read(fd, &c, 1) != 1)
		exit(2);
}

/* Calls for one byte that comes after the first turn of the loop. */
static int
calls_for_input(const char *backend, int add_first)
{
	struct event_config *config = event_config_new();
	const char *all[] = { "epoll", "poll", "select" };
	struct event_base *base;
	struct event *e;
	int fds[2], has_input = 0, pending;

	for (int i = 0; i < 3; i++)
		if (strcmp(all[i], backend) != 0)
			event_config_avoid_method(config, all[i]);
	base = event_base_new_with_config(config);
	if (base == NULL || pipe(fds) != 0 ||
	    strcmp(event_base_get_method(base), backend) != 0)
		exit(2);
	e = event_new(base, fds[0], EV_READ | EV_PERSIST, on_input, &has_input);
	if (add_first && event_add(e, NULL) != 0)
		exit(2);
	event_active(e, EV_READ, 0);
	if (!add_first && event_add(e, NULL) != 0)
		exit(2);
	pending = event_pending(e, EV_READ, NULL) != 0;
	n_calls = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
	if (n_calls != 1 || !pending)
		exit(1);
	has_input = 1;
	if (write(fds[1], "x", 1) != 1)
		exit(2);
	n_calls = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
	event_free(e);
	event_base_free(base);
	event_config_free(config);
	return n_calls;
}

int
main(void)
{
	const char *backends[] = { "epoll", "poll", "select" };
	int rc = 0;

	printf("libevent %s\n", event_get_version());
	for (int i = 0; i < 3; i++) {
		int first = calls_for_input(backends[i], 1);
		int then = calls_for_input(backends[i], 0);

		printf("%s: calls for a byte: %d when added and made active, "
		       "%d when made active and added\n",
		    backends[i], first, then);
		if (first != 1 || then != 0)
			rc = 1;
	}
	return rc;
}
C
cc -o "$dir/try" "$dir/try.c" -levent || exit 2
timeout 20 "$dir/try"
case $? in
0) exit 0 ;;
1) echo "changed"; exit 1 ;;
*) exit 2 ;;
esac
