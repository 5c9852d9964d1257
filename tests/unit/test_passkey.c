/* Passkeys: an authenticator in software registers and signs; then it lies,
 * in each field that is checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fido.h>
#include <sodium.h>
#include <sys/resource.h>

#include "common/bytes.h"
#include "common/err.h"
#include "console/login/cbor.h"
#include "console/login/passkey.h"
#include "soft_authenticator.h"

static const int algorithms[] = { -7, -8, -257 };
static const char client_data[] =
    "{\"type\":\"webauthn.create\",\"challenge\":\"x\"}";
static struct passkey_rp rp;

static struct passkey_bytes
bytes(const struct soft_bytes *b)
{
	return (struct passkey_bytes){ b->data, b->len };
}

static struct passkey_bytes
text(const char *s)
{
	return (struct passkey_bytes){ (const uint8_t *)s, strlen(s) };
}

static int
register_as(
    struct passkey *p, const struct soft_authenticator *a, const char *format)
{
	struct soft_bytes attestation;

	soft_attestation(&attestation, a, format, client_data);
	return passkey_register(p, &rp, text(client_data), bytes(&attestation));
}

/* Signs with flags, and the client data signed_data; says that it was said. */
static int
sign_in(const struct passkey *p, const struct soft_authenticator *a,
    uint8_t flags, const char *signed_data, const char *said)
{
	struct soft_bytes data = { .len = 0 }, signature;
	uint32_t count = 77777;
	int rc;

	soft_authenticator_data(&data, a, flags, false);
	soft_sign(&signature, a, data.data, data.len, signed_data);
	rc = passkey_verify(
	    p, &rp, text(said), bytes(&data), bytes(&signature), &count);
	if (rc == 0)
		assert_int_equal(count, a->sign_count);
	return rc;
}

static void
test_register_and_sign(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(algorithms); i++) {
		static const char *const formats[] = { "none", "packed" };
		struct soft_authenticator a;
		struct passkey p;

		soft_new(&a, algorithms[i]);
		for (size_t j = 0; j < N_ELEMENTS(formats); j++) {
			a.sign_count = (uint32_t)j * 0x01020304u;
			assert_int_equal(register_as(&p, &a, formats[j]), 0);
			assert_int_equal(p.algorithm, algorithms[i]);
			assert_int_equal(p.sign_count, a.sign_count);
			assert_int_equal(p.id_len, sizeof(a.id));
			assert_memory_equal(p.id, a.id, sizeof(a.id));
		}
		a.sign_count = 0xfffffffeu;
		assert_int_equal(sign_in(&p, &a, 0x05, "{1}", "{1}"), 0);
		/* backup eligible and backed up */
		assert_int_equal(sign_in(&p, &a, 0x1d, "{1}", "{1}"), 0);
		soft_free(&a);
	}
}

static void
test_signatures_that_are_wrong(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(algorithms); i++) {
		struct soft_authenticator a, other;
		struct passkey p, q;

		soft_new(&a, algorithms[i]);
		soft_new(&other, algorithms[i]);
		assert_int_equal(register_as(&p, &a, "none"), 0);
		assert_int_equal(
		    sign_in(&p, &a, 0x05, "{1}", "{2}"), ERR_DENIED);
		assert_int_equal(
		    sign_in(&p, &other, 0x05, "{1}", "{1}"), ERR_DENIED);
		/* user not verified, not present */
		assert_int_equal(
		    sign_in(&p, &a, 0x01, "{1}", "{1}"), ERR_DENIED);
		assert_int_equal(
		    sign_in(&p, &a, 0x04, "{1}", "{1}"), ERR_DENIED);
		assert_int_equal(
		    sign_in(&p, &a, 0x00, "{1}", "{1}"), ERR_DENIED);
		/* flags of what is not there */
		assert_int_equal(
		    sign_in(&p, &a, 0x45, "{1}", "{1}"), ERR_PROTOCOL);
		assert_int_equal(
		    sign_in(&p, &a, 0x85, "{1}", "{1}"), ERR_PROTOCOL);
		/* another key's algorithm */
		q = p;
		q.algorithm = algorithms[(i + 1) % 3];
		assert_int_equal(
		    sign_in(&q, &a, 0x05, "{1}", "{1}"), ERR_DENIED);
		q.algorithm = -35;
		assert_int_equal(
		    sign_in(&q, &a, 0x05, "{1}", "{1}"), ERR_DENIED);
		q = p;
		q.key_len = 0;
		assert_int_equal(
		    sign_in(&q, &a, 0x05, "{1}", "{1}"), ERR_DENIED);
		a.rp_id = "other.example";
		assert_int_equal(
		    sign_in(&p, &a, 0x05, "{1}", "{1}"), ERR_DENIED);
		soft_free(&a);
		soft_free(&other);
	}
}

/* Each byte of data and signature changed, each length. */
static void
test_every_byte_counts(void **state)
{
	struct soft_bytes data = { .len = 0 }, signature;
	struct soft_authenticator a;
	struct passkey p;
	uint32_t count;

	soft_new(&a, -7);
	assert_int_equal(register_as(&p, &a, "none"), 0);
	soft_authenticator_data(&data, &a, 0x05, false);
	soft_sign(&signature, &a, data.data, data.len, "{}");
	for (size_t i = 0; i < data.len; i++) {
		data.data[i] ^= 2;
		assert_int_not_equal(
		    passkey_verify(&p, &rp, text("{}"), bytes(&data),
			bytes(&signature), &count),
		    0);
		data.data[i] ^= 2;
	}
	for (size_t i = 0; i < signature.len; i++) {
		signature.data[i] ^= 1;
		assert_int_not_equal(
		    passkey_verify(&p, &rp, text("{}"), bytes(&data),
			bytes(&signature), &count),
		    0);
		signature.data[i] ^= 1;
	}
	for (size_t n = 0; n <= data.len + 2; n++)
		assert_int_equal(passkey_verify(&p, &rp, text("{}"),
				     (struct passkey_bytes){ data.data, n },
				     bytes(&signature), &count) == 0,
		    n == data.len);
	for (size_t n = 0; n <= signature.len; n++)
		assert_int_equal(
		    passkey_verify(&p, &rp, text("{}"), bytes(&data),
			(struct passkey_bytes){ signature.data, n },
			&count) == 0,
		    n == signature.len);
	soft_free(&a);
}

static void
test_registrations_that_are_wrong(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(algorithms); i++) {
		struct soft_authenticator a;
		struct soft_bytes b;
		struct passkey p;

		soft_new(&a, algorithms[i]);
		for (unsigned flags = 0; flags < 256; flags++) {
			bool is_right = (flags & 0xc5) == 0x45;

			a.flags = (uint8_t)flags;
			assert_int_equal(
			    register_as(&p, &a, "none") == 0, is_right);
		}
		a.flags = 0x45;
		assert_int_equal(register_as(&p, &a, "tpm"), ERR_PROTOCOL);
		assert_int_equal(register_as(&p, &a, "nonf"), ERR_PROTOCOL);
		/* a statement about other client data */
		soft_attestation(&b, &a, "packed", "{}");
		assert_int_equal(
		    passkey_register(&p, &rp, text(client_data), bytes(&b)),
		    ERR_DENIED);
		a.rp_id = "other.example";
		assert_int_equal(register_as(&p, &a, "none"), ERR_DENIED);
		soft_free(&a);
	}
}

/* Every beginning of an attestation object, and something behind it. */
static void
test_objects_cut_off(void **state)
{
	struct soft_authenticator a;
	struct soft_bytes whole, b;
	struct passkey p;

	soft_new(&a, -7);
	soft_attestation(&whole, &a, "packed", client_data);
	for (size_t n = 0; n < whole.len; n++) {
		/* heap of that size: reading behind it would be seen */
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, whole.data, n);
		assert_int_equal(passkey_register(&p, &rp, text(client_data),
				     (struct passkey_bytes){ cut, n }),
		    ERR_PROTOCOL);
		free(cut);
	}
	b = whole;
	soft_byte(&b, 0);
	assert_int_equal(
	    passkey_register(&p, &rp, text(client_data), bytes(&b)),
	    ERR_PROTOCOL);
	b = whole;
	b.data[0] = 0xa4; /* four pairs: one more than there are */
	assert_int_equal(
	    passkey_register(&p, &rp, text(client_data), bytes(&b)),
	    ERR_PROTOCOL);
	assert_int_equal(
	    passkey_register(&p, &rp, text(client_data), bytes(&whole)), 0);
	soft_free(&a);
}

/* Authenticator data whose key is this CBOR. */
static int
register_key(const uint8_t *key, size_t len)
{
	struct soft_authenticator a = { .rp_id = "console.example" };
	struct soft_bytes data = { .len = 0 }, b = { .len = 0 };
	struct passkey p;

	soft_authenticator_data(&data, &a, 0x45, false);
	for (int i = 0; i < 16; i++)
		soft_byte(&data, 0);
	soft_put(&data, "\0\1k", 3);
	soft_put(&data, key, len);
	soft_head(&b, 5, 3);
	soft_text(&b, "fmt");
	soft_text(&b, "none");
	soft_text(&b, "attStmt");
	soft_head(&b, 5, 0);
	soft_text(&b, "authData");
	soft_data(&b, data.data, data.len);
	return passkey_register(&p, &rp, text("{}"), bytes(&b));
}

static long
peak_kb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static void
test_hostile_keys(void **state)
{
	static const struct {
		size_t len;
		uint8_t cbor[40];
	} keys[] = {
		{ 1, { 0xa0 } },                            /* empty */
		{ 1, { 0x80 } },                            /* an array */
		{ 2, { 0xbf, 0xff } },                      /* indefinite */
		{ 5, { 0xba, 0xff, 0xff, 0xff, 0xff } },    /* 2^32 pairs */
		{ 7, { 0xa1, 0x01, 0x9a, 0x20, 0, 0, 0 } }, /* 2^29 items */
		{ 11,
		    { 0xa1, 0x01, 0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff } }, /* 2^64 - 1 bytes */
		{ 11,
		    { 0xa1, 0x01, 0xbb, 0x80, 0, 0, 0, 0, 0, 0, 1,
			0 } }, /* twice that overflows */
		{ 9, { 0xa2, 0x03, 0x26, 0x01, 0x9a, 1 } }, /* 2^24 items */
		{ 3, { 0xa1, 0x01, 0x1c } },                /* reserved */
		{ 4, { 0xa1, 0x01, 0xf6, 0 } },          /* and one more byte */
		{ 3, { 0xa1, 0x01, 0xf6 } },             /* null */
		{ 5, { 0xa2, 0x01, 0x02, 0x03, 0x26 } }, /* without the point */
	};
	long before = peak_kb();
	uint8_t deep[64];

	for (size_t i = 0; i < N_ELEMENTS(keys); i++)
		assert_int_equal(
		    register_key(keys[i].cbor, keys[i].len), ERR_PROTOCOL);
	/* libcbor would have taken 8 bytes for each of 2^24 items */
	assert_true(peak_kb() < before + 64 * 1024);
	memset(deep, 0x81, sizeof(deep));
	deep[0] = 0xa1;
	deep[1] = 0x01;
	deep[63] = 0;
	assert_int_equal(register_key(deep, sizeof(deep)), ERR_PROTOCOL);
	assert_int_equal(cbor_item(deep, sizeof(deep)), ERR_LIMIT);
}

/* A point that is not on the curve, and keys of other algorithms. */
static void
test_keys_that_are_none(void **state)
{
	struct soft_authenticator a;
	struct soft_bytes b;
	struct passkey p;
	uint8_t *at;
	int rc;

	soft_new(&a, -7);
	soft_attestation(&b, &a, "none", client_data);
	b.data[b.len - 1] ^= 1; /* the last byte of y */
	rc = passkey_register(&p, &rp, text(client_data), bytes(&b));
	if (rc == 0) /* at the latest when it is used */
		rc = sign_in(&p, &a, 0x05, "{}", "{}");
	assert_int_not_equal(rc, 0);
	soft_attestation(&b, &a, "none", client_data);
	at = memmem(b.data, b.len, "\1\2\3\x26", 4); /* EC2, ES256 */
	assert_non_null(at);
	for (uint8_t n = 0; n < 32; n++) {
		if (n == 6)
			continue;
		at[3] = 0x20 | n; /* -1 - n, or more bytes follow */
		assert_int_equal(
		    passkey_register(&p, &rp, text(client_data), bytes(&b)),
		    ERR_PROTOCOL);
	}
	soft_free(&a);
}

/* ---- client data ---- */

#define CHALLENGE_A                                                            \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"                          \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ORIGIN "\"origin\":\"https://console.example:8443\""

static int
check_client(const char *json)
{
	uint8_t challenge[CHALLENGE_LEN];

	memset(challenge, 0xff, sizeof(challenge));
	if (client_data_check(&rp, text(json), "webauthn.get", challenge) != 0)
		return ERR_DENIED;
	for (size_t i = 0; i < sizeof(challenge); i++)
		assert_int_equal(challenge[i], 0);
	return 0;
}

static void
test_client_data(void **state)
{
#define BEGIN "{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE_A "\","
	static const char *const right[] = {
		BEGIN ORIGIN "}",
		BEGIN ORIGIN ",\"crossOrigin\":false}",
		BEGIN ORIGIN ",\"other_keys_can_be_added_here\":\"x\"}",
	};
	static const char *const wrong[] = {
		"",
		"{",
		"[]",
		"null",
		BEGIN ORIGIN,
		BEGIN ORIGIN "} ,",
		BEGIN ORIGIN ",\"crossOrigin\":true}",
		BEGIN ORIGIN ",\"topOrigin\":\"https://other.example\"}",
		BEGIN ORIGIN ",\"type\":\"webauthn.get\"}",
		BEGIN "\"origin\":\"https://console.example\"}",
		BEGIN "\"origin\":\"http://console.example:8443\"}",
		BEGIN "\"origin\":\"https://console.example:8443/\"}",
		BEGIN "\"origin\":\"https://console.example:8443.evil\"}",
		BEGIN "\"origin\":\"https://console.example:8443\\u0000\"}",
		BEGIN "\"origin\":null}",
		BEGIN "\"origin\":[\"https://console.example:8443\"]}",
		"{\"type\":\"webauthn.create\",\"challenge\":\"" CHALLENGE_A
		"\"," ORIGIN "}",
		"{\"type\":\"webauthn.get\"," ORIGIN "}",
		"{\"challenge\":\"" CHALLENGE_A "\"," ORIGIN "}",
		"{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE_A
		"AA\"," ORIGIN "}",
		"{\"type\":\"webauthn.get\",\"challenge\":\"AAAA\"," ORIGIN "}",
		"{\"type\":\"webauthn.get\",\"challenge\":\"" CHALLENGE_A
		"==\"," ORIGIN "}",
		"{\"type\":\"webauthn.get\",\"challenge\":7," ORIGIN "}",
	};
	char longest[CLIENT_DATA_MAX + 2];
	int n;

	for (size_t i = 0; i < N_ELEMENTS(right); i++)
		assert_int_equal(check_client(right[i]), 0);
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_int_equal(check_client(wrong[i]), ERR_DENIED);
	n = snprintf(longest, sizeof(longest), "%s", right[0]);
	memset(longest + n, ' ', sizeof(longest) - (size_t)n);
	longest[CLIENT_DATA_MAX + 1] = '\0';
	assert_int_equal(check_client(longest), ERR_DENIED);
	longest[CLIENT_DATA_MAX] = '\0';
	assert_int_equal(check_client(longest), 0);
}

/* ---- challenges ---- */

static void
test_challenges(void **state)
{
	uint8_t key[SEAL_KEY_LEN] = { 1 }, other[SEAL_KEY_LEN] = { 2 };
	uint8_t c[CHALLENGE_LEN], d[CHALLENGE_LEN];
	char t[CHALLENGE_TEXT_MAX];
	const int64_t now = 1700000000;

	challenge_new(c, key, CHALLENGE_LOGIN, 7, now);
	challenge_new(d, key, CHALLENGE_LOGIN, 7, now);
	assert_memory_not_equal(c, d, sizeof(c));
	challenge_text(c, t);
	assert_int_equal(strlen(t), CHALLENGE_TEXT_MAX - 1);
#define GOOD(c, len, key, use, person, now)                                    \
	challenge_is_good(c, len, key, use, person, now)
	assert_true(GOOD(c, sizeof(c), key, CHALLENGE_LOGIN, 7, now));
	assert_true(GOOD(
	    c, sizeof(c), key, CHALLENGE_LOGIN, 7, now + CHALLENGE_SECONDS));
	assert_false(GOOD(c, sizeof(c), key, CHALLENGE_LOGIN, 7,
	    now + CHALLENGE_SECONDS + 1));
	assert_false(GOOD(c, sizeof(c), key, CHALLENGE_REGISTER, 7, now));
	assert_false(GOOD(c, sizeof(c), key, CHALLENGE_LOGIN, 8, now));
	assert_false(GOOD(c, sizeof(c), other, CHALLENGE_LOGIN, 7, now));
	assert_false(GOOD(c, sizeof(c) - 1, key, CHALLENGE_LOGIN, 7, now));
	for (size_t i = 0; i < sizeof(c); i++) {
		c[i] ^= 0x80;
		assert_false(GOOD(c, sizeof(c), key, CHALLENGE_LOGIN, 7, now));
		c[i] ^= 0x80;
	}
}

/* ---- the relying party ---- */

static void
test_relying_parties(void **state)
{
	static const struct {
		const char *url, *id, *origin;
		bool is_usable;
	} right[] = {
		{ "https://localhost:8443", "localhost",
		    "https://localhost:8443", true },
		{ "https://Console.Example/", "console.example",
		    "https://console.example", true },
		{ "HTTPS://console.example:443", "console.example",
		    "https://console.example", true },
		{ "https://192.0.2.7:8443", "192.0.2.7",
		    "https://192.0.2.7:8443", false },
		{ "https://[2001:db8::1]:8443", "", "", false },
	};
	static const char *const wrong[] = { "", "console.example",
		"http://console.example", "https://", "https://:8443",
		"https://console.example:", "https://console.example:x",
		"https://console.example:123456",
		"https://console.example/path", "https://a b", "https://a@b",
		"https://a?b" };
	char longest[400] = "https://";
	struct passkey_rp r;

	for (size_t i = 0; i < N_ELEMENTS(right); i++) {
		assert_int_equal(passkey_rp_set(&r, right[i].url), 0);
		assert_string_equal(r.id, right[i].id);
		assert_string_equal(r.origin, right[i].origin);
		assert_int_equal(r.is_usable, right[i].is_usable);
	}
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_int_equal(passkey_rp_set(&r, wrong[i]), ERR_CONFIG);
	memset(longest + 8, 'a', 254);
	assert_int_equal(passkey_rp_set(&r, longest), ERR_CONFIG);
	assert_int_equal(passkey_rp_set(&r, NULL), ERR_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register_and_sign),
		cmocka_unit_test(test_signatures_that_are_wrong),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_registrations_that_are_wrong),
		cmocka_unit_test(test_objects_cut_off),
		cmocka_unit_test(test_hostile_keys),
		cmocka_unit_test(test_keys_that_are_none),
		cmocka_unit_test(test_client_data),
		cmocka_unit_test(test_challenges),
		cmocka_unit_test(test_relying_parties),
	};

	fido_init(0);
	if (sodium_init() < 0 ||
	    passkey_rp_set(&rp, "https://console.example:8443") != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
