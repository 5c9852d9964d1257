/*
 * Finds out how much of a recording that is still being written may be shown
 * (X1): its header and the clusters whose size is known, docs/webm.md; to
 * those who watch, frames of the open cluster too. A
 * scan goes on where the last one ended, so that looking again costs a few
 * reads. The file comes from a recorder and is hostile: memory and work a
 * call are bounded, nothing behind the first byte that is not ours counts.
 * Blocking I/O; one owner, not thread-safe.
 * Sources: RFC 8794 sections 4 to 6, RFC 9559 sections 5.1.3 and 10.
 */
#ifndef WEBM_WEBM_SCAN_H
#define WEBM_WEBM_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBM_SCAN_CUES_MAX 100000 /* more than one a second for 24 hours */
#define WEBM_SCAN_STEP     20000  /* clusters a call */

/* A cluster that begins with a key frame. */
struct webm_cue {
	uint64_t time_ms;
	uint64_t offset; /* of the cluster, in the file */
};

enum webm_scan_end {
	WEBM_SCAN_OPEN,    /* more may come */
	WEBM_SCAN_CUES,    /* the clusters are over, the file is being closed */
	WEBM_SCAN_CORRUPT, /* bytes follow that are not ours */
};

struct webm_scan {
	uint64_t header_len; /* 0: not known before the first cluster */
	uint64_t bytes;      /* header and whole clusters; 0: none yet */
	uint64_t last_ms;    /* of the last frame among them */
	/* up to the last whole frame of the open cluster behind them; not
	 * synced, and the cluster's size is still to come */
	uint64_t open_bytes;
	uint64_t duration_ms; /* as the header says; 0: not closed */
	const char *codec;    /* "vp9", "vp8"; NULL: not known */
	enum webm_scan_end end;
	bool was_cut; /* the file was shorter than what was found before */
	struct webm_cue *cues; /* at least a second apart */
	size_t n_cues, cap;
};

/* All zeros is a new scan. */
void webm_scan_release(struct webm_scan *s);

/*
 * Looks at what follows s->bytes in fd. New clusters count only after they
 * were synced (fdatasync, when there are any) and their sizes read again.
 * A file that became shorter than s->bytes is begun afresh.
 * Returns 1 when more is there than this call took, 0, ERR_IO or ERR_NOMEM.
 */
int webm_scan_more(struct webm_scan *s, int fd);

#endif
