/* A side's input event over a socketpair and a real event loop. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "relay/relay.h"
#include "relay/wire/channel.h"

static struct loop loop;

struct link {
	struct channel channel;
	int peer_fd;
	int n_calls;
	size_t n_read;
};

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct link *k = arg;
	uint8_t got[64];
	ssize_t n;

	k->n_calls++;
	while ((n = channel_recv(&k->channel, got, sizeof(got))) > 0)
		k->n_read += (size_t)n;
	assert_int_equal(n, ERR_AGAIN);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
}

static void
link_open(struct link *k)
{
	int pair[2];

	*k = (struct link){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	k->peer_fd = pair[1];
	assert_int_equal(channel_init(&k->channel, &loop, pair[0], on_readable,
			     on_writable, k),
	    0);
}

static void
link_close(struct link *k)
{
	channel_release(&k->channel);
	close(k->peer_fd);
}

static void
turn(void)
{
	assert_return_code(event_base_loop(loop.base, EVLOOP_NONBLOCK), 0);
}

static void
put(struct link *k)
{
	assert_int_equal(write(k->peer_fd, "12345", 5), 5);
}

static void
test_reads_only_when_told(void **state)
{
	struct link k;

	link_open(&k);
	put(&k);
	turn();
	assert_int_equal(k.n_calls, 0);
	channel_read(&k.channel, true);
	turn();
	assert_int_equal(k.n_read, 5);
	channel_read(&k.channel, false);
	put(&k);
	turn();
	assert_int_equal(k.n_read, 5);
	link_close(&k);
}

/* Whoever waits for room is woken, reads in the meantime for another reason,
 * and must hear of input that comes later. */
static void
test_input_is_watched_after_a_wake(void **state)
{
	struct link k;

	link_open(&k);
	channel_read(&k.channel, true);
	channel_read(&k.channel, false);
	channel_wake(&k.channel);
	channel_read(&k.channel, true); /* before the loop's turn */
	turn();
	assert_int_equal(k.n_calls, 1);
	put(&k);
	turn();
	assert_int_equal(k.n_read, 5);
	put(&k);
	turn();
	assert_int_equal(k.n_read, 10);
	link_close(&k);
}

static void
test_a_wake_needs_no_input(void **state)
{
	struct link k;

	link_open(&k);
	channel_wake(&k.channel);
	turn();
	assert_int_equal(k.n_calls, 1);
	turn();
	assert_int_equal(k.n_calls, 1);
	link_close(&k);
}

static void
test_a_stop_takes_a_wake_back(void **state)
{
	struct link k;

	link_open(&k);
	put(&k);
	channel_wake(&k.channel);
	channel_read(&k.channel, false);
	turn();
	assert_int_equal(k.n_calls, 0);
	channel_read(&k.channel, true);
	turn();
	assert_int_equal(k.n_read, 5);
	link_close(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_only_when_told),
		cmocka_unit_test(test_input_is_watched_after_a_wake),
		cmocka_unit_test(test_a_wake_needs_no_input),
		cmocka_unit_test(test_a_stop_takes_a_wake_back),
	};
	int rc;

	loop.base = event_base_new();
	if (loop.base == NULL)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	event_base_free(loop.base);
	return rc;
}
