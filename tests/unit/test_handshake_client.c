/* The handshake towards endpoints: good and cut dialogues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/handshake_play.h"

static struct flight clear, tls;
static struct play whole, cut;

#define V33 "RFB 003.003\n"
#define V37 "RFB 003.007\n"
#define V38 "RFB 003.008\n"
#define OK  "\0\0\0\0"
/* 16 bytes that Xvnc sent, and the response for "geheim12" that it took */
#define CHALLENGE                                                              \
	"\x54\xf2\xb2\xb3\xfc\x20\x38\xa5\x87\x6a\x6d\x93\x20\xa3\x46\xef"
#define RESPONSE                                                               \
	"\xf6\x9e\xe7\x95\x4e\xe6\x61\xa7\x11\xbb\x75\x53\x84\x3c\x0f\x7f"
#define INIT                                                                   \
	"\5\0\3\40\40\30\0\377\0\377\0\377\0\377\20\10\0\0\0\0"                \
	"\0\0\0\4desk"
#define BYTES(text) (text), sizeof(text) - 1

/* One endpoint, what is stored for it, and what must come of it. */
struct good {
	const char *name;
	const char *user, *password;
	bool allow_clear;
	const char *clear; /* what the endpoint sends */
	size_t clear_len;
	const char *tls; /* and after TLS */
	size_t tls_len;
	const char *out; /* all that it gets */
	size_t out_len;
	const char *offered, *chosen;
	bool is_in_tunnel;
};

static const struct good goods[] = {
	{ "3.8 none", NULL, NULL, true, BYTES(V38 "\1\1" OK INIT), BYTES(""),
	    BYTES(V38 "\1\1"), "1", "none" },
	{ "3.8 VNC", NULL, "geheim12", true,
	    BYTES(V38 "\1\2" CHALLENGE OK INIT), BYTES(""),
	    BYTES(V38 "\2" RESPONSE "\1"), "2", "VNC password" },
	{ "3.8 VNC before none", NULL, "geheim12", true,
	    BYTES(V38 "\3\1\20\2" CHALLENGE OK INIT), BYTES(""),
	    BYTES(V38 "\2" RESPONSE "\1"), "1, 16, 2", "VNC password" },
	{ "3.8 none when no password", NULL, NULL, true,
	    BYTES(V38 "\2\2\1" OK INIT), BYTES(""), BYTES(V38 "\1\1"), "2, 1",
	    "none" },
	{ "3.7 none", NULL, NULL, true, BYTES(V37 "\1\1" INIT), BYTES(""),
	    BYTES(V37 "\1\1"), "1", "none" },
	{ "3.7 VNC", NULL, "geheim12", true,
	    BYTES(V37 "\1\2" CHALLENGE OK INIT), BYTES(""),
	    BYTES(V37 "\2" RESPONSE "\1"), "2", "VNC password" },
	{ "3.3 none", NULL, NULL, true, BYTES(V33 "\0\0\0\1" INIT), BYTES(""),
	    BYTES(V33 "\1"), "1", "none" },
	{ "3.3 VNC", NULL, "geheim12", true,
	    BYTES(V33 "\0\0\0\2" CHALLENGE OK INIT), BYTES(""),
	    BYTES(V33 RESPONSE "\1"), "2", "VNC password" },
	{ "3.5 is 3.3", NULL, NULL, true, BYTES("RFB 003.005\n\0\0\0\1" INIT),
	    BYTES(""), BYTES(V33 "\1"), "1", "none" },
	{ "macOS", NULL, "geheim12", true,
	    BYTES("RFB 003.889\n\7\36\41\44\37\2\40\43" CHALLENGE OK INIT),
	    BYTES(""), BYTES(V38 "\2" RESPONSE "\1"),
	    "30, 33, 36, 31, 2, 32, 35", "VNC password" },
	{ "RealVNC 5", NULL, NULL, true, BYTES("RFB 005.000\n\2\5\1" OK INIT),
	    BYTES(""), BYTES(V38 "\1\1"), "5, 1", "none" },
	{ "X509None", NULL, NULL, false,
	    BYTES(V38 "\1\23\0\2\0\2\0\0\1\2\0\0\1\4\1"), BYTES(OK INIT),
	    BYTES(V38 "\23\0\2\0\0\1\4\1"), "19", "VeNCrypt X509None" },
	{ "X509Vnc", NULL, "geheim12", false,
	    BYTES(V38 "\2\2\23\0\2\0\2\0\0\1\4\0\0\1\5\1"),
	    BYTES(CHALLENGE OK INIT),
	    BYTES(V38 "\23\0\2\0\0\1\5" RESPONSE "\1"), "2, 19",
	    "VeNCrypt X509Vnc" },
	{ "X509Plain", "alice", "geheim12", false,
	    BYTES(V38 "\2\1\23\0\2\0\3\0\0\1\4\0\0\1\5\0\0\1\6\1"),
	    BYTES(OK INIT),
	    BYTES(V38 "\23\0\2\0\0\1\6\0\0\0\5\0\0\0\10alicegeheim12\1"),
	    "1, 19", "VeNCrypt X509Plain" },
	{ "an empty user is none", "", "geheim12", false,
	    BYTES(V38 "\1\23\0\2\0\2\0\0\1\6\0\0\1\5\1"),
	    BYTES(CHALLENGE OK INIT),
	    BYTES(V38 "\23\0\2\0\0\1\5" RESPONSE "\1"), "19",
	    "VeNCrypt X509Vnc" },
	{ "TLS where clear would do", NULL, NULL, true,
	    BYTES(V38 "\2\1\23\0\2\0\2\0\0\0\1\0\0\1\4\1"), BYTES(OK INIT),
	    BYTES(V38 "\23\0\2\0\0\1\4\1"), "1, 19", "VeNCrypt X509None" },
	{ "X509None on 3.7 has a result", NULL, NULL, false,
	    BYTES(V37 "\1\23\0\2\0\1\0\0\1\4\1"), BYTES(OK INIT),
	    BYTES(V37 "\23\0\2\0\0\1\4\1"), "19", "VeNCrypt X509None" },
	{ "TigerVNC by default", NULL, "geheim12", true,
	    BYTES(V38 "\2\23\2\0\2\0\2\0\0\1\2\0\0\0\2" CHALLENGE OK INIT),
	    BYTES(""), BYTES(V38 "\23\0\2\0\0\0\2" RESPONSE "\1"), "19, 2",
	    "VNC password" },
	{ "none within VeNCrypt", NULL, NULL, true,
	    BYTES(V38 "\2\23\1\0\2\0\2\0\0\1\1\0\0\0\1" OK INIT), BYTES(""),
	    BYTES(V38 "\23\0\2\0\0\0\1\1"), "19, 1", "none" },
	{ "none within VeNCrypt, 3.7", NULL, NULL, true,
	    BYTES(V37 "\2\23\1\0\2\0\2\0\0\1\1\0\0\0\1" INIT), BYTES(""),
	    BYTES(V37 "\23\0\2\0\0\0\1\1"), "19, 1", "none" },
	{ "in a tunnel, no TLS again", NULL, "geheim12", false,
	    BYTES(V38 "\3\1\2\23" CHALLENGE OK INIT), BYTES(""),
	    BYTES(V38 "\2" RESPONSE "\1"), "1, 2, 19", "VNC password", true },
	{ "in a tunnel, VeNCrypt without TLS", NULL, "geheim12", false,
	    BYTES(V38 "\1\23\0\2\0\2\0\0\1\5\0\0\0\2" CHALLENGE OK INIT),
	    BYTES(""), BYTES(V38 "\23\0\2\0\0\0\2" RESPONSE "\1"), "19",
	    "VNC password", true },
};

static void
load(const struct good *g)
{
	clear.len = tls.len = 0;
	fly(&clear, g->clear, g->clear_len);
	fly(&tls, g->tls, g->tls_len);
}

static void
play(struct play *p, const struct good *g, size_t piece)
{
	const struct rfb_client_params params = {
		.user = g->user,
		.password = g->password,
		.allow_clear = g->allow_clear,
		.is_in_tunnel = g->is_in_tunnel,
	};

	play_client_start(p, &params);
	play_both(p, &clear, &tls, piece);
}

static void
check_good(const struct good *g, const struct play *p)
{
	const struct rfb_server_init *init =
	    rfb_handshake_client_init(p->client);

	assert_string_equal(p->events, g->tls_len != 0 ? "TR" : "R");
	assert_int_equal(buf_len(&p->out), g->out_len);
	assert_memory_equal(buf_head(&p->out), g->out, g->out_len);
	assert_string_equal(
	    rfb_handshake_client_offered(p->client), g->offered);
	assert_string_equal(rfb_handshake_client_chosen(p->client), g->chosen);
	assert_int_equal(init->width, 1280);
	assert_int_equal(init->height, 800);
	assert_int_equal(init->pf.bits_per_pixel, 32);
	assert_true(init->pf.true_colour);
	assert_int_equal(init->pf.red_shift, 16);
	assert_int_equal(init->name_len, 4);
	assert_string_equal(init->name, "desk");
	assert_int_equal(p->n_unread, 0);
}

static void
test_good(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(goods); i++) {
		for (size_t piece = 0; piece < 20; piece++) {
			load(&goods[i]);
			play(&whole, &goods[i], piece);
			if (strchr(whole.events, 'R') == NULL)
				print_error("%s, pieces of %zu: %s\n",
				    goods[i].name, piece, whole.why);
			check_good(&goods[i], &whole);
			play_end(&whole);
		}
	}
}

/* Cut after n bytes the handshake waits, without an error. */
static void
check_truncated(const struct good *g, size_t n)
{
	load(g);
	clear.len = min_size(n, clear.len);
	tls.len = n - clear.len;
	play(&whole, g, 0);
	play(&cut, g, 1);
	assert_true(whole.rc >= 0);
	assert_null(strchr(whole.events, 'R'));
	assert_true(is_same_play(&whole, &cut));
	/* nothing goes out that the whole dialogue would not have sent */
	assert_true(buf_len(&whole.out) <= g->out_len);
	assert_memory_equal(buf_head(&whole.out), g->out, buf_len(&whole.out));
	play_end(&whole);
	play_end(&cut);
}

static void
test_truncated(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(goods); i++) {
		size_t len = goods[i].clear_len + goods[i].tls_len;

		for (size_t n = 1; n < len; n++)
			check_truncated(&goods[i], n);
	}
}

/* The session's first bytes stay with the caller. */
static void
test_what_follows(void **state)
{
	load(&goods[0]);
	fly(&clear, "\0\0\0\1rest", 8);
	play(&whole, &goods[0], 0);
	assert_string_equal(whole.events, "R");
	assert_int_equal(whole.n_unread, 8);
	play_end(&whole);
}

/* Nothing secret leaves before TLS was said to be up. */
static void
test_secrets_wait_for_tls(void **state)
{
	const struct good *g = &goods[13];

	load(g);
	tls.len = 0;
	play_client_start(&whole,
	    &(struct rfb_client_params){
		.user = g->user, .password = g->password });
	assert_int_equal(
	    rfb_handshake_client_tls_started(whole.client), ERR_PROTOCOL);
	play_flight(&whole, &clear, 0);
	assert_string_equal(whole.events, "T");
	assert_null(
	    memmem(buf_head(&whole.out), buf_len(&whole.out), "alice", 5));
	assert_int_equal(rfb_handshake_client_tls_started(whole.client), 0);
	assert_non_null(
	    memmem(buf_head(&whole.out), buf_len(&whole.out), "alice", 5));
	assert_int_equal(
	    rfb_handshake_client_tls_started(whole.client), ERR_PROTOCOL);
	play_end(&whole);
}

static void
test_phase_names(void **state)
{
	struct rfb_client_params params = { 0 };

	play_client_start(&whole, &params);
	assert_string_equal(
	    rfb_handshake_client_phase(whole.client), "the protocol version");
	clear.len = 0;
	fly(&clear, BYTES(V38));
	play_flight(&whole, &clear, 0);
	assert_string_equal(
	    rfb_handshake_client_phase(whole.client), "the security types");
	play_end(&whole);
}

static void
load_name(uint32_t len)
{
	clear.len = tls.len = 0;
	fly(&clear, BYTES(V38 "\1\1" OK INIT));
	clear.len -= 8;
	fly32(&clear, len);
	for (uint32_t i = 0; i < len && clear.len < sizeof(clear.data); i++)
		fly8(&clear, 'a' + i % 26);
}

/* A long name is cut, and what was cut off is passed over. */
static void
test_names(void **state)
{
	static const uint32_t lens[] = { 0, 1, RFB_MAX_NAME, RFB_MAX_NAME + 1,
		65536 };

	for (size_t i = 0; i < 3 * N_ELEMENTS(lens); i++) {
		const struct rfb_server_init *init;
		uint32_t len = lens[i / 3];

		load_name(len);
		fly8(&clear, 2); /* a Bell, of the session */
		play(&whole, &goods[0], i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 1000);
		init = rfb_handshake_client_init(whole.client);
		assert_string_equal(whole.events, "R");
		assert_int_equal(init->name_len, min_size(len, RFB_MAX_NAME));
		assert_int_equal(strlen(init->name), init->name_len);
		assert_int_equal(whole.n_unread, 1);
		play_end(&whole);
	}
}

static void
test_ultra(void **state)
{
	static const char types[] = "\21\160\161\166";

	for (size_t i = 0; i < sizeof(types) - 1; i++) {
		clear.len = 0;
		fly(&clear, BYTES(V38 "\2"));
		fly(&clear, types + i, 1);
		fly(&clear, BYTES("\2"));
		play(&whole, &goods[1], 0);
		assert_true(rfb_handshake_client_is_ultra(whole.client));
		assert_memory_equal(buf_head(&whole.out), V38 "\2", 13);
		play_end(&whole);
	}
	load(&goods[1]);
	play(&whole, &goods[1], 0);
	assert_false(rfb_handshake_client_is_ultra(whole.client));
	play_end(&whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_what_follows),
		cmocka_unit_test(test_secrets_wait_for_tls),
		cmocka_unit_test(test_phase_names),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ultra),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
