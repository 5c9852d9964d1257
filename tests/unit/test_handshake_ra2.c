/* The RSA login of the handshake towards endpoints: cut, changed, hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/handshake_play.h"
#include "tests/unit/ra2_server.h"

#define V38 "RFB 003.008\n"
#define INIT                                                                   \
	"\5\0\3\40\40\30\0\377\0\377\0\377\0\377\20\10\0\0\0\0"                \
	"\0\0\0\4desk"

static struct rfb_ra2_key *relay_key, *endpoint_key;
static struct ra2_server server;
static struct play played;
static size_t n_seen; /* of the relay's output */

/* Feeds what the endpoint says next, piece bytes at a time (0: all). */
static void
say(const void *data, size_t n, size_t piece)
{
	static struct flight flight;

	flight.len = 0;
	fly(&flight, data, n);
	play_flight(&played, &flight, piece);
}

static void
say_server(size_t piece)
{
	say(server.out, server.n_out, piece);
	server.n_out = 0;
}

/* What the relay has said since the last time. */
static const uint8_t *
heard(size_t *n)
{
	const uint8_t *p = buf_head(&played.out) + n_seen;

	*n = buf_len(&played.out) - n_seen;
	n_seen = buf_len(&played.out);
	return p;
}

static void
start(const struct rfb_client_params *params, uint8_t type, size_t piece)
{
	uint8_t types[] = { 1, type };
	size_t n;

	memset(&server, 0, sizeof(server));
	n_seen = 0;
	server.key = endpoint_key;
	server.is_256 = type >= 128;
	play_client_start(&played, params);
	say(V38, 12, piece);
	say(types, sizeof(types), piece);
	heard(&n);
}

static void
start_good(uint8_t type, size_t piece)
{
	const struct rfb_client_params params = { .user = "alice",
		.password = "geheim12",
		.allow_clear = true,
		.ra2_key = relay_key };

	start(&params, type, piece);
}

static void
end(void)
{
	play_end(&played);
	ra2_server_release(&server);
}

/* Up to where both have ciphers. */
static void
exchange_keys(size_t piece)
{
	const uint8_t *p;
	size_t n;

	say(endpoint_key->wire, endpoint_key->wire_len, piece);
	assert_string_equal(played.events, "K");
	p = heard(&n);
	ra2_server_open(&server, p, n);
	say_server(piece);
	assert_true(played.rc >= 0);
}

/* Opens the relay's next message. */
static size_t
heard_sealed(uint8_t *to, size_t room)
{
	size_t n, plain;
	const uint8_t *p = heard(&n);

	assert_int_equal(
	    rfb_ra2_open(server.stream, p, n, to, room, &plain), n);
	return plain;
}

static void
check_hash(void)
{
	uint8_t got[256], expected[EVP_MAX_MD_SIZE];
	size_t n = heard_sealed(got, sizeof(got));

	assert_int_equal(n,
	    ra2_digest(&server, relay_key->wire, relay_key->wire_len,
		endpoint_key->wire, endpoint_key->wire_len, expected));
	assert_memory_equal(got, expected, n);
}

static void
put_hash(void)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t n = ra2_server_hash(&server, hash);

	ra2_put_sealed(&server, hash, n);
}

static void
check_through(uint8_t type, size_t piece)
{
	bool is_all = type == RFB_SEC_RA2 || type == RFB_SEC_RA2_256;
	struct rfb_ra2_stream *cipher;
	uint8_t got[256];

	start_good(type, piece);
	exchange_keys(piece);
	check_hash();
	put_hash();
	ra2_put_sealed(&server, "\1", 1);
	say_server(piece);
	assert_string_equal(played.events, is_all ? "KS" : "K");
	assert_int_equal(heard_sealed(got, sizeof(got)), 15);
	assert_memory_equal(got, "\5alice\10geheim12", 15);
	cipher = rfb_handshake_client_take_cipher(played.client);
	assert_int_equal(cipher != NULL, is_all);
	assert_null(rfb_handshake_client_take_cipher(played.client));
	rfb_ra2_stream_free(cipher);
	say("\0\0\0\0", 4, piece);
	say(INIT, sizeof(INIT) - 1, piece);
	assert_string_equal(played.events, is_all ? "KSR" : "KR");
	end();
}

static void
test_through(void **state)
{
	static const uint8_t types[] = { RFB_SEC_RA2, RFB_SEC_RA2NE,
		RFB_SEC_RA2_256, RFB_SEC_RA2NE_256 };

	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		for (size_t piece = 0; piece < 4; piece++)
			check_through(types[i], piece);
		check_through(types[i], 100);
	}
}

/* Hash and subtype in one message, and the hash in many. */
static void
test_messages_cut_anyhow(void **state)
{
	uint8_t hash[EVP_MAX_MD_SIZE + 1];
	size_t n;

	start_good(RFB_SEC_RA2, 0);
	exchange_keys(0);
	n = ra2_server_hash(&server, hash);
	hash[n] = RFB_RA2_PASSWORD;
	ra2_put_sealed(&server, hash, n + 1);
	say_server(0);
	assert_string_equal(played.events, "KS");
	end();

	start_good(RFB_SEC_RA2, 0);
	exchange_keys(0);
	ra2_server_hash(&server, hash);
	for (size_t i = 0; i < n; i++)
		ra2_put_sealed(&server, hash + i, 1);
	say_server(3);
	assert_string_equal(played.events, "K");
	ra2_put_sealed(&server, "\2", 1);
	say_server(3);
	assert_string_equal(played.events, "KS");
	end();
}

static void
check_failed(int rc, const char *why)
{
	assert_int_equal(played.rc, rc);
	assert_string_equal(rfb_handshake_client_why(played.client), why);
	assert_null(strpbrk(played.events, "SR"));
	end();
}

#define NOT_ITS_KEY                                                            \
	"the endpoint's encrypted login (RA2_256) is not what its RSA key "    \
	"says"

static void
test_wrong_messages(void **state)
{
	uint8_t hash[EVP_MAX_MD_SIZE];

	start_good(RFB_SEC_RA2_256, 0); /* the keys in the wrong order */
	exchange_keys(0);
	ra2_digest(&server, relay_key->wire, relay_key->wire_len,
	    endpoint_key->wire, endpoint_key->wire_len, hash);
	ra2_put_sealed(&server, hash, 32);
	say_server(0);
	check_failed(ERR_CORRUPT, NOT_ITS_KEY);

	start_good(RFB_SEC_RA2_256, 0); /* one bit of a message */
	exchange_keys(0);
	put_hash();
	server.out[20] ^= 4;
	say_server(0);
	check_failed(ERR_CORRUPT, NOT_ITS_KEY);

	start_good(RFB_SEC_RA2_256, 0); /* longer than a login can be */
	exchange_keys(0);
	say("\1\1", 2, 0);
	check_failed(ERR_LIMIT, NOT_ITS_KEY);

	for (unsigned subtype = 0; subtype < 256; subtype++) {
		uint8_t b = (uint8_t)subtype;

		if (b == 1 || b == 2)
			continue;
		start_good(RFB_SEC_RA2_256, 0);
		exchange_keys(0);
		put_hash();
		ra2_put_sealed(&server, &b, 1);
		say_server(0);
		check_failed(ERR_PROTOCOL, NOT_ITS_KEY);
	}

	start_good(RFB_SEC_RA2_256, 0); /* a result before the password */
	exchange_keys(0);
	put_hash();
	ra2_put_sealed(&server, "\1\0\0\0\0", 5);
	say_server(0);
	check_failed(ERR_PROTOCOL, NOT_ITS_KEY);
}

static void
test_wrong_random(void **state)
{
	static const char why[] = "the endpoint's random number is not as long "
				  "as the relay's RSA key";
	uint8_t wrong[2 + 1024] = { 0 };
	size_t n_heard;

	for (unsigned n = 0; n < 1024; n += 31) {
		start_good(RFB_SEC_RA2, 0);
		say(endpoint_key->wire, endpoint_key->wire_len, 0);
		store_be16(wrong, (uint16_t)n);
		say(wrong, 2 + n, 0);
		check_failed(ERR_PROTOCOL, why);
	}
	/* the right length, and nothing in it: it is told nothing more than
	 * one who cannot read what is under its own key */
	start_good(RFB_SEC_RA2_256, 0);
	say(endpoint_key->wire, endpoint_key->wire_len, 0);
	store_be16(wrong, (uint16_t)relay_key->size);
	wrong[2 + relay_key->size - 1] = 3;
	heard(&n_heard);
	say(wrong, 2 + relay_key->size, 0);
	assert_true(played.rc >= 0);
	heard(&n_heard);
	assert_int_equal(n_heard, 32 + RFB_RA2_OVERHEAD);
	say("\0\1????????????????", 19, 0);
	check_failed(ERR_CORRUPT, NOT_ITS_KEY);
}

/* A key of so many bits; the numbers end in n and e. */
static size_t
make_key(uint8_t *to, uint32_t bits, uint8_t first, uint8_t n, uint64_t e)
{
	size_t size = (bits + 7) / 8;

	memset(to, 0, 4 + 2 * size);
	store_be32(to, bits);
	memset(to + 4, 0xab, size);
	to[4] = first;
	to[4 + size - 1] = n;
	store_be64(to + 4 + 2 * size - 8, e);
	return 4 + 2 * size;
}

static void
check_key(size_t len, uint8_t *key, int rc, const char *why)
{
	for (size_t piece = 0; piece < 3; piece++) {
		start_good(RFB_SEC_RA2, piece);
		say(key, len, piece);
		assert_string_equal(played.events, "");
		check_failed(rc, why);
	}
}

static void
test_wrong_keys(void **state)
{
	static uint8_t key[RFB_RA2_WIRE_MAX + 4];
	static const char not_right[] =
	    "the endpoint's RSA key cannot be right";

	store_be32(key, 1023);
	check_key(4, key, ERR_LIMIT,
	    "the endpoint's RSA key has 1023 bits; 1024 to 8192 are taken");
	store_be32(key, 8193);
	check_key(4, key, ERR_LIMIT,
	    "the endpoint's RSA key has 8193 bits; 1024 to 8192 are taken");
	store_be32(key, UINT32_MAX);
	check_key(4, key, ERR_LIMIT,
	    "the endpoint's RSA key has 4294967295 bits; 1024 to 8192 are "
	    "taken");
	/* shorter than it says; even; an exponent of 0, 1, 2, too long */
	check_key(
	    make_key(key, 1024, 0, 1, 65537), key, ERR_PROTOCOL, not_right);
	check_key(
	    make_key(key, 1024, 0xc0, 2, 65537), key, ERR_PROTOCOL, not_right);
	for (uint64_t e = 0; e < 3; e++)
		check_key(make_key(key, 1024, 0xc0, 1, e), key, ERR_PROTOCOL,
		    not_right);
	make_key(key, 8192, 0xc0, 1, 65537);
	key[4 + 1024 + 1024 - 9] = 1;
	check_key(4 + 2048, key, ERR_PROTOCOL, not_right);
}

/* The largest key fits the input and is worked with at once. */
static void
test_longest_key(void **state)
{
	static uint8_t key[RFB_RA2_WIRE_MAX];

	start_good(RFB_SEC_RA2, 0);
	say(key, make_key(key, 8192, 0xc0, 1, UINT64_MAX), 0);
	assert_string_equal(played.events, "K");
	assert_int_equal(
	    buf_len(&played.out), 12 + 1 + relay_key->wire_len + 2 + 1024);
	end();
}

/* Nothing is said before the key was checked, and nothing may come. */
static void
test_key_is_checked_first(void **state)
{
	uint8_t key[RFB_RA2_WIRE_MAX + 1];
	struct rfb_handshake_client *h;
	size_t used, n = endpoint_key->wire_len;

	memcpy(key, endpoint_key->wire, n);
	key[n] = 0;
	start_good(RFB_SEC_RA2, 0);
	h = played.client;
	assert_int_equal(rfb_handshake_client_key_checked(h), ERR_PROTOCOL);
	assert_null(rfb_handshake_client_key_sha256(h));
	assert_string_equal(rfb_handshake_client_key_text(h), "");
	assert_int_equal(rfb_handshake_client_feed(h, key, n, &used),
	    RFB_HANDSHAKE_CHECK_KEY);
	assert_int_equal(used, n);
	assert_int_equal(buf_len(&played.out), n_seen);
	assert_non_null(rfb_handshake_client_key_sha256(h));
	assert_null(rfb_handshake_client_take_cipher(h));
	assert_int_equal(
	    rfb_handshake_client_feed(h, key + n, 1, &used), ERR_PROTOCOL);
	assert_int_equal(rfb_handshake_client_key_checked(h), ERR_PROTOCOL);
	end();
}

static void
test_missing_user(void **state)
{
	const struct rfb_client_params params = { .password = "geheim12",
		.ra2_key = relay_key };

	start(&params, RFB_SEC_RA2_256, 0);
	exchange_keys(0);
	put_hash();
	ra2_put_sealed(&server, "\1", 1);
	say_server(0);
	check_failed(ERR_DENIED,
	    "the endpoint wants a user name and a password and they are not "
	    "stored for it");
}

static int
set_up(void **state)
{
	relay_key = rfb_ra2_key_new(1024);
	endpoint_key = rfb_ra2_key_new(1152);
	return relay_key != NULL && endpoint_key != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	rfb_ra2_key_free(relay_key);
	rfb_ra2_key_free(endpoint_key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_through),
		cmocka_unit_test(test_messages_cut_anyhow),
		cmocka_unit_test(test_wrong_messages),
		cmocka_unit_test(test_wrong_random),
		cmocka_unit_test(test_wrong_keys),
		cmocka_unit_test(test_longest_key),
		cmocka_unit_test(test_key_is_checked_first),
		cmocka_unit_test(test_missing_user),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
