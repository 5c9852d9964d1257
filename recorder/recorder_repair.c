#include "recorder/recorder_repair.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/log.h"
#include "recorder/session/recorder_manifest.h"
#include "recorder/sandbox.h"
#include "recorder/session/segment.h"
#include "recorder/session_folder.h"
#include "webm/webm_repair.h"

/* Opens and locks the file of a dead recorder; *status says why not. */
static int
open_part(int dir_fd, const char *id, int *status)
{
	char name[RECORDER_MANIFEST_NAME_MAX];
	int fd = openat(dir_fd, recorder_manifest_name(id, ".webm.part", name),
	    O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0) {
		*status = errno == ENOENT ? EX_NOINPUT : EX_TEMPFAIL;
		return -1;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	*status = EX_TEMPFAIL; /* its recorder lives */
	close(fd);
	return -1;
}

static int
exit_status(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case ERR_NOTFOUND: /* it died before its first frame */
		return EX_UNAVAILABLE;
	case ERR_EOF:
	case ERR_CORRUPT:
	case ERR_LIMIT:
		return EX_DATAERR;
	default:
		return EX_TEMPFAIL;
	}
}

/* The one thing beside the file that a dead recorder may have left. */
static bool
has_poster(int dir_fd, const char *id)
{
	char name[RECORDER_MANIFEST_NAME_MAX];
	int fd = openat(dir_fd, recorder_manifest_name(id, ".jpg", name),
	    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static int
publish(int dir_fd, const char *id, struct recorder_manifest *mf,
    const struct webm_repair_result *r, const struct evidence *evidence)
{
	uint64_t len_ns = r->duration_ms * NS_PER_MS;
	struct recorder_manifest_end e = {
		.end_mono_ns =
		    recorder_manifest_get_int(mf, "start_mono_ns") + len_ns,
		.end_wall_ns =
		    recorder_manifest_get_int(mf, "start_wall_ns") + len_ns,
		.frames = r->frames,
		.duration_ms = r->duration_ms,
		.bytes = r->bytes,
		.recovered = true,
		.end = "crash",
		.evidence = evidence,
		.has_poster = has_poster(dir_fd, id),
	};

	return recorder_manifest_publish(dir_fd, mf, id, &e);
}

static void
on_block(void *arg, enum webm_block_kind kind, uint64_t offset,
    const uint8_t *data, size_t len)
{
	evidence_add(arg, offset, data, len, kind != WEBM_BLOCK_CLUSTER);
}

/* session: for the log. */
static int
repair(int dir_fd, const char *id, int fd, const char *session)
{
	struct webm_repair_result r;
	struct evidence evidence;
	struct recorder_manifest *mf = NULL;
	int rc = recorder_manifest_load(dir_fd, id, &mf);

	evidence_init(&evidence);
	if (rc == ERR_NOTFOUND)
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = webm_repair(fd, on_block, &evidence, &r);
	if (rc == 0)
		rc = evidence_finish(&evidence, id);
	if (rc == 0)
		rc = publish(dir_fd, id, mf, &r, &evidence);
	evidence_release(&evidence);
	recorder_manifest_free(mf);
	if (rc != 0)
		log_error("repair_failed", LOG_S("segment", id),
		    LOG_S("session", session), LOG_ERR(rc));
	else
		log_info("repaired", LOG_S("segment", id),
		    LOG_S("session", session), LOG_U("frames", r.frames),
		    LOG_U("bytes", r.bytes),
		    LOG_U("dropped_bytes", r.dropped_bytes));
	return exit_status(rc);
}

int
repair_main(const char *dir, const char *id)
{
	struct sandbox box = { .status_fd = -1 };
	const char *why = "the spool folder cannot be opened";
	const char *session = session_of_folder(dir);
	int fd = -1, status = EX_TEMPFAIL;

	if (!segment_is_id(id))
		return EX_USAGE;
	box.spool_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (box.spool_fd < 0 || sandbox_enter(&box, &why) != 0) {
		log_error("repair_failed", LOG_S("segment", id),
		    LOG_S("session", session), LOG_S("why", why));
		goto out;
	}
	fd = open_part(box.spool_fd, id, &status);
	if (fd < 0)
		log_error("repair_refused", LOG_S("segment", id),
		    LOG_S("session", session),
		    LOG_S("why",
			status == EX_NOINPUT ? "no such segment"
					     : "it is being recorded"));
	else
		status = repair(box.spool_fd, id, fd, session);
out:
	if (fd >= 0)
		close(fd);
	if (box.spool_fd >= 0)
		close(box.spool_fd);
	return status;
}
