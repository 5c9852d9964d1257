/*
 * The last picture once more while the screen is still, through the real
 * recorder (argv[1]): what every player needs of a quiet recording,
 * docs/webm.md.
 */
#include "recorder/session/segment.h"
#include "tests/unit/recorder_check.h"

#define FRAMES_MAX 4096

static struct webm_block frames[FRAMES_MAX];
static bool repeats[FRAMES_MAX]; /* which of them are */
static size_t n_frames;

static void
load_frames(const json_t *j)
{
	struct webm_reader *r;
	char path[160];
	int fd = open(media_path(j, path), O_RDONLY);

	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	for (n_frames = 0; webm_reader_next(r, &frames[n_frames]) == 1;) {
		repeats[n_frames] = is_repeat(fd, &frames[n_frames]);
		assert_true(++n_frames < FRAMES_MAX);
	}
	assert_int_equal(webm_reader_end(r), WEBM_END_FINISHED);
	webm_reader_free(r);
	close(fd);
}

/* The frame that a jump to time_ms shows: the first from there on. */
static size_t
frame_at(uint64_t time_ms)
{
	for (size_t i = 0; i < n_frames; i++)
		if (frames[i].time_ms >= time_ms)
			return i;
	fail();
	return 0;
}

static const unsigned changes[] = { 0, 3037, 3400, 9200, 9350, 30000 };

/* How many changes frame i shows: those until the last one that is no
 * repeat. */
static unsigned
shown_by(size_t i)
{
	unsigned n = 0;

	while (repeats[i])
		i--;
	while (n < N_ELEMENTS(changes) && changes[n] <= frames[i].time_ms)
		n++;
	return n;
}

static void
change(struct child *c, unsigned ms, unsigned seed)
{
	fixture_desktop(px, W, H, seed);
	draw(c, AT_MS(ms), W, H);
}

/*
 * A MediaSource player that begins at any key frame takes the last frame of a
 * cluster to be as long as the longest it knows from there, and drops what
 * comes later than twice that.
 */
static void
check_no_hole(void)
{
	uint64_t longest = 0;

	for (size_t i = 1; i < n_frames; i++) {
		uint64_t gap = frames[i].time_ms - frames[i - 1].time_ms;

		if (frames[i].cluster.offset != frames[i - 1].cluster.offset)
			assert_true(gap <= 2 * longest);
		else
			longest = max_u64(longest, gap);
		if (frames[i].is_key)
			longest = 0;
	}
}

static void
check_end(const json_t *j)
{
	const struct webm_block *last = &frames[n_frames - 1];

	assert_true(n_frames > 1);
	assert_int_equal(last->time_ms + 1, (uint64_t)num(j, "duration_ms"));
	assert_int_equal(last->duration_ms, 1);
	assert_int_equal(last->time_ms - last[-1].time_ms, 10);
}

/* By `decoder` (NULL: the one of ffmpeg), a line a frame. */
static void
frame_sums(const json_t *j, const char *decoder, char sums[][48])
{
	char path[160], command[400];
	size_t n = 0;
	FILE *f;

	snprintf(command, sizeof(command),
	    "ffmpeg -v error %s %s -i %s -fps_mode passthrough -f framemd5 - | "
	    "grep -v '^#' | sed 's/.* //'",
	    decoder != NULL ? "-c:v" : "", decoder != NULL ? decoder : "",
	    media_path(j, path));
	f = popen(command, "r");
	assert_non_null(f);
	while (n < FRAMES_MAX && fgets(sums[n], sizeof(sums[n]), f) != NULL)
		n++;
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n, n_frames);
}

/* A repeat shows what the frame before it showed, bit by bit, to each decoder;
 * they agree on all that comes later too. */
static void
check_pictures(const json_t *j)
{
	static char sums[FRAMES_MAX][48], vpx[FRAMES_MAX][48];

	frame_sums(j, NULL, sums);
	frame_sums(j, "libvpx-vp9", vpx);
	for (size_t i = 0; i < n_frames; i++) {
		assert_string_equal(sums[i], vpx[i]);
		if (repeats[i])
			assert_string_equal(sums[i], sums[i - 1]);
		else if (i > 0)
			assert_string_not_equal(sums[i], sums[i - 1]);
	}
}

static const struct fixture_meta quiet_meta = { W, H, 10, START, 64 << 20, 0,
	"vp9" };

static void
a_still_screen_is_repeated(void **state)
{
	struct child c;

	(void)state;
	child_new(&c, &quiet_meta, &spool);
	for (unsigned i = 0; i < N_ELEMENTS(changes); i++)
		change(&c, changes[i], i);
	child_mark(&c, TEE_MARK_END, AT_MS(43800), TEE_END_NORMAL);
	assert_int_equal(run_to_done(&c), 1);
	check_chain(AT_MS(43800));
	load_frames(manifests[0]);
	for (size_t i = 1; i < n_frames; i++)
		assert_true(frames[i].time_ms - frames[i - 1].time_ms <=
		    SEGMENT_GAP_MS);
	/* as few as that: one a second, one before a change, two at the end */
	assert_true(n_frames - (size_t)n_pictures(manifests[0]) <=
	    44 + N_ELEMENTS(changes) + 2);
	for (unsigned i = 1; i < N_ELEMENTS(changes); i++) {
		size_t k = frame_at(changes[i]);

		assert_int_equal(frames[k].time_ms, changes[i]);
		assert_int_equal(shown_by(k), i + 1);
		/* 250 ms before the change a still is of what was there */
		if (changes[i] - changes[i - 1] > 250)
			assert_int_equal(
			    shown_by(frame_at(changes[i] - 250)), i);
	}
	check_no_hole();
	check_end(manifests[0]);
	check_pictures(manifests[0]);
	/* Firefox takes one byte for no picture at all */
	for (size_t i = 0; i < n_frames; i++)
		assert_true(frames[i].len > 1);
	free_manifests();
	child_free(&c);
}

/* A file that ends when a repeat is due, just before and just after. */
static void
any_end_is_exact(void **state)
{
	(void)state;
	for (unsigned ms = 985; ms <= 1005; ms += 2) {
		struct child c;

		child_new(&c, &quiet_meta, &spool);
		change(&c, 0, 1);
		child_mark(&c, TEE_MARK_END, AT_MS(ms), TEE_END_NORMAL);
		assert_int_equal(run_to_done(&c), 1);
		check_chain(AT_MS(ms));
		assert_int_equal(num(manifests[0], "duration_ms"), ms);
		load_frames(manifests[0]);
		assert_int_equal(frames[n_frames - 1].time_ms + 1, ms);
		assert_int_equal(frames[n_frames - 1].duration_ms, 1);
		free_manifests();
		child_free(&c);
		fixture_spool_remove(&spool);
		fixture_spool_make(&spool);
	}
}

/* Files that are full, before a picture or before the repeat in front of it:
 * the encoder has gone ahead of what is in them. */
static void
full_files_show_the_same(void **state)
{
	static const struct fixture_meta full = { W, H, 10, START, 1 << 20, 0,
		"vp9" };
	struct child c;
	int n;

	(void)state;
	child_new(&c, &full, &spool);
	for (unsigned i = 0; i < 180; i++) {
		if (i % 3 == 0)
			fixture_desktop(px, W, H, i);
		else
			fixture_noise(px, W, H / (1 + i % 2), i);
		draw(&c, AT_MS(i * 300 + i % 7 * 10), W, H);
	}
	child_mark(&c, TEE_MARK_END, AT_MS(55000), TEE_END_NORMAL);
	n = run_to_done(&c);
	assert_in_range(n, 4, N_MAX - 1);
	check_chain(AT_MS(55000));
	for (int i = 0; i < n; i++) {
		assert_true(num(manifests[i], "bytes") <= 1 << 20);
		load_frames(manifests[i]);
		check_no_hole();
		check_pictures(manifests[i]);
		assert_int_equal(frames[n_frames - 1].duration_ms, 1);
	}
	free_manifests();
	child_free(&c);
}

/* Clusters of repeats are long: they cost a sync each. A jump into the last
 * second decodes ten minutes of them at most. */
static void
a_quiet_hour_costs_little(void **state)
{
	size_t n_clusters = 0, n_keys = 0, since_key = 0;
	uint64_t offset = 0, picture_bytes = 0;
	struct child c;

	(void)state;
	child_new(&c, &quiet_meta, &spool);
	change(&c, 0, 1);
	child_mark(&c, TEE_MARK_END, AT_MS(3600000), TEE_END_NORMAL);
	assert_int_equal(run_to_done(&c), 1);
	load_frames(manifests[0]);
	for (size_t i = 0; i < n_frames; i++) {
		n_clusters += frames[i].cluster.offset != offset;
		offset = frames[i].cluster.offset;
		picture_bytes += repeats[i] ? 0 : frames[i].len;
		n_keys += frames[i].is_key;
		since_key = frames[i].is_key ? 0 : since_key + 1;
		assert_true(since_key <= 610);
	}
	check_no_hole();
	check_end(manifests[0]);
	assert_in_range(n_frames, 3600, 3660);
	assert_in_range(n_clusters, 600, 760);
	assert_int_equal(n_keys, 6);
	assert_true(
	    (uint64_t)num(manifests[0], "bytes") - picture_bytes < 180 * 1024);
	assert_true(last_frame_psnr(manifests[0], W, H) >= 45);
	free_manifests();
	child_free(&c);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(a_still_screen_is_repeated),
		WITH_SPOOL(any_end_is_exact),
		WITH_SPOOL(full_files_show_the_same),
		WITH_SPOOL(a_quiet_hour_costs_little),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
