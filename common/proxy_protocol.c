#include "common/proxy_protocol.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"

#define VERSION       2
#define COMMAND_LOCAL 0
#define COMMAND_PROXY 1
#define FAMILY_UNSPEC 0x00
#define FAMILY_TCP4   0x11
#define FAMILY_TCP6   0x21
#define TCP4_LEN      12 /* two addresses, two ports */
#define TCP6_LEN      36
#define TLV_HEAD      3 /* type, length */
#define TLV_CRC32C    0x03

static const uint8_t signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- networks ---- */

static int
read_network(struct proxy_networks *out, char *item)
{
	uint8_t *address = out->networks[out->n].address;
	char *slash = strchr(item, '/'), *end = NULL;
	unsigned long bits = 128, all = 128;

	if (slash != NULL)
		*slash = '\0';
	if (inet_pton(AF_INET, item, address + 12) == 1) {
		memcpy(address, mapped, sizeof(mapped));
		all = 32;
	} else if (inet_pton(AF_INET6, item, address) != 1) {
		return ERR_CONFIG;
	}
	bits = all;
	if (slash != NULL) {
		if (slash[1] < '0' || slash[1] > '9')
			return ERR_CONFIG;
		bits = strtoul(slash + 1, &end, 10);
		if (*end != '\0' || bits > all)
			return ERR_CONFIG;
	}
	out->networks[out->n++].bits = (unsigned)(bits + 128 - all);
	return 0;
}

int
proxy_networks_read(
    struct proxy_networks *out, const char *text, char *err, size_t err_len)
{
	char item[INET6_ADDRSTRLEN + 8];

	*out = (struct proxy_networks){ .n = 0 };
	if (text == NULL)
		return 0;
	text += strspn(text, ", \t");
	while (*text != '\0') {
		size_t len = strcspn(text, ", \t");

		snprintf(item, sizeof(item), "%.*s", (int)len, text);
		if (out->n == PROXY_NETWORKS_MAX || len >= sizeof(item) ||
		    read_network(out, item) != 0) {
			snprintf(err, err_len,
			    "proxy_protocol_from: %.*s: expected at most %d "
			    "addresses or networks, as 10.0.0.7, 10.1.0.0/16",
			    (int)len, text, PROXY_NETWORKS_MAX);
			return ERR_CONFIG;
		}
		text += len;
		text += strspn(text, ", \t");
	}
	return 0;
}

static bool
has_prefix(const uint8_t *address, const uint8_t *network, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return memcmp(address, network, whole) == 0 &&
	    (rest == 0 || ((address[whole] ^ network[whole]) & mask) == 0);
}

bool
proxy_networks_have(
    const struct proxy_networks *nets, const struct sockaddr *sa)
{
	uint8_t address[16];

	if (sa->sa_family == AF_INET) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12,
		    &((const struct sockaddr_in *)(const void *)sa)->sin_addr,
		    4);
	} else if (sa->sa_family == AF_INET6) {
		memcpy(address,
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr,
		    16);
	} else {
		return false;
	}
	for (unsigned i = 0; i < nets->n; i++)
		if (has_prefix(address, nets->networks[i].address,
			nets->networks[i].bits))
			return true;
	return false;
}

/* ---- the header ---- */

ssize_t
proxy_header_wanted(const uint8_t *data, size_t have)
{
	size_t len;

	if (have > 0 &&
	    memcmp(data, signature, min_size(have, sizeof(signature))) != 0)
		return ERR_PROTOCOL;
	if (have < PROXY_FIXED_LEN)
		return PROXY_FIXED_LEN;
	len = PROXY_FIXED_LEN + (size_t)load_be16(data + 14);
	return len <= PROXY_HEADER_MAX ? (ssize_t)len : ERR_LIMIT;
}

/* RFC 3720 appendix B.4; the checksum's own four bytes count as zeros. */
static uint32_t
crc32c(const uint8_t *data, size_t len, size_t hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= i >= hole && i < hole + 4 ? 0 : data[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* Extensions: from off to the end. */
static int
check_extensions(const uint8_t *data, size_t len, size_t off)
{
	while (off < len) {
		size_t value;

		if (len - off < TLV_HEAD)
			return ERR_PROTOCOL;
		value = load_be16(data + off + 1);
		if (value > len - off - TLV_HEAD)
			return ERR_PROTOCOL;
		if (data[off] == TLV_CRC32C &&
		    (value != 4 ||
			crc32c(data, len, off + TLV_HEAD) !=
			    load_be32(data + off + TLV_HEAD)))
			return ERR_PROTOCOL;
		off += TLV_HEAD + value;
	}
	return 0;
}

/* Returns the length of the addresses, or ERR_UNSUPPORTED. */
static ssize_t
read_addresses(const uint8_t *data, size_t len, struct proxy_source *out)
{
	const uint8_t *a = data + PROXY_FIXED_LEN;

	len -= PROXY_FIXED_LEN;
	if (data[13] == FAMILY_TCP4 && len >= TCP4_LEN) {
		out->address.in.sin_family = AF_INET;
		memcpy(&out->address.in.sin_addr, a, 4);
		memcpy(&out->address.in.sin_port, a + 8, 2);
		return TCP4_LEN;
	}
	if (data[13] == FAMILY_TCP6 && len >= TCP6_LEN) {
		out->address.in6.sin6_family = AF_INET6;
		memcpy(&out->address.in6.sin6_addr, a, 16);
		memcpy(&out->address.in6.sin6_port, a + 32, 2);
		return TCP6_LEN;
	}
	return ERR_UNSUPPORTED;
}

int
proxy_header_read(const uint8_t *data, size_t len, struct proxy_source *out)
{
	ssize_t addresses;

	memset(out, 0, sizeof(*out));
	out->address.sa.sa_family = AF_UNSPEC;
	if (len < PROXY_FIXED_LEN ||
	    proxy_header_wanted(data, len) != (ssize_t)len ||
	    data[12] >> 4 != VERSION)
		return ERR_PROTOCOL;
	if ((data[12] & 15) == COMMAND_LOCAL) {
		out->is_check = true; /* the rest is to be ignored */
		return 0;
	}
	if ((data[12] & 15) != COMMAND_PROXY)
		return ERR_PROTOCOL;
	if (data[13] == FAMILY_UNSPEC) {
		out->is_unknown = true; /* the rest is to be ignored, too */
		return 0;
	}
	addresses = read_addresses(data, len, out);
	if (addresses < 0)
		return (int)addresses;
	return check_extensions(data, len, PROXY_FIXED_LEN + (size_t)addresses);
}
