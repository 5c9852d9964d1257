/*
 * WebM writer, reader and repair: every truncation point, exact bound,
 * structure, repair that may be killed anywhere. X1, X4, T10.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "webm/ebml.h"
#include "webm/webm_reader.h"
#include "webm/webm_repair.h"
#include "webm/webm_writer.h"

#define FRAMES 40

static int
temp_file(void)
{
	char path[] = "/tmp/relaycam-webm-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	return fd;
}

static size_t
file_len(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (size_t)st.st_size;
}

static uint8_t *
read_file(int fd, size_t *len)
{
	uint8_t *p;

	*len = file_len(fd);
	p = malloc(*len + 1);
	assert_int_equal(pread(fd, p, *len, 0), *len);
	return p;
}

static int
file_of(const uint8_t *p, size_t len)
{
	int fd = temp_file();

	assert_int_equal(pwrite(fd, p, len, 0), len);
	return fd;
}

/* The bytes of frame i; their length varies, all differ. */
static size_t
frame_bytes(int i, uint8_t *out)
{
	size_t n = 5 + (size_t)(i * 37 % 300);

	for (size_t k = 0; k < n; k++)
		out[k] = (uint8_t)(i * 7 + (int)k);
	return n;
}

static struct webm_writer *
new_writer(int fd, uint64_t max_bytes, webm_block_cb *cb, void *arg)
{
	const struct webm_tag tag = { "SESSION", "a session" };
	const struct webm_params p = { .codec = WEBM_VP9,
		.width = 65,
		.height = 33,
		.max_bytes = max_bytes,
		.colour = WEBM_COLOUR_LIBYUV,
		.uuid = { 1, 2, 3 },
		.date_wall_ns = UINT64_C(1795248902000000000),
		.title = "unit test",
		.tags = &tag,
		.n_tags = 1,
		.on_block = cb,
		.arg = arg };
	struct webm_writer *w = NULL;

	assert_int_equal(webm_writer_new(&w, fd, &p), 0);
	return w;
}

/* FRAMES frames, 130 ms apart, a key frame every 16. */
static void
write_frames(struct webm_writer *w)
{
	uint8_t data[400];

	for (int i = 0; i < FRAMES; i++) {
		struct webm_frame f = { .data = data,
			.len = frame_bytes(i, data),
			.time_ms = (uint64_t)i * 130,
			.is_key = i % 16 == 0 };

		assert_int_equal(webm_writer_frame(w, &f), 0);
	}
}

static int
finished_file(uint64_t duration_ms)
{
	int fd = temp_file();
	struct webm_writer *w = new_writer(fd, 0, NULL, NULL);

	write_frames(w);
	assert_int_equal(webm_writer_finish(w, duration_ms), 0);
	assert_int_equal(webm_writer_bytes(w), file_len(fd));
	webm_writer_free(w);
	return fd;
}

static int
unfinished_file(void)
{
	int fd = temp_file();
	struct webm_writer *w = new_writer(fd, 0, NULL, NULL);

	write_frames(w);
	webm_writer_free(w);
	return fd;
}

/* Reads all frames of memory, checks each; returns how many, -1: no header. */
static int
count_frames(const uint8_t *p, size_t len, enum webm_end *end)
{
	struct webm_reader *r;
	struct webm_block b;
	uint8_t want[400];
	int n = 0;

	if (webm_reader_new_mem(&r, p, len) != 0)
		return -1;
	while (webm_reader_next(r, &b) == 1) {
		assert_int_equal(b.len, frame_bytes(n, want));
		assert_memory_equal(p + b.offset, want, b.len);
		assert_int_equal(b.time_ms, n * 130);
		assert_int_equal(b.is_key, n % 16 == 0);
		assert_true(b.end <= len);
		n++;
	}
	*end = webm_reader_end(r);
	webm_reader_free(r);
	return n;
}

static void
finished_file_reads_whole(void **state)
{
	int fd = finished_file(6000);
	struct webm_reader *r;
	enum webm_end end;
	size_t len;
	uint8_t *p = read_file(fd, &len);

	assert_int_equal(count_frames(p, len, &end), FRAMES);
	assert_int_equal(end, WEBM_END_FINISHED);
	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	assert_int_equal(webm_reader_info(r)->duration_ms, 6000);
	assert_int_equal(webm_reader_info(r)->width, 65);
	assert_int_equal(webm_reader_info(r)->height, 33);
	webm_reader_free(r);
	free(p);
	close(fd);
}

/* Children fill their parents exactly, in a file that was closed. */
static void
check_nesting(const uint8_t *p, size_t len, int depth)
{
	static const uint32_t masters[] = { EBML_ID_HEADER, MKV_ID_SEGMENT,
		MKV_ID_SEEK_HEAD, MKV_ID_SEEK, MKV_ID_INFO, MKV_ID_TRACKS,
		MKV_ID_TRACK_ENTRY, MKV_ID_VIDEO, MKV_ID_COLOUR, MKV_ID_CLUSTER,
		MKV_ID_CUES, MKV_ID_CUE_POINT, MKV_ID_CUE_TRACK_POSITIONS,
		MKV_ID_BLOCK_GROUP, MKV_ID_TAGS, MKV_ID_TAG };
	struct ebml_cursor c = { p, p + len };
	struct ebml_head h;
	const uint8_t *data;
	int rc;

	assert_true(depth < 8);
	while ((rc = ebml_next(&c, &h, &data)) == 1)
		for (size_t i = 0; i < N_ELEMENTS(masters); i++)
			if (h.id == masters[i])
				check_nesting(data, (size_t)h.size, depth + 1);
	assert_int_equal(rc, 0);
}

static void
sizes_nest_exactly(void **state)
{
	int fd = finished_file(5300);
	size_t len;
	uint8_t *p = read_file(fd, &len);

	check_nesting(p, len, 0);
	free(p);
	close(fd);
}

/* Cut at every byte: exactly the complete frames, never fewer than before. */
static void
every_cut_gives_the_complete_frames(void **state)
{
	int fd = unfinished_file();
	enum webm_end end;
	size_t len;
	uint8_t *p = read_file(fd, &len);
	int before = 0;

	assert_int_equal(count_frames(p, len, &end), FRAMES);
	for (size_t cut = 0; cut < len; cut++) {
		/* memory of its own, so that ASan sees every byte too far */
		uint8_t *part = malloc(cut + 1);
		int n;

		memcpy(part, p, cut);
		n = count_frames(part, cut, &end);
		if (n >= 0)
			assert_int_equal(end, WEBM_END_CUT);
		assert_true(n >= before || n == -1);
		assert_true(n - before <= 1);
		before = n > 0 ? n : 0;
		free(part);
	}
	assert_int_equal(before, FRAMES - 1);
	free(p);
	close(fd);
}

/* Repair of every cut: a closed file with the frames that were complete;
 * a second repair changes nothing. */
static void
every_cut_is_repaired(void **state)
{
	int whole = unfinished_file();
	size_t len;
	uint8_t *p = read_file(whole, &len);

	for (size_t cut = 0; cut <= len; cut += 3) {
		int fd = file_of(p, cut);
		struct webm_repair_result res, again;
		enum webm_end end;
		int n = count_frames(p, cut, &end);
		int rc = webm_repair(fd, NULL, NULL, &res);
		size_t fixed_len, again_len;
		uint8_t *fixed = read_file(fd, &fixed_len), *second;

		if (n <= 0) {
			assert_true(rc != 0);
			assert_int_equal(fixed_len, cut);
		} else {
			assert_int_equal(rc, 0);
			assert_int_equal(res.frames, n);
			assert_int_equal(res.bytes, fixed_len);
			assert_int_equal(res.duration_ms,
			    (n - 1) * 130 + WEBM_REPAIR_LAST_MS);
			assert_true(res.first_is_key);
			assert_int_equal(
			    count_frames(fixed, fixed_len, &end), n);
			assert_int_equal(end, WEBM_END_FINISHED);
			check_nesting(fixed, fixed_len, 0);
			assert_int_equal(
			    webm_repair(fd, NULL, NULL, &again), 0);
			assert_true(again.was_finished);
			second = read_file(fd, &again_len);
			assert_int_equal(again_len, fixed_len);
			assert_memory_equal(second, fixed, fixed_len);
			free(second);
		}
		free(fixed);
		close(fd);
	}
	free(p);
	close(whole);
}

/* A repair that died anywhere: what it had appended is cut at every byte,
 * the next repair gives the same file. */
static void
killed_repair_is_repaired(void **state)
{
	int fd = unfinished_file();
	struct webm_repair_result res;
	size_t raw_len, want_len, len;
	uint8_t *raw = read_file(fd, &raw_len), *want, *got;

	assert_int_equal(webm_repair(fd, NULL, NULL, &res), 0);
	want = read_file(fd, &want_len);
	close(fd);
	for (size_t cut = raw_len; cut < want_len; cut++) {
		/* cues half written, header not yet patched */
		uint8_t *part = malloc(want_len);

		memcpy(part, want, cut);
		memcpy(part, raw, 600);
		fd = file_of(part, cut);
		assert_int_equal(webm_repair(fd, NULL, NULL, &res), 0);
		got = read_file(fd, &len);
		assert_int_equal(len, want_len);
		assert_memory_equal(got, want, len);
		free(got);
		free(part);
		close(fd);
	}
	free(want);
	free(raw);
}

struct seen {
	uint64_t next, header_len;
	unsigned n;
};

/* Blocks come in order, without holes; the header last. */
static void
on_block(void *arg, enum webm_block_kind kind, uint64_t offset,
    const uint8_t *data, size_t len)
{
	struct seen *s = arg;

	s->n++;
	if (kind == WEBM_BLOCK_HEADER) {
		assert_int_equal(offset, 0);
		s->header_len = len;
		return;
	}
	assert_int_equal(s->header_len, 0);
	if (s->next != 0)
		assert_int_equal(offset, s->next);
	s->next = offset + len;
}

static void
blocks_cover_the_file(void **state)
{
	struct seen written = { 0 }, repaired = { 0 };
	struct webm_repair_result res;
	int fd = temp_file();
	struct webm_writer *w = new_writer(fd, 0, on_block, &written);

	write_frames(w);
	assert_int_equal(webm_writer_finish(w, 0), 0);
	webm_writer_free(w);
	assert_int_equal(written.next, file_len(fd));
	assert_int_equal(webm_repair(fd, on_block, &repaired, &res), 0);
	assert_true(res.was_finished);
	assert_int_equal(repaired.n, written.n);
	assert_int_equal(repaired.next, written.next);
	assert_int_equal(repaired.header_len, written.header_len);
	close(fd);
}

/* The finished file is never larger than the bound, and close to it. */
static void
bound_is_exact(void **state)
{
	static uint8_t data[9000];

	for (uint64_t max = 20000; max < 90000; max += 7777) {
		int fd = temp_file();
		struct webm_writer *w = new_writer(fd, max, NULL, NULL);
		struct webm_frame f = { .data = data, .is_key = true };
		uint32_t random = (uint32_t)max;
		int rc = 0;

		for (uint64_t t = 0; rc == 0; t += 40) {
			random = random * 1103515245 + 12345;
			f.len = 1 + (random >> 16) % 1200;
			f.time_ms = t;
			f.is_key = t % 400 == 0;
			bool fits = webm_writer_would_fit(w, &f);

			rc = webm_writer_frame(w, &f);
			assert_int_equal(fits, rc == 0);
		}
		assert_int_equal(rc, ERR_LIMIT);
		assert_int_equal(webm_writer_finish(w, 0), 0);
		assert_true(file_len(fd) <= max);
		assert_true(file_len(fd) + f.len + WEBM_FRAME_OVERHEAD > max);
		webm_writer_free(w);
		close(fd);
	}
}

static void
wrong_frames_are_refused(void **state)
{
	static const uint8_t data[16];
	int fd = temp_file();
	struct webm_writer *w = new_writer(fd, 0, NULL, NULL);
	struct webm_frame f = { .data = data, .len = 16, .time_ms = 5 };

	assert_int_equal(webm_writer_frame(w, &f), ERR_PROTOCOL); /* no key */
	f.is_key = true;
	assert_int_equal(webm_writer_frame(w, &f), 0);
	assert_int_equal(webm_writer_frame(w, &f), ERR_PROTOCOL); /* time */
	f.time_ms = 4;
	assert_int_equal(webm_writer_frame(w, &f), ERR_PROTOCOL);
	f.time_ms = 6;
	f.len = WEBM_FRAME_MAX + 1;
	assert_int_equal(webm_writer_frame(w, &f), ERR_LIMIT);
	f.len = 1;
	assert_int_equal(webm_writer_frame(w, &f), 0);
	assert_int_equal(webm_writer_frames(w), 2);
	assert_int_equal(webm_writer_finish(w, 3), 0);
	assert_true(webm_writer_duration_ms(w) >= 6);
	webm_writer_free(w);
	close(fd);
}

/* A quiet screen is closed by tick: bytes on disk have their final size. */
static void
tick_closes_a_quiet_cluster(void **state)
{
	static const uint8_t data[16];
	struct seen seen = { 0 };
	int fd = temp_file();
	struct webm_writer *w = new_writer(fd, 0, on_block, &seen);
	struct webm_frame f = { .data = data, .len = 16, .is_key = true };

	assert_int_equal(webm_writer_frame(w, &f), 0);
	assert_int_equal(webm_writer_tick(w, WEBM_CLUSTER_MS - 1), 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(webm_writer_tick(w, WEBM_CLUSTER_MS), 0);
	assert_int_equal(seen.n, 1);
	webm_writer_free(w);
	close(fd);
}

/* Puts a frame; whether it began a cluster. */
static bool
begins_cluster(
    struct webm_writer *w, struct seen *seen, uint64_t ms, bool key, bool again)
{
	const struct webm_frame f = { .data = (const uint8_t *)"x",
		.len = 1,
		.time_ms = ms,
		.is_key = key,
		.is_repeat = again };
	unsigned before = (unsigned)seen->n;

	assert_int_equal(webm_writer_frame(w, &f), 0);
	return seen->n != before;
}

/* A frame after a pause is in the cluster of the one before it; repeats make
 * long clusters. Nothing is closed while the next frame decides. */
static void
pauses_lie_within_clusters(void **state)
{
	struct seen seen = { 0 };
	int fd = temp_file();
	const struct webm_params p = { .width = 64,
		.height = 48,
		.gap_ms = 1000,
		.on_block = on_block,
		.arg = &seen };
	struct webm_writer *w;

	assert_int_equal(webm_writer_new(&w, fd, &p), 0);
	assert_false(begins_cluster(w, &seen, 0, true, false));
	assert_false(begins_cluster(w, &seen, 100, false, false));
	/* three times as long as any before, and 1 s after the first */
	assert_true(webm_writer_is_pause(w, 301));
	assert_false(webm_writer_is_pause(w, 300));
	assert_int_equal(webm_writer_tick(w, 1050), 0);
	assert_int_equal(seen.n, 0);
	assert_false(begins_cluster(w, &seen, 1100, false, true));
	assert_int_equal(webm_writer_due_ms(w), 1000);
	assert_int_equal(webm_writer_tick(w, 1100), 0);
	assert_int_equal(seen.n, 1);
	for (unsigned ms = 2100; ms < 7100; ms += 1000)
		assert_false(begins_cluster(w, &seen, ms, false, true));
	assert_int_equal(webm_writer_due_ms(w), 2100 + WEBM_QUIET_MS);
	assert_true(begins_cluster(w, &seen, 7100, false, true));
	/* a key frame: what is known from here on counts */
	assert_true(begins_cluster(w, &seen, 8000, true, false));
	assert_false(begins_cluster(w, &seen, 9000, false, false));
	assert_true(begins_cluster(w, &seen, 9500, false, false));
	/* the owner did not keep its word: it is synced all the same */
	assert_true(begins_cluster(w, &seen, 9600, true, false));
	assert_int_equal(webm_writer_due_ms(w), 11600);
	webm_writer_free(w);
	close(fd);
}

/* Any byte of a file flipped: no crash, no frame outside the file. */
static void
flipped_bytes_are_survived(void **state)
{
	int fd = finished_file(5300);
	size_t len;
	uint8_t *p = read_file(fd, &len);

	for (size_t i = 0; i < len; i++) {
		struct webm_reader *r;
		struct webm_block b;

		p[i] ^= (uint8_t)(1 << (i % 8));
		if (webm_reader_new_mem(&r, p, len) == 0) {
			while (webm_reader_next(r, &b) == 1)
				assert_true(b.offset + b.len <= len);
			assert_true(webm_reader_valid_end(r) <= len);
			webm_reader_free(r);
		}
		p[i] ^= (uint8_t)(1 << (i % 8));
	}
	free(p);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finished_file_reads_whole),
		cmocka_unit_test(sizes_nest_exactly),
		cmocka_unit_test(every_cut_gives_the_complete_frames),
		cmocka_unit_test(every_cut_is_repaired),
		cmocka_unit_test(killed_repair_is_repaired),
		cmocka_unit_test(blocks_cover_the_file),
		cmocka_unit_test(bound_is_exact),
		cmocka_unit_test(wrong_frames_are_refused),
		cmocka_unit_test(tick_closes_a_quiet_cluster),
		cmocka_unit_test(pauses_lie_within_clusters),
		cmocka_unit_test(flipped_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
