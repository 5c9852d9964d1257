/*
 * Uploads of captures (storage/upload/): offsets and limits, the files over a
 * temporary folder with a process that dies at any point, and what is checked
 * when one is whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "capture/capture.h"
#include "common/err.h"
#include "storage/upload/capture_order.h"
#include "storage/upload/site_key.h"
#include "storage/upload/upload_file.h"

#define ID      "3f2b8c1e-5a4d-4e6f-8a7b-9c0d1e2f3a4b"
#define SESSION "00000000-0000-4000-8000-00000000000a"

static char root[] = "/tmp/upload-XXXXXX";
static int spool, dir;
static struct site_key key;

/* ---- offsets ---- */

static void
bytes_count_as_they_come(void **state)
{
	struct upload_offset u;

	assert_int_equal(upload_offset_init(&u, 100, 10), 0);
	assert_int_equal(upload_offset_begin(&u, 9, 5, false), ERR_PROTOCOL);
	assert_int_equal(upload_offset_begin(&u, 10, 91, false), ERR_LIMIT);
	assert_int_equal(upload_offset_begin(&u, 10, 90, false), 0);
	assert_int_equal(upload_offset_begin(&u, 10, 1, false), ERR_EXISTS);
	upload_offset_add(&u, 40);
	assert_int_equal(upload_offset_rest(&u), 50);
	assert_int_equal(upload_offset_percent(&u), 50);
	assert_int_equal(upload_offset_end(&u, false), 50);
	assert_false(upload_offset_is_whole(&u));
	assert_int_equal(upload_offset_begin(&u, 50, 50, false), 0);
	upload_offset_add(&u, 500); /* never more than was announced */
	assert_false(upload_offset_is_whole(&u)); /* it is under way */
	assert_int_equal(upload_offset_percent(&u), 99);
	assert_int_equal(upload_offset_end(&u, true), 100);
	assert_true(upload_offset_is_whole(&u));
	assert_int_equal(upload_offset_percent(&u), 100);
}

static void
checked_bytes_count_together(void **state)
{
	struct upload_offset u;

	upload_offset_init(&u, 100, 10);
	assert_int_equal(upload_offset_begin(&u, 10, 50, true), 0);
	upload_offset_add(&u, 49);
	assert_int_equal(upload_offset_end(&u, true), 10); /* cut off */
	upload_offset_begin(&u, 10, 50, true);
	upload_offset_add(&u, 50);
	assert_int_equal(upload_offset_end(&u, false), 10); /* wrong */
	upload_offset_begin(&u, 10, 50, true);
	upload_offset_add(&u, 50);
	assert_int_equal(upload_offset_end(&u, true), 60);
}

static void
lengths_have_limits(void **state)
{
	struct upload_offset u;

	assert_int_equal(upload_offset_init(&u, 0, 0), ERR_LIMIT);
	assert_int_equal(upload_offset_init(&u, 5, 6), ERR_LIMIT);
	assert_int_equal(
	    upload_offset_init(&u, UPLOAD_LENGTH_MAX + 1, 0), ERR_LIMIT);
	assert_int_equal(upload_offset_init(&u, UPLOAD_LENGTH_MAX, 0), 0);
	assert_int_equal(
	    upload_offset_begin(&u, 0, UINT64_MAX, false), ERR_LIMIT);
}

static void
few_and_small_ones_may_begin(void **state)
{
	const struct upload_limits l = { 1000, 2, 3, 100 };
	struct upload_use use = { .free = 1000 };

	assert_int_equal(upload_may_begin(&l, &use, 900, 900), UPLOAD_MAY);
	assert_int_equal(upload_may_begin(&l, &use, 901, 901), UPLOAD_NO_ROOM);
	assert_int_equal(upload_may_begin(&l, &use, 500, 1000), UPLOAD_NO_ROOM);
	assert_int_equal(
	    upload_may_begin(&l, &use, 1001, 1001), UPLOAD_TOO_LARGE);
	use.outstanding = 400;
	assert_int_equal(upload_may_begin(&l, &use, 500, 500), UPLOAD_MAY);
	assert_int_equal(upload_may_begin(&l, &use, 501, 501), UPLOAD_NO_ROOM);
	use.outstanding = UINT64_MAX;
	assert_int_equal(upload_may_begin(&l, &use, 1, 1), UPLOAD_NO_ROOM);
	use = (struct upload_use){ 2, 2, 0, 1000 };
	assert_int_equal(upload_may_begin(&l, &use, 1, 1), UPLOAD_TOO_MANY);
	use = (struct upload_use){ 1, 3, 0, 1000 };
	assert_int_equal(upload_may_begin(&l, &use, 1, 1), UPLOAD_TOO_MANY_ALL);
	assert_int_equal(upload_expires_s(10, 5), 15);
	assert_int_equal(upload_expires_s(10, UINT64_MAX), UINT64_MAX);
}

/* ---- files ---- */

static json_t *
order_new(void)
{
	return json_pack(
	    "{s:s s:s s:s s:s s:i s:i s:i s:s s:s s:i s:I s:I s:s s:i s:s}",
	    "session", SESSION, "team", "acme", "endpoint", "desk1",
	    "technician", "alice", "team_id", 1, "endpoint_id", 2, "person_id",
	    3, "access", "unattended", "time_zone", "UTC", "retention_days", 90,
	    "start_mono_ns", (json_int_t)1000, "start_wall_ns",
	    (json_int_t)1790000000000000000, "codec", "vp9", "frame_rate", 10,
	    "split_reason", "start");
}

static struct upload_file
file_new(uint64_t length)
{
	struct upload_file f = { .dir = dir,
		.fd = -1,
		.id = ID,
		.session = SESSION,
		.endpoint_id = 2,
		.order = order_new() };

	assert_int_equal(upload_offset_init(&f.at, length, 0), 0);
	return f;
}

static void
send_bytes(struct upload_file *f, const uint8_t *data, size_t n)
{
	assert_int_equal(upload_file_begin(f, f->at.have, n, false), 0);
	assert_int_equal(upload_file_write(f, data, n), 0);
	assert_int_equal(upload_file_end(f, true), 0);
}

static bool
is_there(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, 0) == 0;
}

static void
found_again_where_it_was(void **state)
{
	struct upload_file f = file_new(1000), g;
	uint8_t data[600] = { 1, 2, 3 };

	f.has_digest = f.is_sealed = true;
	f.digest[31] = 7;
	assert_int_equal(upload_file_create(&f), 0);
	send_bytes(&f, data, 600);
	upload_file_release(&f); /* as when the process dies */
	assert_int_equal(upload_file_load(&g, dir, ID), 0);
	assert_int_equal(g.at.have, 600);
	assert_int_equal(g.at.length, 1000);
	assert_string_equal(g.session, SESSION);
	assert_int_equal(g.endpoint_id, 2);
	assert_true(g.is_sealed && g.has_digest && g.digest[31] == 7);
	assert_int_equal(
	    json_integer_value(json_object_get(g.order, "person_id")), 3);
	send_bytes(&g, data, 400);
	assert_true(upload_offset_is_whole(&g.at));
	upload_file_release(&g);
}

static void
unchecked_bytes_go_when_it_dies(void **state)
{
	struct upload_file f = file_new(1000), g;
	uint8_t data[600] = { 0 };

	assert_int_equal(upload_file_create(&f), 0);
	send_bytes(&f, data, 100);
	assert_int_equal(upload_file_begin(&f, 100, 600, true), 0);
	assert_int_equal(upload_file_write(&f, data, 599), 0);
	upload_file_release(&f);
	assert_int_equal(upload_file_load(&g, dir, ID), 0);
	assert_int_equal(g.at.have, 100);
	/* once more, and right: it stays */
	assert_int_equal(upload_file_begin(&g, 100, 600, true), 0);
	assert_int_equal(upload_file_write(&g, data, 600), 0);
	assert_int_equal(upload_file_end(&g, true), 0);
	upload_file_release(&g);
	assert_int_equal(upload_file_load(&f, dir, ID), 0);
	assert_int_equal(f.at.have, 700);
	/* wrong, and nobody died */
	assert_int_equal(upload_file_begin(&f, 700, 300, true), 0);
	assert_int_equal(upload_file_write(&f, data, 300), 0);
	assert_int_equal(upload_file_end(&f, false), 0);
	upload_file_release(&f);
	assert_int_equal(upload_file_load(&g, dir, ID), 0);
	assert_int_equal(g.at.have, 700);
	upload_file_release(&g);
}

static void
replace_file(const char *suffix, const char *text)
{
	char name[UPLOAD_NAME_MAX];
	int fd = openat(dir, upload_file_name(ID, suffix, name),
	    O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void
broken_files_are_told(void **state)
{
	struct upload_file f = file_new(10), g;

	upload_file_remove(dir, ID);
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_NOTFOUND);
	assert_int_equal(upload_file_create(&f), 0);
	upload_file_release(&f);
	replace_file(".data", "longer than that");
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_CORRUPT);
	replace_file(".data", "short");
	replace_file(".json", "{");
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_CORRUPT);
	replace_file(".json",
	    "{\"capture\": \"" ID "\", \"session\": \"../x\","
	    " \"length\": 10, \"order\": {}}");
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_CORRUPT);
	replace_file(".json",
	    "{\"capture\": \"" ID "\", \"session\": \"" SESSION
	    "\", \"length\": 10, \"order\": {}}");
	assert_int_equal(upload_file_load(&g, dir, ID), 0);
	upload_file_release(&g);
	unlinkat(dir, ID ".data", 0);
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_NOTFOUND);
	upload_file_remove(dir, ID);
	assert_false(is_there(dir, ID ".json"));
}

/* ---- a whole one ---- */

/* A capture whose first block says what is ordered, but for one value. */
static uint8_t *
capture_bytes(const char *name, json_t *value, size_t *len)
{
	static const struct capture_start start = { 1, 1, 0 };
	json_t *meta = order_new();
	struct capture_writer *w;
	char path[] = "/tmp/upload-capture-XXXXXX";
	int fd = mkstemp(path);
	uint8_t *data;
	char *json;

	json_object_set_new(meta, "width", json_integer(640));
	if (name != NULL)
		json_object_set_new(meta, name, value);
	json = json_dumps(meta, JSON_COMPACT);
	assert_int_equal(
	    capture_writer_new(&w, fd, json, strlen(json), &start), 0);
	assert_int_equal(capture_writer_end(w, "normal", 5000), 0);
	*len = (size_t)capture_writer_bytes_written(w);
	data = malloc(*len);
	assert_int_equal(pread(fd, data, *len, 0), *len);
	capture_writer_free(w);
	free(json);
	json_decref(meta);
	close(fd);
	unlink(path);
	return data;
}

static enum upload_outcome
check(struct upload_file *f, char why[200])
{
	uint8_t digest[32];
	int err;

	return upload_file_check(f, &key, NULL, digest, &err, why, 200);
}

static enum upload_outcome
check_bytes(const uint8_t *data, size_t len, bool is_sealed, char why[200])
{
	struct upload_file f = file_new(len);
	enum upload_outcome outcome;

	f.is_sealed = is_sealed;
	f.has_digest = true;
	crypto_hash_sha256(f.digest, data, len);
	assert_int_equal(upload_file_create(&f), 0);
	send_bytes(&f, data, len);
	outcome = check(&f, why);
	upload_file_release(&f);
	return outcome;
}

static void
what_was_ordered_is_right(void **state)
{
	char why[200];
	size_t len;
	uint8_t *data = capture_bytes(NULL, NULL, &len);

	assert_int_equal(check_bytes(data, len, false, why), UPLOAD_RIGHT);
	assert_int_equal(check_bytes(data, 40, false, why), UPLOAD_NOT_ORDERED);
	free(data);
	data = capture_bytes("person_id", json_integer(4), &len);
	assert_int_equal(
	    check_bytes(data, len, false, why), UPLOAD_NOT_ORDERED);
	assert_non_null(strstr(why, "person_id"));
	free(data);
}

static void
another_digest_differs(void **state)
{
	size_t len;
	uint8_t *data = capture_bytes(NULL, NULL, &len);
	struct upload_file f = file_new(len), g;
	char why[200];

	f.has_digest = true; /* of zeros */
	assert_int_equal(upload_file_create(&f), 0);
	send_bytes(&f, data, len);
	assert_int_equal(check(&f, why), UPLOAD_DIFFERS);
	assert_int_equal(upload_file_set_aside(&f, spool), 0);
	assert_true(is_there(spool, "quarantine/" SESSION "/" ID ".upload"));
	assert_int_equal(upload_file_load(&g, dir, ID), ERR_NOTFOUND);
	upload_file_release(&f);
	free(data);
}

/* The capture, encrypted to the key. */
static uint8_t *
seal(const struct site_key *to, const uint8_t *data, size_t *len)
{
	static const uint8_t id[SEALED_ID_LEN] = { 0x3f, 0x2b, 0x8c, 0x1e, 0x5a,
		0x4d, 0x4e, 0x6f, 0x8a, 0x7b, 0x9c, 0x0d, 0x1e, 0x2f, 0x3a,
		0x4b };
	char path[] = "/tmp/upload-sealed-XXXXXX";
	struct sealed_writer *w;
	int fd = mkstemp(path);
	uint8_t *out;

	assert_int_equal(sealed_writer_new(&w, fd, to->public_key, id), 0);
	assert_int_equal(sealed_writer_write(w, data, *len), 0);
	assert_int_equal(sealed_writer_end(w), 0);
	*len = (size_t)sealed_writer_bytes(w);
	sealed_writer_free(w);
	out = malloc(*len);
	assert_int_equal(pread(fd, out, *len, 0), *len);
	close(fd);
	unlink(path);
	return out;
}

static void
sealed_ones_are_opened(void **state)
{
	struct site_key other;
	size_t len, n;
	uint8_t *data = capture_bytes(NULL, NULL, &len), *sealed;
	char why[200];

	n = len;
	sealed = seal(&key, data, &n);
	assert_int_equal(check_bytes(sealed, n, true, why), UPLOAD_RIGHT);
	/* cut behind its only chunk: the capture itself tells where it ends */
	assert_int_equal(check_bytes(sealed, n - 1, true, why), UPLOAD_RIGHT);
	assert_int_equal(
	    check_bytes(sealed, n, false, why), UPLOAD_NOT_ORDERED);
	sealed[150] ^= 1;
	assert_int_equal(check_bytes(sealed, n, true, why), UPLOAD_UNREADABLE);
	free(sealed);
	crypto_box_keypair(other.public_key, other.secret_key);
	n = len;
	sealed = seal(&other, data, &n);
	assert_int_equal(check_bytes(sealed, n, true, why), UPLOAD_UNREADABLE);
	assert_non_null(strstr(why, "site's key"));
	free(sealed);
	free(data);
}

/* Placed twice, as after a crash between its steps. */
static void
a_right_one_goes_into_the_spool(void **state)
{
	size_t len;
	uint8_t *data = capture_bytes(NULL, NULL, &len);
	struct upload_file f = file_new(len);

	for (int i = 0; i < 2; i++) {
		assert_int_equal(upload_file_create(&f), 0);
		upload_offset_init(&f.at, len, 0);
		send_bytes(&f, data, len);
		assert_int_equal(upload_file_place(&f, spool, "{}"), 0);
		assert_true(is_there(spool, SESSION "/" ID ".capture"));
		assert_true(is_there(spool, SESSION "/" ID ".capture.json"));
		assert_false(is_there(dir, ID ".json"));
		assert_false(is_there(dir, ID ".data"));
	}
	upload_file_release(&f);
	free(data);
}

static void
a_copy_stays(void **state)
{
	struct upload_file f = file_new(4), g;

	assert_int_equal(upload_file_create(&f), 0);
	send_bytes(&f, (const uint8_t *)"copy", 4);
	assert_int_equal(upload_file_keep(&f), 0);
	upload_file_release(&f);
	assert_int_equal(upload_file_load(&g, dir, ID), 0);
	assert_true(g.is_kept);
	upload_file_release(&g);
	upload_file_remove(dir, ID);
}

/* ---- orders ---- */

static void
orders_make_manifests(void **state)
{
	char why[160];
	json_t *order = order_new();
	json_t *m =
	    capture_order_manifest(order, ID, SESSION, why, sizeof(why));

	assert_string_equal(json_string_value(json_object_get(m, "object_key")),
	    "acme/desk1/" SESSION
	    "/monitor-1/2026-09-21T14-13-20+0000-3f2b8c1e.webm");
	json_decref(m);
	assert_null(capture_order_manifest(
	    order, ID, ID, why, sizeof(why))); /* another session */
	json_object_del(order, "codec");
	assert_null(
	    capture_order_manifest(order, ID, SESSION, why, sizeof(why)));
	assert_non_null(strstr(why, "codec"));
	json_object_set_new(order, "codec", json_string("vp9"));
	json_object_set_new(order, "team", json_string("../../etc"));
	assert_null(
	    capture_order_manifest(order, ID, SESSION, why, sizeof(why)));
	json_decref(order);
}

static void
the_key_is_made_once(void **state)
{
	struct site_key one, two;
	char path[128], err[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/capture.key", root);
	assert_int_equal(site_key_read(&one, path, err, sizeof(err)), 0);
	assert_int_equal(site_key_read(&two, path, err, sizeof(err)), 0);
	assert_memory_equal(&one, &two, sizeof(one));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(site_key_read(&one, "", err, sizeof(err)), ERR_CONFIG);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(
	    site_key_read(&one, path, err, sizeof(err)), ERR_CONFIG);
	unlink(path);
}

static int
setup(void **state)
{
	if (sodium_init() < 0 || mkdtemp(root) == NULL)
		return -1;
	spool = open(root, O_RDONLY | O_DIRECTORY);
	mkdirat(spool, "uploads", 0700);
	dir = openat(spool, "uploads", O_RDONLY | O_DIRECTORY);
	crypto_box_keypair(key.public_key, key.secret_key);
	return dir >= 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	close(dir);
	close(spool);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_count_as_they_come),
		cmocka_unit_test(checked_bytes_count_together),
		cmocka_unit_test(lengths_have_limits),
		cmocka_unit_test(few_and_small_ones_may_begin),
		cmocka_unit_test(found_again_where_it_was),
		cmocka_unit_test(unchecked_bytes_go_when_it_dies),
		cmocka_unit_test(broken_files_are_told),
		cmocka_unit_test(what_was_ordered_is_right),
		cmocka_unit_test(another_digest_differs),
		cmocka_unit_test(sealed_ones_are_opened),
		cmocka_unit_test(a_right_one_goes_into_the_spool),
		cmocka_unit_test(a_copy_stays),
		cmocka_unit_test(orders_make_manifests),
		cmocka_unit_test(the_key_is_made_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
