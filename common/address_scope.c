#include "common/address_scope.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/bytes.h"

struct prefix {
	uint8_t bytes[16];
	unsigned bits;
};

static const struct prefix not_public_4[] = {
	{ { 0 }, 8 },             /* this network */
	{ { 10 }, 8 },            /* private */
	{ { 100, 64 }, 10 },      /* shared, carrier-grade NAT */
	{ { 127 }, 8 },           /* loopback */
	{ { 169, 254 }, 16 },     /* link-local */
	{ { 172, 16 }, 12 },      /* private */
	{ { 192, 0, 0 }, 24 },    /* protocol assignments */
	{ { 192, 0, 2 }, 24 },    /* documentation */
	{ { 192, 88, 99 }, 24 },  /* 6to4 relays, deprecated */
	{ { 192, 168 }, 16 },     /* private */
	{ { 198, 18 }, 15 },      /* benchmarks */
	{ { 198, 51, 100 }, 24 }, /* documentation */
	{ { 203, 0, 113 }, 24 },  /* documentation */
	{ { 224 }, 3 },           /* multicast, reserved, broadcast */
};

/* Of 2000::/3; all else is not public. */
static const struct prefix not_public_6[] = {
	{ { 0x20, 0x01 }, 23 },             /* protocols, Teredo among them */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 }, /* documentation */
	{ { 0x3f, 0xff }, 20 },             /* documentation */
};
static const struct prefix global_6 = { { 0x20 }, 3 };

/* IPv6 addresses that carry an IPv4 address, and where it is. */
static const struct {
	struct prefix prefix;
	unsigned at;
} carriers[] = {
	{ { { [10] = 0xff, [11] = 0xff }, 96 }, 12 }, /* mapped */
	{ { { 0, 0x64, 0xff, 0x9b }, 96 }, 12 },      /* NAT64 */
	{ { { 0x20, 0x02 }, 16 }, 2 },                /* 6to4 */
};

static bool
is_in(const uint8_t *address, const struct prefix *p)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;

	return memcmp(address, p->bytes, whole) == 0 &&
	    (rest == 0 ||
		((address[whole] ^ p->bytes[whole]) >> (8 - rest)) == 0);
}

static bool
is_public_4(const uint8_t address[4])
{
	for (size_t i = 0; i < N_ELEMENTS(not_public_4); i++)
		if (is_in(address, &not_public_4[i]))
			return false;
	return true;
}

static bool
is_public_6(const uint8_t address[16])
{
	for (size_t i = 0; i < N_ELEMENTS(carriers); i++)
		if (is_in(address, &carriers[i].prefix))
			return is_public_4(address + carriers[i].at);
	for (size_t i = 0; i < N_ELEMENTS(not_public_6); i++)
		if (is_in(address, &not_public_6[i]))
			return false;
	return is_in(address, &global_6);
}

bool
address_is_public(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return is_public_4((const uint8_t *)&(
		    (const struct sockaddr_in *)(const void *)sa)
				       ->sin_addr);
	if (sa->sa_family == AF_INET6)
		return is_public_6(
		    ((const struct sockaddr_in6 *)(const void *)sa)
			->sin6_addr.s6_addr);
	return false;
}
