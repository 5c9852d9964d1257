/* What may be shown of a growing WebM file: whole clusters, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/err.h"
#include "webm/webm_scan.h"

#define N_CLUSTERS 5

/* A file as the writer makes it, in little: one frame of 3 bytes a cluster. */
struct file {
	int fd;
	uint8_t data[512];
	size_t len;
	size_t header, cluster[N_CLUSTERS + 1];
};

static void
put(struct file *f, const void *bytes, size_t n)
{
	memcpy(f->data + f->len, bytes, n);
	f->len += n;
}

static void
put_cluster(struct file *f, unsigned time_ms, int is_key)
{
	const uint8_t c[] = { 0x1f, 0x43, 0xb6, 0x75, 0x01, 0, 0, 0, 0, 0, 0,
		13, 0xe7, 0x82, (uint8_t)(time_ms >> 8), (uint8_t)time_ms, 0xa3,
		0x87, 0x81, 0, 40, is_key ? 0x80 : 0, 'a', 'b', 'c' };

	put(f, c, sizeof(c));
}

static int
setup(void **state)
{
	static struct file f;
	static const uint8_t header[] = { 0x1a, 0x45, 0xdf, 0xa3, 0x80, 0x18,
		0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0x15, 0x49, 0xa9, 0x66, 0x8b, 0xec, 0x89, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0x16, 0x54, 0xae, 0x6b, 0x89, 0xae, 0x87, 0x86,
		0x85, 'V', '_', 'V', 'P', '9' };
	static const uint8_t cues[] = { 0x1c, 0x53, 0xbb, 0x6b, 0x80 };

	memset(&f, 0, sizeof(f));
	put(&f, header, sizeof(header));
	f.header = f.len;
	for (unsigned i = 0; i < N_CLUSTERS; i++) {
		f.cluster[i] = f.len;
		/* key frames at 0, 1600 and 3200; the last at 4000 is none */
		put_cluster(&f, i * 800, i % 2 == 0);
	}
	f.cluster[N_CLUSTERS] = f.len;
	put(&f, cues, sizeof(cues));
	f.fd = memfd_create("growing", MFD_CLOEXEC);
	assert_true(f.fd >= 0);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	return close(((struct file *)*state)->fd);
}

static void
grow(struct file *f, size_t from, size_t to)
{
	assert_int_equal(
	    pwrite(f->fd, f->data + from, to - from, (off_t)from), to - from);
}

static void
assert_all(const struct file *f, const struct webm_scan *s)
{
	static const uint64_t times[] = { 0, 1600, 3200 };

	assert_int_equal(s->bytes, f->cluster[N_CLUSTERS]);
	assert_int_equal(s->header_len, f->header);
	assert_int_equal(s->last_ms, 3240);
	assert_string_equal(s->codec, "vp9");
	assert_int_equal(s->n_cues, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s->cues[i].time_ms, times[i]);
		assert_int_equal(s->cues[i].offset, f->cluster[2 * i]);
	}
}

static void
test_at_once(void **state)
{
	struct file *f = *state;
	struct webm_scan s = { 0 };

	grow(f, 0, f->len);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_all(f, &s);
	assert_int_equal(s.end, WEBM_SCAN_CUES);
	webm_scan_release(&s);
}

/* At every length: the clusters that are there whole. */
static void
test_byte_by_byte(void **state)
{
	struct file *f = *state;
	struct webm_scan s = { 0 };
	size_t whole = 0;

	for (size_t n = 0; n < f->len; n++) {
		grow(f, n, n + 1);
		assert_int_equal(webm_scan_more(&s, f->fd), 0);
		if (whole < N_CLUSTERS && n + 1 == f->cluster[whole + 1])
			whole++;
		assert_int_equal(s.bytes, whole > 0 ? f->cluster[whole] : 0);
		assert_int_not_equal(s.end, WEBM_SCAN_CORRUPT);
	}
	assert_all(f, &s);
	webm_scan_release(&s);
}

/* An open cluster is not shown, whatever is in it; its size shows it. */
static void
test_unknown_size(void **state)
{
	struct file *f = *state;
	struct webm_scan s = { 0 };
	size_t at = f->cluster[2] + 4;
	uint8_t size[8];

	memcpy(size, f->data + at, sizeof(size));
	memset(f->data + at + 1, 0xff, sizeof(size) - 1);
	grow(f, 0, f->cluster[3]);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.bytes, f->cluster[2]);
	assert_int_equal(s.n_cues, 1);
	memcpy(f->data + at, size, sizeof(size));
	grow(f, at, at + sizeof(size));
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.bytes, f->cluster[3]);
	assert_int_equal(s.n_cues, 2);
	webm_scan_release(&s);
}

/* Those who watch see the whole frames of an open cluster, at every length. */
static void
test_open_frames(void **state)
{
	struct file *f = *state;
	struct webm_scan s = { 0 };
	size_t first = f->cluster[3], at = f->cluster[2] + 4;
	uint8_t frame[2] = { 0xa3, 0x87 };

	memset(f->data + at + 1, 0xff, 7);
	/* a second frame where the next cluster's head would be */
	memcpy(f->data + first, frame, sizeof(frame));
	memcpy(f->data + first + 2, f->data + first - 7, 7);
	for (size_t n = 0; n < first + 9; n++) {
		grow(f, n, n + 1);
		assert_int_equal(webm_scan_more(&s, f->fd), 0);
		if (n + 1 < f->cluster[1])
			assert_in_range(s.open_bytes, 0, f->header);
		else if (n + 1 >= f->cluster[2] && n + 1 < first)
			assert_int_equal(s.open_bytes, f->cluster[2]);
		else if (n + 1 >= first && n + 1 < first + 9)
			assert_int_equal(s.open_bytes, first);
	}
	assert_int_equal(s.open_bytes, first + 9);
	assert_int_equal(s.bytes, f->cluster[2]);
	/* shorter again: what was cut off is not shown */
	assert_int_equal(ftruncate(f->fd, (off_t)first + 3), 0);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.open_bytes, first);
	webm_scan_release(&s);
}

/* A size that was half written, and could be right, shows nothing wrong. */
static void
test_torn_size(void **state)
{
	static const uint8_t torn[] = { 5, 12, 14, 20, 38, 39, 255 };
	struct file *f = *state;
	struct webm_scan s = { 0 };
	size_t at = f->cluster[1] + 11;

	for (size_t i = 0; i < sizeof(torn); i++) {
		f->data[at] = torn[i];
		grow(f, 0, f->cluster[2]);
		assert_int_equal(webm_scan_more(&s, f->fd), 0);
		assert_int_equal(s.bytes, f->cluster[1]);
	}
	f->data[at] = 13;
	grow(f, 0, f->cluster[2]);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.bytes, f->cluster[2]);
	webm_scan_release(&s);
}

static void
test_file_that_shrinks(void **state)
{
	struct file *f = *state;
	struct webm_scan s = { 0 };

	grow(f, 0, f->len);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(ftruncate(f->fd, (off_t)f->cluster[2] + 1), 0);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_true(s.was_cut);
	assert_int_equal(s.bytes, f->cluster[2]);
	assert_int_equal(s.n_cues, 1);
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.bytes, 0);
	grow(f, 0, f->len);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_all(f, &s);
	webm_scan_release(&s);
}

static void
test_duration_of_a_closed_file(void **state)
{
	static const uint8_t element[] = { 0x44, 0x89, 0x88, 0x40, 0xaf, 0x40,
		0, 0, 0, 0, 0 }; /* 4000.0 */
	struct file *f = *state;
	struct webm_scan s = { 0 };

	grow(f, 0, f->len);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.duration_ms, 0);
	memcpy(f->data + 22, element, sizeof(element));
	grow(f, 0, f->len);
	assert_int_equal(webm_scan_more(&s, f->fd), 0);
	assert_int_equal(s.duration_ms, 4000);
	assert_all(f, &s);
	webm_scan_release(&s);
}

static void
test_no_file(void **state)
{
	struct webm_scan s = { 0 };

	assert_int_equal(webm_scan_more(&s, -1), ERR_IO);
	assert_int_equal(s.bytes, 0);
	webm_scan_release(&s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_at_once),
		CASE(test_byte_by_byte),
		CASE(test_unknown_size),
		CASE(test_open_frames),
		CASE(test_torn_size),
		CASE(test_file_that_shrinks),
		CASE(test_duration_of_a_closed_file),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
