#include "relay/base/client_addr.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>

#include "common/proxy_protocol.h"

void
client_addr_print(char out[CLIENT_ADDR_LEN], const struct sockaddr *addr)
{
	socklen_t len = addr->sa_family == AF_INET6
	    ? sizeof(struct sockaddr_in6)
	    : sizeof(struct sockaddr_in);

	if (getnameinfo(
		addr, len, out, CLIENT_ADDR_LEN, NULL, 0, NI_NUMERICHOST) != 0)
		strcpy(out, CLIENT_UNKNOWN);
}

bool
client_addr_is_loopback(const struct sockaddr *addr)
{
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)addr;
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)addr;

	if (addr->sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&a6->sin6_addr) ||
		    (IN6_IS_ADDR_V4MAPPED(&a6->sin6_addr) &&
			a6->sin6_addr.s6_addr[12] == 127);
	return addr->sa_family == AF_INET &&
	    ntohl(a4->sin_addr.s_addr) >> 24 == 127;
}
