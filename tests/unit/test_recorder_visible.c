/*
 * What stood for min_visible_ms is in a frame; what was replaced sooner is
 * counted (X2). Sessions of spots that change their grey, fed to the
 * recorder's heart with times of their own; the grey is read back from every
 * frame.
 */
#include <limits.h>

#include "recorder/session/recorder_session.h"
#include "tests/unit/recorder_check.h"

#define SPOT       12 /* pixels; at odd places, over the edges of tiles */
#define N_SPOTS    5
#define N_GREYS    8
#define FRAMES_MAX 4000

/* So large that a few spots are next to nothing. */
#define WIDE 640
#define HIGH 480

struct play {
	struct meta meta;
	struct recorder_session *session;
	uint64_t offset;
};

static struct fixture_meta fm;

/* ---- feeding ---- */

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	(void)arg;
	(void)ev;
	(void)res;
}

static void
mark(struct play *p, uint32_t kind, unsigned ms, uint32_t a, uint32_t b)
{
	struct tee_mark m = { .kind = kind, .mono_ns = AT_MS(ms) };

	store_be32(m.value, a);
	store_be32(m.value + 4, b);
	assert_int_equal(recorder_session_mark(p->session, &m), 0);
}

static void
feed(struct play *p, unsigned ms, size_t len)
{
	mark(p, TEE_MARK_TIME, ms, 0, 0);
	assert_int_equal(recorder_session_feed(p->session, msg, len), 0);
}

static void
begin(struct play *p, unsigned rate, unsigned slowdown, const char *more)
{
	char json[2048];
	const char *why;

	fm = basic;
	fm.width = WIDE;
	fm.height = HIGH;
	fm.frame_rate = rate;
	fm.more = more;
	assert_int_equal(meta_parse(&p->meta, json,
			     fixture_meta_json(&fm, json, sizeof(json)), &why),
	    0);
	p->session = recorder_session_new(&p->meta, spool.fd, on_session, NULL);
	assert_non_null(p->session);
	assert_int_equal(recorder_session_start(p->session), 0);
	recorder_session_set_slowdown(p->session, slowdown);
	memset(px, 200, sizeof(px));
	feed(p, 20, fixture_raw(msg, px, WIDE, 0, 0, WIDE, HIGH));
}

/* Ends the session; returns how many files it made. */
static int
end(struct play *p, unsigned ms)
{
	mark(p, TEE_MARK_END, ms, TEE_END_NORMAL, 0);
	recorder_session_free(p->session);
	load_manifests();
	return n_manifests;
}

static int
grey_of(unsigned n)
{
	return 20 + (int)(n % N_GREYS) * 28;
}

static size_t
add_spot(uint8_t *out, unsigned spot, unsigned n)
{
	size_t len = fixture_rect(out, 21 + 50 * spot, 37, SPOT, SPOT, 0);

	memset(out + len, grey_of(n), SPOT * SPOT * 4);
	return len + SPOT * SPOT * 4;
}

/* An update of one spot. */
static void
show(struct play *p, unsigned ms, unsigned spot, unsigned n)
{
	size_t len = fixture_update(msg, 1);

	feed(p, ms, len + add_spot(msg + len, spot, n));
}

/* ---- looking ---- */

static int64_t times[FRAMES_MAX]; /* ms of the file */
static uint8_t greys[FRAMES_MAX][N_SPOTS];
static size_t n_frames;

static void
read_times(const json_t *j)
{
	char path[160], command[400];
	FILE *f;

	snprintf(command, sizeof(command),
	    "ffprobe -v error -show_entries packet=pts -of csv=p=0 %s",
	    media_path(j, path));
	f = popen(command, "r");
	for (n_frames = 0; fscanf(f, "%ld%*[^\n]", &times[n_frames]) == 1;)
		assert_true(++n_frames < FRAMES_MAX);
	assert_int_equal(pclose(f), 0);
	assert_int_equal(n_frames, num(j, "frames"));
}

/* The spots of every frame of a file. */
static void
look(const json_t *j)
{
	static uint8_t strip[WIDE * SPOT];
	char path[160], command[400];
	FILE *f;

	read_times(j);
	snprintf(command, sizeof(command),
	    "ffmpeg -v error -i %s -vf crop=%d:%d:0:37:exact=1 -f rawvideo "
	    "-pix_fmt gray -vsync 0 -enc_time_base 1:1000 -",
	    media_path(j, path), (int)num(j, "width"), SPOT);
	f = popen(command, "r");
	for (size_t i = 0; i < n_frames; i++) {
		size_t w = (size_t)num(j, "width");

		assert_int_equal(fread(strip, 1, w * SPOT, f), w * SPOT);
		for (unsigned s = 0; s < N_SPOTS && 21 + 50 * s < w; s++)
			greys[i][s] = strip[SPOT / 2 * w + 21 + 50 * s + 6];
	}
	assert_int_equal(pclose(f), 0);
}

static bool
is_grey(uint8_t luma, unsigned n)
{
	return abs(luma - grey_of(n)) < 10;
}

/* A frame of that time shows it. */
static bool
is_shown(unsigned from_ms, unsigned to_ms, unsigned spot, unsigned n)
{
	for (size_t i = 0; i < n_frames; i++)
		if (times[i] + 2 >= from_ms && times[i] - 2 <= to_ms &&
		    is_grey(greys[i][spot], n))
			return true;
	return false;
}

static int64_t
merged_in(const json_t *j, unsigned second)
{
	const json_t *s =
	    json_array_get(json_object_get(j, "activity"), second);

	return json_integer_value(json_array_get(s, 2));
}

static int64_t
merged(const json_t *j)
{
	size_t n = json_array_size(json_object_get(j, "activity"));
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += merged_in(j, (unsigned)i);
	return sum;
}

static void
done(void)
{
	for (int i = 0; i < n_manifests; i++)
		check_media(manifests[i]);
	free_manifests();
}

/* ---- tests ---- */

static void
stood_or_counted(void **state)
{
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	show(&p, 1000, 0, 0); /* at once after quiet */
	show(&p, 1050, 0, 1); /* little: it would wait until 1500 */
	show(&p, 1170, 0, 2); /* 120 ms later */
	show(&p, 2230, 0, 3);
	show(&p, 2240, 0, 4);
	show(&p, 2300, 0, 5); /* 60 ms later */
	show(&p, 2310, 1, 6); /* beside it: replaces nothing */
	assert_int_equal(end(&p, 5000), 1);
	look(manifests[0]);
	for (unsigned n = 0; n < 6; n++)
		assert_int_equal(is_shown(0, 5000, 0, n), n != 4);
	/* with the time at which the screen came to look so */
	assert_true(is_shown(1050, 1050, 0, 1));
	assert_true(is_shown(2310, 5000, 1, 6));
	assert_int_equal(merged_in(manifests[0], 1), 0);
	assert_int_equal(merged_in(manifests[0], 2), 1);
	assert_int_equal(merged(manifests[0]), 1);
	done();
}

/* So many changes of step_ms; returns those that a frame shows. */
static unsigned
flash(unsigned n, unsigned step_ms, unsigned rate, unsigned slowdown,
    const char *more, int64_t *counted)
{
	struct play p;
	unsigned shown = 0;

	begin(&p, rate, slowdown, more);
	for (unsigned i = 0; i < n; i++)
		show(&p, 1000 + i * step_ms, 0, i);
	assert_int_equal(end(&p, 1000 + n * step_ms + 2000), 1);
	look(manifests[0]);
	for (unsigned i = 0; i < n; i++)
		shown += is_shown(1000 + i * step_ms,
		    i + 1 < n ? 1000 + (i + 1) * step_ms : UINT_MAX, 0, i);
	*counted = merged(manifests[0]);
	done();
	fixture_spool_remove(&spool);
	fixture_spool_make(&spool);
	return shown;
}

/* At every rate, and when the encoder is behind. */
static void
all_that_stood_are_shown(void **state)
{
	static const unsigned rates[] = { 1, 5, 10, 30 };
	int64_t counted;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rates); i++)
		for (unsigned slowdown = 1; slowdown <= 2; slowdown++) {
			assert_int_equal(
			    flash(60, 100, rates[i], slowdown, NULL, &counted),
			    60);
			assert_int_equal(counted, 0);
		}
	assert_int_equal(flash(60, 130, 1, 2, NULL, &counted), 60);
	assert_int_equal(counted, 0);
}

/* Pictures that are shown for 80 ms. */
static void
sooner_is_counted_or_the_team_wants_it(void **state)
{
	unsigned shown;
	int64_t counted;

	(void)state;
	shown = flash(24, 80, 10, 1, NULL, &counted);
	assert_true(shown < 12);
	assert_int_equal(shown + counted, 24);
	shown = flash(24, 80, 10, 1, ",\"min_visible_ms\":40", &counted);
	assert_int_equal(shown, 24);
	assert_int_equal(counted, 0);
	shown = flash(24, 20, 10, 1, ",\"min_visible_ms\":40", &counted);
	assert_true(shown < 12);
	assert_int_equal(shown + counted, 24);
}

/* What stays costs no picture more than before. */
static void
what_stays_is_cheap(void **state)
{
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	for (unsigned i = 0; i < 40; i++) {
		show(&p, 1000 + 500 * i, 0, i % 2); /* a cursor that blinks */
		show(&p, 1050 + 500 * i, 1, i);     /* something beside it */
		show(&p, 1300 + 500 * i, 2, i);
	}
	assert_int_equal(end(&p, 22000), 1);
	assert_in_range(n_pictures(manifests[0]), 40, 45);
	assert_int_equal(merged(manifests[0]), 0);
	done();
}

/* Keys and the pointer alike make small changes worth ten a second. */
static void
input_makes_small_changes_matter(void **state)
{
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 20 == 0)
			mark(&p, TEE_MARK_INPUT, 1000 + 50 * i, 0, 9);
		show(&p, 1000 + 50 * i, i % N_SPOTS, i);
	}
	assert_int_equal(end(&p, 9000), 1);
	assert_in_range(n_pictures(manifests[0]), 48, 56);
	done();
}

/* A rectangle that arrives in parts replaces what it covers in parts. */
static void
slow_rectangle_keeps_what_stands(void **state)
{
	size_t row = (size_t)WIDE * 4, head, len;
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	show(&p, 1000, 0, 0);
	show(&p, 1050, 0, 1);
	memset(px, 90, sizeof(px));
	len = fixture_raw(msg, px, WIDE, 0, 0, WIDE, HIGH);
	head = 16 + 20 * row; /* the spot begins in row 37 */
	mark(&p, TEE_MARK_TIME, 1110, 0, 0);
	assert_int_equal(recorder_session_feed(p.session, msg, head), 0);
	mark(&p, TEE_MARK_TIME, 1300, 0, 0);
	assert_int_equal(
	    recorder_session_feed(p.session, msg + head, len - head), 0);
	assert_int_equal(end(&p, 3000), 1);
	look(manifests[0]);
	assert_true(is_shown(1050, 1300, 0, 1));
	done();
}

/* Parts of an update that takes long are seen one after the other. */
static void
slow_update_is_seen_in_parts(void **state)
{
	size_t one, two;
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	show(&p, 1000, 0, 0);
	one = fixture_update(msg, 3);
	one += add_spot(msg + one, 0, 1);
	two = add_spot(msg + one, 0, 2); /* at once: nobody saw the first */
	mark(&p, TEE_MARK_TIME, 1030, 0, 0);
	assert_int_equal(recorder_session_feed(p.session, msg, one + two), 0);
	one = add_spot(msg, 0, 3);
	mark(&p, TEE_MARK_TIME, 1200, 0, 0);
	assert_int_equal(recorder_session_feed(p.session, msg, one), 0);
	assert_int_equal(end(&p, 3000), 1);
	look(manifests[0]);
	assert_false(is_shown(0, 3000, 0, 1));
	assert_true(is_shown(1030, 1200, 0, 2));
	assert_true(is_shown(1200, 3000, 0, 3));
	assert_int_equal(merged(manifests[0]), 0);
	done();
}

static void
resize_at(struct play *p, unsigned ms, unsigned w, unsigned h)
{
	size_t n = fixture_update(msg, 1);

	feed(p, ms, n + fixture_rect(msg + n, 0, 0, w, h, -223));
}

/* A change of size replaces everything. */
static void
resize_keeps_what_was_there(void **state)
{
	struct play p;

	(void)state;
	begin(&p, 10, 1, NULL);
	show(&p, 1000, 0, 0);
	show(&p, 1050, 0, 1);
	resize_at(&p, 1080, 300, 200);
	show(&p, 1100, 0, 2);
	resize_at(&p, 1230, 280, 200); /* that stood: a file of its own */
	show(&p, 1250, 0, 3);
	resize_at(&p, 1300, 260, 200); /* that did not */
	show(&p, 1310, 0, 4);
	assert_int_equal(end(&p, 5000), 3);
	check_chain(AT_MS(5000));
	look(manifests[0]);
	assert_true(is_shown(1050, 1080, 0, 1));
	assert_int_equal(num(manifests[1], "width"), 300);
	look(manifests[1]);
	assert_true(is_shown(0, 150, 0, 2));
	assert_int_equal(num(manifests[2], "width"), 260);
	look(manifests[2]);
	assert_true(is_shown(0, 4000, 0, 4));
	assert_int_equal(merged(manifests[2]), 1);
	free_manifests();
}

static void
mark_place(struct play *p, unsigned ms, unsigned x)
{
	struct tee_mark m = { .kind = TEE_MARK_MONITOR, .mono_ns = AT_MS(ms) };

	store_be32(m.value, 1);
	store_be16(m.value + 4, (uint16_t)x);
	store_be16(m.value + 8, 160);
	store_be16(m.value + 10, HIGH);
	assert_int_equal(recorder_session_mark(p->session, &m), 0);
}

/* The monitor that is shown moves on the screen: no file ends for it. */
static void
moved_monitor_keeps_what_was_there(void **state)
{
	struct play p;

	(void)state;
	begin(&p, 10, 1,
	    ",\"monitor\":{\"index\":1,\"x\":0,\"y\":0,\"w\":160,\"h\":480,"
	    "\"name\":\"a\"}");
	show(&p, 1000, 0, 0);
	show(&p, 1050, 0, 1);
	show(&p, 1060, 4, 5); /* outside: nothing to do with it */
	mark_place(&p, 1200, 160);
	show(&p, 1300, 4, 6);
	assert_int_equal(end(&p, 3000), 1);
	look(manifests[0]);
	assert_true(is_shown(1050, 1200, 0, 1));
	done();
}

/*
 * The program itself (argv[1]) with a third of its ring full when it starts:
 * it takes frames half as often, and all of what stood.
 */
static void
behind_it_shows_what_stood(void **state)
{
	const unsigned n = 40, top = 100;
	struct child c;

	(void)state;
	fm = basic;
	fm.width = WIDE;
	fm.height = HIGH;
	child_new(&c, &fm, &spool);
	memset(px, 200, sizeof(px));
	child_feed(
	    &c, AT_MS(20), msg, fixture_raw(msg, px, WIDE, 0, 0, WIDE, HIGH));
	for (unsigned i = 0; i < n; i++) {
		size_t len = fixture_update(msg, 1);

		len += add_spot(msg + len, 0, i);
		child_feed(&c, AT_MS(1000 + 100 * i), msg, len);
		memset(px, (int)(i % 2), sizeof(px));
		child_feed(&c, AT_MS(1010 + 100 * i), msg,
		    fixture_raw(msg, px, WIDE, 0, top, WIDE, HIGH - top));
	}
	child_mark(&c, TEE_MARK_END, AT_MS(6000), TEE_END_NORMAL);
	assert_true(c.offset > (128u << 20) / 4);
	assert_int_equal(run_to_done(&c), 1);
	look(manifests[0]);
	for (unsigned i = 0; i < n; i++)
		assert_true(is_shown(
		    1000 + 100 * i, i + 1 < n ? 1100 + 100 * i : 6000, 0, i));
	done();
	child_free(&c);
}

/* ---- anything at all ---- */

#define N_EVENTS 400

struct event {
	unsigned ms, spots[N_SPOTS]; /* its value + 1, or 0 */
};

static struct event events[N_EVENTS];

static void
make_events(uint32_t seed)
{
	static const unsigned most[] = { 10, 30, 90, 160, 600 };
	unsigned ms = 500, value = 0;

	for (unsigned i = 0; i < N_EVENTS; i++) {
		unsigned n = 1 + fixture_random(&seed) % 3;

		memset(&events[i], 0, sizeof(events[i]));
		ms += 5 + fixture_random(&seed) % most[i / 7 % 5];
		events[i].ms = ms;
		while (n-- > 0)
			events[i].spots[fixture_random(&seed) % N_SPOTS] =
			    1 + value++ % N_GREYS;
	}
}

static void
feed_event(struct play *p, const struct event *e)
{
	size_t len = fixture_update(msg, 0);
	unsigned n = 0;

	for (unsigned s = 0; s < N_SPOTS; s++)
		if (e->spots[s] != 0) {
			len += add_spot(msg + len, s, e->spots[s] - 1);
			n++;
		}
	store_be16(msg + 2, (uint16_t)n);
	feed(p, e->ms, len);
}

/* When event i's spot s is drawn next, or end_ms. */
static unsigned
until(unsigned i, unsigned s, unsigned end_ms, unsigned *by)
{
	for (*by = i + 1; *by < N_EVENTS; (*by)++)
		if (events[*by].spots[s] != 0)
			return events[*by].ms;
	return end_ms;
}

/* Each value that stood is in a frame; each that is in none is counted. */
static void
check_events(unsigned end_ms, unsigned min_ms)
{
	static unsigned lost[1000]; /* updates, by second */
	bool has_lost[N_EVENTS] = { false };

	memset(lost, 0, sizeof(lost));
	for (unsigned i = 0; i < N_EVENTS; i++)
		for (unsigned s = 0; s < N_SPOTS; s++) {
			unsigned by, to = until(i, s, end_ms, &by);

			if (events[i].spots[s] == 0 ||
			    is_shown(
				events[i].ms, to, s, events[i].spots[s] - 1))
				continue;
			assert_true(to - events[i].ms < min_ms);
			assert_true(by < N_EVENTS);
			lost[to / 1000] += !has_lost[by];
			has_lost[by] = true;
		}
	for (unsigned s = 0; s * 1000 < end_ms; s++)
		assert_true(merged_in(manifests[0], s) >= (int)lost[s]);
}

static void
anything_is_shown_or_counted(void **state)
{
	static const unsigned rates[] = { 10, 1, 30 };

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		unsigned end_ms;
		struct play p;

		make_events(i + 1);
		end_ms = events[N_EVENTS - 1].ms + 900;
		begin(&p, rates[i % 3], 1 + i % 2,
		    i < 4 ? NULL : ",\"min_visible_ms\":60");
		for (unsigned k = 0; k < N_EVENTS; k++)
			feed_event(&p, &events[k]);
		assert_int_equal(end(&p, end_ms), 1);
		look(manifests[0]);
		check_events(end_ms, i < 4 ? 100 : 60);
		done();
		fixture_spool_remove(&spool);
		fixture_spool_make(&spool);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_SPOOL(stood_or_counted),
		WITH_SPOOL(all_that_stood_are_shown),
		WITH_SPOOL(sooner_is_counted_or_the_team_wants_it),
		WITH_SPOOL(what_stays_is_cheap),
		WITH_SPOOL(input_makes_small_changes_matter),
		WITH_SPOOL(slow_rectangle_keeps_what_stands),
		WITH_SPOOL(slow_update_is_seen_in_parts),
		WITH_SPOOL(resize_keeps_what_was_there),
		WITH_SPOOL(moved_monitor_keeps_what_was_there),
		WITH_SPOOL(behind_it_shows_what_stood),
		WITH_SPOOL(anything_is_shown_or_counted),
	};

	if (argc < 2)
		return 2;
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
