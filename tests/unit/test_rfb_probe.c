/*
 * What relaycam endpoint test understands of a VNC server: versions, security
 * types, refusals, and servers that say nothing or too much. The server's
 * bytes are scripted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/endpoint/rfb_probe.h"

struct peer {
	struct rfb_probe probe;
	int fd;
};

/* The server sends these bytes and, where ends, closes. */
static int
start(struct peer *p, const void *bytes, size_t len, bool ends)
{
	const struct timeval soon = { 0, 100000 };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(send(fds[1], bytes, len, 0), len);
	if (ends)
		shutdown(fds[1], SHUT_WR);
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	p->fd = fds[1];
	return rfb_probe_start(&p->probe, fds[0]);
}

static void
release(struct peer *p)
{
	rfb_probe_release(&p->probe);
	close(p->fd);
}

/* What came from us, all of it. */
static void
sent_is(struct peer *p, const void *bytes, size_t len)
{
	uint8_t got[256];

	assert_int_equal(recv(p->fd, got, sizeof(got), MSG_DONTWAIT), len);
	assert_memory_equal(got, bytes, len);
}

#define BYTES(text) text, sizeof(text) - 1

static void
test_versions(void **state)
{
	static const struct {
		const char *line, *answer;
		const char *rest;
		size_t rest_len;
		int minor;
	} rows[] = {
		{ "RFB 003.008\n", "RFB 003.008\n", "\1\2", 2, 8 },
		{ "RFB 003.007\n", "RFB 003.007\n", "\1\2", 2, 7 },
		{ "RFB 003.889\n", "RFB 003.008\n", "\1\2", 2, 8 },
		{ "RFB 005.000\n", "RFB 003.008\n", "\1\2", 2, 8 },
		{ "RFB 003.005\n", "RFB 003.003\n", "\0\0\0\2", 4, 3 },
		{ "RFB 003.003\n", "RFB 003.003\n", "\0\0\0\2", 4, 3 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint8_t bytes[32];
		struct peer p;

		memcpy(bytes, rows[i].line, 12);
		memcpy(bytes + 12, rows[i].rest, rows[i].rest_len);
		assert_int_equal(
		    start(&p, bytes, 12 + rows[i].rest_len, true), 0);
		assert_int_equal(p.probe.minor, rows[i].minor);
		assert_true(rfb_probe_offers(&p.probe, RFB_SEC_VNC));
		assert_false(rfb_probe_offers(&p.probe, RFB_SEC_NONE));
		sent_is(&p, rows[i].answer, 12);
		release(&p);
	}
}

/* What is said where there is no session to be had. */
static void
test_refusals(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool ends;
		int rc;
		const char *why;
	} rows[] = {
		{ BYTES("HTTP/1.1 400 Bad Request\r\n"), true, ERR_PROTOCOL,
		    "no VNC server" },
		{ BYTES("RFB 002.002\n"), true, ERR_PROTOCOL, "too old" },
		{ BYTES("RFB 003"), true, ERR_PROTOCOL, "closed" },
		{ BYTES(""), false, ERR_TIMEOUT, "does not send" },
		{ BYTES("RFB 003.008\n\0\0\0\0\7too\nbad"), true,
		    ERR_UNAVAILABLE, "refuses connections: too bad" },
		{ BYTES("RFB 003.003\n\0\0\0\0\0\0\0\4busy"), true,
		    ERR_UNAVAILABLE, "refuses connections: busy" },
		/* a length that is not believed */
		{ BYTES("RFB 003.008\n\0\377\377\377\377x"), true,
		    ERR_UNAVAILABLE, "no reason given" },
		{ BYTES("RFB 003.008\n\0\0\0\0\7too"), true, ERR_UNAVAILABLE,
		    "no reason given" },
		{ BYTES("RFB 003.003\n\0\0\1\0"), true, ERR_PROTOCOL,
		    "security type 256" },
		{ BYTES("RFB 003.008\n\5\1"), true, ERR_PROTOCOL, "closed" },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct peer p;

		assert_int_equal(
		    start(&p, rows[i].bytes, rows[i].len, rows[i].ends),
		    rows[i].rc);
		assert_non_null(strstr(p.probe.why, rows[i].why));
		release(&p);
	}
}

static void
test_vencrypt(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} rows[] = {
		{ BYTES("\0\2\0\2\0\0\1\6\0\0\1\4"), 0 },
		{ BYTES("\0\1"), ERR_UNSUPPORTED },
		{ BYTES("\0\2\1\0"), ERR_UNSUPPORTED },
		{ BYTES("\0\2\0\0"), ERR_PROTOCOL },
		{ BYTES("\0\2\0\101"), ERR_PROTOCOL }, /* 65 types */
		{ BYTES("\0\2\0\2\0\0\1\6"), ERR_PROTOCOL },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint8_t bytes[64] = "RFB 003.008\n\1\23";
		struct peer p;

		memcpy(bytes + 14, rows[i].bytes, rows[i].len);
		assert_int_equal(start(&p, bytes, 14 + rows[i].len, true), 0);
		assert_int_equal(rfb_probe_vencrypt(&p.probe), rows[i].rc);
		if (rows[i].rc == 0) {
			assert_true(rfb_probe_offers_subtype(
			    &p.probe, RFB_SEC_X509_PLAIN));
			assert_true(rfb_probe_offers_subtype(
			    &p.probe, RFB_SEC_X509_NONE));
			assert_false(rfb_probe_offers_subtype(
			    &p.probe, RFB_SEC_X509_VNC));
			sent_is(&p, BYTES("RFB 003.008\n\23\0\2"));
		}
		release(&p);
	}
}

/* A whole login without a password, so that a server that counts unfinished
 * ones does not count this; and results that are no success. */
static void
test_logins(void **state)
{
#define INIT "\0\100\0\60\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0"
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
	} rows[] = {
		{ BYTES("\0\0\0\0" INIT "\0\0\0\4desk"), 0 },
		{ BYTES("\0\0\0\1"), ERR_DENIED },
		{ BYTES("\0\0"), ERR_PROTOCOL },
		{ BYTES("\0\0\0\0" INIT), ERR_PROTOCOL },
		{ BYTES("\0\0\0\0" INIT "\0\0\0\4de"), ERR_PROTOCOL },
		/* a name that is too long is not read */
		{ BYTES("\0\0\0\0" INIT "\377\377\377\377"), 0 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint8_t bytes[64] = "RFB 003.008\n\1\1";
		struct peer p;

		memcpy(bytes + 14, rows[i].bytes, rows[i].len);
		assert_int_equal(start(&p, bytes, 14 + rows[i].len, true), 0);
		assert_int_equal(
		    rfb_probe_login(&p.probe, RFB_SEC_NONE, "", ""),
		    rows[i].rc);
		if (rows[i].rc == 0) /* its choice, and: shared */
			sent_is(&p, BYTES("RFB 003.008\n\1\1"));
		release(&p);
	}
}

static void
test_names(void **state)
{
	assert_string_equal(rfb_security_name(RFB_SEC_X509_PLAIN), "X509Plain");
	assert_string_equal(rfb_security_name(4711), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_vencrypt),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
