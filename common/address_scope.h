/* Which addresses are of the public internet. No I/O, thread-safe. */
#ifndef COMMON_ADDRESS_SCOPE_H
#define COMMON_ADDRESS_SCOPE_H

#include <stdbool.h>
#include <sys/socket.h>

/*
 * Is it an address that the internet routes? False for loopback, private,
 * link-local, shared, multicast and documentation addresses, for IPv6
 * addresses that carry such an IPv4 address (mapped, 6to4, NAT64) or could
 * (Teredo), and for other families. Source: the IANA special-purpose address
 * registries (RFC 6890).
 */
bool address_is_public(const struct sockaddr *sa);

#endif
