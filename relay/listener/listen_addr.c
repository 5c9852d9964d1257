#include "relay/listener/listen_addr.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/err.h"
#include "relay/conf.h"

/* "host:port" -> its port; 0: it is none. */
static unsigned long
port_of(const char *where)
{
	const char *colon = strrchr(where, ':');
	char *end;
	unsigned long port;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return 0;
	port = strtoul(colon + 1, &end, 10);
	return *end == '\0' && port <= 65535 ? port : 0;
}

static int
add(struct listen_addr *addrs, int n, enum listen_kind kind,
    const char *setting, const char *where, char *err, size_t err_len)
{
	struct listen_addr *d = &addrs[n];

	if (where == NULL || *where == '\0')
		return n;
	if (n == LISTEN_ADDRS_MAX) {
		snprintf(err, err_len, "relay.%s: too many ports", setting);
		return ERR_CONFIG;
	}
	*d = (struct listen_addr){ .kind = kind, .setting = setting };
	d->port = (uint16_t)port_of(where);
	if (d->port == 0 || strlen(where) >= sizeof(d->where)) {
		snprintf(err, err_len, "relay.%s: %s: expected host:port",
		    setting, where);
		return ERR_CONFIG;
	}
	strcpy(d->where, where);
	return n + 1;
}

/* "host:first-last" -> one address per port. */
static int
add_range(struct listen_addr *addrs, int n, const char *range, char *err,
    size_t err_len)
{
	const char *colon, *dash;
	unsigned long first, last;
	char where[160], *end;

	if (range == NULL || *range == '\0')
		return n;
	colon = strrchr(range, ':');
	dash = colon != NULL ? strchr(colon, '-') : NULL;
	if (colon == NULL || strlen(range) >= sizeof(where)) {
		snprintf(err, err_len,
		    "relay.session_ports: %s: expected host:first-last", range);
		return ERR_CONFIG;
	}
	first = strtoul(colon + 1, &end, 10);
	last =
	    dash != NULL && end == dash ? strtoul(dash + 1, &end, 10) : first;
	if (*end != '\0' || first == 0 || last > 65535 || last < first ||
	    last - first >= LISTEN_ADDRS_MAX - 8) {
		snprintf(err, err_len,
		    "relay.session_ports: %s: expected at most %d ports, as "
		    "127.0.0.1:5910-5919",
		    range, LISTEN_ADDRS_MAX - 8);
		return ERR_CONFIG;
	}
	for (unsigned long p = first; p <= last && n >= 0; p++) {
		snprintf(where, sizeof(where), "%.*s:%lu", (int)(colon - range),
		    range, p);
		n = add(addrs, n, LISTEN_VNC_AUTH, "session_ports", where, err,
		    err_len);
	}
	return n;
}

int
listen_addrs_read(const struct relay_conf *conf,
    struct listen_addr addrs[LISTEN_ADDRS_MAX], char *err, size_t err_len)
{
	int n = add(addrs, 0, LISTEN_VNC, "listen", conf->listen, err, err_len);

	if (n >= 0)
		n = add(addrs, n, LISTEN_WEB, "web_listen", conf->web_listen,
		    err, err_len);
	if (n >= 0)
		n = add(addrs, n, LISTEN_REVERSE, "reverse_listen",
		    conf->reverse_listen, err, err_len);
	if (n >= 0)
		n = add_range(addrs, n, conf->session_ports, err, err_len);
	return n;
}

/* What a listening address says: "[host]:port", "host:port" or ":port". */
static struct addrinfo *
address(const struct listen_addr *d)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV },
			*ai = NULL;
	const char *where = d->where, *colon = strrchr(d->where, ':');
	size_t n = (size_t)(colon - where);
	char host[160];

	if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	memcpy(host, where, n);
	host[n] = '\0';
	if (getaddrinfo(n != 0 ? host : NULL, colon + 1, &hints, &ai) != 0)
		return NULL;
	return ai;
}

/* A bound socket; share: others of this program may bind it too. */
static int
bound_socket(const struct listen_addr *d, int share)
{
	struct addrinfo *ai = address(d);
	int fd, on = 1, off = 0;

	if (ai == NULL)
		return ERR_CONFIG;
	fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		freeaddrinfo(ai);
		return ERR_IO;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (share)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		close(fd);
		fd = ERR_IO;
	}
	freeaddrinfo(ai);
	return fd;
}

int
listen_addr_open(const struct listen_addr *d)
{
	int fd = bound_socket(d, 1);

	if (fd >= 0 && listen(fd, 512) != 0) {
		close(fd);
		return ERR_IO;
	}
	return fd;
}

int
listen_addr_check(const struct listen_addr *d)
{
	int fd = bound_socket(d, 0);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}
