/* "host:port" text, and TCP connections with a time limit. Blocking. */
#ifndef CTL_CTL_HOSTPORT_H
#define CTL_CTL_HOSTPORT_H

#include <stddef.h>

#define HOST_MAX 254 /* RFC 1035: 253 characters, and the NUL */

/*
 * Splits "host", "host:port", "[v6]:port" or a bare IPv6 address; port gets
 * "" when there is none. Returns 0 or ERR_CONFIG.
 */
int hostport_split(const char *text, char host[HOST_MAX], char port[8]);

/*
 * Connects within timeout_s seconds; sends and receives on the socket then
 * have that limit too. Returns the descriptor, or -1 with a sentence in why.
 */
int tcp_connect(const char *host, const char *port, int timeout_s, char *why,
    size_t why_len);

#endif
