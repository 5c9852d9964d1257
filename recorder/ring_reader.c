#include "recorder/ring_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "recorder/lag.h"
#include "recorder/frame/pacer.h"

/* Bytes and pixels (rfb/work.h) decoded before the ring's cursor moves on: the
 * relay must see that it moves. */
#define PIECE_LEN  (256 * 1024)
#define PIECE_WORK (UINT64_C(64) << 20)

/* Who sends as fast as we decode must not keep us from what else is due. */
#define TURN_NS (250 * NS_PER_MS)

/* While a frame waits, this much of the ring may fill before we wake. */
#define LAZY_SHARE 16
#define LAZY_NS    (250 * NS_PER_MS)

/* The relay hears this often what we cost. */
#define LOAD_NS (5 * NS_PER_S)

static volatile sig_atomic_t got_term;
static int statm_fd = -1;

static void
on_term(int sig)
{
	(void)sig;
	got_term = 1;
}

int
ring_reader_block_signals(void)
{
	struct sigaction term = { .sa_handler = on_term };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	return sigaction(SIGTERM, &term, NULL) == 0 &&
		sigaction(SIGINT, &term, NULL) == 0 &&
		sigprocmask(SIG_BLOCK, &set, NULL) == 0
	    ? 0
	    : ERR_IO;
}

void
ring_reader_watch_memory(void)
{
	statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

bool
ring_reader_got_term(void)
{
	return got_term != 0;
}

void
ring_reader_report(int status_fd, enum tee_status_kind kind, int code,
    uint64_t frames, uint64_t bytes, const char *text)
{
	struct tee_status st = {
		.kind = kind,
		.code = (uint32_t)-code,
		.frames = frames,
		.bytes = bytes,
	};

	snprintf(st.text, sizeof(st.text), "%s", text);
	while (
	    send(status_fd, &st, sizeof(st), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno == EINTR)
		;
}

/* So much of the ring in use means that encoding is behind. */
static unsigned
slowdown_for(const struct tee_reader *reader)
{
	return tee_reader_backlog(reader) < tee_reader_data_len(reader) / 4
	    ? 1
	    : PACER_SLOWDOWN_MAX;
}

static void
write_checkpoint(const struct recorder_session *s, struct tee_reader *reader)
{
	struct tee_checkpoint checkpoint;

	recorder_session_get_checkpoint(s, &checkpoint);
	tee_reader_write_checkpoint(reader, &checkpoint);
}

static bool
is_behind(const struct recorder_session *s, const struct tee_reader *reader,
    struct lag *lag)
{
	return lag_is_for_good(lag, clock_mono_ns(), recorder_session_now_ns(s),
	    tee_reader_backlog(reader), tee_reader_data_len(reader));
}

/*
 * Takes everything the ring has now, or as much as comes until `until`. 0 or
 * the session's error. Once it is behind for good, goes on to the end of a
 * message and says so. *is_empty: neither bytes nor marks are left.
 */
static int
drain(struct recorder_session *s, struct tee_reader *reader, struct lag *lag,
    uint64_t until, bool *is_empty)
{
	const uint8_t *data;
	struct tee_mark mark;
	size_t len, used;
	int got = 1, rc = 0;

	while (rc == 0 && !recorder_session_is_over(s) &&
	    clock_mono_ns() < until &&
	    (got = tee_reader_next(reader, &mark, &data, &len)) != 0) {
		bool behind = got > 0 && is_behind(s, reader, lag);

		if (got < 0)
			return got;
		if (got == 1) {
			rc = recorder_session_mark(s, &mark);
			write_checkpoint(s, reader);
			continue;
		}
		if (recorder_session_wants_capture(s) ||
		    (behind && recorder_session_can_hand_over(s)))
			return RING_READER_BEHIND;
		behind |= recorder_session_is_leaving(s);
		len = min_size(len, PIECE_LEN);
		if (behind)
			len = min_size(
			    len, (size_t)recorder_session_bytes_to_boundary(s));
		recorder_session_set_slowdown(s, slowdown_for(reader));
		rc =
		    recorder_session_feed_some(s, data, len, PIECE_WORK, &used);
		write_checkpoint(s, reader);
		tee_reader_consume(reader, used);
	}
	*is_empty = got == 0;
	return rc;
}

/*
 * What to wait for: any byte, or a heap of them while a frame is due
 * soon, as they can change nothing before it.
 */
static size_t
bytes_to_wake(const struct recorder_session *s, const struct tee_reader *reader,
    uint64_t now)
{
	uint64_t due = recorder_session_due(s);

	return due != UINT64_MAX && due <= now + LAZY_NS
	    ? tee_reader_data_len(reader) / LAZY_SHARE
	    : 1;
}

/*
 * Sleeps until enough bytes, a due frame, a signal or the relay's end; not
 * at all while the ring is not empty.
 * Returns false when the relay is gone.
 */
static bool
wait_for_work(struct recorder_session *s, struct tee_reader *reader,
    int event_fd, int status_fd, bool is_empty)
{
	struct pollfd fds[] = {
		{ .fd = event_fd, .events = POLLIN },
		{ .fd = status_fd, .events = POLLRDHUP },
	};
	uint64_t due = recorder_session_due(s), now = clock_mono_ns();
	uint64_t left = due > now ? due - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S) };
	size_t n = bytes_to_wake(s, reader, now);
	sigset_t none;

	if (!is_empty) {
		ts = (struct timespec){ 0 };
		due = 0;
	} else {
		tee_reader_want_data(reader, n);
		if (tee_reader_backlog(reader) >= n)
			return true;
	}
	sigemptyset(&none);
	if (ppoll(fds, N_ELEMENTS(fds), due == UINT64_MAX ? NULL : &ts,
		&none) <= 0)
		return true;
	return fds[1].revents == 0;
}

/* What it costs, for the relay's budget: each LOAD_NS while it works. */
struct load {
	uint64_t clock_ns, cpu_ns; /* when it was said last */
};

static uint64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* 0: not known. */
static uint64_t
resident_bytes(void)
{
	char text[128];
	ssize_t n =
	    statm_fd >= 0 ? pread(statm_fd, text, sizeof(text) - 1, 0) : -1;
	unsigned long long pages = 0;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return sscanf(text, "%*u %llu", &pages) == 1
	    ? pages * (uint64_t)sysconf(_SC_PAGESIZE)
	    : 0;
}

/* How long ago the bytes came that it works on. */
static uint64_t
behind_ms(const struct recorder_session *s, const struct tee_reader *reader,
    uint64_t now)
{
	uint64_t at = recorder_session_now_ns(s);

	return tee_reader_backlog(reader) > 0 && now > at
	    ? min_u64((now - at) / NS_PER_MS, INT32_MAX)
	    : 0;
}

static void
report_load(struct load *l, const struct recorder_session *s,
    const struct tee_reader *reader, int status_fd, uint64_t now)
{
	uint64_t cpu, passed = now - l->clock_ns;

	if (passed < LOAD_NS)
		return;
	cpu = cpu_ns();
	ring_reader_report(status_fd, TEE_STATUS_LOAD,
	    -(int)behind_ms(s, reader, now), (cpu - l->cpu_ns) * 1000 / passed,
	    resident_bytes(), "");
	*l = (struct load){ now, cpu };
}

int
ring_reader_run(struct recorder_session *s, struct tee_reader *reader,
    unsigned behind_seconds, int event_fd, int status_fd)
{
	struct lag lag = { .limit_ns = behind_seconds * NS_PER_S };
	struct load load = { clock_mono_ns(), cpu_ns() };
	bool relay_lives = true, is_empty = true;
	int rc = 0;

	while (rc == 0 && !recorder_session_is_over(s)) {
		bool is_last = !relay_lives || got_term;
		uint64_t now = clock_mono_ns();

		rc = drain(s, reader, &lag,
		    is_last ? UINT64_MAX : now + TURN_NS, &is_empty);
		if (rc == RING_READER_BEHIND)
			return rc;
		/* else the time of what waits is not over */
		if (rc == 0 && is_empty)
			rc = recorder_session_tick(s, now);
		if (rc == 0 && !is_last && recorder_session_wants_capture(s))
			return RING_READER_BEHIND;
		write_checkpoint(s, reader);
		if (rc != 0 || recorder_session_is_over(s))
			break;
		report_load(&load, s, reader, status_fd, now);
		if (is_last)
			return recorder_session_close(
			    s, relay_lives ? "command" : "error", now);
		relay_lives =
		    wait_for_work(s, reader, event_fd, status_fd, is_empty);
	}
	if (rc != 0)
		recorder_session_close(
		    s, rc == ERR_NOSPACE ? "nospace" : "error", 0);
	write_checkpoint(s, reader);
	return rc;
}
