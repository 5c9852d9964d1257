/* X3: in which cluster of a changed block the change is, and lists of clusters
 * that are not those of their blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sodium.h>
#include <stdlib.h>
#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "manifest/evidence.h"
#include "tests/unit/evidence_case.h"

#define HASH "0123456789abcdef"

/* Blocks of four, four and one cluster, cues that end with last, header. */
static json_t *
make_manifest_of(uint8_t last)
{
	struct evidence e;
	json_t *j;

	case_begin(&e, last);
	j = json_pack(
	    "{s:s, s:o}", "segment", SEGMENT, "evidence", evidence_to_json(&e));
	evidence_release(&e);
	assert_non_null(j);
	return j;
}

static json_t *
make_manifest(void)
{
	return make_manifest_of(0);
}

static json_t *
clusters_of(const json_t *manifest)
{
	return json_object_get(
	    json_object_get(manifest, "evidence"), "clusters");
}

static const char *
list_of(const json_t *manifest, size_t block)
{
	return json_string_value(json_array_get(
	    json_object_get(clusters_of(manifest), "blocks"), block));
}

static int
parse(const json_t *manifest, struct evidence *e)
{
	const char *why = NULL;
	int rc = evidence_parse(e, manifest, &why);

	assert_non_null(why);
	return rc;
}

/* The fault of the file as it is now. */
static struct evidence_fault
find(const json_t *manifest)
{
	struct evidence_fault f;
	struct evidence e;

	assert_int_equal(parse(manifest, &e), 0);
	assert_int_equal(evidence_verify(&e, read_file, NULL, &f), ERR_CORRUPT);
	assert_int_equal(evidence_locate(&e, read_file, NULL, &f), 0);
	evidence_release(&e);
	return f;
}

static void
only_joined_clusters_are_listed(void **state)
{
	json_t *j = make_manifest();
	struct evidence e;

	(void)state;
	assert_int_equal(strlen(list_of(j, 0)), 4 * (6 + 1 + 16) + 3);
	assert_string_equal(list_of(j, 2), "");
	assert_string_equal(list_of(j, 3), "");
	assert_string_equal(list_of(j, 4), "");
	assert_int_equal(parse(j, &e), 0);
	assert_int_equal(e.clusters.n, 8);
	assert_int_equal(e.blocks[1].first_cluster, 4);
	evidence_release(&e);
	json_decref(j);
}

static void
names_the_cluster(void **state)
{
	static const struct {
		size_t at;
		uint64_t offset, len;
	} cases[] = {
		{ 0, 0, HEADER },
		{ HEADER, HEADER, CLUSTER },
		{ HEADER + CLUSTER - 1, HEADER, CLUSTER },
		{ HEADER + CLUSTER, HEADER + CLUSTER, CLUSTER },
		{ HEADER + 4 * CLUSTER - 1, HEADER + 3 * CLUSTER, CLUSTER },
		{ HEADER + 5 * CLUSTER, HEADER + 5 * CLUSTER, CLUSTER },
		{ LEN - CUES - 1, HEADER + 8 * CLUSTER, CLUSTER },
		{ LEN - 1, LEN - CUES, CUES },
	};
	json_t *j = make_manifest();

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		struct evidence_fault f;

		file[cases[i].at] ^= 1;
		f = find(j);
		assert_int_equal(f.kind, EVIDENCE_CHANGED);
		assert_int_equal(f.offset, cases[i].offset);
		assert_int_equal(f.len, cases[i].len);
		file[cases[i].at] ^= 1;
	}
	json_decref(j);
}

/* Manifests of before have no list, those of a later program another one. */
static void
goes_by_blocks_without_a_list(void **state)
{
	json_t *j = make_manifest();

	(void)state;
	file[HEADER + CLUSTER] ^= 1;
	json_object_set_new(clusters_of(j), "version", json_integer(2));
	assert_int_equal(find(j).len, 4 * CLUSTER);
	json_object_del(json_object_get(j, "evidence"), "clusters");
	assert_int_equal(find(j).len, 4 * CLUSTER);
	json_decref(j);
}

/* Its hashes are those of other bytes: the block's hash is what counts. */
static void
a_wrong_list_accuses_nobody(void **state)
{
	json_t *j = make_manifest();
	struct evidence_fault f;
	struct evidence e;

	(void)state;
	assert_int_equal(parse(j, &e), 0);
	memset(e.clusters.list, 0, e.clusters.n * sizeof(*e.clusters.list));
	assert_int_equal(evidence_verify(&e, read_file, NULL, &f), 0);
	evidence_release(&e);
	json_decref(j);
}

static void
check_refused(const json_t *j, int want)
{
	struct evidence e;

	assert_int_equal(parse(j, &e), want);
	evidence_release(&e);
}

static json_t *
with_list(const json_t *j, size_t block, const char *text)
{
	json_t *copy = json_deep_copy(j);

	json_array_set_new(json_object_get(clusters_of(copy), "blocks"), block,
	    json_string(text));
	return copy;
}

static void
lists_that_do_not_fit_are_refused(void **state)
{
	static const char *const lists[] = {
		"1", "1 ", "1 0123",
		"1228800 " HASH,          /* one cluster says nothing */
		"614400 " HASH,           /* too little */
		"614400 " HASH " 614400", /* cut off */
		"614400 " HASH " 614399 " HASH, "614400 " HASH " 614401 " HASH,
		"614400 " HASH "  614400 " HASH,
		"614400 " HASH " 614400 " HASH " ",
		"614400 " HASH " 614400 " HASH " 0 " HASH,
		"614400 " HASH " -614400 " HASH,
		"614400 " HASH " 4294967296 " HASH,
		"614400 " HASH " 18446744073709551615 " HASH,
		"614400 " HASH " 614400 0123456789abcdeg",
		"614400 " HASH " 614400 " HASH, /* makes it up; its root not */
	};
	json_t *j = make_manifest(), *copy;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		copy = with_list(j, 0, lists[i]);
		check_refused(copy, ERR_CORRUPT);
		json_decref(copy);
	}
	json_decref(j);
}

static void
lists_of_other_shapes_are_refused(void **state)
{
	static const char *const values[] = {
		"null",
		"1",
		"{}",
		"{\"version\":0}",
		"{\"version\":1,\"root\":1,\"blocks\":[]}",
		"{\"version\":1,\"root\":\"\",\"blocks\":[]}",
		"{\"version\":1,\"root\":\"\",\"blocks\":1000000000}",
		"{\"version\":1,\"root\":\"\",\"blocks\":[1,2,3,4,5]}",
		"{\"version\":1,\"root\":\"\",\"blocks\":[\"\",\"\",\"\",\"\","
		"\"\"]}",
	};
	json_t *j = make_manifest();

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		json_t *v = json_loads(values[i], JSON_DECODE_ANY, NULL);

		assert_non_null(v);
		json_object_set_new(
		    json_object_get(j, "evidence"), "clusters", v);
		check_refused(j, ERR_CORRUPT);
	}
	json_decref(j);
}

/* It belongs to these blocks of this recording. */
static void
lists_of_other_recordings_are_refused(void **state)
{
	json_t *j = make_manifest(), *other = make_manifest_of(1);

	(void)state;
	assert_string_equal(list_of(j, 0), list_of(other, 0));
	json_object_set(
	    json_object_get(other, "evidence"), "clusters", clusters_of(j));
	check_refused(other, ERR_CORRUPT);
	json_decref(other);
	json_decref(j);
}

/* More clusters than a list may have: blocks behind it are named as a whole. */
static void
a_full_list_ends(void **state)
{
	struct evidence e, parsed;
	const size_t n = EVIDENCE_CLUSTERS + 1000;
	json_t *j;

	(void)state;
	evidence_init(&e);
	for (size_t i = 0; i < n; i++)
		evidence_add(&e, 10 + i * 64, file, 64, false);
	evidence_add(&e, 0, file, 10, true);
	assert_int_equal(evidence_finish(&e, SEGMENT), 0);
	assert_int_equal(e.n, 4);
	assert_int_equal(e.blocks[0].n_clusters, 16384);
	assert_int_equal(e.blocks[1].n_clusters, 16384);
	assert_int_equal(e.blocks[2].n_clusters, 0);
	j = json_pack(
	    "{s:s, s:o}", "segment", SEGMENT, "evidence", evidence_to_json(&e));
	assert_int_equal(parse(j, &parsed), 0);
	assert_int_equal(parsed.clusters.n, EVIDENCE_CLUSTERS);
	evidence_release(&parsed);
	evidence_release(&e);
	json_decref(j);
}

/* The root by hand: the format, as docs/evidence.md has it. */
static void
root_is_as_documented(void **state)
{
	static const char seed[] = "relaycam clusters 1\n";
	uint8_t text[20 + 32 + 8 + 2 * 16 + 8], hash[32], root[32];
	char hex[65];
	struct evidence e;
	json_t *j;

	(void)state;
	evidence_init(&e);
	evidence_add(&e, 2, (const uint8_t *)"abc", 3, false);
	evidence_add(&e, 5, (const uint8_t *)"de", 2, false);
	evidence_add(&e, 0, (const uint8_t *)"xy", 2, true);
	assert_int_equal(evidence_finish(&e, SEGMENT), 0);
	memcpy(text, seed, 20);
	memcpy(text + 20, e.root, 32);
	store_be64(text + 52, 2);
	store_be64(text + 60, 3);
	crypto_hash_sha256(hash, (const uint8_t *)"abc", 3);
	memcpy(text + 68, hash, 8);
	store_be64(text + 76, 2);
	crypto_hash_sha256(hash, (const uint8_t *)"de", 2);
	memcpy(text + 84, hash, 8);
	store_be64(text + 92, 0); /* the header */
	crypto_hash_sha256(root, text, sizeof(text));
	sodium_bin2hex(hex, sizeof(hex), root, sizeof(root));
	j = evidence_to_json(&e);
	assert_string_equal(hex,
	    json_string_value(
		json_object_get(json_object_get(j, "clusters"), "root")));
	json_decref(j);
	evidence_release(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_joined_clusters_are_listed),
		cmocka_unit_test(names_the_cluster),
		cmocka_unit_test(goes_by_blocks_without_a_list),
		cmocka_unit_test(a_wrong_list_accuses_nobody),
		cmocka_unit_test(lists_that_do_not_fit_are_refused),
		cmocka_unit_test(lists_of_other_shapes_are_refused),
		cmocka_unit_test(lists_of_other_recordings_are_refused),
		cmocka_unit_test(a_full_list_ends),
		cmocka_unit_test(root_is_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
