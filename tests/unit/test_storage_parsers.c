/* Manifests, object keys and S3's XML: what the storage daemon parses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/uuid.h"
#include "manifest/manifest.h"
#include "common/s3_xml.h"

#define ID      "01234567-89ab-cdef-0123-456789abcdef"
#define SESSION "fedcba98-7654-3210-fedc-ba9876543210"

static const char good[] =
    "{\"version\":1,\"segment\":\"" ID "\",\"session\":\"" SESSION "\","
    "\"seq\":1,\"team\":\"acme\",\"endpoint\":\"desk1\","
    "\"technician\":\"alice\",\"team_id\":1,\"endpoint_id\":2,"
    "\"person_id\":3,\"access\":\"attended\",\"time_zone\":\"UTC\","
    "\"object_key\":\"acme/desk1/" SESSION "/monitor-1/a+b.webm\","
    "\"split_reason\":\"start\",\"monitor\":1,\"monitor_name\":\"\","
    "\"frame_rate\":10,\"width\":640,\"height\":480,\"codec\":\"vp9\","
    "\"start_mono_ns\":1,\"start_wall_ns\":2,\"end_mono_ns\":3,"
    "\"end_wall_ns\":4,\"first_frame\":1,\"last_frame\":5,\"frames\":5,"
    "\"duration_ms\":9,\"bytes\":10,\"recovered\":false,"
    "\"end\":\"normal\",\"retention_days\":90,\"later\":[1]}";

static int
parse(const char *json, size_t len, bool closed)
{
	struct manifest m;
	char err[160] = "";
	int rc = manifest_parse(&m, json, len, ID, closed, err, sizeof(err));

	assert_int_equal(rc != 0, err[0] != '\0');
	if (rc == 0)
		manifest_release(&m);
	return rc;
}

/* The good manifest with one field replaced (NULL: removed). */
static int
parse_with(const char *field, const char *value, bool closed)
{
	json_t *root = json_loads(good, 0, NULL);
	json_t *v =
	    value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;
	char *text;
	int rc;

	assert_true(value == NULL || v != NULL);
	if (v != NULL)
		json_object_set_new(root, field, v);
	else
		json_object_del(root, field);
	text = json_dumps(root, 0);
	rc = parse(text, strlen(text), closed);
	free(text);
	json_decref(root);
	return rc;
}

static void
test_good(void **state)
{
	struct manifest m;
	char err[160];

	assert_int_equal(
	    manifest_parse(&m, good, strlen(good), ID, true, err, sizeof(err)),
	    0);
	assert_true(m.is_closed);
	assert_string_equal(m.session, SESSION);
	assert_int_equal(m.retention_days, 90);
	assert_int_equal(m.last_frame, 5);
	assert_int_equal(parse_with("bytes", NULL, false), 0);
	assert_int_equal(parse_with("end", NULL, false), 0);
}

/* The good manifest with one more field, parsed; to be released. */
static void
parse_more(struct manifest *m, const char *more)
{
	char json[4096], err[160];
	int n = snprintf(json, sizeof(json), "%.*s,%s}",
	    (int)(strrchr(good, '}') - good), good, more);

	assert_true(n > 0 && (size_t)n < sizeof(json));
	assert_int_equal(
	    manifest_parse(m, json, (size_t)n, ID, true, err, sizeof(err)), 0);
}

static void
test_activity_and_poster(void **state)
{
	static const uint8_t want[] = { 0x03, 0xe8, 0, 7 };
	struct manifest m;

	parse_more(&m, "\"activity\":[[1000,7]],\"poster\":\"" ID ".jpg\"");
	assert_null(m.refused);
	assert_int_equal(m.activity_len, sizeof(want));
	assert_memory_equal(m.activity, want, sizeof(want));
	assert_string_equal(m.poster, ID ".jpg");
	manifest_release(&m);
	assert_null(m.activity);
	assert_int_equal(m.n_merged, -1); /* it says nothing of them */
	parse_more(&m, "\"activity\":[],\"poster\":null");
	assert_null(m.refused);
	assert_int_equal(m.activity_len, 0);
	assert_int_equal(m.n_merged, -1);
	assert_string_equal(m.poster, "");
}

/* Changes without a frame, X2. */
static void
test_merged(void **state)
{
	static const uint8_t want[] = { 1, 2 }, top[] = { 0xff, 0xff };
	struct manifest m;

	(void)state;
	parse_more(&m, "\"activity\":[[1,2,258]]");
	assert_null(m.refused);
	assert_int_equal(m.activity_len, ACTIVITY_BYTES);
	assert_int_equal(m.merged_len, sizeof(want));
	assert_memory_equal(m.merged, want, sizeof(want));
	assert_int_equal(m.n_merged, 258);
	manifest_release(&m);
	assert_null(m.merged);
	assert_int_equal(m.n_merged, -1);
	parse_more(&m, "\"activity\":[[0,0,70000]]");
	assert_memory_equal(m.merged, top, sizeof(top));
	assert_int_equal(m.n_merged, 65535);
	manifest_release(&m);
	parse_more(&m, "\"activity\":[[5,7,0]]");
	assert_null(m.merged); /* known, and none */
	assert_int_equal(m.n_merged, 0);
	manifest_release(&m);
}

/* They are left out; the recording is not. */
static void
test_hostile_activity_and_poster(void **state)
{
	static const char *const rows[] = {
		"\"activity\":5",
		"\"activity\":{}",
		"\"activity\":[1]",
		"\"activity\":[[1]]",
		"\"activity\":[[1001,0]]",
		"\"activity\":[[0,-1]]",
		"\"activity\":[[0,0,-1]]",
		"\"activity\":[[0,0,\"1\"]]",
		"\"activity\":[[0,0,1],[0,0,1,0]]",
		"\"activity\":[[0,0],[0,0],[0,0],[0,0],[0,0],[0,0]]",
		"\"poster\":\"../" ID ".jpg\"",
		"\"poster\":\"" ID ".webm\"",
		"\"poster\":1",
	};
	struct manifest m;

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		parse_more(&m, rows[i]);
		assert_non_null(m.refused);
		assert_null(m.activity);
		assert_null(m.merged);
		assert_int_equal(m.n_merged, -1);
		assert_string_equal(m.poster, "");
	}
}

static void
test_truncated(void **state)
{
	for (size_t n = 0; n < strlen(good); n++)
		assert_int_equal(parse(good, n, true), ERR_PROTOCOL);
}

static void
test_every_field_is_needed(void **state)
{
	json_t *root = json_loads(good, 0, NULL), *value;
	const char *key;

	json_object_foreach(root, key, value)
		if (strcmp(key, "later") != 0)
			assert_int_equal(
			    parse_with(key, NULL, true), ERR_PROTOCOL);
	json_decref(root);
}

static void
test_hostile_fields(void **state)
{
	static const char *const rows[][2] = {
		{ "version", "2" },
		{ "segment", "\"" SESSION "\"" },
		{ "session", "\"x\"" },
		{ "seq", "0" },
		{ "seq", "\"1\"" },
		{ "seq", "1.0" },
		{ "width", "16385" },
		{ "bytes", "0" },
		{ "bytes", "-1" },
		{ "bytes", "9223372036854775807" },
		{ "start_wall_ns", "9223372036854775807" },
		{ "access", "\"unattended attended\"" },
		{ "access", "\"\"" },
		{ "codec", "\"h264\"" },
		{ "end", "\" \"" },
		{ "split_reason", "null" },
		{ "recovered", "0" },
		{ "frames", "4" },
		{ "last_frame", "0" },
		{ "last_frame", "9223372036854775807" },
		{ "retention_days", "0" },
		{ "team", "\"other\"" },
		{ "object_key", "\"acme/desk1/x/a.webm\"" },
		{ "object_key", "\"acme/desk1/" SESSION "/../a.webm\"" },
		{ "object_key", "\"acme/desk1/" SESSION "/a.exe\"" },
		{ "object_key", "\"acme/desk1/" SESSION "/a\\nb.webm\"" },
		{ "object_key", "\"acme/desk1/" SESSION "//a.webm\"" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (parse_with(rows[i][0], rows[i][1], true) != ERR_PROTOCOL)
			fail_msg("%s = %s", rows[i][0], rows[i][1]);
	assert_int_equal(parse("[]", 2, true), ERR_PROTOCOL);
	assert_int_equal(parse("{\"a\":1,\"a\":1}", 13, true), ERR_PROTOCOL);
}

static void
test_long_name_is_cut_between_characters(void **state)
{
	struct manifest m;
	char json[4096], name[600], err[160];
	const char *at = strstr(good, "\"monitor_name\":\"") + 16;
	int n;

	for (int i = 0; i < 150; i++)
		memcpy(name + 3 * i, "\xe2\x82\xac", 4);
	n = snprintf(
	    json, sizeof(json), "%.*s%s%s", (int)(at - good), good, name, at);
	assert_int_equal(
	    manifest_parse(&m, json, (size_t)n, ID, true, err, sizeof(err)), 0);
	assert_int_equal(strlen(m.monitor_name), 255);
}

static void
test_too_long(void **state)
{
	char *json = malloc(MANIFEST_MAX + 2);

	assert_non_null(json);
	memset(json, ' ', MANIFEST_MAX + 2);
	memcpy(json, good, strlen(good));
	assert_int_equal(parse(json, MANIFEST_MAX, true), 0);
	assert_int_equal(parse(json, MANIFEST_MAX + 1, true), ERR_PROTOCOL);
	free(json);
}

static void
test_keys(void **state)
{
	static const uint8_t bytes[UUID_BYTES] = { 0x01, 0x23, 0x45, 0x67, 0x89,
		0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
		0xef };
	uint8_t got[UUID_BYTES];
	static const uint8_t hash[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
		12, 13, 14, 15 };
	char text[UUID_TEXT_MAX];

	char longer[OBJECT_KEY_MAX + 2];

	assert_true(object_key_is_valid("a.webm"));
	assert_true(object_key_is_valid("a/b/c/d/e/f/g/h.webm"));
	assert_false(object_key_is_valid("a/b/c/d/e/f/g/h/i.webm"));
	assert_false(object_key_is_valid(""));
	assert_false(object_key_is_valid(".webm"));
	assert_false(object_key_is_valid("/a.webm"));
	assert_false(object_key_is_valid("a//b.webm"));
	assert_false(object_key_is_valid("a/../b.webm"));
	assert_false(object_key_is_valid("a/.b.webm"));
	assert_false(object_key_is_valid("a b.webm"));
	assert_false(object_key_is_valid("a\\b.webm"));
	assert_false(object_key_is_valid("a%2f.webm"));
	assert_false(object_key_is_valid("a.webm/"));
	memset(longer, 'a', sizeof(longer));
	memcpy(longer + sizeof(longer) - 6, ".webm", 6);
	assert_false(object_key_is_valid(longer));
	uuid_bytes(ID, got);
	assert_memory_equal(got, bytes, sizeof(bytes));
	assert_true(is_uuid(ID));
	assert_false(is_uuid("01234567-89AB-cdef-0123-456789abcdef"));
	assert_false(is_uuid("0123456789abcdef"));
	assert_false(is_uuid(ID "0"));
	assert_string_equal(
	    uuid_of_hash(hash, text), "00010203-0405-8607-8809-0a0b0c0d0e0f");
	assert_true(is_uuid(text));
}

static void
test_xml(void **state)
{
	const char *xml = "<?xml version=\"1.0\"?><R xmlns=\"x\"><Partly>0"
			  "</Partly><Part a=\"1\"><ETag>&quot;a&amp;b&quot;"
			  "</ETag></Part><Part><ETag>c</ETag></Part><Code/>"
			  "<Code>No</Code><Open>";
	const char *at = xml, *start, *end;
	char text[16];

	assert_int_equal(s3_xml_element(&at, "Part", &start, &end), 0);
	assert_memory_equal(start, "<ETag>&quot;", 12);
	assert_int_equal(s3_xml_text(&start, "ETag", text, 16), 0);
	assert_string_equal(text, "\"a&b\"");
	assert_int_equal(s3_xml_element(&at, "Part", &start, &end), 0);
	assert_int_equal(end - start, 14);
	assert_int_equal(
	    s3_xml_element(&at, "Part", &start, &end), ERR_NOTFOUND);
	at = xml;
	assert_int_equal(s3_xml_text(&at, "Code", text, 2), 0);
	assert_string_equal(text, "N");
	at = xml;
	assert_int_equal(s3_xml_text(&at, "Open", text, 16), ERR_NOTFOUND);
	assert_ptr_equal(at, xml);
}

static void
test_beneath(void **state)
{
	char dir[] = "/tmp/relaycam-key-XXXXXX", path[128];
	const char *name;
	int root, fd;
	FILE *f;

	assert_non_null(mkdtemp(dir));
	root = open(dir, O_RDONLY | O_DIRECTORY);
	assert_true(root >= 0);
	fd = beneath_dir(root, "a/b/c.webm", false, &name);
	assert_int_equal(fd, -1);
	fd = beneath_dir(root, "a/b/c.webm", true, &name);
	assert_true(fd >= 0);
	assert_string_equal(name, "c.webm");
	close(fd);
	snprintf(path, sizeof(path), "%s/a/b/c.webm", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	fd = beneath_open(root, "a/b/c.webm");
	assert_true(fd >= 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/l", dir);
	assert_int_equal(symlink("a", path), 0);
	assert_int_equal(beneath_open(root, "l/b/c.webm"), -1);
	snprintf(path, sizeof(path), "%s/l.webm", dir);
	assert_int_equal(symlink("a/b/c.webm", path), 0);
	assert_int_equal(beneath_open(root, "l.webm"), -1);
	snprintf(path, sizeof(path), "%s/d.webm", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(beneath_open(root, "d.webm"), -1);
	snprintf(path, sizeof(path), "%s/p.webm", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(beneath_open(root, "p.webm"), -1);
	assert_int_equal(beneath_open(root, "../x.webm"), -1);
	close(root);
	snprintf(path, sizeof(path), "rm -r %s", dir);
	assert_int_equal(system(path), 0);
}

static void
object_key_names_its_session(void **state)
{
	static const struct {
		const char *key, *session;
	} cases[] = {
		{ "acme/desk1/7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f/m/a.webm",
		    "7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f" },
		{ "acme/desk1/7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f", "" },
		{ "acme/desk1/7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3fx/a.webm",
		    "" },
		{ "acme/desk1/7d8f2a54x30cb-4d0e-9f6e-0a4b8c1d2e3f/a.webm",
		    "" },
		{ "acme/desk1/", "" },
		{ "acme", "" },
		{ "", "" },
	};
	char out[UUID_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(
		    object_key_session(cases[i].key, out), cases[i].session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(object_key_names_its_session),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_activity_and_poster),
		cmocka_unit_test(test_merged),
		cmocka_unit_test(test_hostile_activity_and_poster),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_every_field_is_needed),
		cmocka_unit_test(test_hostile_fields),
		cmocka_unit_test(test_long_name_is_cut_between_characters),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_beneath),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
