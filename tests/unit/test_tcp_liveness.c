/* When the kernel gives up a silent peer: the decision, and that a peer which
 * answers and does not read is kept, on real sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/tcp_liveness.h"

#define LOST_S 4
#define TRIES  10 /* on a machine that is late */

static void
test_decision(void **state)
{
	/* nothing waits: the time as it is */
	assert_int_equal(tcp_liveness_timeout(60, 0, 0), 45000);
	assert_int_equal(tcp_liveness_timeout(60, 0, 14000), 45000);
	/* output stands still, the peer answers: counted from its answer */
	assert_int_equal(tcp_liveness_timeout(60, 30000, 5000), 70000);
	assert_int_equal(tcp_liveness_timeout(60, 3600000, 0), 3645000);
	/* ... and does not answer any more: the end does not move */
	for (unsigned ms = 0; ms < 45000; ms += 1000)
		assert_int_equal(
		    tcp_liveness_timeout(60, 100000 + ms, ms), 145000);
	assert_int_equal(tcp_liveness_timeout(60, 145000, 45000), 45000);
	/* no overflow of what the kernel takes */
	assert_int_equal(
	    tcp_liveness_timeout(60, UINT64_C(1) << 40, 0), INT32_MAX);
	assert_int_equal(tcp_liveness_timeout(3600, 0, UINT32_MAX), 2700000);
}

static void
test_errors(void **state)
{
	assert_true(tcp_liveness_is_lost(ETIMEDOUT));
	assert_true(tcp_liveness_is_lost(EHOSTUNREACH));
	assert_false(tcp_liveness_is_lost(ECONNRESET));
	assert_false(tcp_liveness_is_lost(EPIPE));
	assert_false(tcp_liveness_is_lost(0));
}

static void
connect_pair(int pair[2])
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int small = 4096, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	pair[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&a, len), 0);
	pair[1] = accept(fd, NULL, NULL);
	assert_true(pair[1] >= 0);
	close(fd);
}

static size_t
fill(int fd)
{
	static uint8_t data[65536];
	size_t sum = 0;
	ssize_t n;

	while ((n = send(fd, data, sizeof(data), MSG_DONTWAIT)) > 0)
		sum += (size_t)n;
	assert_int_equal(errno, EAGAIN);
	return sum;
}

/*
 * Looks for twice as long as a vanished peer would be waited for. false: the
 * machine let a look come so late that the kernel gave the peer up.
 */
static bool
is_kept(struct tcp_liveness *l, int fd)
{
	uint64_t begin = clock_mono_ns(), now = begin, longest = 0;

	while (now - begin < 2 * LOST_S * NS_PER_S) {
		struct pollfd p = { .fd = fd }; /* errors only */
		struct tcp_liveness_state seen =
		    tcp_liveness_look(l, fd, LOST_S, now);
		int n_errors = poll(&p, 1, LOST_S * 1000 / TCP_LIVENESS_LOOKS);
		uint64_t before = now;

		now = clock_mono_ns();
		if (now - before > longest)
			longest = now - before;
		if ((seen.is_lost || n_errors != 0) &&
		    longest > LOST_S * NS_PER_S / 4)
			return false;
		assert_false(seen.is_lost);
		assert_true(seen.is_unread);
		assert_int_equal(n_errors, 0);
	}
	return true;
}

static void
test_a_peer_that_does_not_read(void **state)
{
	struct tcp_liveness l = { 0 };
	uint8_t got[65536];
	size_t sum, left;
	ssize_t n = 1;
	int pair[2];

	for (unsigned tries = 1;; tries++) {
		memset(&l, 0, sizeof(l));
		connect_pair(pair);
		tcp_liveness_start(pair[0], LOST_S);
		sum = left = fill(pair[0]);
		if (is_kept(&l, pair[0]))
			break;
		assert_true(tries < TRIES);
		close(pair[1]);
		close(pair[0]);
	}
	assert_true(l.timeout_ms > LOST_S * 1000);
	/* it reads on: all is there, and the usual time holds again */
	while (left > 0 && (n = recv(pair[1], got, sizeof(got), 0)) > 0)
		left -= (size_t)n;
	assert_int_equal(left, 0);
	assert_true(sum > 0);
	tcp_liveness_look(&l, pair[0], LOST_S, clock_mono_ns());
	assert_int_equal(l.timeout_ms, LOST_S * 750);
	close(pair[1]);
	close(pair[0]);
}

static void
test_ends(void **state)
{
	struct tcp_liveness l = { 0 };
	int pair[2], local[2];

	connect_pair(pair);
	close(pair[1]);
	assert_true(tcp_liveness_look(&l, pair[0], LOST_S, 1).is_closed);
	close(pair[0]);
	/* what has no TCP is alive */
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	tcp_liveness_start(local[0], LOST_S);
	assert_false(tcp_liveness_look(&l, local[0], LOST_S, 1).is_lost);
	assert_false(tcp_liveness_look(&l, -1, LOST_S, 1).is_lost);
	close(local[0]);
	close(local[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decision),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_a_peer_that_does_not_read),
		cmocka_unit_test(test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
