/*
 * Load for HTTPS servers on loopback: N connections that each send requests
 * one after the other and read the answers.
 *
 *   --requests FILE   the requests, whole, each ended by an empty line and
 *                     without a body; sent in turn
 *   --connections N   at once, a thread each
 *   --seconds S, or --rounds N times all requests per connection
 *   --fresh           a new connection with a full TLS handshake per request
 *
 * Prints one JSON object: requests, those with a status of 400 and more as
 * failed, seconds, bytes of bodies, and for each request of the file p50_us
 * and p99_us from its first byte sent to its last byte received.
 */
#include <arpa/inet.h>
#include <err.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS_MAX 64
#define HEAD_MAX     16384
#define SAMPLES_MAX  (1 << 20) /* per connection */

static struct {
	int port, connections, rounds;
	double seconds;
	bool fresh;
} opt = { .connections = 1, .seconds = 1 };

static char *requests[REQUESTS_MAX];
static int n_requests;
static SSL_CTX *ctx;
static double end_s;

struct client {
	pthread_t thread;
	int fd;
	SSL *ssl;
	struct {
		int request;
		double us;
	} * samples;
	size_t n, failed, bytes;
};

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void
open_connection(struct client *c)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		err(1, "port %d", opt.port);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_tlsext_host_name(c->ssl, "localhost");
	if (SSL_connect(c->ssl) != 1)
		errx(1, "TLS handshake failed");
}

static void
close_connection(struct client *c)
{
	SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	close(c->fd);
}

static size_t
receive(struct client *c, char *out, size_t len)
{
	int n = SSL_read(c->ssl, out, (int)len);

	if (n <= 0)
		errx(1, "the server closed before its answer was whole");
	return (size_t)n;
}

/* The value of the answer's Content-Length; it may have none (304). */
static size_t
body_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");

	if (strcasestr(head, "\r\ntransfer-encoding:") != NULL)
		errx(1, "a chunked answer");
	return at != NULL ? strtoul(at + 17, NULL, 10) : 0;
}

static void
ask(struct client *c, const char *request)
{
	static __thread char in[HEAD_MAX + 1];
	size_t len = 0, body, have;
	char *end = NULL;

	if (SSL_write(c->ssl, request, (int)strlen(request)) <= 0)
		errx(1, "the request was not sent");
	while (end == NULL && len < HEAD_MAX) {
		len += receive(c, in + len, HEAD_MAX - len);
		in[len] = '\0';
		end = strstr(in, "\r\n\r\n");
	}
	if (end == NULL)
		errx(1, "the answer has no end of its head");
	have = len - (size_t)(end + 4 - in);
	*end = '\0';
	if (atoi(in + 9) >= 400) {
		if (c->failed++ == 0)
			warnx("%.200s", in);
	}
	for (body = body_length(in); have < body;)
		have += receive(c, in, HEAD_MAX);
	c->bytes += body;
}

static void
one_request(struct client *c, int i)
{
	double began = now_s();

	if (opt.fresh)
		open_connection(c);
	ask(c, requests[i]);
	if (opt.fresh)
		close_connection(c);
	if (c->n < SAMPLES_MAX) {
		c->samples[c->n].request = i;
		c->samples[c->n++].us = (now_s() - began) * 1e6;
	}
}

static void *
run(void *arg)
{
	struct client *c = arg;

	if (!opt.fresh)
		open_connection(c);
	for (int round = 0;
	     opt.rounds > 0 ? round < opt.rounds : now_s() < end_s; round++)
		for (int i = 0; i < n_requests; i++)
			one_request(c, i);
	if (!opt.fresh)
		close_connection(c);
	return NULL;
}

/* ---- the result ---- */

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
print_request(struct client *clients, int request)
{
	size_t n = 0, most = 0;
	double *us;

	for (int i = 0; i < opt.connections; i++)
		most += clients[i].n;
	us = malloc((most + 1) * sizeof(*us));
	for (int i = 0; i < opt.connections; i++)
		for (size_t k = 0; k < clients[i].n; k++)
			if (clients[i].samples[k].request == request)
				us[n++] = clients[i].samples[k].us;
	qsort(us, n, sizeof(*us), compare);
	printf("%s{\"p50_us\":%.1f,\"p99_us\":%.1f}", request > 0 ? "," : "",
	    n > 0 ? us[n / 2] : 0, n > 0 ? us[n * 99 / 100] : 0);
	free(us);
}

static void
print_result(struct client *clients, double seconds)
{
	size_t n = 0, failed = 0, bytes = 0;

	for (int i = 0; i < opt.connections; i++) {
		n += clients[i].n;
		failed += clients[i].failed;
		bytes += clients[i].bytes;
	}
	printf("{\"requests\":%zu,\"failed\":%zu,\"bytes\":%zu,"
	       "\"seconds\":%.3f,\"by_request\":[",
	    n, failed, bytes, seconds);
	for (int i = 0; i < n_requests; i++)
		print_request(clients, i);
	printf("]}\n");
}

/* ---- the start ---- */

static void
read_requests(const char *path)
{
	static char text[1 << 20];
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;
	char *at = text, *end;

	if (n == 0)
		errx(1, "%s: no requests", path);
	fclose(f);
	while ((end = strstr(at, "\r\n\r\n")) != NULL) {
		if (n_requests == REQUESTS_MAX)
			errx(
			    1, "%s: more than %d requests", path, REQUESTS_MAX);
		requests[n_requests++] = strndup(at, (size_t)(end + 4 - at));
		at = end + 4;
	}
}

static void
read_options(int argc, char **argv)
{
	static const struct option options[] = { { "connect", required_argument,
						     NULL, 'p' },
		{ "requests", required_argument, NULL, 'r' },
		{ "connections", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'n' },
		{ "fresh", no_argument, NULL, 'f' }, { 0 } };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'p':
			opt.port = atoi(optarg);
			break;
		case 'r':
			read_requests(optarg);
			break;
		case 'c':
			opt.connections = atoi(optarg);
			break;
		case 's':
			opt.seconds = atof(optarg);
			break;
		case 'n':
			opt.rounds = atoi(optarg);
			break;
		case 'f':
			opt.fresh = true;
			break;
		default:
			exit(2);
		}
	if (opt.port == 0 || n_requests == 0 || opt.connections < 1)
		errx(2, "--connect, --requests and --connections are needed");
}

int
main(int argc, char **argv)
{
	struct client *clients;
	double began;

	read_options(argc, argv);
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	clients = calloc((size_t)opt.connections, sizeof(*clients));
	began = now_s();
	end_s = began + opt.seconds;
	for (int i = 0; i < opt.connections; i++) {
		clients[i].samples =
		    malloc(SAMPLES_MAX * sizeof(*clients[i].samples));
		pthread_create(&clients[i].thread, NULL, run, &clients[i]);
	}
	for (int i = 0; i < opt.connections; i++)
		pthread_join(clients[i].thread, NULL);
	print_result(clients, now_s() - began);
	return 0;
}
