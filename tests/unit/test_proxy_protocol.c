/* The PROXY protocol's header, version 2: who may send one, and what it says;
 * each good case with its truncated and wrong siblings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "common/err.h"
#include "common/proxy_protocol.h"

#define HEAD(command, family, len)                                             \
	'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n',       \
	    command, family, (len) >> 8, (len)&255
#define TCP4 203, 0, 113, 7, 10, 0, 0, 1, 0x9c, 0x40, 0x17, 0x0c

static const uint8_t tcp4[] = { HEAD(0x21, 0x11, 12), TCP4 };
static const uint8_t tcp6[] = { HEAD(0x21, 0x21, 36), 0x20, 1, 0xd, 0xb8, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 2, 0x9c, 0x40, 1, 0xbb };
static const uint8_t check[] = { HEAD(0x20, 0, 0) };
/* its sum is missing */
static const uint8_t checksum[] = { HEAD(0x21, 0x11, 19), TCP4, 3, 0, 4, 0, 0,
	0, 0 };

static int
read_all(const uint8_t *data, size_t len, struct proxy_source *s)
{
	if (proxy_header_wanted(data, len) != (ssize_t)len)
		return ERR_PROTOCOL;
	return proxy_header_read(data, len, s);
}

static void
test_who_may(void **state)
{
	static const struct {
		const char *networks, *address;
		bool has;
	} cases[] = {
		{ "10.0.0.7", "10.0.0.7", true },
		{ "10.0.0.7", "10.0.0.6", false },
		{ "10.0.0.7", "::ffff:10.0.0.7", true },
		{ "::ffff:10.0.0.7", "10.0.0.7", true },
		{ "10.1.0.0/16", "10.1.255.3", true },
		{ "10.1.0.0/16", "10.2.0.1", false },
		{ "10.1.0.0/17", "10.1.128.1", false },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "0.0.0.0/0", "198.51.100.1", true },
		{ "::1, 2001:db8::/33,10.0.0.1", "2001:db8:7fff::1", true },
		{ "::1, 2001:db8::/33,10.0.0.1", "2001:db8:8000::1", false },
		{ "::1, 2001:db8::/33,10.0.0.1", "10.0.0.1", true },
		{ "", "127.0.0.1", false },
		{ NULL, "127.0.0.1", false },
	};
	struct proxy_networks nets;
	char err[200];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sockaddr_in a4 = { .sin_family = AF_INET };
		struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
		bool is4 =
		    inet_pton(AF_INET, cases[i].address, &a4.sin_addr) == 1;

		if (!is4)
			assert_int_equal(inet_pton(AF_INET6, cases[i].address,
					     &a6.sin6_addr),
			    1);
		assert_int_equal(proxy_networks_read(&nets, cases[i].networks,
				     err, sizeof(err)),
		    0);
		assert_int_equal(
		    proxy_networks_have(&nets,
			is4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6),
		    cases[i].has);
	}
}

static void
test_wrong_networks(void **state)
{
	static const char *const wrong[] = { "host.example.com", "10.0.0.0/33",
		"10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "2001:db8::/129",
		"10.0.0.1;10.0.0.2",
		"10.0.0.111111111111111111111111111111111111111111111111111" };
	char many[PROXY_NETWORKS_MAX * 9 + 16] = "", err[200];
	struct proxy_networks nets;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(
		    proxy_networks_read(&nets, wrong[i], err, sizeof(err)),
		    ERR_CONFIG);
		assert_non_null(strstr(err, "proxy_protocol_from"));
	}
	for (unsigned i = 0; i < PROXY_NETWORKS_MAX; i++)
		strcat(many, "10.0.0.1,");
	assert_int_equal(proxy_networks_read(&nets, many, err, sizeof(err)), 0);
	strcat(many, "10.0.0.1");
	assert_int_equal(
	    proxy_networks_read(&nets, many, err, sizeof(err)), ERR_CONFIG);
}

static void
test_addresses(void **state)
{
	struct proxy_source s;
	char text[INET6_ADDRSTRLEN];

	assert_int_equal(read_all(tcp4, sizeof(tcp4), &s), 0);
	assert_false(s.is_check);
	assert_false(s.is_unknown);
	assert_int_equal(s.address.sa.sa_family, AF_INET);
	inet_ntop(AF_INET, &s.address.in.sin_addr, text, sizeof(text));
	assert_string_equal(text, "203.0.113.7");
	assert_int_equal(ntohs(s.address.in.sin_port), 40000);

	assert_int_equal(read_all(tcp6, sizeof(tcp6), &s), 0);
	inet_ntop(AF_INET6, &s.address.in6.sin6_addr, text, sizeof(text));
	assert_string_equal(text, "2001:db8::1");
	assert_int_equal(ntohs(s.address.in6.sin6_port), 40000);
}

static void
test_check(void **state)
{
	struct proxy_source s;
	/* what follows the command is to be ignored */
	static const uint8_t with_rest[] = { HEAD(0x20, 0x77, 5), 1, 2, 3, 4,
		5 };

	assert_int_equal(read_all(check, sizeof(check), &s), 0);
	assert_true(s.is_check);
	assert_int_equal(s.address.sa.sa_family, AF_UNSPEC);
	assert_int_equal(read_all(with_rest, sizeof(with_rest), &s), 0);
	assert_true(s.is_check);
}

static void
test_unknown_source(void **state)
{
	struct proxy_source s;
	static const uint8_t unspec[] = { HEAD(0x21, 0, 3), 9, 9, 9 };
	static const uint8_t udp[] = { HEAD(0x21, 0x12, 12), TCP4 };
	static const uint8_t local_socket[16 + 216] = { HEAD(0x21, 0x31, 216) };

	assert_int_equal(read_all(unspec, sizeof(unspec), &s), 0);
	assert_false(s.is_check);
	assert_true(s.is_unknown);
	assert_int_equal(s.address.sa.sa_family, AF_UNSPEC);
	assert_int_equal(read_all(udp, sizeof(udp), &s), ERR_UNSUPPORTED);
	assert_int_equal(
	    read_all(local_socket, sizeof(local_socket), &s), ERR_UNSUPPORTED);
}

static void
test_truncated(void **state)
{
	struct proxy_source s;

	for (size_t n = 0; n < sizeof(tcp6); n++) {
		assert_int_equal(proxy_header_wanted(tcp6, n),
		    n < PROXY_FIXED_LEN ? PROXY_FIXED_LEN
					: (ssize_t)sizeof(tcp6));
		assert_int_equal(proxy_header_read(tcp6, n, &s), ERR_PROTOCOL);
	}
	/* addresses that the length does not cover */
	for (unsigned n = 0; n < 12; n++) {
		uint8_t data[] = { HEAD(0x21, 0x11, 12), TCP4 };

		data[15] = (uint8_t)n;
		assert_int_equal(
		    proxy_header_read(data, PROXY_FIXED_LEN + n, &s),
		    ERR_UNSUPPORTED);
	}
}

static void
test_wrong_heads(void **state)
{
	struct proxy_source s;
	uint8_t data[sizeof(tcp4)];

	for (unsigned i = 0; i < 12; i++) {
		memcpy(data, tcp4, sizeof(data));
		data[i] ^= 0x20;
		assert_int_equal(
		    proxy_header_wanted(data, i + 1), ERR_PROTOCOL);
		assert_int_equal(
		    proxy_header_wanted(data, sizeof(data)), ERR_PROTOCOL);
	}
	for (unsigned command = 0; command < 256; command++) {
		memcpy(data, tcp4, sizeof(data));
		data[12] = (uint8_t)command;
		assert_int_equal(proxy_header_read(data, sizeof(data), &s),
		    command == 0x20 || command == 0x21 ? 0 : ERR_PROTOCOL);
	}
	memcpy(data, tcp4, sizeof(data));
	data[14] = 0xff;
	assert_int_equal(proxy_header_wanted(data, sizeof(data)), ERR_LIMIT);
}

static void
test_extensions(void **state)
{
	static const uint8_t good[] = { HEAD(0x21, 0x11, 20), TCP4, 5, 0, 2, 1,
		2, 4, 0, 0 };
	static const uint8_t cut[] = { HEAD(0x21, 0x11, 14), TCP4, 5, 0 };
	static const uint8_t over[] = { HEAD(0x21, 0x11, 16), TCP4, 5, 0, 2,
		1 };
	static const uint8_t short_sum[] = { HEAD(0x21, 0x11, 17), TCP4, 3, 0,
		2, 1, 2 };
	struct proxy_source s;

	assert_int_equal(read_all(good, sizeof(good), &s), 0);
	assert_int_equal(read_all(cut, sizeof(cut), &s), ERR_PROTOCOL);
	assert_int_equal(read_all(over, sizeof(over), &s), ERR_PROTOCOL);
	assert_int_equal(
	    read_all(short_sum, sizeof(short_sum), &s), ERR_PROTOCOL);
}

/* One sum of all fits, and each changed byte of the header breaks it. */
static void
test_checksum(void **state)
{
	static const uint8_t sum[4] = { 0x95, 0xb1, 0x0a, 0xbd };
	uint8_t data[sizeof(checksum)];
	struct proxy_source s;

	memcpy(data, checksum, sizeof(data));
	assert_int_equal(read_all(data, sizeof(data), &s), ERR_PROTOCOL);
	memcpy(data + sizeof(data) - 4, sum, 4);
	assert_int_equal(read_all(data, sizeof(data), &s), 0);
	for (size_t i = 16; i < sizeof(data); i++) {
		if (i >= 28 && i < 31) /* what it is, and its length */
			continue;
		data[i] ^= 1;
		assert_int_equal(
		    proxy_header_read(data, sizeof(data), &s), ERR_PROTOCOL);
		data[i] ^= 1;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may),
		cmocka_unit_test(test_wrong_networks),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_unknown_source),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_wrong_heads),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
