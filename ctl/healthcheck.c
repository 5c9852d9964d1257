/*
 * relaycam-healthcheck: asks a daemon on this machine whether it is ready.
 * For a container's HEALTHCHECK: images have neither a shell nor curl.
 * Exit status: 0 ready, 1 not, 2 usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WAIT_SECONDS 5

static int
say(const char *what, const char *why)
{
	fprintf(stderr, "relaycam-healthcheck: %s: %s\n", what, why);
	return 1;
}

/* A connection to the port on loopback, or -1 with errno. */
static int
dial(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval wait = { .tv_sec = WAIT_SECONDS };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) != 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Reads until the end or until text is full; it is a string then. */
static void
read_answer(int fd, char *text, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have + 1 < size &&
	    (n = recv(fd, text + have, size - 1 - have, 0)) > 0)
		have += (size_t)n;
	text[have] = '\0';
}

/* What a daemon that is not ready says about it: the body's first line. */
static int
judge(char *answer)
{
	char *body = strstr(answer, "\r\n\r\n");

	if (strncmp(answer, "HTTP/1.1 200 ", 13) == 0)
		return 0;
	if (body == NULL)
		return say("no answer", "the daemon does not speak HTTP there");
	body += 4;
	body[strcspn(body, "\r\n")] = '\0';
	return say("not ready", body);
}

int
main(int argc, char **argv)
{
	static const char request[] =
	    "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char answer[4096], *end = NULL;
	unsigned long port = argc == 2 ? strtoul(argv[1], &end, 10) : 0;
	int fd;

	if (port == 0 || port > UINT16_MAX || *end != '\0') {
		fputs("usage: relaycam-healthcheck PORT\n"
		      "PORT: of metrics_listen, on this machine\n",
		    stderr);
		return 2;
	}
	fd = dial((unsigned)port);
	if (fd < 0 || send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return say(argv[1], strerror(errno));
	read_answer(fd, answer, sizeof(answer));
	close(fd);
	return judge(answer);
}
