/* Addresses of clients as people and rows know them. Pure. */
#ifndef RELAY_BASE_CLIENT_ADDR_H
#define RELAY_BASE_CLIENT_ADDR_H

#include <stdbool.h>
#include <sys/socket.h>

#define CLIENT_ADDR_LEN 64

/* "203.0.113.7" of an address, or CLIENT_UNKNOWN (common/proxy_protocol.h). */
void client_addr_print(char out[CLIENT_ADDR_LEN], const struct sockaddr *addr);

/* Also of an IPv4 address in an IPv6 one. */
bool client_addr_is_loopback(const struct sockaddr *addr);

#endif
