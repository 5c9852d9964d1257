/*
 * A recorder that keeps its session as a capture instead of encoding it
 * (docs/capture.md): the tee ring into one file of the spool. No decoder, no
 * encoder, a few MiB of memory.
 */
#ifndef RECORDER_CAPTURE_CAPTURE_RUN_H
#define RECORDER_CAPTURE_CAPTURE_RUN_H

#include "common/tee.h"
#include "recorder/meta.h"

/* What one capture counts for in numbers of segments, until it is encoded. */
#define CAPTURE_SEQS 10000

struct capture_writer;

struct capture_run_result {
	char id[META_UUID_LEN]; /* of the capture, and of its first segment */
	uint64_t bytes;
	const char *why; /* static; after an error */
};

/* What it works with; all borrowed. */
struct capture_run {
	const struct meta *meta;
	const char *json; /* the same, as the relay wrote it */
	size_t json_len;
	struct tee_reader *reader;
	int spool_fd, event_fd, status_fd;
	const struct spool_flush_page *flush; /* NULL: it syncs by itself */
	/*
	 * For a capture that goes on where a live session stood, else NULL:
	 * writes what it begins with, at start_ns of the stream. 0 or an error
	 * of capture_writer_bytes.
	 */
	int (*begin)(void *arg, struct capture_writer *w);
	void *arg;
	uint64_t start_ns;
};

/*
 * Runs until END, SIGTERM or the relay's end. Reports READY to the relay
 * (CAPTURE after `begin`) and nothing else. Returns 0, ERR_NOSPACE, ERR_NOMEM,
 * ERR_IO or ERR_CORRUPT (the ring). Whatever it returns, storage finds what was
 * kept.
 */
int capture_run(const struct capture_run *c, struct capture_run_result *res);

#endif
