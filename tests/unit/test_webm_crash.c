/*
 * A writer or a repair that dies at any byte of any write, and a disk that
 * fills up: the calls into the kernel are recorded, and every state they can
 * leave behind is built and repaired. X4.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/err.h"
#include "webm/webm_reader.h"
#include "webm/webm_repair.h"

#define OPS_MAX  256
#define FILE_MAX 32768
#define FRAMES   30
#define FRAME_MS 110
#define LAST_MS  400 /* stated duration of the last frame */

/* One write (data of len bytes) or one truncation (data NULL). */
struct op {
	uint64_t offset;
	size_t len;
	uint8_t *data;
};
static struct op ops[OPS_MAX];
static size_t n_ops;
static bool is_recording;
static size_t n_syncs, unsynced; /* bytes written since the last sync */
static size_t space = SIZE_MAX;  /* left on the disk */

/* The linker puts these in front of the C library's, see meson.build. */
ssize_t __real_pwrite64(int fd, const void *p, size_t len, off_t offset);
int __real_ftruncate64(int fd, off_t len);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t len, off_t offset);
int __wrap_ftruncate64(int fd, off_t len);
int __wrap_fdatasync(int fd);

static void
record(uint64_t offset, const void *p, size_t len)
{
	struct op *o = &ops[n_ops];

	if (!is_recording)
		return;
	assert_true(n_ops < OPS_MAX);
	n_ops++;
	*o = (struct op){ .offset = offset, .len = len };
	if (p != NULL) {
		o->data = malloc(len + 1);
		memcpy(o->data, p, len);
	}
}

/* A disk that is nearly full takes a part first, as write(2) allows. */
ssize_t
__wrap_pwrite64(int fd, const void *p, size_t len, off_t offset)
{
	if (space == 0) {
		errno = ENOSPC;
		return -1;
	}
	if (len > space)
		len = space;
	if (space != SIZE_MAX)
		space -= len;
	record((uint64_t)offset, p, len);
	unsynced += len;
	return __real_pwrite64(fd, p, len, offset);
}

int
__wrap_ftruncate64(int fd, off_t len)
{
	record((uint64_t)len, NULL, 0);
	return __real_ftruncate64(fd, len);
}

int
__wrap_fdatasync(int fd)
{
	n_syncs++;
	unsynced = 0;
	return 0;
}

/* ---- files in memory ---- */

struct image {
	size_t len;
	uint8_t data[FILE_MAX];
};

static int
temp_file(const struct image *from)
{
	char path[] = "/tmp/relaycam-crash-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	if (from != NULL)
		assert_int_equal(
		    __real_pwrite64(fd, from->data, from->len, 0), from->len);
	return fd;
}

static void
load(int fd, struct image *out)
{
	ssize_t n = pread(fd, out->data, FILE_MAX, 0);

	assert_true(n >= 0 && n < FILE_MAX);
	out->len = (size_t)n;
}

static void
apply(struct image *m, const struct op *o, size_t len)
{
	size_t end = (size_t)o->offset + len;

	if (o->data == NULL) {
		assert_true(o->offset <= m->len);
		m->len = (size_t)o->offset;
		return;
	}
	assert_true(o->offset <= m->len && end < FILE_MAX);
	memcpy(m->data + o->offset, o->data, len);
	if (end > m->len)
		m->len = end;
}

static void
forget_ops(void)
{
	for (size_t i = 0; i < n_ops; i++)
		free(ops[i].data);
	n_ops = 0;
}

/* ---- a file of ours ---- */

static void
on_block(void *arg, enum webm_block_kind kind, uint64_t offset,
    const uint8_t *data, size_t len)
{
	/* reported bytes are on disk, not on their way */
	assert_int_equal(unsynced, 0);
	++*(unsigned *)arg;
}

static struct webm_writer *
new_writer(int fd, unsigned *n_blocks)
{
	const struct webm_params p = { .width = 640,
		.height = 480,
		.on_block = on_block,
		.arg = n_blocks };
	struct webm_writer *w;

	assert_int_equal(webm_writer_new(&w, fd, &p), 0);
	return w;
}

/* Every third frame states its duration, so it is a BlockGroup. */
static int
put_frame(struct webm_writer *w, int i)
{
	uint8_t data[128];
	const struct webm_frame f = { .data = data,
		.len = 20 + (size_t)(i * 31 % 100),
		.time_ms = (uint64_t)i * FRAME_MS,
		.is_key = i % 12 == 0,
		.duration_ms = i == FRAMES - 1 ? LAST_MS
		    : i % 3 == 1               ? FRAME_MS
					       : 0 };

	memset(data, i + 1, sizeof(data));
	return webm_writer_frame(w, &f);
}

/* Checks each frame of an image; returns how many there are. */
static int
check_frames(const struct image *m, enum webm_end *end)
{
	struct webm_reader *r;
	struct webm_block b;
	int n = 0;

	assert_int_equal(webm_reader_new_mem(&r, m->data, m->len), 0);
	for (; webm_reader_next(r, &b) == 1; n++) {
		uint32_t stated = n % 3 == 1 ? FRAME_MS : 0;

		assert_int_equal(b.len, 20 + n * 31 % 100);
		for (size_t k = 0; k < b.len; k++)
			assert_int_equal(m->data[b.offset + k], n + 1);
		assert_int_equal(b.time_ms, n * FRAME_MS);
		assert_int_equal(b.is_key, n % 12 == 0);
		assert_int_equal(
		    b.duration_ms, n == FRAMES - 1 ? LAST_MS : stated);
	}
	*end = webm_reader_end(r);
	webm_reader_free(r);
	return n;
}

/* Writes all frames and finishes, recording from the first byte on. */
static void
write_recorded(struct image *finished)
{
	unsigned n_blocks = 0;
	int fd = temp_file(NULL);
	struct webm_writer *w;

	forget_ops();
	is_recording = true;
	w = new_writer(fd, &n_blocks);
	for (int i = 0; i < FRAMES; i++)
		assert_int_equal(put_frame(w, i), 0);
	assert_int_equal(webm_writer_finish(w, 0), 0);
	is_recording = false;
	assert_int_equal(
	    webm_writer_duration_ms(w), (FRAMES - 1) * FRAME_MS + LAST_MS);
	/* four clusters by time and key frame, cues, header */
	assert_true(n_blocks >= 6);
	webm_writer_free(w);
	load(fd, finished);
	close(fd);
}

static void
repair_image(const struct image *m, int rc_expected, struct image *out,
    struct webm_repair_result *res)
{
	int fd = temp_file(m);

	assert_int_equal(webm_repair(fd, NULL, NULL, res), rc_expected);
	load(fd, out);
	close(fd);
}

static struct image state, before, fixed, finished;

/*
 * Every byte of every write of a whole life: no frame that was accepted is
 * missing, and once all are written each state repairs to the very file that
 * finish makes.
 */
static void
writer_killed_at_any_byte(void **unused)
{
	struct webm_repair_result res;
	enum webm_end end;
	int seen = 0, n_same = 0;
	size_t header_len, tail = 0;

	write_recorded(&finished);
	header_len = ops[0].len;
	before.len = 0;
	for (size_t i = 0; i < n_ops; i++) {
		for (size_t cut = 0; cut <= ops[i].len; cut++) {
			state = before;
			apply(&state, &ops[i], cut);
			if (state.len < header_len)
				continue;
			int n = check_frames(&state, &end);

			assert_true(n == seen || n == seen + 1);
			seen = n;
			if (n == 0)
				continue;
			repair_image(&state, 0, &fixed, &res);
			assert_int_equal(res.frames, n);
			assert_int_equal(check_frames(&fixed, &end), n);
			assert_int_equal(end, WEBM_END_FINISHED);
			if (n < FRAMES)
				continue;
			assert_int_equal(fixed.len, finished.len);
			assert_memory_equal(
			    fixed.data, finished.data, fixed.len);
			n_same++;
		}
		apply(&before, &ops[i], ops[i].len);
	}
	assert_int_equal(seen, FRAMES);
	/* at the least every byte of cues, header and Segment size */
	for (size_t i = n_ops - 3; i < n_ops; i++)
		tail += ops[i].len;
	assert_true(tail > 200 && (size_t)n_same > tail);
}

/* The same for a repair, of a file whose last frame is torn. */
static void
repair_killed_at_any_byte(void **unused)
{
	struct webm_repair_result res;
	static struct image torn, want;
	int fd;

	write_recorded(&finished);
	torn.len = 0;
	for (size_t i = 0; i < n_ops && torn.len < 2500; i++)
		apply(&torn, &ops[i], ops[i].len);
	torn.len -= 7;
	forget_ops();
	fd = temp_file(&torn);
	is_recording = true;
	assert_int_equal(webm_repair(fd, NULL, NULL, &res), 0);
	is_recording = false;
	assert_true(res.dropped_bytes > 0 && n_ops >= 4);
	load(fd, &want);
	close(fd);
	before = torn;
	for (size_t i = 0; i < n_ops; i++) {
		for (size_t cut = 0; cut <= ops[i].len; cut++) {
			state = before;
			apply(&state, &ops[i], cut);
			repair_image(&state, 0, &fixed, &res);
			assert_int_equal(fixed.len, want.len);
			assert_memory_equal(fixed.data, want.data, want.len);
		}
		apply(&before, &ops[i], ops[i].len);
	}
	forget_ops();
}

/* Any number of bytes left on the disk: the writer says so, the file ends
 * with a whole frame, and goes on when there is room again. */
static void
full_disk_loses_nothing(void **unused)
{
	for (size_t room = 0; room < 700; room++) {
		unsigned n_blocks = 0;
		int fd = temp_file(NULL), i = 0, rc = 0;
		struct webm_writer *w = new_writer(fd, &n_blocks);
		enum webm_end end;

		space = room;
		while (i < FRAMES && (rc = put_frame(w, i)) == 0)
			i++;
		assert_int_equal(rc, ERR_NOSPACE);
		load(fd, &state);
		assert_int_equal(check_frames(&state, &end), i);
		assert_int_equal(end, WEBM_END_CUT);
		assert_int_equal(webm_writer_bytes(w), state.len);
		space = 8; /* a cluster can be closed, cues not written */
		assert_int_equal(webm_writer_finish(w, 0), ERR_NOSPACE);
		space = SIZE_MAX;
		for (; i < FRAMES; i++)
			assert_int_equal(put_frame(w, i), 0);
		assert_int_equal(webm_writer_finish(w, 0), 0);
		load(fd, &state);
		assert_int_equal(check_frames(&state, &end), FRAMES);
		assert_int_equal(end, WEBM_END_FINISHED);
		webm_writer_free(w);
		close(fd);
	}
}

/* Data lie on disk at every cluster's end, and none is longer than 2 s. */
static void
every_cluster_is_synced(void **unused)
{
	unsigned n_blocks = 0;
	int fd = temp_file(NULL);
	struct webm_writer *w = new_writer(fd, &n_blocks);
	struct webm_reader *r;
	struct webm_block b;
	size_t n_before = n_syncs;

	for (int i = 0; i < FRAMES; i++)
		assert_int_equal(put_frame(w, i), 0);
	assert_int_equal(webm_writer_flush(w), 0);
	assert_int_equal(n_syncs - n_before, n_blocks);
	assert_int_equal(unsynced, 0);
	webm_writer_free(w);
	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	while (webm_reader_next(r, &b) == 1)
		assert_true(b.time_ms - b.cluster.time_ms < WEBM_CLUSTER_MS);
	webm_reader_free(r);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writer_killed_at_any_byte),
		cmocka_unit_test(repair_killed_at_any_byte),
		cmocka_unit_test(full_disk_loses_nothing),
		cmocka_unit_test(every_cluster_is_synced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
