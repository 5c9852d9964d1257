/*
 * One flush of the spool for all recorders: when a recorder relies on it and
 * when it syncs its file by itself, by a clock of the test's; the process that
 * flushes, which is started anew when it dies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/spool_flush.h"
#include "relay/spool_flusher.h"

#define S       NS_PER_S
#define WAIT_MS 60000

static unsigned n_syncs;
static int sync_errno, syncfs_errno;

int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);

int
__wrap_fdatasync(int fd)
{
	(void)fd;
	n_syncs++;
	errno = sync_errno;
	return sync_errno == 0 ? 0 : -1;
}

int
__wrap_syncfs(int fd)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	errno = syncfs_errno;
	return syncfs_errno == 0 ? 0 : -1;
}

static struct spool_flush_page page;

static void
begin(struct spool_flush *f)
{
	page = (struct spool_flush_page){ 0 };
	n_syncs = 0;
	sync_errno = syncfs_errno = 0;
	spool_flush_init(f, &page);
}

static unsigned
syncs(struct spool_flush *f, uint64_t now, bool is_end)
{
	n_syncs = 0;
	assert_int_equal(spool_flush_step(f, 0, now, is_end), 0);
	return n_syncs;
}

/* No page, as from an older relay: a sync at each end of a cluster. */
static void
without_page_each_cluster_is_synced(void **unused)
{
	struct spool_flush f;

	begin(&f);
	spool_flush_init(&f, NULL);
	spool_flush_wrote(&f, 10 * S);
	assert_true(spool_flush_due(&f) == UINT64_MAX);
	assert_int_equal(syncs(&f, 20 * S, false), 0);
	assert_int_equal(syncs(&f, 20 * S, true), 1);
}

/* A minute of a frame each 100 ms and a pass per second: no sync at all. */
static void
passes_in_time_spare_all_syncs(void **unused)
{
	struct spool_flush f;
	unsigned n = 0;

	begin(&f);
	for (uint64_t t = 100 * S; t < 160 * S; t += S / 10) {
		if (t % S == 0)
			spool_flush_passed(&page, t - 1, false);
		spool_flush_wrote(&f, t);
		n += syncs(&f, t, false);
		n += syncs(&f, t, t % S == S / 2);
	}
	assert_int_equal(n, 0);
	/* all is on disk after one more pass, and nobody needs to look again */
	spool_flush_passed(&page, 160 * S, false);
	assert_int_equal(syncs(&f, 160 * S, false), 0);
	assert_true(spool_flush_due(&f) == UINT64_MAX);
}

/* A pass that began before a write says nothing about it. */
static void
a_pass_counts_from_its_begin(void **unused)
{
	struct spool_flush f;

	begin(&f);
	spool_flush_wrote(&f, 10 * S);
	spool_flush_passed(&page, 10 * S, false);
	assert_int_equal(syncs(&f, 11 * S, false), 0);
	assert_true(spool_flush_due(&f) == 12 * S);
	/* one between two writes takes the older one only */
	spool_flush_wrote(&f, 11 * S);
	spool_flush_passed(&page, 10 * S + 1, false);
	assert_int_equal(syncs(&f, 12 * S, false), 0);
	assert_true(spool_flush_due(&f) == 12 * S + 1);
	assert_int_equal(syncs(&f, 12 * S + 1, false), 1);
	assert_true(spool_flush_due(&f) == UINT64_MAX);
}

/* Whenever the flusher stops, no byte is off the disk for longer than 2 s. */
static void
without_passes_nothing_is_older_than_two_seconds(void **unused)
{
	for (uint64_t dies = 100 * S; dies < 103 * S; dies += S / 7) {
		struct spool_flush f;
		uint64_t synced = 100 * S, oldest = UINT64_MAX;

		begin(&f);
		for (uint64_t t = 100 * S; t < 110 * S; t += S / 20) {
			if (t % S == 0 && t <= dies) {
				spool_flush_passed(&page, t, false);
				synced = t;
			}
			if (t % (3 * S) < 2 * S) { /* else it is quiet */
				if (oldest == UINT64_MAX || oldest < synced)
					oldest = t;
				spool_flush_wrote(&f, t);
			}
			if (t >= spool_flush_due(&f) &&
			    syncs(&f, t, false) > 0) {
				synced = t + 1;
				oldest = UINT64_MAX;
			}
			if (oldest != UINT64_MAX && oldest >= synced)
				assert_true(t - oldest <= 2 * S);
		}
		/* and each cluster is synced again */
		assert_int_equal(syncs(&f, 111 * S, true), 1);
		/* until a flusher is back */
		spool_flush_passed(&page, 112 * S, false);
		assert_int_equal(syncs(&f, 113 * S, true), 0);
	}
}

/* A failed pass may have dropped this file's pages: it hears so itself. */
static void
after_a_failed_pass_the_file_is_synced(void **unused)
{
	struct spool_flush f;

	begin(&f);
	spool_flush_passed(&page, 10 * S, false);
	spool_flush_wrote(&f, 10 * S + 1);
	spool_flush_passed(&page, 11 * S, true);
	/* the next one succeeds, and proves nothing */
	spool_flush_passed(&page, 12 * S, false);
	sync_errno = EIO;
	assert_int_equal(spool_flush_step(&f, 0, 12 * S, false), -1);
	assert_int_equal(errno, EIO);
	sync_errno = 0;
	spool_flush_passed(&page, 13 * S, true);
	assert_int_equal(syncs(&f, 13 * S, false), 1);
	assert_int_equal(syncs(&f, 13 * S, false), 0);
}

/* A recorder can read the page, and neither write nor shrink it. */
static void
others_only_read_the_page(void **unused)
{
	struct spool_flush_shared s;
	const struct spool_flush_page *seen;
	struct spool_flush_page fake = { 0 };
	int fd;

	assert_int_equal(spool_flush_share(&s), 0);
	seen = spool_flush_map(s.fd);
	assert_non_null(seen);
	spool_flush_passed(s.page, 7, false);
	assert_int_equal(atomic_load(&seen->begun_ns), 7);
	assert_true(mmap(NULL, sizeof(fake), PROT_READ | PROT_WRITE, MAP_SHARED,
			s.fd, 0) == MAP_FAILED);
	assert_true(mprotect((void *)(uintptr_t)seen, sizeof(fake),
			PROT_READ | PROT_WRITE) != 0);
	assert_true(pwrite(s.fd, &fake, sizeof(fake), 0) < 0);
	assert_true(ftruncate(s.fd, 0) != 0);
	/* what is not a page is none */
	assert_null(spool_flush_map(-1));
	fd = memfd_create("other", MFD_CLOEXEC);
	assert_null(spool_flush_map(fd));
	assert_int_equal(pwrite(fd, &fake, sizeof(fake), 0), sizeof(fake));
	assert_null(spool_flush_map(fd));
	close(fd);
	close(s.fd);
}

/* ---- the process ---- */

static void
wait_passes(const struct spool_flush_page *p, uint64_t n)
{
	for (unsigned ms = 0; atomic_load(&p->passes) < n; ms += 5) {
		assert_true(ms < WAIT_MS);
		poll(NULL, 0, 5);
	}
}

static void
wait_end(struct spool_flusher *f)
{
	int status;
	pid_t pid = waitpid(f->pid, &status, 0);

	assert_true(pid == f->pid);
	assert_false(spool_flusher_ended(f, getpid(), 0));
	assert_true(spool_flusher_ended(f, pid, status));
}

static void
the_flusher_is_started_anew(void **unused)
{
	struct spool_flush_shared s;
	struct spool_flusher f = { 0 };
	int dir = open("/tmp", O_RDONLY | O_DIRECTORY);
	uint64_t n;

	syncfs_errno = 0;
	assert_int_equal(spool_flush_share(&s), 0);
	f.page = s.page;
	/* nobody records */
	assert_false(spool_flusher_keep(&f, dir, 0));
	assert_int_equal(f.pid, 0);
	assert_false(spool_flusher_keep(&f, dir, 3));
	assert_true(f.pid > 0);
	wait_passes(s.page, 2);
	assert_true(atomic_load(&s.page->begun_ns) > 0);
	assert_int_equal(kill(f.pid, SIGKILL), 0);
	wait_end(&f);
	n = atomic_load(&s.page->passes);
	while (spool_flusher_keep(&f, dir, 3)) /* not twice in a second */
		poll(NULL, 0, 5);
	assert_true(f.pid > 0);
	wait_passes(s.page, n + 1);
	/* the last recorder ended */
	assert_false(spool_flusher_keep(&f, dir, 0));
	wait_end(&f);
	assert_int_equal(atomic_load(&s.page->failures), 0);
	close(dir);
	close(s.fd);
}

static void
a_pass_that_fails_is_no_pass(void **unused)
{
	struct spool_flush f;

	begin(&f);
	assert_true(spool_flusher_pass(&page, 0));
	assert_true(atomic_load(&page.begun_ns) > 0);
	atomic_store(&page.begun_ns, 1);
	syncfs_errno = EIO;
	assert_false(spool_flusher_pass(&page, 0));
	assert_int_equal(atomic_load(&page.begun_ns), 1);
	assert_int_equal(atomic_load(&page.failures), 1);
	assert_int_equal(atomic_load(&page.passes), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_page_each_cluster_is_synced),
		cmocka_unit_test(passes_in_time_spare_all_syncs),
		cmocka_unit_test(a_pass_counts_from_its_begin),
		cmocka_unit_test(
		    without_passes_nothing_is_older_than_two_seconds),
		cmocka_unit_test(after_a_failed_pass_the_file_is_synced),
		cmocka_unit_test(others_only_read_the_page),
		cmocka_unit_test(the_flusher_is_started_anew),
		cmocka_unit_test(a_pass_that_fails_is_no_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
