/*
 * Viewers that are known already, and viewers with a one-time VNC password,
 * in each version: good, cut, refused, hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rfb/vnc_auth.h"
#include "tests/unit/handshake_play.h"

static struct flight sent, nothing;
static struct play whole, cut;

#define V33         "RFB 003.003\n"
#define V37         "RFB 003.007\n"
#define V38         "RFB 003.008\n"
#define OK          "\0\0\0\0"
#define FAILED      "\0\0\0\1"
#define BYTES(text) (text), sizeof(text) - 1
/*
 * The response for PLAY_PASSWORD to PLAY_CHALLENGE, from the openssl
 * program: key "geheim12" with the bits of each byte reversed.
 */
#define RESPONSE                                                               \
	"\x64\x0f\x86\xb8\x4b\x2b\x7d\x0d\xf2\xfd\xc7\x32\xae\x51\x04\x3f"

struct dialogue {
	enum play_mode mode;
	const char *reject;
	const char *viewer; /* all that the viewer sends */
	size_t viewer_len;
	const char *relay; /* all that it gets */
	size_t relay_len;
	const char *events;
	int rc; /* at the end */
};

static void
play(struct play *p, const struct dialogue *d, size_t len, size_t piece)
{
	sent.len = 0;
	fly(&sent, d->viewer, len);
	play_server_start_as(p, d->mode, d->reject);
	play_both(p, &sent, &nothing, piece);
}

static void
check(const struct dialogue *d)
{
	for (size_t piece = 0; piece < 20; piece++) {
		play(&whole, d, d->viewer_len, piece);
		assert_string_equal(whole.events, d->events);
		assert_int_equal(whole.rc, d->rc);
		assert_int_equal(buf_len(&whole.out), d->relay_len);
		assert_memory_equal(
		    buf_head(&whole.out), d->relay, d->relay_len);
		play_end(&whole);
	}
}

/* Cut after n bytes the relay waits, and has said nothing else. */
static void
check_truncated(const struct dialogue *d, size_t n)
{
	play(&whole, d, n, 0);
	play(&cut, d, n, 1);
	assert_true(is_same_play(&whole, &cut));
	assert_true(whole.rc >= 0);
	assert_null(strchr(whole.events, 'R'));
	assert_true(buf_len(&whole.out) <= d->relay_len);
	assert_memory_equal(
	    buf_head(&whole.out), d->relay, buf_len(&whole.out));
	play_end(&whole);
	play_end(&cut);
}

static void
check_good(const struct dialogue *dialogues, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		check(&dialogues[i]);
		for (size_t k = 0; k < dialogues[i].viewer_len; k++)
			check_truncated(&dialogues[i], k);
	}
}

static void
test_authenticated(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_AUTHENTICATED, NULL, BYTES(V38 "\1\1"),
		    BYTES(V38 "\1\1" OK), "AR", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES("RFB 003.889\n\1\0"),
		    BYTES(V38 "\1\1" OK), "AR", 0 },
		/* no result for "none" before 3.8 */
		{ PLAY_AUTHENTICATED, NULL, BYTES(V37 "\1\0"),
		    BYTES(V38 "\1\1"), "AR", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES(V33 "\1"),
		    BYTES(V38 "\0\0\0\1"), "AR", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES("RFB 003.005\n\1"),
		    BYTES(V38 "\0\0\0\1"), "AR", 0 },
	};

	check_good(dialogues, N_ELEMENTS(dialogues));
}

/* Each version has a place where a reason fits. */
static void
test_authenticated_rejected(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_AUTHENTICATED, "declined", BYTES(V38 "\1"),
		    BYTES(V38 "\1\1" FAILED "\0\0\0\10declined"), "A", 1 },
		{ PLAY_AUTHENTICATED, "declined", BYTES(V37),
		    BYTES(V38 "\0\0\0\0\10declined"), "A", 1 },
		{ PLAY_AUTHENTICATED, "declined", BYTES(V33),
		    BYTES(V38 "\0\0\0\0\0\0\0\10declined"), "A", 1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(dialogues); i++) {
		struct dialogue d = dialogues[i];

		/* the last feed told of the step, the next would fail */
		play(&whole, &d, d.viewer_len, 0);
		assert_string_equal(whole.events, "A");
		assert_int_equal(buf_len(&whole.out), d.relay_len);
		assert_memory_equal(buf_head(&whole.out), d.relay, d.relay_len);
		assert_int_equal(rfb_handshake_server_phase(whole.server),
		    RFB_SERVER_FAILED);
		assert_false(rfb_handshake_server_can_reject(whole.server));
		play_end(&whole);
	}
}

static void
test_vnc_auth(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_VNC_AUTH, NULL, BYTES(V38 "\2" RESPONSE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE OK), "CR", 0 },
		{ PLAY_VNC_AUTH, NULL, BYTES(V37 "\2" RESPONSE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE OK), "CR", 0 },
		{ PLAY_VNC_AUTH, NULL, BYTES(V33 RESPONSE "\0"),
		    BYTES(V38 "\0\0\0\2" PLAY_CHALLENGE OK), "CR", 0 },
	};

	check_good(dialogues, N_ELEMENTS(dialogues));
}

/* A reason is for 3.8 only; the others read that they failed. */
static void
test_vnc_auth_rejected(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_VNC_AUTH, "expired", BYTES(V38 "\2" RESPONSE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE FAILED "\0\0\0\7expired"),
		    "C", ERR_PROTOCOL },
		{ PLAY_VNC_AUTH, "expired", BYTES(V37 "\2" RESPONSE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE FAILED), "C",
		    ERR_PROTOCOL },
		{ PLAY_VNC_AUTH, "expired", BYTES(V33 RESPONSE "\1"),
		    BYTES(V38 "\0\0\0\2" PLAY_CHALLENGE FAILED), "C",
		    ERR_PROTOCOL },
		/* the challenge itself, as a mirror would send it */
		{ PLAY_VNC_AUTH, NULL, BYTES(V38 "\2" PLAY_CHALLENGE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE FAILED "\0\0\0\5wrong"),
		    "CD", ERR_PROTOCOL },
	};

	for (size_t i = 0; i < N_ELEMENTS(dialogues); i++)
		check(&dialogues[i]);
}

/* One bit that differs anywhere is another password. */
static void
test_vnc_auth_each_bit(void **state)
{
	for (unsigned bit = 0; bit < 8 * RFB_VNC_CHALLENGE_LEN; bit++) {
		sent.len = 0;
		fly(&sent, BYTES(V38 "\2" RESPONSE "\1"));
		sent.data[13 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		play_server_start_as(&whole, PLAY_VNC_AUTH, NULL);
		play_both(&whole, &sent, &nothing, 0);
		assert_string_equal(whole.events, "CD");
		play_end(&whole);
	}
}

/* Feeds text; returns the event. */
static int
feed(struct rfb_handshake_server *h, const char *text, size_t len)
{
	size_t used;

	return rfb_handshake_server_feed(h, (const uint8_t *)text, len, &used);
}

static void
test_check_vnc(void **state)
{
	struct rfb_handshake_server *h;
	uint8_t response[RFB_VNC_CHALLENGE_LEN];

	play_server_start_as(&whole, PLAY_VNC_AUTH, NULL);
	h = whole.server;
	assert_int_equal(
	    rfb_handshake_server_check_vnc(h, PLAY_PASSWORD), ERR_PROTOCOL);
	assert_int_equal(feed(h, BYTES(V38)), RFB_HANDSHAKE_STEP);
	assert_false(rfb_handshake_server_can_reject(h));
	assert_int_equal(feed(h, BYTES("\2")), RFB_HANDSHAKE_STEP);
	assert_int_equal(
	    rfb_handshake_server_check_vnc(h, PLAY_PASSWORD), ERR_PROTOCOL);
	assert_int_equal(feed(h, BYTES(RESPONSE)), RFB_HANDSHAKE_CREDENTIALS);
	assert_string_equal(rfb_handshake_server_user(h), "");
	assert_string_equal(rfb_handshake_server_password(h), "");
	/* as often as there are passwords; 8 bytes count, no more */
	assert_int_equal(
	    rfb_handshake_server_check_vnc(h, "geheim13"), ERR_DENIED);
	assert_int_equal(
	    rfb_handshake_server_check_vnc(h, "geheim1"), ERR_DENIED);
	assert_int_equal(rfb_handshake_server_check_vnc(h, "geheim12"), 0);
	assert_int_equal(rfb_handshake_server_check_vnc(h, "geheim123"), 0);
	assert_int_equal(rfb_handshake_server_accept(h), 0);
	/* nothing is left to check, and accepting is done once */
	assert_int_equal(
	    rfb_handshake_server_check_vnc(h, PLAY_PASSWORD), ERR_PROTOCOL);
	assert_int_equal(rfb_handshake_server_accept(h), ERR_PROTOCOL);
	play_end(&whole);

	/* a relay with an empty password lets nobody in */
	assert_int_equal(rfb_vnc_auth_response(
			     "", (const uint8_t *)PLAY_CHALLENGE, response),
	    0);
	play_server_start_as(&whole, PLAY_VNC_AUTH, NULL);
	feed(whole.server, BYTES(V33));
	assert_int_equal(
	    feed(whole.server, (const char *)response, sizeof(response)),
	    RFB_HANDSHAKE_CREDENTIALS);
	assert_int_equal(
	    rfb_handshake_server_check_vnc(whole.server, ""), ERR_DENIED);
	play_end(&whole);
}

/* Not told otherwise, no two viewers get the same challenge. */
static void
test_random_challenge(void **state)
{
	uint8_t first[RFB_VNC_CHALLENGE_LEN] = { 0 };

	for (int i = 0; i < 8; i++) {
		struct rfb_handshake_server *h;
		struct buf out;

		buf_init(&out, 8192);
		h = rfb_handshake_server_new_vnc_auth(&out);
		assert_non_null(h);
		feed(h, BYTES(V33));
		assert_int_equal(buf_len(&out), 12 + 4 + 16);
		assert_memory_not_equal(
		    buf_head(&out) + 16, first, sizeof(first));
		memcpy(first, buf_head(&out) + 16, sizeof(first));
		rfb_handshake_server_free(h);
		buf_release(&out);
	}
}

/* A refusal reaches a viewer that has its challenge and not answered yet. */
static void
test_reject_before_response(void **state)
{
	play_server_start_as(&whole, PLAY_VNC_AUTH, NULL);
	feed(whole.server, BYTES(V38));
	feed(whole.server, BYTES("\2"));
	assert_true(rfb_handshake_server_can_reject(whole.server));
	assert_int_equal(
	    rfb_handshake_server_accept(whole.server), ERR_PROTOCOL);
	assert_int_equal(rfb_handshake_server_reject(whole.server, "no"), 0);
	assert_int_equal(buf_len(&whole.out), 12 + 2 + 16 + 4 + 4 + 2);
	assert_int_equal(feed(whole.server, BYTES(RESPONSE)), ERR_PROTOCOL);
	play_end(&whole);
}

/* Accepted before the viewer has said anything, or half of it. */
static void
test_early_accept(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_AUTHENTICATED, NULL, BYTES(V38 "\1\1"),
		    BYTES(V38 "\1\1" OK), "R", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES(V37 "\1\0"),
		    BYTES(V38 "\1\1"), "R", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES(V33 "\1"),
		    BYTES(V38 "\0\0\0\1"), "R", 0 },
	};

	for (size_t i = 0; i < 2 * N_ELEMENTS(dialogues); i++) {
		const struct dialogue *d = &dialogues[i / 2];

		sent.len = 0;
		fly(&sent, d->viewer, d->viewer_len);
		play_server_start_as(&whole, d->mode, NULL);
		assert_int_equal(rfb_handshake_server_accept(whole.server), 0);
		assert_int_equal(
		    rfb_handshake_server_accept(whole.server), ERR_PROTOCOL);
		assert_int_equal(buf_len(&whole.out), RFB_VERSION_LEN);
		play_both(&whole, &sent, &nothing, i % 2);
		assert_string_equal(whole.events, "R");
		assert_int_equal(buf_len(&whole.out), d->relay_len);
		assert_memory_equal(
		    buf_head(&whole.out), d->relay, d->relay_len);
		play_end(&whole);
	}
	/* nobody else is accepted before being asked */
	for (int mode = 0; mode < PLAY_N_MODES; mode++) {
		if (mode == PLAY_AUTHENTICATED)
			continue;
		play_server_start_as(&whole, mode, NULL);
		assert_int_equal(
		    rfb_handshake_server_accept(whole.server), ERR_PROTOCOL);
		play_end(&whole);
	}
}

/* What was not offered is never taken (CVE-2006-2369). */
static void
test_types_not_offered(void **state)
{
	static const char *const versions[] = { V37, V38 };

	for (unsigned i = 0; i < 4 * 256; i++) {
		unsigned type = i / 4;
		enum play_mode mode =
		    i % 2 == 0 ? PLAY_AUTHENTICATED : PLAY_VNC_AUTH;

		if (type == (mode == PLAY_VNC_AUTH ? 2u : 1u))
			continue;
		sent.len = 0;
		fly(&sent, versions[i / 2 % 2], RFB_VERSION_LEN);
		fly8(&sent, type);
		fly(&sent, BYTES(RESPONSE "\1"));
		play_server_start_as(&whole, mode, NULL);
		play_both(&whole, &sent, &nothing, i % 3);
		assert_int_equal(whole.rc, ERR_PROTOCOL);
		assert_string_equal(whole.why,
		    "the viewer chose a security type that was not offered");
		assert_null(strchr(whole.events, 'R'));
		play_end(&whole);
	}
}

/* An output that is full ends the handshake instead of losing bytes. */
static void
check_full_output(const struct dialogue *d)
{
	sent.len = 0;
	fly(&sent, d->viewer, d->viewer_len);
	for (size_t room = RFB_VERSION_LEN; room < d->relay_len; room++) {
		const uint8_t *p = sent.data;
		size_t used = 0;
		int rc;

		play_server_start_as(&whole, d->mode, NULL);
		whole.out.limit = room;
		do {
			rc = rfb_handshake_server_feed(whole.server, p,
			    sent.len - (size_t)(p - sent.data), &used);
			p += used;
			if (rc > 0 &&
			    rfb_handshake_server_phase(whole.server) ==
				RFB_SERVER_ANSWER)
				rc = rfb_handshake_server_accept(whole.server);
		} while (rc >= 0 && used != 0 && rc != RFB_HANDSHAKE_READY);
		assert_int_equal(rc, ERR_LIMIT);
		assert_int_equal(rfb_handshake_server_phase(whole.server),
		    RFB_SERVER_FAILED);
		play_end(&whole);
	}
}

static void
test_full_output(void **state)
{
	static const struct dialogue dialogues[] = {
		{ PLAY_AUTHENTICATED, NULL, BYTES(V38 "\1\1"),
		    BYTES(V38 "\1\1" OK), "", 0 },
		{ PLAY_AUTHENTICATED, NULL, BYTES(V33 "\1"),
		    BYTES(V38 "\0\0\0\1"), "", 0 },
		{ PLAY_VNC_AUTH, NULL, BYTES(V38 "\2" RESPONSE "\1"),
		    BYTES(V38 "\1\2" PLAY_CHALLENGE OK), "", 0 },
		{ PLAY_VNC_AUTH, NULL, BYTES(V33 RESPONSE "\1"),
		    BYTES(V38 "\0\0\0\2" PLAY_CHALLENGE OK), "", 0 },
	};

	for (size_t i = 0; i < N_ELEMENTS(dialogues); i++)
		check_full_output(&dialogues[i]);
}

/* What a viewer without VeNCrypt reads names each other way in. */
static void
test_what_to_use_instead(void **state)
{
	static const char *const names[] = { "VeNCrypt X509Plain", "browser",
		"one-time VNC password" };

	sent.len = 0;
	fly(&sent, BYTES(V33));
	play_server_start_as(&whole, PLAY_X509_PLAIN, NULL);
	play_both(&whole, &sent, &nothing, 0);
	assert_int_equal(whole.rc, ERR_UNSUPPORTED);
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		assert_non_null(memmem(buf_head(&whole.out),
		    buf_len(&whole.out), names[i], strlen(names[i])));
	play_end(&whole);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authenticated),
		cmocka_unit_test(test_authenticated_rejected),
		cmocka_unit_test(test_vnc_auth),
		cmocka_unit_test(test_vnc_auth_rejected),
		cmocka_unit_test(test_vnc_auth_each_bit),
		cmocka_unit_test(test_check_vnc),
		cmocka_unit_test(test_random_challenge),
		cmocka_unit_test(test_reject_before_response),
		cmocka_unit_test(test_early_accept),
		cmocka_unit_test(test_types_not_offered),
		cmocka_unit_test(test_full_output),
		cmocka_unit_test(test_what_to_use_instead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
