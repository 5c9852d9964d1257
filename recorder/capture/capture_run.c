#include "recorder/capture/capture_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/spool_flush.h"
#include "capture/capture.h"
#include "recorder/ring_reader.h"
#include "recorder/session/recorder_manifest.h"
#include "recorder/session/segment.h"

/* Bytes are fetched this often, or when so much of the ring is full. */
#define LAZY_NS    (250 * NS_PER_MS)
#define LAZY_SHARE 16

#define DISK_CHECK_NS NS_PER_S /* free space is looked at this often */

/* Bytes at a time: whoever sends as fast as we write must not keep us from
 * syncing, from SIGTERM and from what else is due. */
#define DRAIN_MAX (1024 * 1024)

struct run {
	const struct capture_run *c;
	struct capture_run_result *res;
	struct segment_store store;
	struct capture_writer *writer;
	int fd;
	struct spool_flush flush;
	uint64_t seen_bytes; /* of the file, that flush knows of */
	uint64_t start_ns;   /* of the stream, where it begins */
	uint64_t disk_checked_ns;
	bool is_over; /* END came */
};

static int
failed(struct run *r, int rc, const char *why)
{
	if (rc == ERR_NOSPACE)
		why = "too little free disk space";
	if (rc != 0 && r->res->why == NULL)
		r->res->why = why;
	return rc;
}

/* ---- files ---- */

static uint64_t
start_of(const struct capture_run *c)
{
	if (c->begin != NULL)
		return c->start_ns;
	return c->meta->is_resumed ? clock_mono_ns() : c->meta->start_mono_ns;
}

/* The opening manifest of the segment that the capture will begin with. */
static int
write_manifest(struct run *r)
{
	const struct meta *m = r->c->meta;
	struct segment_params p = {
		.seq = m->first_seq,
		.first_frame = m->first_frame,
		.split_reason = m->split_reason,
		.monitor = monitor_number(&m->monitor),
		.monitor_name = m->monitor.name,
		.frame_rate = m->frame_rate,
		.start_mono_ns = r->start_ns,
	};
	struct area area = monitor_area(&m->monitor, m->width, m->height);
	struct recorder_manifest *mf;
	int rc = ERR_NOMEM;

	p.width = area.w;
	p.height = area.h;
	mf = segment_make_manifest(&r->store, &p, r->res->id);
	if (mf != NULL)
		rc = recorder_manifest_write(
		    r->c->spool_fd, mf, r->res->id, ".capture.json");
	recorder_manifest_free(mf);
	return rc;
}

static int
make_file(struct run *r)
{
	const struct capture_start start = {
		.first_seq = r->c->meta->first_seq,
		.first_frame = r->c->meta->first_frame,
		.gap_start_ns = r->c->meta->gap_start_ns,
	};
	char name[RECORDER_MANIFEST_NAME_MAX];

	r->fd = openat(r->c->spool_fd,
	    recorder_manifest_name(r->res->id, ".capture.part", name),
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (r->fd < 0 || flock(r->fd, LOCK_EX | LOCK_NB) != 0)
		return ERR_IO;
	return capture_writer_new(
	    &r->writer, r->fd, r->c->json, r->c->json_len, &start);
}

/* For the recorder that takes our place, should we die. */
static void
write_checkpoint(const struct run *r)
{
	struct tee_checkpoint checkpoint = {
		.seq = r->c->meta->first_seq + CAPTURE_SEQS - 1,
		.next_frame = r->c->meta->first_frame,
		.last_ns =
		    max_u64(capture_writer_last_ns(r->writer), r->start_ns),
	};

	tee_reader_write_checkpoint(r->c->reader, &checkpoint);
}

/*
 * First the relay knows, so that whoever takes our place captures too; then
 * the ring, that our numbers are taken; then storage, that there is something.
 */
static int
announce(struct run *r)
{
	if (r->c->begin != NULL)
		ring_reader_report(r->c->status_fd, TEE_STATUS_CAPTURE, 0,
		    r->c->meta->first_frame, 0, "");
	write_checkpoint(r);
	return write_manifest(r);
}

static int
open_files(struct run *r)
{
	int rc;

	segment_store_init(&r->store, r->c->spool_fd, r->c->meta);
	rc = segment_store_check(&r->store);
	if (rc == 0)
		rc = segment_make_id(r->res->id);
	if (rc == 0)
		rc = make_file(r);
	if (rc == 0)
		rc = announce(r);
	if (rc == 0 && r->c->begin != NULL)
		rc = r->c->begin(r->c->arg, r->writer);
	return failed(r, rc, "a capture could not be opened in the spool");
}

/* word: as in docs/spool.md; "": the END mark says it. */
static int
close_files(struct run *r, const char *word, uint64_t end_ns)
{
	char part[RECORDER_MANIFEST_NAME_MAX], name[RECORDER_MANIFEST_NAME_MAX];
	int dir = r->c->spool_fd;
	int rc = capture_writer_end(r->writer, word, end_ns);

	if (rc == 0 &&
	    (renameat(dir,
		 recorder_manifest_name(r->res->id, ".capture.part", part), dir,
		 recorder_manifest_name(r->res->id, ".capture", name)) != 0 ||
		fsync(dir) != 0))
		rc = ERR_IO;
	r->res->bytes = capture_writer_bytes_written(r->writer);
	return failed(r, rc, "the capture could not be closed");
}

/* ---- the ring ---- */

/* Takes what the ring has now, up to max bytes or a span more; *n: bytes. */
static int
drain(struct run *r, size_t max, size_t *n)
{
	struct tee_reader *reader = r->c->reader;
	uint64_t now = clock_mono_ns();
	const uint8_t *data;
	struct tee_mark mark;
	size_t len;
	int got, rc = 0;

	*n = 0;
	while (rc == 0 && !r->is_over && *n < max &&
	    (got = tee_reader_next(reader, &mark, &data, &len)) != 0) {
		if (got < 0)
			return failed(r, got, "the tee ring makes no sense");
		if (got == 1) {
			rc = capture_writer_mark(r->writer, &mark, now);
			r->is_over = mark.kind == TEE_MARK_END;
			continue;
		}
		rc = capture_writer_bytes(r->writer, data, len, now);
		tee_reader_consume(reader, len);
		*n += len;
	}
	return failed(r, rc, "the spool cannot be written");
}

/* Of the writer: what was written is old enough. */
static int
on_sync(void *arg)
{
	struct run *r = arg;

	return spool_flush_step(&r->flush, r->fd, clock_mono_ns(), true) == 0
	    ? 0
	    : ERR_IO;
}

/* Whether what the writer wrote meanwhile is on disk in time. */
static int
check_flush(struct run *r)
{
	uint64_t bytes = capture_writer_bytes_written(r->writer);
	uint64_t now = clock_mono_ns();

	if (r->c->flush == NULL)
		return 0;
	if (bytes != r->seen_bytes)
		spool_flush_wrote(&r->flush, now);
	r->seen_bytes = bytes;
	return spool_flush_step(&r->flush, r->fd, now, false) == 0 ? 0 : ERR_IO;
}

static int
check_disk(struct run *r, uint64_t now)
{
	int rc = capture_writer_tick(r->writer, now);

	if (rc == 0)
		rc = check_flush(r);
	if (rc == 0 && now >= r->disk_checked_ns + DISK_CHECK_NS) {
		r->disk_checked_ns = now;
		rc = segment_store_check(&r->store);
	}
	return failed(r, rc, "the spool cannot be written");
}

/*
 * Sleeps until something is due: while bytes come, they may pile up a
 * little. Returns false when the relay is gone.
 */
static bool
wait_for_work(struct run *r, bool is_busy)
{
	struct pollfd fds[] = {
		{ .fd = r->c->event_fd, .events = POLLIN },
		{ .fd = r->c->status_fd, .events = POLLRDHUP },
	};
	struct tee_reader *reader = r->c->reader;
	uint64_t now = clock_mono_ns();
	uint64_t due =
	    min_u64(capture_writer_due(r->writer), spool_flush_due(&r->flush));
	size_t want = is_busy ? tee_reader_data_len(reader) / LAZY_SHARE : 1;
	struct timespec ts;
	sigset_t none;

	if (is_busy)
		due = min_u64(due, now + LAZY_NS);
	due = due > now && due != UINT64_MAX ? due - now : due;
	ts.tv_sec = (time_t)(due / NS_PER_S);
	ts.tv_nsec = (long)(due % NS_PER_S);
	tee_reader_want_data(reader, want);
	if (tee_reader_backlog(reader) >= want)
		return true;
	sigemptyset(&none);
	if (ppoll(fds, N_ELEMENTS(fds), due == UINT64_MAX ? NULL : &ts,
		&none) <= 0)
		return true;
	return fds[1].revents == 0;
}

/* Until there is a word to end with: "" for END, NULL after an error. */
static int
run(struct run *r, const char **word)
{
	bool relay_lives = true, is_last = false;
	size_t n;
	int rc;

	for (;;) {
		is_last = !relay_lives || ring_reader_got_term();
		/* at the end all that is there, and marks behind it */
		rc = drain(r,
		    is_last ? tee_reader_backlog(r->c->reader) + 1 : DRAIN_MAX,
		    &n);
		write_checkpoint(r);
		if (r->is_over || is_last || rc != 0)
			break;
		rc = check_disk(r, clock_mono_ns());
		if (rc != 0)
			break;
		relay_lives = wait_for_work(r, n > 0);
	}
	if (rc != 0)
		*word = rc == ERR_NOSPACE ? "nospace" : "error";
	else if (r->is_over)
		*word = "";
	else
		*word = relay_lives ? "command" : "error";
	return rc;
}

int
capture_run(const struct capture_run *c, struct capture_run_result *res)
{
	struct run r = {
		.c = c, .res = res, .fd = -1, .start_ns = start_of(c)
	};
	const char *word = "";
	int rc, closed;

	memset(res, 0, sizeof(*res));
	rc = open_files(&r);
	if (rc == 0) {
		if (c->begin == NULL)
			ring_reader_report(c->status_fd, TEE_STATUS_READY, 0,
			    c->meta->first_frame, 0, "");
		spool_flush_init(&r.flush, c->flush);
		if (c->flush != NULL)
			capture_writer_set_sync(r.writer, on_sync, &r);
		rc = run(&r, &word);
		closed = close_files(
		    &r, word, word[0] == '\0' ? 0 : clock_mono_ns());
		rc = rc != 0 ? rc : closed;
	}
	capture_writer_free(r.writer);
	if (r.fd >= 0)
		close(r.fd);
	return rc;
}
