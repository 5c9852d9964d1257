/* X3: what is hashed while it is written, and what a verifier then finds. */
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

/* As the WebM writer reports its blocks. */
static json_t *
make_manifest(void)
{
	struct evidence e;
	json_t *j;

	case_begin(&e, 0);
	/* four clusters make a block full, one is left */
	assert_int_equal(e.n, 3 + 2);
	assert_int_equal(e.blocks[0].len, 4 * CLUSTER);
	assert_int_equal(e.blocks[2].len, CLUSTER);
	assert_int_equal(e.blocks[3].len, CUES);
	assert_int_equal(e.blocks[4].offset, 0);
	j = json_pack(
	    "{s:s, s:o}", "segment", SEGMENT, "evidence", evidence_to_json(&e));
	evidence_release(&e);
	assert_non_null(j);
	return j;
}

static int
verify(const json_t *manifest, struct evidence_fault *fault)
{
	struct evidence e;
	const char *why = "";
	int rc = evidence_parse(&e, manifest, &why);

	assert_int_equal(rc, 0);
	rc = evidence_verify(&e, read_file, NULL, fault);
	evidence_release(&e);
	return rc;
}

static void
names_the_first_bad_range(void **state)
{
	static const struct {
		size_t at;
		uint64_t offset, len;
	} cases[] = {
		{ 0, 0, HEADER },
		{ HEADER - 1, 0, HEADER },
		{ HEADER, HEADER, 4 * CLUSTER },
		{ HEADER + 4 * CLUSTER - 1, HEADER, 4 * CLUSTER },
		{ HEADER + 4 * CLUSTER, HEADER + 4 * CLUSTER, 4 * CLUSTER },
		{ LEN - CUES - 1, HEADER + 8 * CLUSTER, CLUSTER },
		{ LEN - 1, LEN - CUES, CUES },
	};
	struct evidence_fault fault;
	json_t *j = make_manifest();

	(void)state;
	assert_int_equal(verify(j, &fault), 0);
	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		file[cases[i].at] ^= 1;
		file[LEN - 1] ^= 0x80; /* a later one does not count */
		assert_int_equal(verify(j, &fault), ERR_CORRUPT);
		assert_int_equal(fault.kind, EVIDENCE_CHANGED);
		assert_int_equal(fault.offset, cases[i].offset);
		assert_int_equal(fault.len, cases[i].len);
		file[LEN - 1] ^= 0x80;
		file[cases[i].at] ^= 1;
	}
	assert_int_equal(verify(j, &fault), 0);
	json_decref(j);
}

static void
other_lengths_are_found(void **state)
{
	struct evidence_fault fault;
	json_t *j = make_manifest();

	(void)state;
	file_len = LEN + 7;
	assert_int_equal(verify(j, &fault), ERR_CORRUPT);
	assert_int_equal(fault.kind, EVIDENCE_ADDED);
	assert_int_equal(fault.offset, LEN);
	assert_int_equal(fault.len, 7);
	file_len = LEN - 1;
	assert_int_equal(verify(j, &fault), ERR_CORRUPT);
	assert_int_equal(fault.kind, EVIDENCE_MISSING);
	assert_int_equal(fault.offset, LEN - CUES);
	file_len = 0;
	assert_int_equal(verify(j, &fault), ERR_CORRUPT);
	assert_int_equal(fault.kind, EVIDENCE_MISSING);
	assert_int_equal(fault.offset, 0);
	json_decref(j);
}

static void
check_refused(json_t *manifest, int want)
{
	struct evidence e;
	const char *why = NULL;

	assert_int_equal(evidence_parse(&e, manifest, &why), want);
	assert_non_null(why);
	evidence_release(&e);
}

/* Whatever is changed in the list, the root is not its root any more. */
static void
tampered_manifests_are_refused(void **state)
{
	json_t *j = make_manifest(), *copy, *blocks;
	char line[200];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		copy = json_deep_copy(j);
		blocks = json_object_get(
		    json_object_get(copy, "evidence"), "blocks");
		snprintf(line, sizeof(line), "%s",
		    json_string_value(json_array_get(blocks, i)));
		line[strlen(line) - 1] ^= 1; /* another hex digit */
		json_array_set_new(blocks, i, json_string(line));
		check_refused(copy, ERR_CORRUPT);
		json_array_remove(blocks, i);
		check_refused(copy, ERR_CORRUPT);
		json_decref(copy);
	}
	copy = json_deep_copy(j);
	blocks = json_object_get(json_object_get(copy, "evidence"), "blocks");
	json_array_insert(blocks, 0, json_array_get(blocks, 1));
	check_refused(copy, ERR_CORRUPT);
	json_decref(copy);
	/* another recording's list */
	copy = json_deep_copy(j);
	json_object_set_new(copy, "segment",
	    json_string("7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f"));
	check_refused(copy, ERR_CORRUPT);
	json_decref(copy);
	json_object_del(j, "evidence");
	check_refused(j, ERR_NOTFOUND);
	json_decref(j);
}

static void
strange_manifests_are_refused(void **state)
{
	static const char *const lists[] = {
		"null",
		"[]",
		"[1]",
		"[\"\"]",
		"[\"0 10\"]",
		"[\"0 10 ff\"]",
		"[\"0 -1 "
		"00000000000000000000000000000000"
		"00000000000000000000000000000000\"]",
		"[\"0 0 "
		"00000000000000000000000000000000"
		"00000000000000000000000000000000\"]",
		"[\"0 99999999999999999999 "
		"00000000000000000000000000000000"
		"00000000000000000000000000000000\"]",
		"[\"0 10 "
		"0000000000000000000000000000000g"
		"00000000000000000000000000000000\"]",
		"[\"5 10 "
		"00000000000000000000000000000000"
		"00000000000000000000000000000000\"]",
	};
	char text[600];
	json_t *j;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(lists); i++) {
		snprintf(text, sizeof(text),
		    "{\"segment\":\"" SEGMENT
		    "\",\"evidence\":{\"version\":1,\"root\":\"%064d\","
		    "\"blocks\":%s}}",
		    0, lists[i]);
		j = json_loads(text, 0, NULL);
		assert_non_null(j);
		check_refused(j, ERR_CORRUPT);
		json_decref(j);
	}
}

/* A file as large as they get has a list that a manifest has room for. */
static void
lists_stay_short(void **state)
{
	static const uint8_t cluster[700 * 1024];
	struct evidence e;
	uint64_t at = HEADER;
	char *text;
	json_t *j;

	(void)state;
	evidence_init(&e);
	while (at < (512u << 20)) {
		evidence_add(&e, at, cluster, sizeof(cluster), false);
		at += sizeof(cluster);
	}
	evidence_add(&e, 0, cluster, HEADER, true);
	assert_int_equal(evidence_finish(&e, SEGMENT), 0);
	j = evidence_to_json(&e);
	text = json_dumps(j, JSON_INDENT(1));
	assert_true(strlen(text) < 56 * 1024);
	free(text);
	json_decref(j);
	evidence_release(&e);

	evidence_init(&e);
	for (uint64_t i = 0; i <= EVIDENCE_BLOCKS; i++)
		evidence_add(&e, i, cluster, 1, true);
	assert_int_equal(evidence_finish(&e, SEGMENT), ERR_LIMIT);
	evidence_release(&e);
}

/* The chain by hand: the format, as docs/evidence.md has it. */
static void
root_is_as_documented(void **state)
{
	static const char first[] = "relaycam evidence 1\n" SEGMENT;
	uint8_t root[32], link[32 + 16 + 32];
	struct evidence e;

	(void)state;
	evidence_init(&e);
	evidence_add(&e, 0, (const uint8_t *)"abc", 3, true);
	assert_int_equal(evidence_finish(&e, SEGMENT), 0);
	crypto_hash_sha256(root, (const uint8_t *)first, strlen(first));
	memcpy(link, root, 32);
	store_be64(link + 32, 0);
	store_be64(link + 40, 3);
	crypto_hash_sha256(link + 48, (const uint8_t *)"abc", 3);
	crypto_hash_sha256(root, link, sizeof(link));
	assert_memory_equal(e.root, root, 32);
	evidence_release(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_the_first_bad_range),
		cmocka_unit_test(other_lengths_are_found),
		cmocka_unit_test(tampered_manifests_are_refused),
		cmocka_unit_test(strange_manifests_are_refused),
		cmocka_unit_test(lists_stay_short),
		cmocka_unit_test(root_is_as_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
