/*
 * What the recorder writes beside a segment, the library reads: each field of
 * the opening and of the closed manifest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "manifest/manifest.h"
#include "recorder/session/recorder_manifest.h"
#include "tests/unit/recorder_fixture.h"

#define ID   "0f9d2f7e-1f0a-4b61-8a2b-5d8e0c9f1a23"
#define KEY  "acme/pc-7/" FIXTURE_SESSION "/monitor-2/x.webm"
#define WALL UINT64_C(1795248219000000000)

static struct fixture_spool spool;

static void
make_meta(struct meta *m)
{
	const struct fixture_meta fm = { 64, 48, 10, NS_PER_S, 1 << 20, 0,
		"vp8" };
	const char *why;
	char json[2048];
	size_t len = fixture_meta_json(&fm, json, sizeof(json));

	assert_int_equal(meta_parse(m, json, len, &why), 0);
}

static void
load(struct manifest *m, const char *name, bool closed)
{
	char err[200] = "";

	if (manifest_load(m, spool.fd, name, ID, closed, err, sizeof(err)) != 0)
		fail_msg("%s: %s", name, err);
}

static void
check_open(const struct manifest *m)
{
	assert_string_equal(m->segment, ID);
	assert_string_equal(m->session, FIXTURE_SESSION);
	assert_string_equal(m->team, "acme");
	assert_string_equal(m->endpoint, "pc-7");
	assert_string_equal(m->technician, "alice");
	assert_string_equal(m->access, "unattended");
	assert_string_equal(m->time_zone, "Europe/Berlin");
	assert_string_equal(m->object_key, KEY);
	assert_string_equal(m->split_reason, "recorder_restart");
	assert_string_equal(m->monitor_name, "DP-1 \xc3\xa9");
	assert_string_equal(m->codec, "vp8");
	assert_int_equal(m->team_id, 1);
	assert_int_equal(m->endpoint_id, 2);
	assert_int_equal(m->person_id, 3);
	assert_int_equal(m->seq, 7);
	assert_int_equal(m->monitor, 2);
	assert_int_equal(m->frame_rate, 15);
	assert_int_equal(m->width, 640);
	assert_int_equal(m->height, 480);
	assert_int_equal(m->start_mono_ns, 9 * NS_PER_S);
	assert_true((uint64_t)m->start_wall_ns == WALL);
	assert_int_equal(m->gap_start_mono_ns, 8 * NS_PER_S);
}

static void
check_end(const struct manifest *m)
{
	assert_int_equal(m->end_mono_ns, 12 * NS_PER_S);
	assert_true((uint64_t)m->end_wall_ns == WALL + 3 * NS_PER_S);
	assert_int_equal(m->first_frame, 41);
	assert_int_equal(m->frames, 5);
	assert_int_equal(m->last_frame, 45);
	assert_int_equal(m->duration_ms, 3000);
	assert_int_equal(m->bytes, 4);
	assert_int_equal(m->retention_days, 90);
	assert_true(m->recovered);
	assert_string_equal(m->end, "crash");
	assert_string_equal(m->poster, ID ".jpg");
	assert_null(m->refused);
}

static void
test_round_trip(void **state)
{
	static const struct recorder_manifest_open open = { .segment = ID,
		.object_key = KEY,
		.seq = 7,
		.split_reason = "recorder_restart",
		.monitor = 2,
		.frame_rate = 15,
		.width = 640,
		.height = 480,
		.monitor_name = "DP-1 \xc3\xa9",
		.start_mono_ns = 9 * NS_PER_S,
		.start_wall_ns = WALL,
		.first_frame = 41,
		.gap_start_ns = 8 * NS_PER_S };
	struct evidence evidence;
	const struct recorder_manifest_end end = { .end_mono_ns = 12 * NS_PER_S,
		.end_wall_ns = WALL + 3 * NS_PER_S,
		.frames = 5,
		.duration_ms = 3000,
		.bytes = 4,
		.recovered = true,
		.end = "crash",
		.evidence = &evidence,
		.has_poster = true };
	struct recorder_manifest *written;
	struct manifest m;
	struct meta meta;

	make_meta(&meta);
	written = recorder_manifest_new(&meta, &open);
	assert_non_null(written);
	assert_int_equal(
	    recorder_manifest_write(spool.fd, written, ID, ".json.open"), 0);
	load(&m, ID ".json.open", false);
	check_open(&m);
	assert_false(m.is_closed);
	manifest_release(&m);

	assert_int_equal(
	    recorder_manifest_write_file(spool.fd, ID, ".webm.part", "webm", 4),
	    0);
	evidence_init(&evidence);
	evidence_add(&evidence, 0, (const uint8_t *)"webm", 4, true);
	assert_int_equal(evidence_finish(&evidence, ID), 0);
	assert_int_equal(
	    recorder_manifest_publish(spool.fd, written, ID, &end), 0);
	load(&m, ID ".json", true);
	check_open(&m);
	check_end(&m);
	assert_true(m.has_root);
	assert_memory_equal(m.root, evidence.root, sizeof(m.root));
	manifest_release(&m);
	evidence_release(&evidence);
	recorder_manifest_free(written);
}

static int
set_up(void **state)
{
	fixture_spool_make(&spool);
	return 0;
}

static int
tear_down(void **state)
{
	fixture_spool_remove(&spool);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
