/*
 * Sessions of 24 hours (T9) in the times of their marks, through the real
 * recorder (argv[1]): every picture has its millisecond, players can jump to
 * it, and the file ends when the session did. In the middle the machine has
 * been up for 2^32 milliseconds; the session passes 2^32 microseconds soon
 * after its first hour.
 */
#include "common/clock.h"

#define HOUR_MS UINT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define START   (((UINT64_C(1) << 32) - DAY_MS / 2) * NS_PER_MS)

#include "recorder/session/segment.h"
#include "tests/unit/recorder_check.h"

#define SIDE       64
#define N_PICTURES 1440

static const struct fixture_meta small = { SIDE, SIDE, 10, START, 512 << 20, 0,
	"vp9" };

/* One a minute, at no round time. */
static uint64_t
picture_ms(unsigned i)
{
	return i * UINT64_C(60000) + 137 * (i % 7) + 500;
}

static unsigned
picture_grey(unsigned i)
{
	return 20 + i * 37 % 200;
}

static void
draw_grey(struct child *c, unsigned i)
{
	memset(px, (int)picture_grey(i), (size_t)SIDE * SIDE * 4);
	draw(c, AT_MS(picture_ms(i)), SIDE, SIDE);
}

/* Times of all frames of a file into out; returns how many. */
static size_t
frame_times(const json_t *j, uint64_t *out, size_t max)
{
	struct webm_reader *r;
	struct webm_block b;
	char path[160];
	size_t n = 0;
	int fd = open(media_path(j, path), O_RDONLY);

	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	while (webm_reader_next(r, &b) == 1 && n < max)
		out[n++] = b.time_ms;
	assert_int_equal(webm_reader_end(r), WEBM_END_FINISHED);
	assert_int_equal(
	    webm_reader_info(r)->duration_ms, (uint64_t)num(j, "duration_ms"));
	webm_reader_free(r);
	close(fd);
	return n;
}

/* The mean luma that a player shows after a jump to time_ms. */
static double
luma_at(const json_t *j, uint64_t time_ms)
{
	uint8_t y[SIDE * SIDE] = { 0 };
	char path[160], command[400];
	double sum = 0;
	FILE *f;

	snprintf(command, sizeof(command),
	    "ffmpeg -v error -ss %.3f -i %s -frames:v 1 -pix_fmt yuv420p -f "
	    "rawvideo -",
	    (double)time_ms / 1000, media_path(j, path));
	f = popen(command, "r");
	assert_int_equal(fread(y, 1, sizeof(y), f), sizeof(y));
	while (fgetc(f) != EOF)
		;
	pclose(f);
	for (size_t i = 0; i < sizeof(y); i++)
		sum += y[i];
	return sum / sizeof(y);
}

static void
a_day_is_one_file(void **state)
{
	static uint64_t times[8 * N_PICTURES + DAY_MS / SEGMENT_GAP_MS];
	const unsigned jumps[] = { 1, 71, 72, 90, 719, 720, 721, 1000, 1439 };
	size_t n, at = 0;
	struct child c;
	const json_t *j;

	(void)state;
	child_new(&c, &small, &spool);
	for (unsigned i = 0; i < N_PICTURES; i++)
		draw_grey(&c, i);
	child_mark(&c, TEE_MARK_END, AT_MS(DAY_MS), TEE_END_MAX_DURATION);
	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(DAY_MS));
	j = manifests[0];
	assert_string_equal(text(j, "end"), "max_duration");
	assert_int_equal(num(j, "duration_ms"), DAY_MS);
	assert_int_equal(num(j, "end_wall_ns") - num(j, "start_wall_ns"),
	    DAY_MS * NS_PER_MS);
	assert_int_equal(
	    json_array_size(json_object_get(j, "activity")), DAY_MS / 1000);

	n = frame_times(j, times, N_ELEMENTS(times));
	assert_int_equal(n, num(j, "frames"));
	assert_int_equal(times[0], 0); /* shows the first picture */
	assert_int_equal(times[n - 1], DAY_MS - 1);
	for (unsigned i = 1; i < N_PICTURES; i++) {
		while (at < n && times[at] < picture_ms(i))
			at++;
		assert_true(at < n && times[at] == picture_ms(i));
	}
	for (size_t i = 0; i < N_ELEMENTS(jumps); i++) {
		double want = 16 + picture_grey(jumps[i]) * 219.0 / 255;

		assert_true(fabs(luma_at(j, picture_ms(jumps[i])) - want) < 3);
	}
	free_manifests();
	child_free(&c);
}

/* A file that is full late in the day: the bound holds, nothing is lost. The
 * repeats of 23 quiet hours take some 45 bytes each. */
#define FULL_BYTES ((1 << 20) + 48 * 23 * 3600)

static void
splits_late(void **state)
{
	struct fixture_meta fm = small;
	struct child c;
	int n;

	(void)state;
	fm.segment_bytes = FULL_BYTES;
	child_new(&c, &fm, &spool);
	for (unsigned i = 0; i < N_PICTURES - 60; i++)
		draw_grey(&c, i);
	for (unsigned i = 0; i < 1200; i++) {
		fixture_noise(px, SIDE, SIDE, i);
		draw(&c, AT_MS(23 * HOUR_MS + 110 * i), SIDE, SIDE);
	}
	child_mark(&c, TEE_MARK_END, AT_MS(DAY_MS), TEE_END_MAX_DURATION);
	n = run_to_done(&c);
	assert_in_range(n, 2, N_MAX - 1);
	check_chain(AT_MS(DAY_MS));
	for (int i = 0; i < n; i++) {
		const json_t *j = manifests[i];

		assert_true(num(j, "bytes") <= FULL_BYTES);
		assert_true(i + 1 == n || num(j, "bytes") > FULL_BYTES * 0.97);
		assert_string_equal(
		    text(j, "split_reason"), i == 0 ? "start" : "size");
	}
	assert_true(num(manifests[0], "duration_ms") > (int64_t)(23 * HOUR_MS));
	free_manifests();
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(a_day_is_one_file),
		WITH_SPOOL(splits_late),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
