#include "common/tcp_liveness.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"

/* linux/tcp.h has no names of states */
#define STATE_CLOSE      7
#define STATE_CLOSE_WAIT 8

/* The kernel's part of the time; the rest is for looks and timers. */
static unsigned
patience_ms(unsigned lost_seconds)
{
	return lost_seconds * 750;
}

static void
set(int fd, int option, int value)
{
	setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}

static int
at_least_one(unsigned seconds)
{
	return seconds > 0 ? (int)seconds : 1;
}

void
tcp_liveness_start(int fd, unsigned lost_seconds)
{
	const int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	set(fd, TCP_KEEPIDLE, at_least_one(lost_seconds / 4));
	set(fd, TCP_KEEPINTVL, at_least_one(lost_seconds / 12));
	/* the user timeout takes the place of the number of probes */
	set(fd, TCP_USER_TIMEOUT, (int)patience_ms(lost_seconds));
}

unsigned
tcp_liveness_timeout(
    unsigned lost_seconds, uint64_t stuck_ms, unsigned answer_ms)
{
	uint64_t patience = patience_ms(lost_seconds), ms;

	if (answer_ms >= patience)
		return (unsigned)patience;
	ms = stuck_ms + patience - answer_ms;
	if (ms < patience)
		return (unsigned)patience;
	return ms < INT32_MAX ? (unsigned)ms : INT32_MAX;
}

struct tcp_liveness_state
tcp_liveness_look(
    struct tcp_liveness *l, int fd, unsigned lost_seconds, uint64_t now_ns)
{
	struct tcp_liveness_state state = { 0 };
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	unsigned ms;

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return state;
	state.is_lost = info.tcpi_state == STATE_CLOSE;
	state.is_closed = info.tcpi_state == STATE_CLOSE_WAIT;
	state.is_unread = info.tcpi_notsent_bytes > 0 || info.tcpi_unacked > 0;
	state.has_moved = info.tcpi_bytes_acked != l->acked;
	if (state.has_moved || !state.is_unread || l->moved_ns == 0)
		l->moved_ns = now_ns;
	l->acked = info.tcpi_bytes_acked;
	ms = tcp_liveness_timeout(lost_seconds,
	    (now_ns - l->moved_ns) / NS_PER_MS, info.tcpi_last_ack_recv);
	if (ms != l->timeout_ms && !state.is_lost) {
		set(fd, TCP_USER_TIMEOUT, (int)ms);
		l->timeout_ms = ms;
	}
	return state;
}

unsigned
tcp_liveness_silent_ms(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return 0;
	return info.tcpi_last_ack_recv < info.tcpi_last_data_recv
	    ? info.tcpi_last_ack_recv
	    : info.tcpi_last_data_recv;
}

void
tcp_liveness_probe(int fd, unsigned seconds)
{
	set(fd, TCP_KEEPIDLE, at_least_one(seconds));
	set(fd, TCP_KEEPINTVL, at_least_one(seconds));
}

bool
tcp_liveness_is_lost(int error)
{
	return error == ETIMEDOUT || error == EHOSTUNREACH ||
	    error == ENETUNREACH || error == EHOSTDOWN || error == ENETDOWN;
}
