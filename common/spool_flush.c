#include "common/spool_flush.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"

#define MAGIC   0x52435346u /* "RCSF" */
#define VERSION 1

int
spool_flush_share(struct spool_flush_shared *out)
{
	const size_t len = sizeof(struct spool_flush_page);
	int fd =
	    memfd_create("relaycam-flush", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, (off_t)len) == 0)
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED ||
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE) != 0) {
		if (p != MAP_FAILED)
			munmap(p, len);
		if (fd >= 0)
			close(fd);
		return ERR_IO;
	}
	out->page = p;
	out->fd = fd;
	out->page->magic = MAGIC;
	out->page->version = VERSION;
	return 0;
}

const struct spool_flush_page *
spool_flush_map(int fd)
{
	const size_t len = sizeof(struct spool_flush_page);
	const struct spool_flush_page *page;
	struct stat st;
	void *p;

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)len)
		return NULL;
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	page = p;
	if (page->magic == MAGIC && page->version == VERSION)
		return page;
	munmap(p, len);
	return NULL;
}

void
spool_flush_passed(
    struct spool_flush_page *page, uint64_t begun_ns, bool has_failed)
{
	atomic_fetch_add(&page->passes, 1);
	if (has_failed)
		atomic_fetch_add(&page->failures, 1);
	else
		atomic_store(&page->begun_ns, begun_ns);
}

void
spool_flush_init(struct spool_flush *f, const struct spool_flush_page *page)
{
	memset(f, 0, sizeof(*f));
	f->page = page;
	f->dirty_ns = UINT64_MAX;
	f->is_alone = true;
	if (page != NULL)
		f->failures = atomic_load(&page->failures);
}

void
spool_flush_wrote(struct spool_flush *f, uint64_t now_ns)
{
	f->newest_ns = now_ns;
	if (f->dirty_ns == UINT64_MAX)
		f->dirty_ns = now_ns;
}

/* What a pass that began at begun_ns has put on disk. */
static void
forget_flushed(struct spool_flush *f, uint64_t begun_ns)
{
	if (f->dirty_ns >= begun_ns)
		return;
	f->dirty_ns = f->newest_ns < begun_ns ? UINT64_MAX : begun_ns;
}

/* Told once when it begins. At a file's start nobody expects a pass yet. */
static void
set_alone(struct spool_flush *f, bool is_alone, uint64_t begun_ns)
{
	if (is_alone && !f->is_alone)
		log_warn("spool_flusher_late",
		    LOG_S("remedy",
			"the recorder syncs its file by itself; is the "
			"spool's disk slow?"),
		    LOG_U("last_pass_ns", begun_ns));
	f->is_alone = is_alone;
}

static bool
must_sync(struct spool_flush *f, uint64_t now_ns, bool is_end)
{
	uint64_t begun_ns;
	bool is_late;

	if (f->page == NULL)
		return is_end;
	/* in this order: see spool_flush_passed */
	begun_ns = atomic_load(&f->page->begun_ns);
	if (atomic_load(&f->page->failures) != f->failures)
		return true;
	forget_flushed(f, begun_ns);
	is_late = begun_ns + SPOOL_FLUSH_LATE_NS < now_ns;
	if (is_end)
		set_alone(f, is_late, begun_ns);
	if (is_end && is_late)
		return true;
	return f->dirty_ns != UINT64_MAX &&
	    f->dirty_ns + SPOOL_FLUSH_LATE_NS <= now_ns;
}

uint64_t
spool_flush_due(const struct spool_flush *f)
{
	return f->page == NULL || f->dirty_ns == UINT64_MAX
	    ? UINT64_MAX
	    : f->dirty_ns + SPOOL_FLUSH_LATE_NS;
}

int
spool_flush_step(struct spool_flush *f, int fd, uint64_t now_ns, bool is_end)
{
	uint64_t failures =
	    f->page == NULL ? 0 : atomic_load(&f->page->failures);

	if (!must_sync(f, now_ns, is_end))
		return 0;
	/* counted before: one that fails meanwhile has us sync again */
	f->failures = failures;
	if (fdatasync(fd) != 0)
		return -1;
	f->dirty_ns = UINT64_MAX;
	return 0;
}
