/* M5, X3: what is cut out of a recording, and what ties it to that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "manifest/clip.h"
#include "common/err.h"
#include "webm/webm_writer.h"
#include "storage/clips/clip_cut.h"
#include "webm/webm_scan.h"

#define SEGMENT   "6d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f"
#define CLIP      "11111111-2222-4333-8444-555555555555"
#define N_FRAMES  600
#define STEP_MS   100
#define KEY_EVERY 25 /* frames */
#define KEY_MS    (KEY_EVERY * STEP_MS)
#define FRAME_LEN 12000
#define LEN_MS    (N_FRAMES * STEP_MS)

struct original {
	int fd;
	uint64_t size;
	struct evidence e;
	struct webm_view v;
};
static struct original o;

static void
on_block(void *arg, enum webm_block_kind kind, uint64_t offset,
    const uint8_t *data, size_t len)
{
	evidence_add(arg, offset, data, len, kind != WEBM_BLOCK_CLUSTER);
}

static void
put_frames(struct webm_writer *w)
{
	static uint8_t data[FRAME_LEN];

	for (unsigned n = 0; n < N_FRAMES; n++) {
		struct webm_frame f = { .time_ms = (uint64_t)n * STEP_MS,
			.data = data,
			.len = FRAME_LEN - n % 7,
			.is_key = n % KEY_EVERY == 0 };

		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = (uint8_t)(i * 31 + n * 7 + (i >> 8));
		assert_int_equal(webm_writer_frame(w, &f), 0);
	}
}

static int
setup(void **state)
{
	const struct webm_params p = { .width = 320,
		.height = 200,
		.uuid = { 0xab },
		.date_wall_ns = UINT64_C(1767225600000000000),
		.on_block = on_block,
		.arg = &o.e };
	struct webm_writer *w;
	struct stat st;

	o.fd = memfd_create("original", MFD_CLOEXEC);
	evidence_init(&o.e);
	assert_int_equal(webm_writer_new(&w, o.fd, &p), 0);
	put_frames(w);
	assert_int_equal(webm_writer_finish(w, LEN_MS), 0);
	webm_writer_free(w);
	assert_int_equal(evidence_finish(&o.e, SEGMENT), 0);
	assert_true(o.e.n > 6);
	assert_int_equal(fstat(o.fd, &st), 0);
	o.size = (uint64_t)st.st_size;
	o.v = (struct webm_view){ webm_read_file, &o.fd, o.size };
	return 0;
}

static int
teardown(void **state)
{
	evidence_release(&o.e);
	return close(o.fd);
}

/* A clip, and all that a verifier has of it. */
struct clip {
	int fd;
	struct clip_plan plan;
	struct clip_made made;
	json_t *manifest;
	struct clip_facts facts; /* as they were read */
	struct evidence e;
};

static json_t *
state(struct clip *c, const char *id)
{
	struct clip_facts *f = &c->made.facts;
	json_t *j;

	f->id = id;
	f->segment = SEGMENT;
	f->person = "alice";
	f->reason = "complaint 4711";
	f->made_at = "2026-11-21T09:15:02.123Z";
	j = clip_to_json(f);
	assert_non_null(j);
	assert_int_equal(json_object_set_new(j, "evidence",
			     evidence_to_json(&c->made.evidence)),
	    0);
	return j;
}

static void
read_back(struct clip *c)
{
	const char *why = "";

	assert_int_equal(clip_read(&c->facts, c->manifest, &why), 0);
	evidence_release(&c->e);
	assert_int_equal(evidence_parse_clip(&c->e, c->manifest, c->facts.id,
			     c->facts.root, &why),
	    0);
}

static void
cut(struct clip *c, uint64_t from_ms, uint64_t to_ms)
{
	const char *why = "";

	memset(c, 0, sizeof(*c));
	c->fd = memfd_create("clip", MFD_CLOEXEC);
	assert_int_equal(
	    clip_plan(&c->plan, &o.v, &o.e, from_ms, to_ms, &why), 0);
	assert_int_equal(
	    clip_cut(&c->made, &c->plan, &o.v, &o.e, CLIP, to_ms, c->fd, &why),
	    0);
	c->made.facts.asked_from_ms = (int64_t)from_ms;
	c->made.facts.asked_to_ms = (int64_t)to_ms;
	c->manifest = state(c, CLIP);
	read_back(c);
}

static void
drop(struct clip *c)
{
	evidence_release(&c->e);
	evidence_release(&c->made.evidence);
	json_decref(c->manifest);
	close(c->fd);
}

static int
compare(struct clip *c, uint64_t *tail, struct clip_fault *fault)
{
	return clip_compare(
	    &c->facts, &c->e, &o.e, webm_read_file, &c->fd, tail, fault);
}

/* As somebody with a known key would do: its own evidence fits again. */
static void
restate(struct clip *c)
{
	struct evidence e;
	uint64_t at = c->plan.header_len;
	struct stat st;
	uint8_t *data;

	assert_int_equal(fstat(c->fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(pread(c->fd, data, (size_t)st.st_size, 0), st.st_size);
	evidence_init(&e);
	evidence_add(&e, at, data + at, (size_t)st.st_size - at, false);
	evidence_add(&e, 0, data, at, true);
	assert_int_equal(evidence_finish_clip(&e, CLIP, c->made.facts.root), 0);
	free(data);
	evidence_release(&c->made.evidence);
	c->made.evidence = e;
	json_decref(c->manifest);
	c->manifest = state(c, CLIP);
	read_back(c);
}

/* ---- what is cut ---- */

/* Times and bytes of a clip's clusters beside those of the original's. */
static void
same_clusters(const struct clip *c)
{
	struct webm_view v = { webm_read_file, (void *)(uintptr_t)&c->fd,
		c->made.bytes };
	uint64_t at = c->plan.header_len, from = c->made.facts.from;
	static uint8_t a[2 << 20], b[2 << 20];
	struct webm_cluster k, was;

	while (from < c->made.facts.to) {
		size_t len;

		assert_int_equal(webm_get_cluster(&v, at, &k), 1);
		assert_int_equal(webm_get_cluster(&o.v, from, &was), 1);
		len = (size_t)(k.end - k.at);
		assert_int_equal(len, was.end - was.at);
		assert_true(len <= sizeof(a));
		assert_int_equal(
		    k.time_ms + (uint64_t)c->made.facts.from_ms, was.time_ms);
		assert_int_equal(webm_get(&v, at, a, len), 1);
		assert_int_equal(webm_get(&o.v, from, b, len), 1);
		memset(a + (k.time_at - at), 0, k.time_len);
		memset(b + (was.time_at - from), 0, was.time_len);
		assert_memory_equal(a, b, len);
		at = k.end;
		from = was.end;
	}
	assert_int_equal(webm_get_cluster(&v, at, &k), ERR_EOF);
}

/* A reader of our files sees a finished one, whose cues lead to key frames. */
static void
is_a_recording(const struct clip *c)
{
	struct webm_scan s = { 0 };
	const struct clip_facts *f = &c->made.facts;

	while (webm_scan_more(&s, c->fd) == 1)
		continue;
	assert_int_equal(s.end, WEBM_SCAN_CUES);
	assert_int_equal(s.duration_ms, f->to_ms - f->from_ms);
	assert_int_equal(s.header_len, c->plan.header_len);
	for (size_t i = 0; i < s.n_cues; i++)
		assert_int_equal(s.cues[i].time_ms, i * KEY_MS);
	assert_int_equal(
	    s.n_cues, (f->to_ms - f->from_ms + KEY_MS - 1) / KEY_MS);
	webm_scan_release(&s);
}

static void
good(uint64_t from_ms, uint64_t to_ms)
{
	struct evidence_fault fault;
	struct clip_fault wrong;
	uint64_t tail = 0;
	struct clip c;

	cut(&c, from_ms, to_ms);
	assert_int_equal(c.facts.from_ms, from_ms / KEY_MS * KEY_MS);
	assert_true(c.facts.to_ms >= (int64_t)min_u64(to_ms, LEN_MS));
	assert_true(c.facts.to_ms < (int64_t)to_ms + 1000);
	same_clusters(&c);
	is_a_recording(&c);
	assert_int_equal(
	    evidence_verify(&c.e, webm_read_file, &c.fd, &fault), 0);
	assert_int_equal(compare(&c, &tail, &wrong), 0);
	assert_true(tail < EVIDENCE_BLOCK_MIN + 12 * FRAME_LEN);
	assert_true(c.facts.to_ms < LEN_MS || tail == 0);
	drop(&c);
}

static void
test_every_range_is_tied_to_its_original(void **s)
{
	good(0, LEN_MS);
	good(0, 1);
	good(LEN_MS - 1, LEN_MS + 5000);
	for (uint64_t i = 0; i < 60; i++) {
		uint64_t from_ms = i * 7919 % (LEN_MS - 100);

		good(from_ms, from_ms + 1 + i * 1031 % 20000);
	}
}

static void
test_ranges_that_are_none(void **s)
{
	struct clip_plan p;
	const char *why = NULL;

	assert_int_equal(
	    clip_plan(&p, &o.v, &o.e, LEN_MS, LEN_MS + 1, &why), ERR_LIMIT);
	assert_non_null(strstr(why, "behind the recording's end"));
}

/* ---- an original that was changed ---- */

static void
flip(int fd, uint64_t at)
{
	uint8_t b;

	assert_int_equal(pread(fd, &b, 1, (off_t)at), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, (off_t)at), 1);
}

static void
test_nothing_is_cut_from_changed_bytes(void **s)
{
	const uint64_t places[] = { 100, 3 << 20, (3 << 20) + 500000,
		o.size - 10 };
	struct clip_made made;
	struct clip_plan p;
	const char *why;

	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		int rc, fd = memfd_create("clip", MFD_CLOEXEC);

		flip(o.fd, places[i]);
		memset(&made, 0, sizeof(made));
		rc = clip_plan(&p, &o.v, &o.e, 0, LEN_MS, &why);
		if (rc == 0)
			rc = clip_cut(
			    &made, &p, &o.v, &o.e, CLIP, LEN_MS, fd, &why);
		assert_int_equal(rc, ERR_CORRUPT);
		assert_non_null(strstr(why, "not as it was recorded"));
		evidence_release(&made.evidence);
		flip(o.fd, places[i]);
		close(fd);
	}
}

/* ---- a clip that was changed, with evidence that fits it ---- */

/* Bytes of the clip from `at` on go on with those from `next`. */
static void
remove_bytes(struct clip *c, uint64_t at, uint64_t next)
{
	size_t len = (size_t)(c->made.bytes - next);
	uint8_t *rest = malloc(len);

	assert_int_equal(pread(c->fd, rest, len, (off_t)next), len);
	assert_int_equal(pwrite(c->fd, rest, len, (off_t)at), len);
	c->made.bytes -= next - at;
	assert_int_equal(ftruncate(c->fd, (off_t)c->made.bytes), 0);
	free(rest);
}

static void
nth_cluster(const struct clip *c, size_t n, struct webm_cluster *k)
{
	struct webm_view v = { webm_read_file, (void *)(uintptr_t)&c->fd,
		c->made.bytes };
	uint64_t at = c->plan.header_len;

	for (size_t i = 0; i <= n; i++, at = k->end)
		assert_int_equal(webm_get_cluster(&v, at, k), 1);
}

static enum clip_fault_kind
found(struct clip *c, struct clip_fault *fault)
{
	uint64_t tail;

	restate(c);
	assert_int_equal(compare(c, &tail, fault), ERR_CORRUPT);
	drop(c);
	return fault->kind;
}

static void
test_a_changed_byte_is_named(void **s)
{
	struct clip_fault f;
	struct webm_cluster k;
	struct clip c;
	uint64_t at;

	cut(&c, 21000, 41000);
	nth_cluster(&c, 6, &k);
	at = k.end - 3;
	flip(c.fd, at);
	assert_int_equal(found(&c, &f), CLIP_CONTENT);
	assert_true(f.offset <= at && at < f.offset + f.len);
	assert_true(f.len < EVIDENCE_BLOCK_MIN + 12 * FRAME_LEN);
}

static void
test_clusters_left_out_or_turned_around_are_found(void **s)
{
	struct clip_fault f;
	struct webm_cluster k, next;
	struct clip c;
	uint8_t *data;

	cut(&c, 21000, 41000);
	nth_cluster(&c, 6, &k);
	remove_bytes(&c, k.at, k.end);
	c.made.facts.to -= k.end - k.at;
	assert_int_equal(found(&c, &f), CLIP_CONTENT);

	cut(&c, 21000, 41000);
	nth_cluster(&c, 6, &k);
	nth_cluster(&c, 7, &next);
	data = malloc((size_t)(next.end - k.at));
	pread(c.fd, data, (size_t)(next.end - k.at), (off_t)k.at);
	pwrite(c.fd, data + (k.end - k.at), (size_t)(next.end - next.at),
	    (off_t)k.at);
	pwrite(c.fd, data, (size_t)(k.end - k.at),
	    (off_t)(k.at + next.end - next.at));
	free(data);
	assert_int_equal(found(&c, &f), CLIP_SHAPE);
}

/* Clusters left out at its beginning: the range does not name them. */
static void
test_another_range_is_found(void **s)
{
	const int64_t shifts[] = { -100, 100, KEY_MS, 65536 };
	struct clip_fault f;
	struct clip c;

	for (size_t i = 0; i < N_ELEMENTS(shifts); i++) {
		cut(&c, 21000, 41000);
		c.made.facts.from_ms += shifts[i];
		c.made.facts.to_ms += shifts[i];
		c.made.facts.asked_from_ms += shifts[i];
		c.made.facts.asked_to_ms += shifts[i];
		found(&c, &f);
		assert_true(f.kind == CLIP_CONTENT || f.kind == CLIP_RANGE);
	}
	cut(&c, 21000, 41000);
	c.made.facts.to_ms -= 2000;
	assert_int_equal(found(&c, &f), CLIP_RANGE);
	cut(&c, 21000, 41000); /* its bytes come from elsewhere */
	c.made.facts.from += 1;
	c.made.facts.to += 1;
	assert_int_equal(found(&c, &f), CLIP_SHAPE);
}

static void
test_the_root_is_that_of_one_original(void **s)
{
	struct clip_fault f;
	struct clip c;

	cut(&c, 21000, 41000);
	c.made.facts.root[0] ^= 1;
	assert_int_equal(found(&c, &f), CLIP_OTHER_ORIGINAL);
	cut(&c, 21000, 41000);
	c.made.facts.original_bytes++;
	assert_int_equal(found(&c, &f), CLIP_OTHER_ORIGINAL);
}

/* Its chain stands for this clip of this recording. */
static void
test_a_chain_is_of_one_clip(void **s)
{
	static const char other[] = "11111111-2222-4333-8444-555555555556";
	const char *why;
	struct evidence e;
	struct clip c;

	cut(&c, 21000, 41000);
	assert_int_equal(
	    evidence_parse_clip(&e, c.manifest, other, o.e.root, &why),
	    ERR_CORRUPT);
	evidence_release(&e);
	json_object_set_new(c.manifest, "segment", json_string(CLIP));
	assert_int_equal(evidence_parse(&e, c.manifest, &why), ERR_CORRUPT);
	evidence_release(&e);
	drop(&c);
}

/* ---- manifests ---- */

static void
test_manifests_that_are_none(void **s)
{
	static const struct {
		const char *name;
		const char *value; /* JSON; NULL: it is taken away */
	} changes[] = { { "kind", "\"recording\"" }, { "version", "2" },
		{ "clip", "\"x\"" }, { "clip", NULL }, { "original", "[]" },
		{ "original", "{}" }, { "from_ms", "-1" },
		{ "from_ms", "21001" }, { "to_ms", "20000" },
		{ "to_ms", "\"41000\"" }, { "asked_to_ms", "21000" },
		{ "person", "\"\"" }, { "person", "7" }, { "reason", NULL },
		{ "made_at", "null" } };
	struct clip_facts f;
	const char *why;
	struct clip c;

	cut(&c, 21000, 41000);
	for (size_t i = 0; i < N_ELEMENTS(changes); i++) {
		json_t *j = json_deep_copy(c.manifest);

		if (changes[i].value == NULL)
			json_object_del(j, changes[i].name);
		else
			json_object_set_new(j, changes[i].name,
			    json_loads(
				changes[i].value, JSON_DECODE_ANY, NULL));
		assert_int_equal(clip_read(&f, j, &why), ERR_CORRUPT);
		json_decref(j);
	}
	drop(&c);
}

/* What a verifier is told of the block before must be what it began with. */
static void
test_a_wrong_state_before_it_is_found(void **s)
{
	struct clip_fault f;
	struct clip c;

	cut(&c, 21000, 41000);
	assert_true(c.made.facts.before.count > 0);
	c.made.facts.before.state[3] ^= 1;
	assert_int_equal(found(&c, &f), CLIP_CONTENT);
	cut(&c, 21000, 41000);
	c.made.facts.before.count -= 8;
	assert_int_equal(found(&c, &f), CLIP_SHAPE);
	cut(&c, 21000, 41000);
	memset(&c.made.facts.before, 0, sizeof(c.made.facts.before));
	assert_int_equal(found(&c, &f), CLIP_SHAPE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_range_is_tied_to_its_original),
		cmocka_unit_test(test_ranges_that_are_none),
		cmocka_unit_test(test_nothing_is_cut_from_changed_bytes),
		cmocka_unit_test(test_a_changed_byte_is_named),
		cmocka_unit_test(
		    test_clusters_left_out_or_turned_around_are_found),
		cmocka_unit_test(test_another_range_is_found),
		cmocka_unit_test(test_the_root_is_that_of_one_original),
		cmocka_unit_test(test_a_chain_is_of_one_clip),
		cmocka_unit_test(test_manifests_that_are_none),
		cmocka_unit_test(test_a_wrong_state_before_it_is_found),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
