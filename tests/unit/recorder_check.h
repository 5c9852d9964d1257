/*
 * For tests that run the real relaycam-recorder (argv[1]) on a ring and look
 * at what it wrote, with ffprobe and ffmpeg. Header only, as each test
 * program uses another part.
 */
#ifndef TESTS_UNIT_RECORDER_CHECK_H
#define TESTS_UNIT_RECORDER_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <libyuv/convert.h>
#include <math.h>
#include <sys/stat.h>
#include <time.h>

#include "manifest/evidence.h"
#include "recorder/frame/encoder.h"
#include "webm/webm_reader.h"
#include "tests/unit/recorder_child.h"

#define W 320
#define H 240
#ifndef START
#define START (100 * NS_PER_S)
#endif
#define AT_MS(ms) (START + (uint64_t)(ms)*NS_PER_MS)
#define N_MAX     32 /* segments that a test looks at */

static const char *program;
static struct fixture_spool spool;
static uint8_t px[640 * 480 * 4], msg[640 * 480 * 4 + 64];

static const struct fixture_meta basic = { W, H, 10, START, 64 << 20, 0,
	"vp9" };

static inline void
draw(struct child *c, uint64_t ns, unsigned w, unsigned h)
{
	child_feed(c, ns, msg, fixture_raw(msg, px, w, 0, 0, w, h));
}

static inline void
resize(struct child *c, uint64_t ns, unsigned w, unsigned h)
{
	size_t n = fixture_update(msg, 1);

	n += fixture_rect(msg + n, 0, 0, w, h, -223);
	child_feed(c, ns, msg, n);
}

/* ---- what is in the spool ---- */

static json_t *manifests[N_MAX];
static int n_manifests;

static inline int64_t
num(const json_t *j, const char *field)
{
	assert_true(json_is_integer(json_object_get(j, field)));
	return json_integer_value(json_object_get(j, field));
}

static inline const char *
text(const json_t *j, const char *field)
{
	const char *s = json_string_value(json_object_get(j, field));

	assert_non_null(s);
	return s;
}

/* Loads all manifests, in the order of seq. */
static inline void
load_manifests(void)
{
	DIR *d = opendir(spool.path);
	const struct dirent *e;

	n_manifests = 0;
	while ((e = readdir(d)) != NULL) {
		const char *dot = strchr(e->d_name, '.');
		char path[400];
		json_t *j;
		int i;

		if (dot == NULL || strcmp(dot, ".json") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", spool.path, e->d_name);
		j = json_load_file(path, 0, NULL);
		assert_non_null(j);
		assert_true(n_manifests < N_MAX);
		for (i = n_manifests++;
		     i > 0 && num(manifests[i - 1], "seq") > num(j, "seq"); i--)
			manifests[i] = manifests[i - 1];
		manifests[i] = j;
	}
	closedir(d);
}

static inline void
free_manifests(void)
{
	while (n_manifests > 0)
		json_decref(manifests[--n_manifests]);
}

static inline char *
media_path(const json_t *j, char out[160])
{
	snprintf(out, 160, "%s/%s.webm", spool.path, text(j, "segment"));
	return out;
}

/* The first line that a shell command prints. */
static inline void
ask(char *out, size_t len, const char *format, const char *path)
{
	char command[600];
	FILE *f;

	snprintf(command, sizeof(command), format, path);
	f = popen(command, "r");
	assert_non_null(f);
	if (fgets(out, (int)len, f) == NULL)
		out[0] = '\0';
	assert_int_equal(pclose(f), 0);
}

static inline int64_t
read_fd(void *arg, uint64_t offset, uint8_t *buf, size_t len)
{
	return pread(*(int *)arg, buf, len, (off_t)offset);
}

/* X3: every byte of the file is that which was hashed. */
static inline void
check_evidence(const json_t *j, const char *path)
{
	struct evidence_fault fault = { 0 };
	const char *why = "";
	struct evidence e;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(evidence_parse(&e, j, &why), 0);
	assert_int_equal(evidence_verify(&e, read_fd, &fd, &fault), 0);
	evidence_release(&e);
	close(fd);
}

/* Whether a frame of a file shows the picture before it once more. */
static inline bool
is_repeat(int fd, const struct webm_block *b)
{
	uint8_t p[3];
	ssize_t n = pread(fd, p, min_size(sizeof(p), b->len), (off_t)b->offset);

	assert_true(n > 0);
	return encoder_is_repeat(p, (size_t)n);
}

/* Decodes everything: frames, size and duration are as the manifest says. */
static inline void
check_media(const json_t *j)
{
	char path[160], line[128];
	struct stat st;

	assert_int_equal(stat(media_path(j, path), &st), 0);
	assert_int_equal(st.st_size, num(j, "bytes"));
	check_evidence(j, path);
	ask(line, sizeof(line),
	    "ffprobe -v error -count_frames -show_entries "
	    "stream=nb_read_frames -of csv=p=0 %s 2>&1",
	    path);
	assert_int_equal(atoll(line), num(j, "frames"));
	ask(line, sizeof(line),
	    "ffprobe -v error -show_entries stream=width,height -of "
	    "csv=p=0:s=x %s 2>&1",
	    path);
	assert_int_equal(atoll(line), num(j, "width"));
	assert_int_equal(atoll(strchr(line, 'x') + 1), num(j, "height"));
	ask(line, sizeof(line),
	    "ffprobe -v error -show_entries format=duration -of csv=p=0 "
	    "%s 2>&1",
	    path);
	assert_true(
	    fabs(atof(line) * 1000 - (double)num(j, "duration_ms")) < 2);
	ask(line, sizeof(line),
	    "ffprobe -v error -show_entries format_tags=SEGMENT -of csv=p=0 "
	    "%s 2>&1",
	    path);
	assert_int_equal(
	    strncmp(line, json_string_value(json_object_get(j, "segment")), 36),
	    0);
	ask(line, sizeof(line),
	    "ffmpeg -v error -y -i %s -vsync 0 -enc_time_base 1:1000 -f "
	    "rawvideo /dev/null 2>&1",
	    path);
	assert_string_equal(line, "");
}

/* Times of the frames that are no repeats of the one before, the first `max`
 * of them; returns how many there are. */
static inline int64_t
changed_times(const json_t *j, uint64_t *ms, int64_t max)
{
	struct webm_reader *r;
	struct webm_block b;
	char path[160];
	int64_t n = 0;
	int fd = open(media_path(j, path), O_RDONLY);

	assert_int_equal(webm_reader_new_fd(&r, fd), 0);
	while (webm_reader_next(r, &b) == 1) {
		if (is_repeat(fd, &b))
			continue;
		if (n < max)
			ms[n] = b.time_ms;
		n++;
	}
	webm_reader_free(r);
	close(fd);
	return n;
}

static inline int64_t
n_pictures(const json_t *j)
{
	return changed_times(j, NULL, 0);
}

/* X2: numbers without holes, times without gaps, over all segments. */
static inline void
check_chain(uint64_t end_ns)
{
	int64_t frame = 1, ns = (int64_t)START;

	for (int i = 0; i < n_manifests; i++) {
		const json_t *j = manifests[i];

		assert_int_equal(num(j, "seq"), i + 1);
		assert_int_equal(num(j, "first_frame"), frame);
		assert_int_equal(
		    num(j, "last_frame"), frame + num(j, "frames") - 1);
		frame += num(j, "frames");
		assert_int_equal(num(j, "start_mono_ns"), ns);
		ns = num(j, "end_mono_ns");
		if (i + 1 < n_manifests)
			assert_string_equal(text(j, "end"),
			    text(manifests[i + 1], "split_reason"));
		check_media(j);
	}
	assert_int_equal(ns, end_ns);
}

/*
 * Y-PSNR in dB of the last frame against w x h of px from x, y on, which is
 * stride pixels wide.
 */
static inline double
last_crop_psnr(const json_t *j, unsigned stride, unsigned x, unsigned y,
    unsigned w, unsigned h)
{
	size_t cw = (w + 1) / 2, ch = (h + 1) / 2;
	size_t len_y = (size_t)w * h, len = len_y + 2 * cw * ch;
	uint8_t *want = malloc(len), *got = malloc(len);
	char path[160], command[600];
	double sum = 0;
	FILE *f;
	size_t n;

	ARGBToI420(px + ((size_t)y * stride + x) * 4, (int)stride * 4, want,
	    (int)w, want + len_y, (int)cw, want + len_y + cw * ch, (int)cw,
	    (int)w, (int)h);
	snprintf(command, sizeof(command),
	    "ffmpeg -v error -i %s -f rawvideo -pix_fmt yuv420p -vsync 0 - "
	    "| tail -c %zu",
	    media_path(j, path), len);
	f = popen(command, "r");
	n = fread(got, 1, len, f);
	pclose(f);
	assert_int_equal(n, len);
	for (size_t i = 0; i < len_y; i++)
		sum += (got[i] - want[i]) * (got[i] - want[i]);
	free(want);
	free(got);
	return sum == 0 ? 99 : 10 * log10(255.0 * 255.0 * (double)len_y / sum);
}

/* The same of a picture that is as large as px. */
static inline double
last_frame_psnr(const json_t *j, unsigned w, unsigned h)
{
	return last_crop_psnr(j, w, 0, 0, w, h);
}

/* READY, a SEGMENT for each file, DONE; exit 0. Returns the segments. */
static inline int
run_to_done(struct child *c)
{
	struct tee_status st;
	int n = 0, status;

	child_start(c, program);
	assert_true(child_status(c, &st));
	assert_int_equal(st.kind, TEE_STATUS_READY);
	while (child_status(c, &st) && st.kind == TEE_STATUS_SEGMENT)
		n++;
	assert_int_equal(st.kind, TEE_STATUS_DONE);
	status = child_wait(c);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(fixture_spool_count(&spool, ".json", NULL), n);
	assert_int_equal(fixture_spool_count(&spool, ".webm", NULL), n);
	assert_int_equal(fixture_spool_count(&spool, ".jpg", NULL), n);
	assert_int_equal(fixture_spool_count(&spool, "", NULL), 3 * n);
	load_manifests();
	return n;
}

/* Waits until the recorder has taken all bytes and written some frames. */
static inline void
wait_written(struct child *c, off_t bytes)
{
	uint64_t until = clock_mono_ns() + CHILD_WAIT_MS * NS_PER_MS;
	struct timespec ms = { .tv_nsec = 1000000 };
	struct stat st = { 0 };
	char name[64];

	while (
	    st.st_size < bytes || tee_writer_get_recorded(c->tee) < c->offset) {
		assert_true(clock_mono_ns() < until);
		nanosleep(&ms, NULL);
		if (fixture_spool_count(&spool, ".webm.part", name) == 1)
			fstatat(spool.fd, name, &st, 0);
	}
}

static inline int
setup(void **state)
{
	(void)state;
	fixture_spool_make(&spool);
	return 0;
}

static inline int
teardown(void **state)
{
	(void)state;
	fixture_spool_remove(&spool);
	return 0;
}

#define WITH_SPOOL(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
