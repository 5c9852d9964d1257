/* The handshake towards viewers: good, cut, over the limit, hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/handshake_play.h"

static struct flight clear, tls;
static struct play whole, cut;

#define FLY(f, text) fly(f, text, sizeof(text) - 1)

static void
start_viewer(void)
{
	clear.len = tls.len = 0;
	FLY(&clear, "RFB 003.008\n");
	FLY(&clear, "\23"); /* VeNCrypt */
	FLY(&clear, "\0\2");
}

static void
fly_credentials(struct flight *f, const char *user, const char *password)
{
	fly32(f, (uint32_t)strlen(user));
	fly32(f, (uint32_t)strlen(password));
	fly(f, user, strlen(user));
	fly(f, password, strlen(password));
}

static void
make_viewer(void)
{
	start_viewer();
	fly32(&clear, RFB_VENCRYPT_X509_PLAIN);
	fly_credentials(&tls, "alice@endpoint7", "pass w\xc3\xb6rt");
	fly8(&tls, 0); /* TigerVNC does not ask to share */
}

static void
play(struct play *p, size_t piece, const char *reject)
{
	play_server_start(p, false, reject);
	play_both(p, &clear, &tls, piece);
}

static void
check_out(const struct play *p, const void *expected, size_t len)
{
	assert_int_equal(buf_len(&p->out), len);
	assert_memory_equal(buf_head(&p->out), expected, len);
}

static const char good_out[] = "RFB 003.008\n"
			       "\1\23"
			       "\0\2"
			       "\0\1\0\0\1\6"
			       "\1"
			       "\0\0\0"; /* and the final NUL */

static void
test_good(void **state)
{
	make_viewer();
	for (size_t piece = 0; piece < 20; piece++) {
		play(&whole, piece, NULL);
		assert_string_equal(whole.events, "TCR");
		assert_int_equal(whole.n_unread, 0);
		assert_string_equal(whole.user, "alice@endpoint7");
		assert_string_equal(whole.password, "pass w\xc3\xb6rt");
		check_out(&whole, good_out, sizeof(good_out));
		assert_int_equal(
		    rfb_handshake_server_phase(whole.server), RFB_SERVER_READY);
		assert_int_equal(rfb_handshake_server_minor(whole.server), 8);
		assert_false(rfb_handshake_server_is_shared(whole.server));
		play_end(&whole);
	}
}

static void
test_shared_and_what_follows(void **state)
{
	make_viewer();
	tls.data[tls.len - 1] = 1;
	FLY(&tls, "\0after"); /* the session's first message */
	play(&whole, 0, NULL);
	assert_string_equal(whole.events, "TCR");
	assert_true(rfb_handshake_server_is_shared(whole.server));
	assert_int_equal(whole.n_unread, 6);
	play_end(&whole);
}

/* Cut anywhere the handshake waits, and says nothing but what it must. */
static void
test_truncated(void **state)
{
	size_t n_clear, n_tls;

	make_viewer();
	n_clear = clear.len;
	n_tls = tls.len;
	for (size_t n = 0; n < n_clear + n_tls; n++) {
		clear.len = min_size(n, n_clear);
		tls.len = n - clear.len;
		play(&whole, 0, NULL);
		play(&cut, 1, NULL);
		assert_true(whole.rc >= 0);
		assert_null(strchr(whole.events, 'R'));
		assert_int_equal(strchr(whole.events, 'C') != NULL,
		    n == n_clear + n_tls - 1);
		assert_true(is_same_play(&whole, &cut));
		play_end(&whole);
		play_end(&cut);
	}
}

static void
test_rejected(void **state)
{
	static const char reason[] = "too old: endpoint7 has agent 1.0";
	size_t n = sizeof(good_out) - 4;

	make_viewer();
	tls.len--; /* whether or not the viewer goes on with ClientInit */
	play(&whole, 0, reason);
	assert_int_equal(whole.rc, ERR_PROTOCOL);
	play_end(&whole);
	tls.len++;
	play(&whole, 0, reason);
	assert_int_equal(whole.rc, ERR_PROTOCOL);
	assert_string_equal(whole.events, "TC");
	assert_int_equal(buf_len(&whole.out), n + 8 + strlen(reason));
	assert_memory_equal(buf_head(&whole.out) + n, "\0\0\0\1", 4);
	assert_int_equal(
	    load_be32(buf_head(&whole.out) + n + 4), strlen(reason));
	assert_memory_equal(
	    buf_head(&whole.out) + n + 8, reason, strlen(reason));
	assert_false(rfb_handshake_server_can_reject(whole.server));
	play_end(&whole);
}

/* A long reason is cut between two characters. */
static void
test_long_reason(void **state)
{
	static char reason[6001];
	size_t n = sizeof(good_out) - 4;

	reason[0] = '>';
	for (size_t i = 1; i + 1 < sizeof(reason); i += 2)
		memcpy(reason + i, "\xc3\xa4", 2);
	reason[5999] = '\0';
	make_viewer();
	play(&whole, 0, reason);
	assert_int_equal(
	    load_be32(buf_head(&whole.out) + n + 4), RFB_MAX_REASON - 1);
	assert_int_equal(buf_len(&whole.out), n + 8 + RFB_MAX_REASON - 1);
	play_end(&whole);
}

/* Answers at the wrong moment change and send nothing. */
static void
test_wrong_moment(void **state)
{
	make_viewer();
	tls.len = 0;
	play_server_start(&whole, false, NULL);
	assert_int_equal(
	    rfb_handshake_server_accept(whole.server), ERR_PROTOCOL);
	assert_int_equal(
	    rfb_handshake_server_reject(whole.server, "no"), ERR_PROTOCOL);
	rfb_handshake_server_tls_started(whole.server);
	assert_int_equal(buf_len(&whole.out), RFB_VERSION_LEN);
	play_flight(&whole, &clear, 0);
	assert_string_equal(whole.events, "T");
	assert_int_equal(
	    rfb_handshake_server_reject(whole.server, "no"), ERR_PROTOCOL);
	rfb_handshake_server_tls_started(whole.server);
	assert_int_equal(
	    rfb_handshake_server_accept(whole.server), ERR_PROTOCOL);
	/* before the credentials are all there a refusal does get through */
	assert_true(rfb_handshake_server_can_reject(whole.server));
	assert_int_equal(rfb_handshake_server_reject(whole.server, "no"), 0);
	play_end(&whole);
}

/* The answer may come late; what the viewer sends meanwhile waits. */
static void
test_late_answer(void **state)
{
	size_t used, n;

	make_viewer();
	play_server_start(&whole, false, NULL);
	play_flight(&whole, &clear, 0);
	rfb_handshake_server_tls_started(whole.server);
	n = tls.len - 1;
	assert_int_equal(
	    rfb_handshake_server_feed(whole.server, tls.data, tls.len, &used),
	    RFB_HANDSHAKE_CREDENTIALS);
	assert_int_equal(used, n);
	assert_int_equal(
	    rfb_handshake_server_feed(whole.server, tls.data + n, 1, &used),
	    RFB_HANDSHAKE_MORE);
	assert_int_equal(used, 0);
	assert_string_equal(
	    rfb_handshake_server_user(whole.server), "alice@endpoint7");
	assert_int_equal(rfb_handshake_server_accept(whole.server), 0);
	assert_int_equal(
	    rfb_handshake_server_feed(whole.server, tls.data + n, 1, &used),
	    RFB_HANDSHAKE_READY);
	play_end(&whole);
}

/* In a WebSocket over TLS: Plain at once, and no acknowledgement of it. */
static void
test_in_tls(void **state)
{
	static const char out[] = "RFB 003.008\n\1\23\0\2\0\1\0\0\1\0\0\0\0";

	for (size_t piece = 0; piece < 9; piece++) {
		start_viewer();
		fly32(&clear, RFB_VENCRYPT_PLAIN);
		fly_credentials(&clear, "bob@endpoint7", "");
		fly8(&clear, 1);
		play_server_start(&whole, true, NULL);
		play_both(&whole, &clear, &tls, piece);
		assert_string_equal(whole.events, "CR");
		assert_string_equal(whole.user, "bob@endpoint7");
		check_out(&whole, out, sizeof(out));
		play_end(&whole);
	}
}

static void
check_refused(const char *version, const char *none, size_t none_len)
{
	const uint8_t *p;
	uint32_t n;

	clear.len = tls.len = 0;
	fly(&clear, version, strlen(version));
	play(&whole, 1, NULL);
	assert_int_equal(whole.rc, ERR_UNSUPPORTED);
	p = buf_head(&whole.out) + RFB_VERSION_LEN;
	assert_memory_equal(p, none, none_len);
	n = load_be32(p + none_len);
	assert_int_equal(
	    buf_len(&whole.out), RFB_VERSION_LEN + none_len + 4 + n);
	assert_non_null(memmem(p + none_len + 4, n, "VeNCrypt X509Plain", 18));
	play_end(&whole);
}

/* Old viewers read why, in the form that their version has for it. */
static void
test_old_viewers(void **state)
{
	check_refused("RFB 003.003\n", "\0\0\0\0", 4);
	check_refused("RFB 003.005\n", "\0\0\0\0", 4);
	check_refused("RFB 003.007\n", "\0", 1);
}

/* What is in the two flights must end with this error, however it is cut. */
static void
check_error(int rc, const char *why, bool is_in_tls)
{
	for (size_t piece = 0; piece < 3; piece++) {
		play_server_start(&whole, is_in_tls, NULL);
		play_both(&whole, &clear, &tls, piece);
		assert_int_equal(whole.rc, rc);
		assert_string_equal(whole.why, why);
		assert_null(strchr(whole.events, 'R'));
		/* in one piece it never comes to TLS */
		if (strcmp(why, "bytes came before TLS") == 0 && piece < 2)
			assert_string_equal(
			    whole.events, piece == 0 ? "" : "T");
		assert_int_equal(rfb_handshake_server_phase(whole.server),
		    RFB_SERVER_FAILED);
		play_end(&whole);
	}
}

static void
test_hostile_opening(void **state)
{
	clear.len = tls.len = 0;
	FLY(&clear, "GET / HTTP/1.1\r\n");
	check_error(ERR_PROTOCOL, "this is no RFB version", false);
	clear.len = 0;
	FLY(&clear, "RFB -03.008\n\23");
	check_error(ERR_PROTOCOL, "this is no RFB version", false);

	/* types that were not offered (CVE-2006-2369): none, VNC, invalid */
	for (unsigned type = 0; type < 256; type++) {
		if (type == RFB_SEC_VENCRYPT)
			continue;
		clear.len = 0;
		FLY(&clear, "RFB 003.008\n");
		fly8(&clear, type);
		fly8(&clear, 1);
		check_error(ERR_PROTOCOL,
		    "the viewer chose a security type that was not offered",
		    false);
	}
	clear.len = 0;
	FLY(&clear, "RFB 003.008\n\23\0\1");
	check_error(
	    ERR_UNSUPPORTED, "the viewer's VeNCrypt version is not 0.2", false);
}

/* VeNCrypt types that were not offered on this transport (CVE-2024-42458). */
static void
test_hostile_subtypes(void **state)
{
	static const uint32_t types[] = { 0, 1, 2, 19, 256, 257, 258, 259, 260,
		261, 262, 263, 264, 0x106 << 8, UINT32_MAX };

	for (size_t i = 0; i < 2 * N_ELEMENTS(types); i++) {
		uint32_t type = types[i / 2];
		bool is_in_tls = i % 2 == 1;

		if (type ==
		    (is_in_tls ? RFB_VENCRYPT_PLAIN : RFB_VENCRYPT_X509_PLAIN))
			continue;
		start_viewer();
		fly32(&clear, type);
		check_error(ERR_PROTOCOL,
		    "the viewer chose a VeNCrypt type that was not offered",
		    is_in_tls);
	}
}

/* STARTTLS injection: a byte behind the choice, before TLS is up. */
static void
test_bytes_before_tls(void **state)
{
	make_viewer();
	fly(&clear, tls.data, tls.len);
	check_error(ERR_PROTOCOL, "bytes came before TLS", false);
	make_viewer();
	fly8(&clear, 0);
	check_error(ERR_PROTOCOL, "bytes came before TLS", false);
}

static void
fly_lengths(uint32_t user_len, uint32_t password_len)
{
	start_viewer();
	fly32(&clear, RFB_VENCRYPT_X509_PLAIN);
	fly32(&tls, user_len);
	fly32(&tls, password_len);
}

static void
test_credential_limits(void **state)
{
	static const uint32_t over[] = { RFB_MAX_CREDENTIAL + 1, 1 << 16,
		INT32_MAX, 0x80000000, UINT32_MAX - 7, UINT32_MAX };

	for (size_t i = 0; i < N_ELEMENTS(over); i++) {
		fly_lengths(over[i], 0);
		check_error(
		    ERR_LIMIT, "user name or password is too long", false);
		fly_lengths(0, over[i]);
		check_error(
		    ERR_LIMIT, "user name or password is too long", false);
	}
	fly_lengths(RFB_MAX_CREDENTIAL, RFB_MAX_CREDENTIAL);
	for (int i = 0; i < 2 * RFB_MAX_CREDENTIAL + 1; i++)
		fly8(&tls, 'a' + i % 26);
	assert_true(clear.len + tls.len <= RFB_HANDSHAKE_INPUT_MAX);
	play(&whole, 0, NULL);
	assert_string_equal(whole.events, "TCR");
	assert_int_equal(strlen(whole.user), RFB_MAX_CREDENTIAL);
	assert_int_equal(strlen(whole.password), RFB_MAX_CREDENTIAL);
	play_end(&whole);
}

/* "alice\0@x" must not become "alice". */
static void
test_nul_in_credentials(void **state)
{
	fly_lengths(5, 2);
	FLY(&tls, "al\0cepw");
	check_error(ERR_PROTOCOL, "a NUL in user name or password", false);
	fly_lengths(5, 2);
	FLY(&tls, "alicep\0");
	check_error(ERR_PROTOCOL, "a NUL in user name or password", false);
}

/* An output that is full ends the handshake instead of losing bytes. */
static void
test_full_output(void **state)
{
	struct rfb_handshake_server *h;
	struct buf out;
	size_t used;

	buf_init(&out, RFB_VERSION_LEN - 1);
	assert_null(rfb_handshake_server_new(&out));
	buf_release(&out);
	make_viewer();
	for (size_t room = 12; room < 23; room++) {
		const uint8_t *p = clear.data;
		int rc;

		buf_init(&out, room);
		h = rfb_handshake_server_new(&out);
		assert_non_null(h);
		do {
			rc = rfb_handshake_server_feed(
			    h, p, clear.len - (size_t)(p - clear.data), &used);
			p += used;
		} while (rc > 0 && rc != RFB_HANDSHAKE_START_TLS);
		assert_int_equal(rc, ERR_LIMIT);
		assert_int_equal(
		    rfb_handshake_server_phase(h), RFB_SERVER_FAILED);
		rfb_handshake_server_free(h);
		buf_release(&out);
	}
}

static void
test_server_init(void **state)
{
	static const char expected[] = "\5\0\3\40"
				       "\40\30\0\1\0\377\0\377\0\377\20\10\0"
				       "\0\0\0"
				       "\0\0\0\4desk";
	const struct rfb_pixel_format pf = {
		.bits_per_pixel = 32,
		.depth = 24,
		.true_colour = true,
		.red_max = 255,
		.green_max = 255,
		.blue_max = 255,
		.red_shift = 16,
		.green_shift = 8,
	};
	static char name[RFB_MAX_NAME + 1];
	struct buf out;

	buf_init(&out, 8192);
	assert_int_equal(
	    rfb_server_init_write(&out, 1280, 800, &pf, "desk", 4), 0);
	assert_int_equal(buf_len(&out), sizeof(expected) - 1);
	assert_memory_equal(buf_head(&out), expected, sizeof(expected) - 1);
	assert_int_equal(
	    rfb_server_init_write(&out, 1, 1, &pf, name, RFB_MAX_NAME + 1),
	    ERR_LIMIT);
	assert_int_equal(buf_len(&out), sizeof(expected) - 1);
	assert_int_equal(
	    rfb_server_init_write(&out, 1, 1, &pf, name, RFB_MAX_NAME), 0);
	buf_release(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_shared_and_what_follows),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_long_reason),
		cmocka_unit_test(test_wrong_moment),
		cmocka_unit_test(test_late_answer),
		cmocka_unit_test(test_in_tls),
		cmocka_unit_test(test_old_viewers),
		cmocka_unit_test(test_hostile_opening),
		cmocka_unit_test(test_hostile_subtypes),
		cmocka_unit_test(test_bytes_before_tls),
		cmocka_unit_test(test_credential_limits),
		cmocka_unit_test(test_nul_in_credentials),
		cmocka_unit_test(test_full_output),
		cmocka_unit_test(test_server_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
