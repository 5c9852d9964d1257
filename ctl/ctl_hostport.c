#include "ctl/ctl_hostport.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/err.h"

static int
take_port(const char *s, char port[8])
{
	char *end;
	long n = strtol(s, &end, 10);

	if (end == s || *end != '\0' || n < 1 || n > 65535)
		return ERR_CONFIG;
	snprintf(port, 8, "%ld", n);
	return 0;
}

int
hostport_split(const char *text, char host[HOST_MAX], char port[8])
{
	const char *colon = strrchr(text, ':');
	const char *end = text + strlen(text);
	const char *begin = text;

	port[0] = '\0';
	if (text[0] == '[') {
		begin = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return ERR_CONFIG;
		if (end[1] == ':' && take_port(end + 2, port) != 0)
			return ERR_CONFIG;
	} else if (colon != NULL && strchr(text, ':') == colon) {
		end = colon;
		if (take_port(colon + 1, port) != 0)
			return ERR_CONFIG;
	}
	if (end == begin || end - begin >= HOST_MAX)
		return ERR_CONFIG;
	snprintf(host, HOST_MAX, "%.*s", (int)(end - begin), begin);
	return strpbrk(host, " /\t@") == NULL ? 0 : ERR_CONFIG;
}

/* Waits for a connection under way. 0 or an errno. */
static int
finish_connect(int fd, int timeout_s)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0;
	socklen_t len = sizeof(error);
	int n = poll(&p, 1, timeout_s * 1000);

	if (n == 0)
		return ETIMEDOUT;
	if (n < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		return errno;
	return error;
}

static int
connect_one(const struct addrinfo *ai, int timeout_s, int *error)
{
	struct timeval tv = { .tv_sec = timeout_s };
	int fd = socket(ai->ai_family,
	    ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);

	if (fd < 0) {
		*error = errno;
		return -1;
	}
	*error = 0;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) != 0)
		*error = errno == EINPROGRESS ? finish_connect(fd, timeout_s)
					      : errno;
	if (*error != 0) {
		close(fd);
		return -1;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	return fd;
}

int
tcp_connect(const char *host, const char *port, int timeout_s, char *why,
    size_t why_len)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG };
	struct addrinfo *list = NULL;
	int fd = -1;
	int error = 0;
	int rc = getaddrinfo(host, port, &hints, &list);

	if (rc != 0) {
		snprintf(why, why_len, "the name %s cannot be resolved: %s",
		    host, gai_strerror(rc));
		return -1;
	}
	for (struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next)
		fd = connect_one(ai, timeout_s, &error);
	freeaddrinfo(list);
	if (fd < 0)
		snprintf(why, why_len, "no connection to %s port %s: %s", host,
		    port, strerror(error));
	return fd;
}
