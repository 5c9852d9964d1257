/* Which addresses are of the public internet: both ends of each range. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "common/address_scope.h"
#include "common/bytes.h"

static bool
is_public(const char *text)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
	struct sockaddr_in four = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return address_is_public((struct sockaddr *)&four);
	assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return address_is_public((struct sockaddr *)&six);
}

static void
inner_addresses(void **state)
{
	static const char *const inner[] = { "0.0.0.0", "0.255.255.255",
		"10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
		"127.0.0.1", "127.255.255.255", "169.254.0.0",
		"169.254.169.254", "172.16.0.0", "172.31.255.255", "192.0.0.1",
		"192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
		"198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
		"64:ff9b:1::8.8.8.8", "100::1", "2001::1", "2001:1ff:ffff::1",
		"2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::", "3fff::1",
		"fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1",
		"ff02::1" };

	for (size_t i = 0; i < N_ELEMENTS(inner); i++)
		if (is_public(inner[i]))
			fail_msg("%s counts as public", inner[i]);
}

static void
public_addresses(void **state)
{
	static const char *const outer[] = { "1.1.1.1", "9.255.255.255",
		"11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
		"128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255",
		"172.32.0.0", "192.0.1.1", "192.167.255.255", "192.169.0.0",
		"198.17.255.255", "198.20.0.0", "223.255.255.255",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2001:200::1",
		"2001:4860:4860::8888", "2002:808:808::", "2606:4700::1111",
		"2a00:1450::1" };

	for (size_t i = 0; i < N_ELEMENTS(outer); i++)
		if (!is_public(outer[i]))
			fail_msg("%s does not count as public", outer[i]);
}

static void
other_families(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr none = { .sa_family = AF_UNSPEC };

	assert_false(address_is_public((struct sockaddr *)&un));
	assert_false(address_is_public(&none));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inner_addresses),
		cmocka_unit_test(public_addresses),
		cmocka_unit_test(other_families),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
