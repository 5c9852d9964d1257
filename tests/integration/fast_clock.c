/*
 * A clock that a test moves: preloaded into Relaycam's programs and into
 * PostgreSQL, so that a day passes in two minutes (test_day.py). All of them
 * map one small file, which the test writes:
 *
 *	now = real time + shift + gain
 *	gain = (real monotonic time - since) * (factor - 1), `most` at most
 *
 * for every clock; wall clocks get `wall` on top and CLOCK_BOOTTIME `boot`,
 * as after somebody set the clock, or after the machine was suspended. What
 * waits for a time is woken by the same clock. Programs on it take as long
 * for their work as ever; only waiting is short.
 *
 * No memory, no file and no lock is used after the start: the recorder's
 * sandbox is around this, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000LL
/* The factor may change while somebody waits: so long is not looked. */
#define SLICE_NS (10 * NS / 1000)
/* Of the kernel's signal masks. */
#define MASK_BYTES 8

/* Little endian, as FastClock in fast_clock.py packs it. */
struct page {
	_Atomic uint64_t turn; /* odd: being written */
	int64_t since, shift, most, wall, boot;
	double factor;
};

static const struct page still = { .factor = 1, .most = INT64_MAX };
static const struct page *page = &still;

__attribute__((constructor)) static void
start(void)
{
	const char *path = getenv("RELAYCAM_FAST_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map;

	if (fd < 0)
		return;
	map = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		page = map;
	close(fd);
}

static struct page
look(void)
{
	struct page p;
	uint64_t turn;

	do {
		turn = atomic_load(&page->turn);
		p.since = page->since;
		p.shift = page->shift;
		p.most = page->most;
		p.wall = page->wall;
		p.boot = page->boot;
		p.factor = page->factor;
		atomic_thread_fence(memory_order_acquire);
	} while ((turn & 1) != 0 || turn != atomic_load(&page->turn));
	return p;
}

static int64_t
real_ns(clockid_t id)
{
	struct timespec ts = { 0 };

	syscall(SYS_clock_gettime, id, &ts);
	return ts.tv_sec * NS + ts.tv_nsec;
}

static int64_t
now_ns(clockid_t id)
{
	struct page p = look();
	double gain =
	    (double)(real_ns(CLOCK_MONOTONIC) - p.since) * (p.factor - 1);
	int64_t shift =
	    p.shift + (gain < (double)p.most ? (int64_t)gain : p.most);

	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return real_ns(CLOCK_REALTIME) + shift + p.wall;
	case CLOCK_BOOTTIME:
		return real_ns(id) + shift + p.boot;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
		return real_ns(CLOCK_MONOTONIC) + shift;
	default: /* processor time */
		return real_ns(id);
	}
}

static struct timespec
timespec_of(int64_t ns)
{
	return (struct timespec){ .tv_sec = ns / NS, .tv_nsec = ns % NS };
}

/*
 * The next piece of a wait that ends at `end` of the moved clock, in real
 * time. False once it is over; the piece is then nothing.
 */
static bool
next_piece(int64_t end, struct timespec *piece)
{
	int64_t left = end - now_ns(CLOCK_MONOTONIC), real;

	real = (int64_t)((double)left / look().factor) + 1;
	*piece = timespec_of(left <= 0 ? 0 : real < SLICE_NS ? real : SLICE_NS);
	return left > 0;
}

/* ---- clocks ---- */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	*ts = timespec_of(now_ns(id));
	return 0;
}

int
gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	int64_t ns = now_ns(CLOCK_REALTIME);

	tv->tv_sec = ns / NS;
	tv->tv_usec = ns % NS / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	time_t t = now_ns(CLOCK_REALTIME) / NS;

	if (out != NULL)
		*out = t;
	return t;
}

/* ---- waits ---- */

int
epoll_pwait(int fd, struct epoll_event *events, int n, int timeout_ms,
    const sigset_t *mask)
{
	struct timespec piece;
	int64_t end = now_ns(CLOCK_MONOTONIC) + timeout_ms * (NS / 1000);
	bool again;
	long rc;

	do {
		again = timeout_ms < 0 || next_piece(end, &piece);
		rc = syscall(SYS_epoll_pwait2, fd, events, n,
		    timeout_ms < 0 ? NULL : &piece, mask, MASK_BYTES);
	} while (rc == 0 && again);
	return (int)rc;
}

int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout_ms)
{
	return epoll_pwait(fd, events, n, timeout_ms, NULL);
}

int
ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
    const sigset_t *mask)
{
	struct timespec piece;
	int64_t end = 0;
	bool again;
	long rc;

	if (timeout != NULL)
		end = now_ns(CLOCK_MONOTONIC) + timeout->tv_sec * NS +
		    timeout->tv_nsec;
	do {
		again = timeout == NULL || next_piece(end, &piece);
		rc = syscall(SYS_ppoll, fds, n, timeout == NULL ? NULL : &piece,
		    mask, MASK_BYTES);
	} while (rc == 0 && again);
	return (int)rc;
}

int
poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec ts = timespec_of(timeout_ms * (NS / 1000));

	return ppoll(fds, n, timeout_ms < 0 ? NULL : &ts, NULL);
}

int
select(int n, fd_set *restrict in, fd_set *restrict out, fd_set *restrict bad,
    struct timeval *restrict timeout)
{
	fd_set want[3], *sets[3] = { in, out, bad };
	struct timespec piece;
	int64_t end = 0;
	bool again;
	long rc;

	for (int i = 0; i < 3; i++)
		if (sets[i] != NULL)
			want[i] = *sets[i];
	if (timeout != NULL)
		end = now_ns(CLOCK_MONOTONIC) + timeout->tv_sec * NS +
		    timeout->tv_usec * 1000;
	do {
		for (int i = 0; i < 3; i++)
			if (sets[i] != NULL)
				*sets[i] = want[i];
		again = timeout == NULL || next_piece(end, &piece);
		rc = syscall(SYS_pselect6, n, in, out, bad,
		    timeout == NULL ? NULL : &piece, NULL);
	} while (rc == 0 && again);
	return (int)rc;
}

int
clock_nanosleep(
    clockid_t id, int flags, const struct timespec *want, struct timespec *left)
{
	int64_t end = want->tv_sec * NS + want->tv_nsec;
	struct timespec piece;

	if ((flags & TIMER_ABSTIME) != 0)
		end -= now_ns(id);
	end += now_ns(CLOCK_MONOTONIC);
	while (next_piece(end, &piece))
		if (syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &piece,
			NULL) != 0) {
			if (left != NULL)
				*left = piece;
			return EINTR;
		}
	return 0;
}

int
nanosleep(const struct timespec *want, struct timespec *left)
{
	int rc = clock_nanosleep(CLOCK_MONOTONIC, 0, want, left);

	if (rc != 0)
		errno = rc;
	return rc == 0 ? 0 : -1;
}
