#include "recorder/replay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "capture/capture.h"
#include "recorder/frame/zero_pages.h"
#include "recorder/session/recorder_manifest.h"
#include "recorder/sandbox.h"
#include "recorder/session/segment.h"
#include "recorder/session/recorder_session.h"
#include "recorder/session_folder.h"
#include "rfb/work.h"

#define NICE 10 /* sessions that run come first */

struct replay {
	const char *id, *session; /* the latter for the log */
	struct meta meta;
	struct capture_reader *reader;
	int capture_fd, out_fd;
	int percent;
	uint64_t began_ns;
	uint64_t start_ns; /* of the stream: its first bytes */
	bool is_stopped;   /* by what its endpoint sent */
	const char *why;   /* then; NULL: the session knows */
};

static int
exit_status(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_CORRUPT:
	case ERR_CONFIG:
		return EX_DATAERR;
	case ERR_IO:
	case ERR_NOSPACE:
		return EX_TEMPFAIL;
	default:
		return EX_SOFTWARE;
	}
}

static int
failed(const struct replay *r, int rc, const char *why)
{
	log_error("replay_failed", LOG_S("capture", r->id),
	    LOG_S("session", r->session), LOG_ERR(rc), LOG_S("why", why));
	return exit_status(rc);
}

static void
show_progress(struct replay *r)
{
	uint64_t size = capture_reader_size(r->reader);
	int percent = (int)(capture_reader_offset(r->reader) * 100 / size);

	if (percent == r->percent)
		return;
	r->percent = percent;
	printf("progress %d\n", percent);
	fflush(stdout);
}

/* ---- before the sandbox ---- */

/* What an earlier try left behind: half a video helps nobody (M3). */
static void
empty_folder(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *e;

	if (d == NULL) {
		if (copy >= 0)
			close(copy);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	closedir(d);
}

static int
open_capture(struct replay *r, int dir_fd, int *status)
{
	char name[RECORDER_MANIFEST_NAME_MAX];

	r->capture_fd =
	    openat(dir_fd, recorder_manifest_name(r->id, ".capture", name),
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->capture_fd < 0) {
		*status = errno == ENOENT ? EX_NOINPUT : EX_TEMPFAIL;
		return ERR_NOTFOUND;
	}
	*status = EX_TEMPFAIL;
	return flock(r->capture_fd, LOCK_EX | LOCK_NB) == 0 ? 0 : ERR_EXISTS;
}

static int
open_out(struct replay *r, int dir_fd)
{
	char name[RECORDER_MANIFEST_NAME_MAX];

	recorder_manifest_name(r->id, ".encode", name);
	if (mkdirat(dir_fd, name, 0750) != 0 && errno != EEXIST)
		return ERR_IO;
	r->out_fd = openat(
	    dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (r->out_fd < 0)
		return ERR_IO;
	empty_folder(r->out_fd);
	return 0;
}

static int
load_meta(struct replay *r, const struct replay_start *start, const char **why)
{
	struct capture_start own;
	struct meta *m = &r->meta;
	const char *json;
	size_t len;
	int rc = capture_reader_new_fd(&r->reader, r->capture_fd);

	*why = "the capture cannot be read";
	if (rc != 0)
		return rc;
	json = capture_reader_meta(r->reader, &len, &own);
	rc = meta_parse(m, json, len, why);
	if (rc != 0)
		return rc;
	m->first_seq = start->first_seq != 0 ? start->first_seq : own.first_seq;
	m->first_frame =
	    start->first_frame != 0 ? start->first_frame : own.first_frame;
	m->gap_start_ns =
	    start->gap_start_ns != 0 ? start->gap_start_ns : own.gap_start_ns;
	memcpy(m->first_segment, r->id, META_UUID_LEN);
	*why = "numbers out of range";
	return m->first_seq >= 1 && m->first_seq <= INT32_MAX &&
		m->first_frame >= 1 && m->first_frame <= META_FRAME_MAX
	    ? 0
	    : ERR_CORRUPT;
}

/* ---- inside ---- */

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	const struct replay *r = arg;

	if (ev == RECORDER_SESSION_SEGMENT)
		log_info("segment_closed", LOG_S("segment", res->id),
		    LOG_S("session", r->session), LOG_U("frames", res->frames),
		    LOG_U("bytes", res->bytes),
		    LOG_U("duration_ms", res->duration_ms));
	else if (ev == RECORDER_SESSION_NOSPACE)
		log_warn("recording_nospace", LOG_S("session", r->session));
}

/*
 * A relay lets an endpoint draw so much a second, rfb/work.h; a file that
 * orders more would keep an encoder busy for days.
 */
static int
check_work(struct replay *r, const struct recorder_session *s)
{
	uint64_t now = recorder_session_now_ns(s);
	uint64_t ns = now > r->start_ns ? now - r->start_ns : 0;

	if (!rfb_work_is_too_much(recorder_session_work(s), ns))
		return 0;
	r->why = "it draws more than can be encoded in twice its time";
	return ERR_LIMIT;
}

static int
feed(struct replay *r, struct recorder_session *s, const uint8_t *data,
    size_t len)
{
	size_t used;
	int rc;

	if (r->start_ns == 0)
		r->start_ns = recorder_session_now_ns(s);
	do {
		rc = recorder_session_feed_some(
		    s, data, len, RFB_WORK_PER_S, &used);
		if (rc == 0)
			rc = check_work(r, s);
		data += used;
		len -= used;
	} while (rc == 0 && len > 0);
	return rc;
}

static int
play_record(struct replay *r, struct recorder_session *s,
    const struct capture_record *rec)
{
	switch (rec->kind) {
	case CAPTURE_MARK:
		return recorder_session_mark(s, &rec->mark);
	case CAPTURE_BYTES:
		return feed(r, s, rec->data, rec->len);
	case CAPTURE_STATE:
		return recorder_session_restore(s, rec->data, rec->len);
	case CAPTURE_ENDED:
	default:
		break;
	}
	/* without a word, its END mark did it */
	return recorder_session_close(
	    s, rec->word[0] != '\0' ? rec->word : "error", rec->mark.mono_ns);
}

/* All records; 0, or what stopped it. */
static int
play(struct replay *r, struct recorder_session *s)
{
	struct capture_record rec;
	int rc = recorder_session_start(s), got = 1;

	while (rc == 0 && (got = capture_reader_next(r->reader, &rec)) == 1) {
		show_progress(r);
		rc = play_record(r, s, &rec);
	}
	return rc != 0 ? rc : got;
}

/* A live recorder would have ended there as well; what came before is good. */
static bool
is_streams_fault(int rc)
{
	return rc == ERR_PROTOCOL || rc == ERR_LIMIT || rc == ERR_UNSUPPORTED;
}

/* How a session ends that its capture did not end. */
static int
finish(struct replay *r, struct recorder_session *s, int rc)
{
	enum capture_end end = capture_reader_end(r->reader);
	uint64_t lost =
	    capture_reader_size(r->reader) - capture_reader_offset(r->reader);

	if (is_streams_fault(rc)) {
		if (r->why == NULL)
			r->why = recorder_session_why(s);
		log_warn("replay_stopped", LOG_S("capture", r->id),
		    LOG_S("session", r->session), LOG_ERR(rc),
		    LOG_S("why", r->why));
		printf("stopped %s\n", r->why);
		fflush(stdout);
		r->is_stopped = true;
		return recorder_session_close(s, "error", 0);
	}
	if (rc != 0)
		return rc;
	if (end == CAPTURE_END_DAMAGED)
		return ERR_CORRUPT;
	if (end == CAPTURE_END_CUT)
		log_warn("capture_cut_off", LOG_S("capture", r->id),
		    LOG_S("session", r->session), LOG_U("dropped_bytes", lost));
	return recorder_session_close(
	    s, "crash", capture_reader_last_ns(r->reader));
}

static int
replay(struct replay *r)
{
	struct recorder_session *s =
	    recorder_session_new(&r->meta, r->out_fd, on_session, r);
	int rc;

	if (s == NULL)
		return failed(
		    r, ERR_NOMEM, "not enough memory for this screen");
	r->percent = -1;
	rc = finish(r, s, play(r, s));
	if (rc != 0)
		rc = failed(r, rc,
		    rc == ERR_CORRUPT ? "a block of the capture is damaged"
				      : recorder_session_why(s));
	else
		log_info("replay_done", LOG_S("capture", r->id),
		    LOG_S("session", r->session),
		    LOG_U("frames", recorder_session_frames(s)),
		    LOG_U("bytes", recorder_session_bytes(s)),
		    LOG_U("took_ms",
			(clock_mono_ns() - r->began_ns) / NS_PER_MS));
	recorder_session_free(s);
	return rc == 0 && r->is_stopped ? EX_PROTOCOL : rc;
}

static int
enter(struct replay *r)
{
	struct sandbox box = { .spool_fd = r->out_fd,
		.status_fd = -1,
		.max_pixels = r->meta.max_pixels };
	static char line[64];
	const char *why = "";
	int rc;

	/* else stdio asks whether a device is a terminal, which is forbidden */
	setvbuf(stdout, line, _IOLBF, sizeof(line));
	/* loaded once: the sandbox keeps the zone's file out of reach */
	setenv("TZ", r->meta.time_zone, 1);
	tzset();
	zero_pages_prepare();
	rc = sandbox_enter(&box, &why);
	if (rc != 0)
		return failed(r, rc, why);
	if (!box.has_landlock && !box.has_root)
		log_warn(
		    "sandbox_without_file_rules", LOG_S("session", r->session));
	return replay(r);
}

int
replay_main(const char *dir, const char *id, const struct replay_start *start)
{
	static struct replay r;
	const char *why = "the spool folder cannot be opened";
	int rc, status = EX_TEMPFAIL, dir_fd;

	if (!segment_is_id(id))
		return EX_USAGE;
	r.id = id;
	r.session = session_of_folder(dir);
	r.began_ns = clock_mono_ns();
	r.capture_fd = r.out_fd = -1;
	/* storage starts it again: two would be in each other's way */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nice(NICE) < 0)
		log_debug("nice", LOG_ERRNO());
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return failed(&r, ERR_IO, why);
	rc = open_capture(&r, dir_fd, &status);
	if (rc != 0) {
		failed(&r, rc, "no such capture, or it is being replayed");
		goto out;
	}
	rc = load_meta(&r, start, &why);
	if (rc == 0) {
		why = "the folder for its segments cannot be made";
		rc = open_out(&r, dir_fd);
	}
	close(dir_fd); /* the sandbox leaves only the folder below */
	dir_fd = -1;
	status = rc != 0 ? failed(&r, rc, why) : enter(&r);
out:
	if (dir_fd >= 0)
		close(dir_fd);
	capture_reader_free(r.reader);
	if (r.capture_fd >= 0)
		close(r.capture_fd);
	if (r.out_fd >= 0)
		close(r.out_fd);
	return status;
}
