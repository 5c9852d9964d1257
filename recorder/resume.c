#include "recorder/resume.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "recorder/session/recorder_manifest.h"
#include "recorder/session/segment.h"
#include "webm/webm_reader.h"

/* What a segment's files say. */
struct found {
	uint64_t seq; /* of the last file that has frames */
	uint64_t next_frame, last_ns;
};

/* Frames of a file and the last one's time; a cut-off end is none. */
static int
count_frames(int fd, uint64_t *n, uint64_t *last_ms)
{
	struct webm_reader *r;
	struct webm_block b;
	int rc = webm_reader_new_fd(&r, fd);

	*n = *last_ms = 0;
	if (rc != 0)
		return rc;
	while ((rc = webm_reader_next(r, &b)) == 1) {
		++*n;
		*last_ms = b.time_ms;
	}
	webm_reader_free(r);
	return rc;
}

static int
open_media(int dir_fd, const char *id)
{
	static const char *const suffixes[] = { ".webm.part", ".webm" };
	char name[RECORDER_MANIFEST_NAME_MAX];
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < N_ELEMENTS(suffixes); i++)
		fd = openat(dir_fd,
		    recorder_manifest_name(id, suffixes[i], name),
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd;
}

/* Somebody may be repairing the file: complete frames stay as they are. */
static int
look(const struct meta *m, int dir_fd, const struct tee_checkpoint *checkpoint,
    struct found *f)
{
	struct recorder_manifest *mf = NULL;
	uint64_t n, last_ms;
	int fd = -1,
	    rc = recorder_manifest_load(dir_fd, checkpoint->segment, &mf);

	if (rc == ERR_NOTFOUND)
		rc = recorder_manifest_load_closed(
		    dir_fd, checkpoint->segment, &mf);
	if (rc != 0)
		goto out;
	rc = ERR_CORRUPT;
	if (strcmp(recorder_manifest_get_str(mf, "session"), m->session) != 0)
		goto out;
	fd = open_media(dir_fd, checkpoint->segment);
	if (fd < 0 || (rc = count_frames(fd, &n, &last_ms)) != 0)
		goto out;
	/* its checkpoint may be older than its first frame */
	f->seq = recorder_manifest_get_int(mf, "seq") - (n == 0);
	f->next_frame = recorder_manifest_get_int(mf, "first_frame") + n;
	f->last_ns = recorder_manifest_get_int(mf, "start_mono_ns") +
	    last_ms * NS_PER_MS;
out:
	if (fd >= 0)
		close(fd);
	recorder_manifest_free(mf);
	return rc;
}

static uint64_t
max_within(uint64_t a, uint64_t b, uint64_t limit)
{
	return b > a && b <= limit ? b : a;
}

void
resume_prepare(
    struct meta *m, int dir_fd, const struct tee_checkpoint *checkpoint)
{
	struct found f = { checkpoint->seq, checkpoint->next_frame,
		checkpoint->last_ns };

	if (segment_is_id(checkpoint->segment))
		look(m, dir_fd, checkpoint,
		    &f); /* else the checkpoint has to do */
	m->first_seq = max_within(m->first_seq, checkpoint->seq + 1, INT32_MAX);
	m->first_seq = max_within(m->first_seq, f.seq + 1, INT32_MAX);
	m->first_frame =
	    max_within(m->first_frame, f.next_frame, META_FRAME_MAX);
	m->first_frame =
	    max_within(m->first_frame, checkpoint->next_frame, META_FRAME_MAX);
	/* also where a file is all there was: no frame came into it */
	if (f.last_ns != 0 && f.last_ns <= INT64_MAX)
		m->gap_start_ns = f.last_ns;
}
