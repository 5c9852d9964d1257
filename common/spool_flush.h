/*
 * One flush of the spool for all recorders of a node, in place of one per
 * recorder and second (docs/spool.md, "When it is on disk"). A flusher calls
 * syncfs() once a second and says in a shared page when its last pass that
 * succeeded began: all that was written before is on disk. A recorder looks
 * there, and syncs its own file when no pass came for SPOOL_FLUSH_LATE_NS.
 *
 * The page is shared memory: the flusher writes how far it came, the spawner
 * how many recorders there are. Recorders map it for reading only
 * (F_SEAL_FUTURE_WRITE), so none can make another one believe that its bytes
 * are on disk. Lock-free, no I/O but for the page's making. Times are
 * clock_mono_ns().
 */
#ifndef COMMON_SPOOL_FLUSH_H
#define COMMON_SPOOL_FLUSH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SPOOL_FLUSH_EVERY_NS UINT64_C(1000000000)
#define SPOOL_FLUSH_LATE_NS  UINT64_C(2000000000)

struct spool_flush_page {
	uint32_t magic, version;
	_Atomic uint64_t
	    begun_ns; /* of the last pass that succeeded; 0: none */
	_Atomic uint64_t passes, failures;
	_Atomic uint64_t recorders; /* none: the flusher ends */
};

/* Its memory as file, and this process's mapping of it. */
struct spool_flush_shared {
	struct spool_flush_page *page; /* until the process ends */
	int fd;                        /* nobody can write through it */
};

/* Makes a page. Returns 0, or ERR_IO with errno. */
int spool_flush_share(struct spool_flush_shared *out);

/*
 * Maps the page behind fd, for reading. NULL when there is none: an older
 * relay hands over no such descriptor.
 */
const struct spool_flush_page *spool_flush_map(int fd);

/* A pass that began at begun_ns ended. Failures first: who sees a later pass
 * sees them, too. */
void spool_flush_passed(
    struct spool_flush_page *page, uint64_t begun_ns, bool has_failed);

/* ---- one recorder's file ---- */

struct spool_flush {
	const struct spool_flush_page *page; /* NULL: syncs by itself */
	uint64_t dirty_ns;  /* oldest write not on disk; UINT64_MAX: none */
	uint64_t newest_ns; /* the newest one */
	uint64_t failures;  /* passes that had failed when it synced last */
	bool is_alone;      /* the flusher is late */
};

/* page: borrowed, or NULL. */
void spool_flush_init(
    struct spool_flush *f, const struct spool_flush_page *page);

/* Bytes were written that a loss of power must not take for longer than
 * SPOOL_FLUSH_LATE_NS; now_ns: read after the write returned. */
void spool_flush_wrote(struct spool_flush *f, uint64_t now_ns);

/* When to call spool_flush_step again, or UINT64_MAX. */
uint64_t spool_flush_due(const struct spool_flush *f);

/*
 * Calls fdatasync(fd) where no pass of the flusher makes it unnecessary: the
 * oldest unsynced bytes are too old, or a pass failed, which may have lost
 * bytes of this file. At the end of a cluster (is_end) also where no pass began
 * lately. Returns 0, or -1 with errno.
 */
int spool_flush_step(
    struct spool_flush *f, int fd, uint64_t now_ns, bool is_end);

#endif
