#include "recorder/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"

#define MAX_FILES      32
#define MAX_FILE_BYTES (UINT64_C(1) << 30) /* twice the largest segment */

/*
 * Memory: 80 bytes a pixel for decoder and encoder, 8 for the old frame
 * while the screen changes its size, 8 for a progressive JPEG; beside that
 * the margins of long and thin screens, zlib streams, libraries.
 */
#define BYTES_A_PIXEL 96
#define BASE_BYTES    (UINT64_C(512) << 20)

/*
 * Landlock by number: the rights are a kernel interface, and Debian 12's
 * header stops before the newer ones. Source: Linux
 * Documentation/userspace-api/landlock.rst.
 */
#define LL_CREATE_RULESET 444
#define LL_ADD_RULE       445
#define LL_RESTRICT_SELF  446
#define LL_VERSION_FLAG   1u
#define LL_PATH_BENEATH   1
#define LL_FS_WRITE_FILE  (UINT64_C(1) << 1)
#define LL_FS_READ_FILE   (UINT64_C(1) << 2)
#define LL_FS_REMOVE_FILE (UINT64_C(1) << 5)
#define LL_FS_MAKE_REG    (UINT64_C(1) << 8)
#define LL_FS_TRUNCATE    (UINT64_C(1) << 14)
#define LL_NET_TCP        UINT64_C(3)
#define LL_SCOPE_ALL      UINT64_C(3)

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct ll_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

/* File rights and attribute length that each version knows. */
static const struct ll_version {
	unsigned n_fs;
	size_t len;
} ll_versions[] = {
	{ 13, 8 },  /* 1 */
	{ 14, 8 },  /* 2: refer */
	{ 15, 8 },  /* 3: truncate */
	{ 15, 16 }, /* 4: TCP */
	{ 16, 16 }, /* 5: ioctl on devices */
	{ 16, 24 }, /* 6: scopes */
};

/* Returns whether the kernel confines us to the folder. */
static bool
landlock_enter(int spool_fd)
{
	struct ll_ruleset rules = { .net = LL_NET_TCP, .scoped = LL_SCOPE_ALL };
	struct ll_beneath below = { .fd = spool_fd };
	long version =
	    syscall(LL_CREATE_RULESET, NULL, (size_t)0, LL_VERSION_FLAG);
	const struct ll_version *v;
	int fd;
	bool done;

	if (version < 1)
		return false;
	if ((size_t)version > N_ELEMENTS(ll_versions))
		version = (long)N_ELEMENTS(ll_versions);
	v = &ll_versions[version - 1];
	rules.fs = (UINT64_C(1) << v->n_fs) - 1;
	below.allowed = rules.fs &
	    (LL_FS_WRITE_FILE | LL_FS_READ_FILE | LL_FS_REMOVE_FILE |
		LL_FS_MAKE_REG | LL_FS_TRUNCATE);
	fd = (int)syscall(LL_CREATE_RULESET, &rules, v->len, 0u);
	if (fd < 0)
		return false;
	done = syscall(LL_ADD_RULE, fd, LL_PATH_BENEATH, &below, 0u) == 0 &&
	    syscall(LL_RESTRICT_SELF, fd, 0u) == 0;
	close(fd);
	return done;
}

/*
 * The folder becomes the root, so that absolute names and ".." stay in it.
 * Root may do that; everybody else in a user namespace of his own, where the
 * system allows one. No call that leads out is left afterwards.
 */
static bool
root_enter(int spool_fd)
{
	if (geteuid() != 0 && unshare(CLONE_NEWUSER) != 0)
		return false;
	return fchdir(spool_fd) == 0 && chroot(".") == 0;
}

static int
limit(int resource, uint64_t to)
{
	struct rlimit r = { .rlim_cur = to, .rlim_max = to };

	return setrlimit(resource, &r) == 0 ? 0 : ERR_IO;
}

static int
limits_enter(const struct sandbox *s)
{
	uint64_t file =
	    s->max_file_bytes != 0 ? s->max_file_bytes : MAX_FILE_BYTES;

	if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_NPROC, 0) != 0 ||
	    limit(RLIMIT_NOFILE, MAX_FILES) != 0 ||
	    limit(RLIMIT_FSIZE, file) != 0)
		return ERR_IO;
#ifndef RELAYCAM_SANITIZE /* its shadow memory is larger than any limit */
	if (limit(RLIMIT_DATA, BASE_BYTES + s->max_pixels * BYTES_A_PIXEL) != 0)
		return ERR_IO;
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return ERR_IO;
	return 0;
}

/* Allowed whatever the arguments: they act on what is open already. */
static const int plain_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(fstatfs),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(flock),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sysinfo),
#ifdef RELAYCAM_SANITIZE /* what the run-time checks need */
	SCMP_SYS(mmap),
	SCMP_SYS(mprotect),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getppid),
	SCMP_SYS(prctl),
#endif
};

/* Refused without a fuss: libraries try these and live without. */
static const struct {
	int call, error;
} refused_calls[] = {
	{ SCMP_SYS(open), EACCES },
	{ SCMP_SYS(access), EACCES },
	{ SCMP_SYS(faccessat), EACCES },
	{ SCMP_SYS(faccessat2), EACCES },
	{ SCMP_SYS(stat), EACCES },
	{ SCMP_SYS(lstat), EACCES },
	{ SCMP_SYS(statx), ENOSYS },
	{ SCMP_SYS(readlink), EACCES },
	{ SCMP_SYS(readlinkat), EACCES },
	{ SCMP_SYS(rseq), ENOSYS },
#ifndef RELAYCAM_SANITIZE
	{ SCMP_SYS(sched_getaffinity), EPERM },
	{ SCMP_SYS(prlimit64), EPERM },
	{ SCMP_SYS(getrlimit), EPERM },
#endif
};

static int
add_lists(scmp_filter_ctx ctx)
{
	int rc = 0;

	for (size_t i = 0; i < N_ELEMENTS(plain_calls) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, plain_calls[i], 0);
	for (size_t i = 0; i < N_ELEMENTS(refused_calls) && rc == 0; i++)
		rc = seccomp_rule_add(ctx,
		    SCMP_ACT_ERRNO((unsigned)refused_calls[i].error),
		    refused_calls[i].call, 0);
	return rc;
}

/* Calls that take a folder: only the spool's number passes. */
static int
add_spool(scmp_filter_ctx ctx, int spool_fd)
{
	const struct scmp_arg_cmp in_spool =
	    SCMP_A0(SCMP_CMP_EQ, (unsigned)spool_fd);
	const struct scmp_arg_cmp elsewhere =
	    SCMP_A0(SCMP_CMP_NE, (unsigned)spool_fd);
	const struct scmp_arg_cmp to_spool =
	    SCMP_A2(SCMP_CMP_EQ, (unsigned)spool_fd);
	const struct scmp_arg_cmp is_empty =
	    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH);
	int rc = seccomp_rule_add(
	    ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, in_spool);

	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		    SCMP_SYS(openat), 1, elsewhere);
	if (rc == 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(unlinkat), 1, in_spool);
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(renameat),
		    2, in_spool, to_spool);
	if (rc == 0) /* fstat() of this libc */
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, is_empty);
	return rc;
}

static int
add_memory(scmp_filter_ctx ctx)
{
#ifdef RELAYCAM_SANITIZE
	(void)ctx;
	return 0;
#else
	const struct scmp_arg_cmp no_exec =
	    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp anonymous =
	    SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS);
	int rc = seccomp_rule_add(
	    ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, no_exec, anonymous);

	if (rc == 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
	return rc;
#endif
}

/* Reporting to the relay, and dying by abort() with the right signal. */
static int
add_talk(scmp_filter_ctx ctx, int status_fd)
{
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (unsigned)getpid()));

	if (rc == 0 && status_fd >= 0) /* no address: its own peer only */
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
		    SCMP_A0(SCMP_CMP_EQ, (unsigned)status_fd),
		    SCMP_A4(SCMP_CMP_EQ, 0));
	return rc;
}

static int
seccomp_enter(const struct sandbox *s)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int rc;

	if (ctx == NULL)
		return ERR_NOMEM;
	rc = add_lists(ctx);
	if (rc == 0)
		rc = add_spool(ctx, s->spool_fd);
	if (rc == 0)
		rc = add_memory(ctx);
	if (rc == 0)
		rc = add_talk(ctx, s->status_fd);
	if (rc == 0 && s->will_narrow) /* filters can only be added */
		rc =
		    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(seccomp), 0);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc == 0 ? 0 : ERR_UNSUPPORTED;
}

int
sandbox_enter(struct sandbox *s, const char **why)
{
	*why = "resource limits could not be set";
	if (limits_enter(s) != 0)
		return ERR_IO;
	s->has_landlock = landlock_enter(s->spool_fd);
	s->has_root = root_enter(s->spool_fd);
	*why = "the system call filter could not be installed";
	return seccomp_enter(s);
}

int
sandbox_narrow(void)
{
	static const unsigned needed[] = { O_CREAT, O_EXCL };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int rc;

	if (ctx == NULL)
		return ERR_NOMEM;
	/* set once and for all; the call for it is forbidden */
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; rc == 0 && i < N_ELEMENTS(needed); i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EACCES),
		    SCMP_SYS(openat), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, needed[i], 0));
	if (rc == 0)
		rc = seccomp_rule_add(
		    ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(seccomp), 0);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	return rc == 0 ? 0 : ERR_UNSUPPORTED;
}
