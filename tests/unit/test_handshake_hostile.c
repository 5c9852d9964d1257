/*
 * Endpoints that refuse, that cannot be served, and hostile ones: each ends
 * with a sentence for the technician, however the bytes are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/handshake_play.h"

static struct flight clear, tls;
static struct play played;

#define V33         "RFB 003.003\n"
#define V37         "RFB 003.007\n"
#define V38         "RFB 003.008\n"
#define OK          "\0\0\0\0"
#define FAILED      "\0\0\0\1"
#define CHALLENGE   "0123456789abcdef"
#define PF          "\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0"
#define BYTES(text) (text), sizeof(text) - 1

static const struct rfb_client_params nothing;
static const struct rfb_client_params may_clear = { .allow_clear = true };
static const struct rfb_client_params has_password = { .password = "pw",
	.allow_clear = true };
static const struct rfb_client_params has_both = { .user = "u",
	.password = "pw" };

struct bad {
	const struct rfb_client_params *params;
	const char *clear;
	size_t clear_len;
	const char *tls;
	size_t tls_len;
	int rc;
	const char *why;
};

static void
check(const struct bad *b)
{
	for (size_t piece = 0; piece < 4; piece++) {
		clear.len = tls.len = 0;
		fly(&clear, b->clear, b->clear_len);
		fly(&tls, b->tls, b->tls_len);
		play_client_start(&played, b->params);
		play_both(&played, &clear, &tls, piece);
		assert_string_equal(played.why, b->why);
		assert_int_equal(played.rc, b->rc);
		assert_null(strchr(played.events, 'R'));
		play_end(&played);
	}
}

static void
check_all(const struct bad *bads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&bads[i]);
}

#define NOT_RFB "the endpoint does not speak VNC (RFB) on that port"

static void
test_versions(void **state)
{
	static const struct bad bads[] = {
		{ &may_clear, BYTES("SSH-2.0-OpenSSH_9.2\r\n"), BYTES(""),
		    ERR_PROTOCOL, NOT_RFB },
		{ &may_clear, BYTES("HTTP/1.1 400 Bad Request\r\n"), BYTES(""),
		    ERR_PROTOCOL, NOT_RFB },
		{ &may_clear, BYTES("RFB 000.000\n"), BYTES(""), ERR_PROTOCOL,
		    NOT_RFB },
		{ &may_clear, BYTES("RFB -03.008\n\1\1"), BYTES(""),
		    ERR_PROTOCOL, NOT_RFB },
		{ &may_clear, BYTES("RFB 003.00\n\n"), BYTES(""), ERR_PROTOCOL,
		    NOT_RFB },
	};

	check_all(bads, N_ELEMENTS(bads));
}

#define ONLY(types)                                                            \
	"the endpoint offers security types " types                            \
	" only; Relaycam needs VeNCrypt with X.509 (19), RA2 (5, 129), a "     \
	"macOS or Windows login (30, 113), a VNC password (2) or none (1)"

/* Never type 16 (Tight), UltraVNC's, or one that was not offered. */
static void
test_types(void **state)
{
	static const struct bad bads[] = {
		{ &has_password, BYTES(V38 "\2\20\43"), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("16, 35") },
		{ &has_password, BYTES(V38 "\3\21\160\166"), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("17, 112, 118") },
		{ &has_password, BYTES(V33 "\0\0\0\20"), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("16") },
		/* the low byte alone would be type 2 */
		{ &has_password, BYTES(V33 "\0\0\1\2" CHALLENGE), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("258") },
		/* 3.3 has no RA2, no macOS login */
		{ &may_clear, BYTES(V33 "\0\0\0\36"), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("30") },
		/* RA2 needs a key of the relay */
		{ &has_password, BYTES(V38 "\4\5\6\201\202"), BYTES(""),
		    ERR_UNSUPPORTED, ONLY("5, 6, 129, 130") },
		/* a login with an account needs all of it */
		{ &has_password, BYTES(V38 "\2\20\36"), BYTES(""), ERR_DENIED,
		    "the endpoint wants a user name and a password and they "
		    "are not stored for it" },
		{ &has_password, BYTES(V38 "\2\21\161"), BYTES(""), ERR_DENIED,
		    "the endpoint wants a user name and a password and they "
		    "are not stored for it" },
		/* and what a password alone would do is said before that */
		{ &may_clear, BYTES(V38 "\2\36\2"), BYTES(""), ERR_DENIED,
		    "the endpoint wants a VNC password and none is stored for "
		    "it" },
		{ &has_both, BYTES(V38 "\2\36\161"), BYTES(""), ERR_UNSUPPORTED,
		    "the endpoint offers no TLS (security types 30, 113); "
		    "switch on VeNCrypt X509 there, or allow clear "
		    "connections to this endpoint (--allow-clear)" },
		{ &nothing, BYTES(V38 "\2\1\2"), BYTES(""), ERR_UNSUPPORTED,
		    "the endpoint offers no TLS (security types 1, 2); switch "
		    "on VeNCrypt X509 there, or allow clear connections to "
		    "this endpoint (--allow-clear)" },
		{ &nothing, BYTES(V33 "\0\0\0\1"), BYTES(""), ERR_UNSUPPORTED,
		    "the endpoint offers no TLS (security types 1); switch "
		    "on VeNCrypt X509 there, or allow clear connections to "
		    "this endpoint (--allow-clear)" },
		{ &may_clear, BYTES(V38 "\1\2"), BYTES(""), ERR_DENIED,
		    "the endpoint wants a VNC password and none is stored for "
		    "it" },
		{ &may_clear, BYTES(V33 "\0\0\0\2"), BYTES(""), ERR_DENIED,
		    "the endpoint wants a VNC password and none is stored for "
		    "it" },
	};

	check_all(bads, N_ELEMENTS(bads));
}

/* 255 types: the sentence stays a sentence. */
static void
test_many_types(void **state)
{
	clear.len = tls.len = 0;
	fly(&clear, BYTES(V38 "\377"));
	for (unsigned i = 1; i <= 255; i++)
		fly8(
		    &clear, i <= 2 || i == 19 || i == 30 || i == 113 ? 200 : i);
	play_client_start(&played, &has_password);
	play_both(&played, &clear, &tls, 0);
	assert_int_equal(played.rc, ERR_UNSUPPORTED);
	assert_non_null(strstr(played.why, "types 200, 200, 3, 4, "));
	assert_non_null(strstr(played.why, ", ... only; Relaycam needs"));
	play_end(&played);
}

#define NEEDS                                                                  \
	"; Relaycam needs one with a certificate: X509Plain (262), X509Vnc "   \
	"(261) or X509None (260)"
#define SUBTYPES V38 "\1\23\0\2\0"

static void
test_vencrypt(void **state)
{
	static const struct bad bads[] = {
		{ &has_password, BYTES(V38 "\1\23\0\1"), BYTES(""),
		    ERR_UNSUPPORTED,
		    "the endpoint's VeNCrypt version is 0.1; Relaycam needs "
		    "0.2" },
		{ &has_password, BYTES(V38 "\1\23\0\2\377"), BYTES(""),
		    ERR_UNSUPPORTED,
		    "the endpoint does not accept VeNCrypt 0.2" },
		{ &has_password, BYTES(SUBTYPES "\0"), BYTES(""),
		    ERR_UNSUPPORTED,
		    "the endpoint offers no VeNCrypt type" NEEDS },
		/* anonymous TLS, Plain in clear: never */
		{ &has_both,
		    BYTES(SUBTYPES "\4\0\0\1\0\0\0\1\1\0\0\1\2\0\0\1\3"),
		    BYTES(""), ERR_UNSUPPORTED,
		    "the endpoint offers VeNCrypt types 256, 257, 258, 259 "
		    "only" NEEDS },
		{ &has_both, BYTES(SUBTYPES "\2\0\0\0\2\0\0\0\1"), BYTES(""),
		    ERR_UNSUPPORTED,
		    "the endpoint offers VeNCrypt types 2, 1 only" NEEDS },
		{ &has_password, BYTES(SUBTYPES "\1\0\0\1\6"), BYTES(""),
		    ERR_DENIED,
		    "the endpoint wants a user name and a password and they "
		    "are not stored for it" },
		{ &nothing, BYTES(SUBTYPES "\2\0\0\1\6\0\0\1\5"), BYTES(""),
		    ERR_DENIED,
		    "the endpoint wants a VNC password and none is stored for "
		    "it" },
		{ &may_clear, BYTES(SUBTYPES "\2\0\0\1\2\0\0\0\2"), BYTES(""),
		    ERR_DENIED,
		    "the endpoint wants a VNC password and none is stored for "
		    "it" },
		{ &nothing, BYTES(SUBTYPES "\1\0\0\1\4\0"), BYTES(""),
		    ERR_DENIED,
		    "the endpoint refused the VeNCrypt type it had offered" },
	};

	check_all(bads, N_ELEMENTS(bads));
}

/* STARTTLS injection: whatever lies behind the last byte before TLS. */
static void
test_bytes_before_tls(void **state)
{
	static const struct bad bads[] = {
		{ &nothing, BYTES(SUBTYPES "\1\0\0\1\4\1\0"), BYTES(""),
		    ERR_PROTOCOL,
		    "the endpoint sent bytes before TLS was started" },
		{ &nothing, BYTES(SUBTYPES "\1\0\0\1\4\1" OK "rest"), BYTES(OK),
		    ERR_PROTOCOL,
		    "the endpoint sent bytes before TLS was started" },
	};

	check_all(bads, N_ELEMENTS(bads));
	/* in one piece it never comes to TLS */
	clear.len = tls.len = 0;
	fly(&clear, bads[0].clear, bads[0].clear_len);
	play_client_start(&played, &nothing);
	play_both(&played, &clear, &tls, 0);
	assert_int_equal(played.rc, ERR_PROTOCOL);
	assert_string_equal(played.events, "");
	play_end(&played);
}

static void
test_refusals(void **state)
{
	static const struct bad bads[] = {
		{ &may_clear, BYTES(V38 "\0\0\0\0\10Too busy"), BYTES(""),
		    ERR_DENIED,
		    "the endpoint refused the connection: Too busy" },
		{ &may_clear, BYTES(V37 "\0\0\0\0\0"), BYTES(""), ERR_DENIED,
		    "the endpoint refused the connection" },
		{ &may_clear, BYTES(V33 "\0\0\0\0\0\0\0\4nein"), BYTES(""),
		    ERR_DENIED, "the endpoint refused the connection: nein" },
		{ &has_password,
		    BYTES(V38 "\1\2" CHALLENGE FAILED "\0\0\0\7sp\xe4ter!"),
		    BYTES(""), ERR_DENIED,
		    "the endpoint refused the stored password: "
		    "sp\xc3\xa4ter!" },
		{ &has_password,
		    BYTES(V38 "\1\2" CHALLENGE "\0\0\0\2\0\0\0\3\33[m"),
		    BYTES(""), ERR_DENIED,
		    "the endpoint refused the stored password: [m" },
		{ &has_password, BYTES(V37 "\1\2" CHALLENGE FAILED), BYTES(""),
		    ERR_DENIED, "the endpoint refused the stored password" },
		{ &has_password, BYTES(V33 "\0\0\0\2" CHALLENGE FAILED),
		    BYTES(""), ERR_DENIED,
		    "the endpoint refused the stored password" },
		{ &may_clear, BYTES(V38 "\1\1" FAILED "\0\0\0\2no"), BYTES(""),
		    ERR_DENIED, "the endpoint refused the connection: no" },
		{ &nothing, BYTES(SUBTYPES "\1\0\0\1\4\1"),
		    BYTES(FAILED "\0\0\0\2no"), ERR_DENIED,
		    "the endpoint refused the connection: no" },
		{ &has_both, BYTES(SUBTYPES "\1\0\0\1\6\1"),
		    BYTES(FAILED "\0\0\0\2no"), ERR_DENIED,
		    "the endpoint refused the stored password: no" },
	};

	check_all(bads, N_ELEMENTS(bads));
}

static void
test_reason_limits(void **state)
{
	static const struct bad bads[] = {
		{ &may_clear, BYTES(V38 "\0\0\0\20\1"), BYTES(""), ERR_LIMIT,
		    "the endpoint refused the connection with a reason of "
		    "4097 bytes" },
		{ &may_clear, BYTES(V38 "\0\377\377\377\377"), BYTES(""),
		    ERR_LIMIT,
		    "the endpoint refused the connection with a reason of "
		    "4294967295 bytes" },
		{ &has_password,
		    BYTES(V38 "\1\2" CHALLENGE FAILED "\200\0\0\0"), BYTES(""),
		    ERR_LIMIT,
		    "the endpoint refused the stored password with a reason "
		    "of 2147483648 bytes" },
	};

	check_all(bads, N_ELEMENTS(bads));
}

/* The longest legal reason fits the input and is cut for people. */
static void
test_longest_reason(void **state)
{
	clear.len = tls.len = 0;
	fly(&clear, BYTES(V38 "\0"));
	fly32(&clear, RFB_MAX_REASON);
	for (int i = 0; i < RFB_MAX_REASON; i++)
		fly8(&clear, 0xe4);
	assert_true(clear.len <= RFB_HANDSHAKE_INPUT_MAX);
	play_client_start(&played, &may_clear);
	play_both(&played, &clear, &tls, 0);
	assert_int_equal(played.rc, ERR_DENIED);
	assert_in_range(strlen(played.why), 400, 600);
	assert_string_equal(
	    played.why + strlen(played.why) - 4, "\xc3\xa4\xc3\xa4");
	play_end(&played);
}

#define INIT V38 "\1\1" OK

static void
test_server_init(void **state)
{
	const struct bad bads[] = {
		{ &may_clear, BYTES(INIT "\0\0\0\1" PF "\0\0\0\0"), BYTES(""),
		    ERR_LIMIT,
		    "the endpoint's desktop is 0x1; 1 to 16384 pixels a side "
		    "can be recorded" },
		{ &may_clear, BYTES(INIT "\0\1\0\0" PF "\0\0\0\0"), BYTES(""),
		    ERR_LIMIT,
		    "the endpoint's desktop is 1x0; 1 to 16384 pixels a side "
		    "can be recorded" },
		{ &may_clear, BYTES(INIT "\100\1\0\1" PF "\0\0\0\0"), BYTES(""),
		    ERR_LIMIT,
		    "the endpoint's desktop is 16385x1; 1 to 16384 pixels a "
		    "side can be recorded" },
		{ &may_clear, BYTES(INIT "\0\1\377\377" PF "\0\0\0\0"),
		    BYTES(""), ERR_LIMIT,
		    "the endpoint's desktop is 1x65535; 1 to 16384 pixels a "
		    "side can be recorded" },
		{ &may_clear, BYTES(INIT "\0\1\0\1" PF "\0\1\0\1"), BYTES(""),
		    ERR_LIMIT, "the endpoint's desktop name has 65537 bytes" },
		{ &may_clear, BYTES(INIT "\0\1\0\1" PF "\377\377\377\377"),
		    BYTES(""), ERR_LIMIT,
		    "the endpoint's desktop name has 4294967295 bytes" },
	};

	check_all(bads, N_ELEMENTS(bads));
}

/* Its own format is never drawn in: another one is asked for first. */
static void
test_unknown_format(void **state)
{
	static const struct bad inits[] = {
		/* 24 bits a pixel; a colour map; a shift out of the pixel; a
		 * depth with which servers disagree about lengths */
		{ .clear = INIT "\0\1\0\1\30\30\0\1\0\377\0\377\0\377\20"
				"\10\0\0\0\0\0\0\0\0" },
		{ .clear = INIT "\0\1\0\1\10\10\0\0\0\0\0\0\0\0\0"
				"\0\0\0\0\0\0\0\0\0" },
		{ .clear = INIT "\0\1\0\1\40\30\0\1\0\377\0\377\0\377\31"
				"\10\0\0\0\0\0\0\0\0" },
		{ .clear = INIT "\0\1\0\1\40\40\0\1\0\377\0\377\0\377\20"
				"\10\0\0\0\0\0\0\0\0" },
	};
	const struct rfb_server_init *init;

	for (size_t i = 0; i < N_ELEMENTS(inits); i++) {
		clear.len = tls.len = 0;
		fly(&clear, inits[i].clear, sizeof(INIT) - 1 + 24);
		play_client_start(&played, &may_clear);
		play_both(&played, &clear, &tls, 0);
		assert_int_equal(played.rc, 0);
		init = rfb_handshake_client_init(played.client);
		assert_true(init->is_own_format_unknown);
		assert_true(
		    rfb_pixel_format_equal(&init->pf, &rfb_pixel_format_usual));
		play_end(&played);
	}
}

/* Credentials that would be cut off are not used at all. */
static void
test_long_credentials(void **state)
{
	static char text[RFB_MAX_CREDENTIAL + 2];
	struct bad bad = { NULL, BYTES(SUBTYPES "\1\0\0\1\6\1"), BYTES(OK),
		ERR_LIMIT,
		"the user name or password stored for the endpoint is longer "
		"than 1024 bytes" };
	struct rfb_client_params params = { .user = "u", .password = text };

	memset(text, 'x', RFB_MAX_CREDENTIAL + 1);
	bad.params = &params;
	check(&bad);
	params = (struct rfb_client_params){ .user = text, .password = "p" };
	check(&bad);
	text[RFB_MAX_CREDENTIAL] = '\0';
	clear.len = tls.len = 0;
	fly(&clear, bad.clear, bad.clear_len);
	play_client_start(&played, &params);
	play_both(&played, &clear, &tls, 0);
	assert_string_equal(played.events, "T");
	assert_non_null(
	    memmem(buf_head(&played.out), buf_len(&played.out), text, 1024));
	play_end(&played);
}

/* An output that is full ends the handshake instead of losing bytes. */
static void
test_full_output(void **state)
{
	static const char endpoint[] =
	    V38 "\1\2" CHALLENGE OK "\0\1\0\1" PF "\0\0\0\0";
	const size_t all = 12 + 1 + 16 + 1;

	for (size_t room = 0; room <= all; room++) {
		play_client_start(&played, &has_password);
		played.out.limit = room;
		clear.len = tls.len = 0;
		fly(&clear, BYTES(endpoint));
		play_both(&played, &clear, &tls, 0);
		assert_int_equal(played.rc, room < all ? ERR_LIMIT : 0);
		assert_string_equal(played.events, room < all ? "" : "R");
		play_end(&played);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_many_types),
		cmocka_unit_test(test_vencrypt),
		cmocka_unit_test(test_bytes_before_tls),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_reason_limits),
		cmocka_unit_test(test_longest_reason),
		cmocka_unit_test(test_server_init),
		cmocka_unit_test(test_unknown_format),
		cmocka_unit_test(test_long_credentials),
		cmocka_unit_test(test_full_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
