/*
 * PROXY protocol version 2: the header with which a load balancer says whose
 * connection it forwards, or that it only checks that the server is there
 * (LOCAL). Accepted from configured addresses only, where it is required.
 * No I/O, no memory. Source: haproxy.org, doc/proxy-protocol.txt section 2.2.
 */
#ifndef COMMON_PROXY_PROTOCOL_H
#define COMMON_PROXY_PROTOCOL_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define PROXY_FIXED_LEN    16   /* signature, command, family, length */
#define PROXY_HEADER_MAX   2048 /* with addresses and extensions (TLV) */
#define PROXY_NETWORKS_MAX 64

/* Stands for the address of a client that the balancer does not know. */
#define CLIENT_UNKNOWN "unknown"

/* Networks, IPv4 as IPv4 in IPv6. */
struct proxy_networks {
	unsigned n;
	struct {
		uint8_t address[16];
		unsigned bits;
	} networks[PROXY_NETWORKS_MAX];
};

/*
 * text: addresses and networks ("10.0.0.7, 2001:db8::/32"), comma-separated;
 * NULL or "": none. Returns 0, or ERR_CONFIG with a sentence in err.
 */
int proxy_networks_read(
    struct proxy_networks *out, const char *text, char *err, size_t err_len);

/* Is sa in one of them? False for families other than IPv4 and IPv6. */
bool proxy_networks_have(
    const struct proxy_networks *nets, const struct sockaddr *sa);

struct proxy_source {
	bool is_check;   /* LOCAL: of the balancer itself */
	bool is_unknown; /* the balancer does not know the client's address */
	/* of the client; AF_UNSPEC where it is one of the two above */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} address;
};

/*
 * The length of the header that data, have bytes of it, begins: at most
 * PROXY_HEADER_MAX; PROXY_FIXED_LEN until that much of it is known. Reading no
 * further leaves what follows in the socket. Or ERR_PROTOCOL (no such header)
 * or ERR_LIMIT (too long).
 */
ssize_t proxy_header_wanted(const uint8_t *data, size_t have);

/*
 * Reads a whole header, of the length that proxy_header_wanted says. Returns
 * 0; ERR_PROTOCOL for a version, command, extension or checksum that is wrong;
 * ERR_UNSUPPORTED for a client that came by another way than TCP.
 */
int proxy_header_read(
    const uint8_t *data, size_t len, struct proxy_source *out);

#endif
