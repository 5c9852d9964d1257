#include "recorder/session/segment.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "recorder/session/segment_tags.h"
#include "recorder/session/recorder_manifest.h"
#include "webm/webm_writer.h"

struct segment {
	struct segment_store *store;
	struct webm_writer *webm;
	struct recorder_manifest *manifest;
	struct evidence evidence;
	struct spool_flush flush;
	uint8_t uuid[WEBM_UUID_LEN];
	char id[META_UUID_LEN]; /* the same as text */
	int fd;
	uint64_t start_ns;
	bool has_poster;
};

/* A random UUID (RFC 9562, version 4). 0 or ERR_IO. */
static int
make_uuid(uint8_t b[WEBM_UUID_LEN], char out[META_UUID_LEN])
{
	if (getrandom(b, WEBM_UUID_LEN, 0) != WEBM_UUID_LEN)
		return ERR_IO;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(out, META_UUID_LEN,
	    "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
	    "%02x%02x%02x%02x%02x%02x",
	    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
	    b[11], b[12], b[13], b[14], b[15]);
	return 0;
}

int
segment_make_id(char out[META_UUID_LEN])
{
	uint8_t b[WEBM_UUID_LEN];

	return make_uuid(b, out);
}

/* The first segment of a capture has its id; all others a random one. */
static int
choose_id(struct segment *sg)
{
	const char *id = sg->store->meta->first_segment;
	size_t n = 0;

	if (id[0] == '\0' || sg->store->last_name[0] != '\0')
		return make_uuid(sg->uuid, sg->id);
	memcpy(sg->id, id, sizeof(sg->id));
	for (const char *p = id; *p != '\0' && n < WEBM_UUID_LEN; p += 2) {
		unsigned byte = 0;

		if (*p == '-')
			p++;
		sscanf(p, "%2x", &byte);
		sg->uuid[n++] = (uint8_t)byte;
	}
	return 0;
}

void
segment_store_init(
    struct segment_store *st, int dir_fd, const struct meta *meta)
{
	memset(st, 0, sizeof(*st));
	st->dir_fd = dir_fd;
	st->meta = meta;
}

int
segment_store_check(const struct segment_store *st)
{
	struct statfs fs;

	if (fstatfs(st->dir_fd, &fs) != 0)
		return ERR_IO;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize <
		st->meta->min_free_bytes
	    ? ERR_NOSPACE
	    : 0;
}

/* Wall time of a moment of the session: it never jumps inside one. */
static uint64_t
wall_ns(const struct meta *m, uint64_t mono_ns)
{
	return m->start_wall_ns + (mono_ns - m->start_mono_ns);
}

/* team/endpoint/session/monitor-N/time.webm, unique in the session. */
static void
make_key(struct segment_store *st, const struct segment_params *p,
    const char *id, char out[RECORDER_MANIFEST_KEY_MAX])
{
	const struct meta *m = st->meta;
	char name[CLOCK_TEXT_MAX], suffix[16] = "";
	bool is_first = st->last_name[0] == '\0';

	/* a recorder before us may have used this second's name */
	if (is_first && m->is_resumed)
		snprintf(st->tag, sizeof(st->tag), "-%.4s", id);
	clock_format_file(wall_ns(m, p->start_mono_ns), m->time_zone, name);
	if (is_first ||
	    (strcmp(name, st->last_name) == 0 && p->monitor == st->monitor))
		st->n_same++;
	else
		st->n_same = 1;
	memcpy(st->last_name, name, sizeof(name));
	st->monitor = p->monitor;
	if (st->n_same > 1)
		snprintf(suffix, sizeof(suffix), "-%u", st->n_same);
	snprintf(out, RECORDER_MANIFEST_KEY_MAX,
	    "%s/%s/%s/monitor-%u/%s%s%s.webm", m->team, m->endpoint, m->session,
	    p->monitor, name, suffix, st->tag);
}

struct recorder_manifest *
segment_make_manifest(
    struct segment_store *st, const struct segment_params *p, const char *id)
{
	struct recorder_manifest_open o = {
		.seq = p->seq,
		.split_reason = p->split_reason,
		.monitor = p->monitor,
		.monitor_name = p->monitor_name,
		.frame_rate = p->frame_rate,
		.width = p->width,
		.height = p->height,
		.start_mono_ns = p->start_mono_ns,
		.start_wall_ns = wall_ns(st->meta, p->start_mono_ns),
		.first_frame = p->first_frame,
		.gap_start_ns = p->gap_start_ns,
	};

	memcpy(o.segment, id, sizeof(o.segment));
	make_key(st, p, id, o.object_key);
	return recorder_manifest_new(st->meta, &o);
}

static int
make_manifest(struct segment *sg, const struct segment_params *p)
{
	sg->manifest = segment_make_manifest(sg->store, p, sg->id);
	return sg->manifest != NULL ? 0 : ERR_NOMEM;
}

/* Clusters are joined to blocks of a size; cues and header stand alone. */
static void
on_block(void *arg, enum webm_block_kind kind, uint64_t offset,
    const uint8_t *data, size_t len)
{
	struct segment *sg = arg;

	evidence_add(
	    &sg->evidence, offset, data, len, kind != WEBM_BLOCK_CLUSTER);
}

/* now_ns: of the stream, which never is ahead of the clock; 0 will do. */
static int
sync_step(struct segment *sg, uint64_t now_ns, bool is_end)
{
	uint64_t now = max_u64(clock_mono_ns(), now_ns);

	if (spool_flush_step(&sg->flush, sg->fd, now, is_end) == 0)
		return 0;
	return errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE : ERR_IO;
}

static int
on_cluster_end(void *arg)
{
	return sync_step(arg, 0, true);
}

/* The file's header, then <id>.json.open. */
static int
begin(struct segment *sg, const struct segment_params *p)
{
	const struct meta *m = sg->store->meta;
	struct segment_tags tags;
	struct webm_params params = {
		.codec = m->codec == ENCODER_VP8 ? WEBM_VP8 : WEBM_VP9,
		.width = p->width,
		.height = p->height,
		.max_bytes = m->segment_bytes,
		.gap_ms = m->codec == ENCODER_VP8 ? 0 : SEGMENT_GAP_MS,
		.colour = WEBM_COLOUR_LIBYUV,
		.date_wall_ns = wall_ns(m, p->start_mono_ns),
		.title = tags.title,
		.tags = tags.list,
		.n_tags = FILE_TAGS_N,
		.on_block = on_block,
		.sync_cluster = on_cluster_end,
		.arg = sg,
	};
	int rc;

	segment_tags_fill(
	    &tags, m, sg->id, p->monitor, p->monitor_name, params.date_wall_ns);
	memcpy(params.uuid, sg->uuid, sizeof(params.uuid));
	rc = webm_writer_new(&sg->webm, sg->fd, &params);
	if (rc == 0)
		rc = recorder_manifest_write(
		    sg->store->dir_fd, sg->manifest, sg->id, ".json.open");
	return rc;
}

/* Creates and locks <id>.webm.part. */
static int
make_file(struct segment *sg)
{
	char name[RECORDER_MANIFEST_NAME_MAX];

	sg->fd = openat(sg->store->dir_fd,
	    recorder_manifest_name(sg->id, ".webm.part", name),
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (sg->fd < 0 || flock(sg->fd, LOCK_EX | LOCK_NB) != 0)
		return ERR_IO;
	return 0;
}

/* Takes back what segment_open made. */
static void
remove_files(struct segment *sg)
{
	char name[RECORDER_MANIFEST_NAME_MAX];

	unlinkat(sg->store->dir_fd,
	    recorder_manifest_name(sg->id, ".json.open", name), 0);
	if (sg->fd >= 0)
		unlinkat(sg->store->dir_fd,
		    recorder_manifest_name(sg->id, ".webm.part", name), 0);
}

int
segment_open(struct segment **out, struct segment_store *st,
    const struct segment_params *p)
{
	struct segment *sg;
	int rc = segment_store_check(st);

	if (rc != 0)
		return rc;
	sg = calloc(1, sizeof(*sg));
	if (sg == NULL)
		return ERR_NOMEM;
	sg->store = st;
	sg->fd = -1;
	evidence_init(&sg->evidence);
	spool_flush_init(&sg->flush, st->flush);
	sg->start_ns = p->start_mono_ns;
	rc = choose_id(sg);
	if (rc == 0)
		rc = make_manifest(sg, p);
	if (rc == 0)
		rc = make_file(sg);
	if (rc == 0)
		rc = begin(sg, p);
	if (rc != 0) {
		remove_files(sg);
		segment_abandon(sg);
		return rc;
	}
	*out = sg;
	return 0;
}

int
segment_restate(struct segment *sg, const struct segment_params *p)
{
	int rc;

	webm_writer_free(sg->webm);
	sg->webm = NULL;
	recorder_manifest_free(sg->manifest);
	sg->manifest = NULL;
	if (ftruncate(sg->fd, 0) != 0)
		return ERR_IO;
	sg->store->n_same--; /* the name given out is free again */
	rc = make_manifest(sg, p);
	return rc != 0 ? rc : begin(sg, p);
}

int
segment_write(
    struct segment *sg, const struct webm_frame *frame, size_t reserve)
{
	struct webm_frame with_rest = *frame;
	int rc;

	with_rest.len += reserve;
	if (reserve > 0 && !webm_writer_would_fit(sg->webm, &with_rest))
		return ERR_LIMIT;
	rc = webm_writer_frame(sg->webm, frame);
	if (rc != 0 || sg->store->flush == NULL)
		return rc;
	if (!frame->is_repeat) /* nothing is lost with one */
		spool_flush_wrote(&sg->flush, clock_mono_ns());
	return sync_step(sg, 0, false);
}

bool
segment_is_pause(const struct segment *sg, uint64_t time_ms)
{
	return webm_writer_is_pause(sg->webm, time_ms);
}

/* Whole milliseconds of the session from the segment's start to t. */
static uint64_t
segment_ms(const struct segment *sg, uint64_t t_ns)
{
	uint64_t zero = sg->store->meta->start_mono_ns;

	/* the same rounding as that of frames, so that sums agree */
	return (t_ns - zero) / NS_PER_MS - (sg->start_ns - zero) / NS_PER_MS;
}

/* When the open cluster should end, or UINT64_MAX. */
static uint64_t
cluster_due(const struct segment *sg)
{
	uint64_t due_ms = webm_writer_due_ms(sg->webm);

	return due_ms == UINT64_MAX ? UINT64_MAX
				    : sg->start_ns + (due_ms + 1) * NS_PER_MS;
}

uint64_t
segment_sync_due(const struct segment *sg)
{
	return min_u64(cluster_due(sg), spool_flush_due(&sg->flush));
}

int
segment_tick(struct segment *sg, uint64_t now_ns)
{
	int rc = segment_store_check(sg->store);

	if (rc == 0 && now_ns >= cluster_due(sg))
		rc = webm_writer_flush(sg->webm);
	return rc != 0 ? rc : sync_step(sg, now_ns, false);
}

int
segment_set_poster(struct segment *sg, const uint8_t *jpeg, size_t len)
{
	int rc = recorder_manifest_write_file(
	    sg->store->dir_fd, sg->id, ".jpg", jpeg, len);

	sg->has_poster = rc == 0;
	return rc;
}

int
segment_close(struct segment *sg, const char *end, uint64_t end_mono_ns,
    const struct activity *activity, struct segment_result *res)
{
	struct recorder_manifest_end e = {
		.end_mono_ns = end_mono_ns,
		.end_wall_ns = wall_ns(sg->store->meta, end_mono_ns),
		.frames = segment_frames(sg),
		.recovered = strcmp(end, "crash") == 0, /* of a capture */
		.end = end,
		.evidence = &sg->evidence,
		.activity = activity,
		.has_poster = sg->has_poster,
	};
	int rc = 0;

	if (e.frames == 0) {
		remove_files(sg); /* nothing was recorded in it */
	} else {
		rc = webm_writer_finish(sg->webm, segment_ms(sg, end_mono_ns));
		if (rc == 0)
			rc = evidence_finish(&sg->evidence, sg->id);
		e.bytes = webm_writer_bytes(sg->webm);
		e.duration_ms = webm_writer_duration_ms(sg->webm);
		if (rc == 0)
			rc = recorder_manifest_publish(
			    sg->store->dir_fd, sg->manifest, sg->id, &e);
	}
	memcpy(res->id, sg->id, sizeof(res->id));
	res->frames = e.frames;
	res->bytes = e.bytes;
	res->duration_ms = e.duration_ms;
	segment_abandon(sg);
	return rc;
}

void
segment_abandon(struct segment *sg)
{
	if (sg == NULL)
		return;
	webm_writer_free(sg->webm);
	recorder_manifest_free(sg->manifest);
	evidence_release(&sg->evidence);
	if (sg->fd >= 0)
		close(sg->fd);
	free(sg);
}

uint64_t
segment_frames(const struct segment *sg)
{
	return webm_writer_frames(sg->webm);
}

uint64_t
segment_start_ns(const struct segment *sg)
{
	return sg->start_ns;
}

const char *
segment_id(const struct segment *sg)
{
	return sg->id;
}

bool
segment_is_id(const char *id)
{
	if (strlen(id) != META_UUID_LEN - 1)
		return false;
	for (int i = 0; i < META_UUID_LEN - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? id[i] != '-'
			 : !isxdigit((unsigned char)id[i]) ||
			    isupper((unsigned char)id[i]))
			return false;
	}
	return true;
}
