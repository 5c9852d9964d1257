/* X3: who signed a manifest, and whether manifests are all of a session's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "manifest/evidence_order.h"
#include "manifest/evidence_sign.h"

static struct evidence_signer signer, other;

/* RFC 8032 section 7.1, test 1: seed and public key. */
static const uint8_t rfc_seed[32] = { 0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a,
	0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5,
	0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f,
	0x60 };
static const char rfc_line[] =
    "relaycam-evidence d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a6"
    "8f707511a";

static void
write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int
setup(void **state)
{
	char path[] = "/tmp/test_evidence_sign_XXXXXX";
	char why[256];
	uint8_t seed[32];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	memcpy(seed, rfc_seed, sizeof(seed));
	write_file(path, seed, 32, 0600);
	assert_int_equal(
	    evidence_signer_read(&signer, path, why, sizeof(why)), 0);
	seed[0] ^= 1;
	write_file(path, seed, 32, 0600);
	assert_int_equal(
	    evidence_signer_read(&other, path, why, sizeof(why)), 0);
	/* open to others, too short, too long, not there */
	write_file(path, seed, 32, 0640);
	assert_int_equal(
	    evidence_signer_read(&other, path, why, sizeof(why)), ERR_CONFIG);
	write_file(path, seed, 31, 0600);
	assert_int_equal(
	    evidence_signer_read(&other, path, why, sizeof(why)), ERR_CONFIG);
	unlink(path);
	assert_int_equal(
	    evidence_signer_read(&other, path, why, sizeof(why)), ERR_NOTFOUND);
	write_file(path, seed, 32, 0600);
	assert_int_equal(
	    evidence_signer_read(&other, path, why, sizeof(why)), 0);
	unlink(path);
	return 0;
}

static json_t *
manifest(int64_t seq, int64_t first, int64_t last, const char *end, char root)
{
	char hex[65];
	json_t *j;

	memset(hex, root, 64);
	hex[64] = '\0';
	j = json_pack(
	    "{s:s,s:s,s:s,s:s,s:I,s:i,s:i,s:I,s:I,s:I,s:{s:s},s:I,s:s}",
	    "session", "6d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f", "segment",
	    "7d8f2a54-30cb-4d0e-9f6e-0a4b8c1d2e3f", "end", end, "object_key",
	    "a/b/c.webm", "seq", (json_int_t)seq, "monitor", 1, "bytes", 1000,
	    "frames", (json_int_t)(last - first + 1), "first_frame",
	    (json_int_t)first, "last_frame", (json_int_t)last, "evidence",
	    "root", hex, "start_wall_ns", (json_int_t)1790000000123456789,
	    "monitor_name", "Ünïcode \"/\\\n");
	assert_non_null(j);
	return j;
}

static int
check(const json_t *j, const struct evidence_key *k, size_t n)
{
	const struct evidence_key *by = NULL;
	int rc = evidence_check_signature(j, k, n, &by, NULL);

	assert_int_equal(by != NULL, rc == 0);
	return rc;
}

static void
keys_are_those_of_the_rfc(void **state)
{
	char line[EVIDENCE_KEY_TEXT_MAX];

	(void)state;
	assert_string_equal(evidence_key_print(&signer.key, line), rfc_line);
	/* printf '%s' d75a98... | xxd -r -p | sha256sum | head -c 16 */
	assert_string_equal(signer.key.id, "21fe31dfa154a261");
}

static void
signature_holds_all_of_it(void **state)
{
	json_t *j = manifest(1, 1, 10, "size", 'a'), *copy, *v;
	struct evidence_key both[2] = { other.key, signer.key };
	const char *name;
	char *text;

	(void)state;
	assert_int_equal(check(j, &signer.key, 1), ERR_NOTFOUND);
	assert_int_equal(evidence_sign(j, &signer), 0);
	assert_int_equal(check(j, &signer.key, 1), 0);
	assert_int_equal(check(j, both, 2), 0);
	assert_int_equal(check(j, &other.key, 1), ERR_DENIED);
	assert_int_equal(check(j, NULL, 0), ERR_DENIED);
	/* signing again gives the same, and another form of the same JSON */
	assert_int_equal(evidence_sign(j, &signer), 0);
	assert_int_equal(check(j, &signer.key, 1), 0);
	text = json_dumps(j, JSON_INDENT(4) | JSON_ENSURE_ASCII);
	copy = json_loads(text, 0, NULL);
	assert_int_equal(check(copy, &signer.key, 1), 0);
	free(text);
	json_decref(copy);
	json_object_foreach(j, name, v) {
		if (strcmp(name, "signature") == 0)
			continue;
		copy = json_deep_copy(j);
		json_object_set_new(copy, name, json_string("other"));
		assert_int_equal(check(copy, &signer.key, 1), ERR_CORRUPT);
		json_object_del(copy, name);
		assert_int_equal(check(copy, &signer.key, 1), ERR_CORRUPT);
		json_decref(copy);
	}
	copy = json_deep_copy(j);
	json_object_set_new(copy, "more", json_true());
	assert_int_equal(check(copy, &signer.key, 1), ERR_CORRUPT);
	json_decref(copy);
	json_decref(j);
}

/* Every digit of the signature, and signatures that are none. */
static void
wrong_signatures_are_refused(void **state)
{
	static const char *const bad[] = { "null", "1", "{}",
		"{\"key\":\"21fe31dfa154a261\"}",
		"{\"key\":\"21fe31dfa154a261\",\"ed25519\":\"00\"}",
		"{\"key\":1,\"ed25519\":[]}" };
	json_t *j = manifest(1, 1, 10, "size", 'a'), *s;
	char hex[200];

	(void)state;
	assert_int_equal(evidence_sign(j, &signer), 0);
	s = json_object_get(j, "signature");
	for (size_t i = 0; i < 128; i++) {
		strcpy(hex, json_string_value(json_object_get(s, "ed25519")));
		hex[i] = hex[i] == '0' ? '1' : '0';
		json_t *copy = json_deep_copy(j);
		json_object_set_new(json_object_get(copy, "signature"),
		    "ed25519", json_string(hex));
		assert_int_equal(check(copy, &signer.key, 1), ERR_CORRUPT);
		json_decref(copy);
	}
	/* another key's name on it does not help */
	json_object_set_new(s, "key", json_string(other.key.id));
	assert_int_equal(check(j, &signer.key, 1), ERR_DENIED);
	assert_int_equal(check(j, &other.key, 1), ERR_CORRUPT);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		json_object_set_new(
		    j, "signature", json_loads(bad[i], JSON_DECODE_ANY, NULL));
		assert_int_equal(check(j, &signer.key, 1), ERR_CORRUPT);
	}
	json_decref(j);
}

static void
key_files(void **state)
{
	struct evidence_key keys[EVIDENCE_KEYS_MAX];
	char text[600];
	unsigned line;

	(void)state;
	snprintf(text, sizeof(text), "# ours\n\n%s storage@a\r\n  \n%s",
	    rfc_line, rfc_line);
	assert_int_equal(evidence_keys_parse(text, keys, &line), 2);
	assert_string_equal(keys[0].id, signer.key.id);
	assert_memory_equal(keys[1].bytes, signer.key.bytes, 32);
	assert_int_equal(evidence_keys_parse("", keys, &line), 0);
	snprintf(text, sizeof(text), "%s\n%s0\n", rfc_line, rfc_line);
	assert_int_equal(evidence_keys_parse(text, keys, &line), ERR_CORRUPT);
	assert_int_equal(line, 2);
	snprintf(text, sizeof(text), "%.81s", rfc_line);
	assert_int_equal(evidence_keys_parse(text, keys, &line), ERR_CORRUPT);
	snprintf(text, sizeof(text), "%.81s\nf", rfc_line);
	assert_int_equal(evidence_keys_parse(text, keys, &line), ERR_CORRUPT);
	assert_int_equal(
	    evidence_keys_parse("ssh-ed25519 AAAA", keys, &line), ERR_CORRUPT);
}

static void
more_keys_than_room(void **state)
{
	struct evidence_key keys[EVIDENCE_KEYS_MAX];
	size_t n =
	    (EVIDENCE_KEYS_MAX + 1) * strlen(rfc_line) + EVIDENCE_KEYS_MAX + 2;
	char *text = calloc(1, n);
	unsigned line;

	(void)state;
	for (int i = 0; i < EVIDENCE_KEYS_MAX; i++) {
		strcat(text, rfc_line);
		strcat(text, "\n");
	}
	assert_int_equal(
	    evidence_keys_parse(text, keys, &line), EVIDENCE_KEYS_MAX);
	strcat(text, rfc_line);
	assert_int_equal(evidence_keys_parse(text, keys, &line), ERR_LIMIT);
	free(text);
}

/* ---- order ---- */

static struct evidence_facts
facts(int64_t seq, int64_t first, int64_t last, const char *end, char root,
    char previous)
{
	json_t *j = manifest(seq, first, last, end, root);
	struct evidence_facts f;
	const char *why = "";
	char hex[65];

	memset(hex, previous, 64);
	hex[64] = '\0';
	if (previous != 0)
		json_object_set_new(j, "previous_root", json_string(hex));
	assert_int_equal(evidence_facts_read(&f, j, &why), 0);
	assert_int_equal(f.has_previous, previous != 0);
	json_decref(j);
	return f;
}

static void
expect(struct evidence_facts *list, size_t n, const char *want)
{
	struct evidence_order found[4];
	char text[200] = "";
	size_t have = evidence_order_check(list, n, found, 4);

	for (size_t i = 0; i < have && i < 4; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
		    "%d:%d-%d ", (int)found[i].kind, (int)found[i].from,
		    (int)found[i].to);
	assert_string_equal(text, want);
}

static void
sessions(void **state)
{
	const struct evidence_facts a = facts(1, 1, 10, "size", 'a', 0),
				    b = facts(2, 11, 20, "monitor", 'b', 'a'),
				    c = facts(3, 21, 21, "normal", 'c', 'b'),
				    crash = facts(2, 11, 20, "crash", 'b', 'a'),
				    hole = facts(3, 22, 23, "normal", 'c', 0),
				    fake = facts(2, 11, 20, "size", 'd', 'a');
	struct evidence_facts all[] = { c, a, b }, ends[] = { a, c },
			      no_first[] = { b, c }, no_last[] = { a, b },
			      open[] = { a, crash }, gone[] = { a, b, hole },
			      put[] = { a, fake, c }, twice[] = { a, b, b, c },
			      last[] = { c };

	(void)state;
	expect(all, 3, "");
	assert_int_equal(all[0].seq, 1);
	assert_true(evidence_order_is_end(&all[2]));
	expect(ends, 2, "0:2-2 ");
	expect(no_first, 2, "0:1-1 ");
	expect(last, 1, "0:1-2 ");
	expect(no_last, 2, "1:2-2 ");
	expect(open, 2, ""); /* nobody knows what would have followed */
	assert_false(evidence_order_is_end(&open[1]));
	expect(gone, 3, "3:2-3 ");
	expect(put, 3, "4:2-3 ");
	expect(twice, 4, "2:2-2 ");
}

static void
strange_facts_are_refused(void **state)
{
	static const char *const cases[] = { "session", "segment", "seq", "end",
		"object_key", "bytes", "frames", "first_frame", "last_frame",
		"monitor", "evidence", "sha256", "previous_root" };
	static const char *const values[] = { "null", "-5", "\"\"", "[]",
		"\"\\n\\u001b[2J\"", "1.5" };
	struct evidence_facts f;
	const char *why;

	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		for (size_t k = 0; k < N_ELEMENTS(values); k++) {
			json_t *j = manifest(1, 1, 1, "size", 'a');

			/* free text in a log only, and never printed */
			if (strcmp(cases[i], "end") == 0 && values[k][0] == '"')
				json_object_del(j, "end");
			else
				json_object_set_new(j, cases[i],
				    json_loads(
					values[k], JSON_DECODE_ANY, NULL));
			why = NULL;
			assert_int_equal(
			    evidence_facts_read(&f, j, &why), ERR_CORRUPT);
			assert_non_null(why);
			json_decref(j);
		}
	assert_int_equal(evidence_facts_read(&f, NULL, &why), ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_those_of_the_rfc),
		cmocka_unit_test(signature_holds_all_of_it),
		cmocka_unit_test(wrong_signatures_are_refused),
		cmocka_unit_test(key_files),
		cmocka_unit_test(more_keys_than_room),
		cmocka_unit_test(sessions),
		cmocka_unit_test(strange_facts_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
