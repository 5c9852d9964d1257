/*
 * Load for relays: both ends of N sessions in one process, with the relay
 * under test between them. The payload is a valid RFB stream either way:
 *
 *   --wrap rfb   endpoint: RFB 3.8, VeNCrypt X509None; technician: VeNCrypt
 *                X509Plain with --user and --password (Relaycam)
 *   --wrap tls   the same bytes after a bare TLS handshake (HAProxy, stunnel)
 *
 * Modes: throughput (N x --mb of 64 KB Raw updates), chunks (N sessions, an
 * 8 KB update --rate times a second for --seconds), pingpong (64 bytes there
 * and back, --rounds times), idle (N sessions that do nothing), sessions
 * (N technicians at a time begin and end --rounds sessions each), paced (as
 * chunks, and how late each update is: from when it was due, so that one that
 * cannot be sent in time counts too; --rate 0: as fast as it goes).
 * CPU of --pid processes is read from their own CPU clocks around the work.
 * Prints one JSON object. For idle it prints {"ready":N} and waits for the
 * end of standard input.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"

#define PIDS_MAX   8
#define WIDTH      1024
#define HEIGHT     768
#define UPDATE_LEN (4 + 12)

enum mode { THROUGHPUT, CHUNKS, PINGPONG, IDLE, SESSIONS, PACED };
#define CHUNK_LEN 8192
/* after the last session has ended: what the relay still does for it */
#define SETTLE_US 500000

static struct {
	enum mode mode;
	bool rfb;
	int sessions, rate, seconds, rounds;
	uint64_t mb;
	const char *user, *password, *cert, *key;
	int listen_port, connect_port;
	pid_t pids[PIDS_MAX];
	int n_pids;
} opt = { .rfb = true,
	.sessions = 1,
	.rate = 20,
	.seconds = 5,
	.rounds = 2000,
	.mb = 256 };

static SSL_CTX *server_ctx, *client_ctx;
static pthread_barrier_t ready, done;
static double *round_us; /* of session 0 in pingpong, of all in paced */
static double work_began;

static double
now_s(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* CPU seconds of all --pid processes so far. */
static double
cpu_of_pids(void)
{
	double sum = 0;
	clockid_t id;

	for (int i = 0; i < opt.n_pids; i++)
		if (clock_getcpuclockid(opt.pids[i], &id) == 0)
			sum += now_s(id);
	return sum;
}

/* ---- bytes over a socket, in TLS once ssl is set ---- */

struct peer {
	int fd;
	SSL *ssl;
};

static void
put(struct peer *p, const void *data, size_t len)
{
	const char *at = data;

	while (len > 0) {
		ssize_t n = p->ssl ? SSL_write(p->ssl, at, (int)len)
				   : write(p->fd, at, len);
		if (n <= 0)
			errx(1, "write to the relay failed");
		at += n;
		len -= (size_t)n;
	}
}

static void
get(struct peer *p, void *data, size_t len)
{
	char *at = data;

	while (len > 0) {
		ssize_t n = p->ssl ? SSL_read(p->ssl, at, (int)len)
				   : read(p->fd, at, len);
		if (n <= 0)
			errx(1, "the relay closed while %zu bytes were missing",
			    len);
		at += n;
		len -= (size_t)n;
	}
}

static void
expect(struct peer *p, const void *want, size_t len, const char *what)
{
	char got[64];

	get(p, got, len);
	if (memcmp(got, want, len) != 0)
		errx(1, "unexpected %s", what);
}

static void
start_tls(struct peer *p, bool server)
{
	p->ssl = SSL_new(server ? server_ctx : client_ctx);
	SSL_set_fd(p->ssl, p->fd);
	if ((server ? SSL_accept(p->ssl) : SSL_connect(p->ssl)) != 1)
		errx(1, "TLS handshake failed as %s",
		    server ? "endpoint" : "technician");
}

/* ---- handshakes ---- */

static void
endpoint_handshake(struct peer *p)
{
	uint8_t init[24] = { 0 };
	uint8_t set_encodings[4];

	if (opt.rfb) {
		put(p, "RFB 003.008\n", 12);
		expect(p, "RFB 003.008\n", 12, "version");
		put(p, "\1\23", 2);
		expect(p, "\23", 1, "security type");
		put(p, "\0\2", 2);
		expect(p, "\0\2", 2, "VeNCrypt version");
		put(p, "\0\1\0\0\1\4", 6);
		expect(p, "\0\0\1\4", 4, "VeNCrypt type");
		put(p, "\1", 1);
	}
	start_tls(p, true);
	if (!opt.rfb)
		return;
	put(p, "\0\0\0\0", 4);
	get(p, init, 1);
	store_be16(init, WIDTH);
	store_be16(init + 2, HEIGHT);
	memcpy(init + 4, "\40\30\0\1\0\377\0\377\0\377\20\10\0\0\0\0", 16);
	put(p, init, 24);
	get(p, set_encodings, 4);
	for (int i = load_be16(set_encodings + 2); i > 0; i--)
		get(p, init, 4);
}

static void
put_string(struct peer *p, const char *user, const char *password)
{
	uint8_t len[8];

	store_be32(len, (uint32_t)strlen(user));
	store_be32(len + 4, (uint32_t)strlen(password));
	put(p, len, 8);
	put(p, user, strlen(user));
	put(p, password, strlen(password));
}

static void
technician_handshake(struct peer *p)
{
	char text[1024] = "";
	uint8_t init[24];

	if (opt.rfb) {
		expect(p, "RFB 003.008\n", 12, "version");
		put(p, "RFB 003.008\n", 12);
		expect(p, "\1\23", 2, "security types");
		put(p, "\23", 1);
		expect(p, "\0\2", 2, "VeNCrypt version");
		put(p, "\0\2", 2);
		expect(p, "\0\1\0\0\1\6", 6, "VeNCrypt types");
		put(p, "\0\0\1\6", 4);
		expect(p, "\1", 1, "VeNCrypt answer");
	}
	start_tls(p, false);
	if (!opt.rfb)
		return;
	put_string(p, opt.user, opt.password);
	get(p, init, 4);
	if (load_be32(init) != 0) {
		get(p, init, 4);
		get(p, text, min_size(load_be32(init), sizeof(text) - 1));
		errx(1, "login refused: %s", text);
	}
	put(p, "\1", 1);
	get(p, init, 24);
	get(p, text, min_size(load_be32(init + 20), sizeof(text)));
	/* SetEncodings: Raw */
	put(p, "\2\0\0\1\0\0\0\0", 8);
	/* a recorded viewer that never asks gets no picture; the endpoint does
	 * not read what it is asked */
	if (opt.mode == THROUGHPUT || opt.mode == CHUNKS) {
		memset(init, 0, 10);
		init[0] = 3; /* FramebufferUpdateRequest */
		store_be16(init + 6, WIDTH);
		store_be16(init + 8, HEIGHT);
		put(p, init, 10);
	}
}

/* ---- the work ---- */

/* All are there; updates are due from the same moment on. */
static void
wait_until_ready(void)
{
	if (pthread_barrier_wait(&ready) == PTHREAD_BARRIER_SERIAL_THREAD)
		work_began = now_s(CLOCK_MONOTONIC);
	pthread_barrier_wait(&ready);
}

/* An update of one Raw rectangle with body bytes of pixels; its length. */
static size_t
make_update(uint8_t *out, size_t body)
{
	memset(out, 0, UPDATE_LEN);
	store_be16(out + 2, 1);
	store_be16(out + 8, (uint16_t)(body >= 4096 ? 1024 : body / 4));
	store_be16(out + 10, (uint16_t)(body >= 4096 ? body / 4096 : 1));
	for (size_t i = 0; i < body; i++)
		out[UPDATE_LEN + i] = (uint8_t)(i * 7);
	return UPDATE_LEN + body;
}

static void
sleep_until(double t)
{
	struct timespec ts = { (time_t)t,
		(long)((t - (double)(time_t)t) * 1e9) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* When a session's update i is due. */
static double
due(int i)
{
	return work_began + (double)i / opt.rate;
}

static void
endpoint_work(struct peer *p)
{
	static const uint8_t reply[64] = { 3, [7] = 56 }; /* ServerCutText */
	uint8_t *update = malloc(UPDATE_LEN + 65536), ping[64];
	size_t len =
	    make_update(update, opt.mode == THROUGHPUT ? 65536 : CHUNK_LEN);
	double start = now_s(CLOCK_MONOTONIC);

	if (opt.mode == THROUGHPUT)
		for (uint64_t n = 0; n < opt.mb << 20; n += len)
			put(p, update, len);
	if (opt.mode == CHUNKS)
		for (int i = 0; i < opt.rate * opt.seconds; i++) {
			put(p, update, len);
			sleep_until(start + (double)(i + 1) / opt.rate);
		}
	if (opt.mode == PINGPONG)
		for (int i = 0; i < opt.rounds; i++) {
			get(p, ping, sizeof(ping));
			put(p, reply, sizeof(reply));
		}
	if (opt.mode == PACED)
		for (int i = 0; i < opt.rounds; i++) {
			if (opt.rate != 0)
				sleep_until(due(i));
			put(p, update, len);
		}
	free(update);
}

static void
technician_work(struct peer *p, int session)
{
	uint8_t *sink = malloc(65536), ping[64] = { 0 };
	size_t len = UPDATE_LEN + (opt.mode == CHUNKS ? 8192 : 65536);
	uint64_t left = 0;

	/* eight KeyEvents, key up of no key */
	for (int i = 0; i < 64; i += 8)
		ping[i] = 4;
	if (opt.mode == THROUGHPUT)
		left = ((opt.mb << 20) + len - 1) / len * len;
	if (opt.mode == CHUNKS)
		left = (uint64_t)(opt.rate * opt.seconds) * len;
	for (; left > 0; left -= min_u64(left, 65536))
		get(p, sink, (size_t)min_u64(left, 65536));
	if (opt.mode == PINGPONG)
		for (int i = 0; i < opt.rounds; i++) {
			double t = now_s(CLOCK_MONOTONIC);

			put(p, ping, sizeof(ping));
			get(p, ping, sizeof(ping));
			if (session == 0)
				round_us[i] =
				    (now_s(CLOCK_MONOTONIC) - t) * 1e6;
			memset(ping, 0, sizeof(ping));
			for (int k = 0; k < 64; k += 8)
				ping[k] = 4;
		}
	if (opt.mode == PACED)
		for (int i = 0; i < opt.rounds; i++) {
			get(p, sink, UPDATE_LEN + CHUNK_LEN);
			round_us[session * opt.rounds + i] =
			    (now_s(CLOCK_MONOTONIC) -
				(opt.rate != 0 ? due(i) : work_began)) *
			    1e6;
		}
	free(sink);
}

static void
no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void
close_peer(struct peer *p)
{
	SSL_free(p->ssl);
	close(p->fd);
}

static void *
endpoint_main(void *arg)
{
	struct peer p = { .fd = (int)(intptr_t)arg };
	char bell[1];

	no_delay(p.fd);
	endpoint_handshake(&p);
	if (opt.mode == SESSIONS) {
		put(&p, "\2", 1); /* Bell: both legs stand */
		while (SSL_read(p.ssl, bell, 1) > 0)
			;
		close_peer(&p);
		return NULL;
	}
	wait_until_ready();
	endpoint_work(&p);
	pthread_barrier_wait(&done);
	return NULL;
}

static void
open_peer(struct peer *p)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)opt.connect_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	*p = (struct peer){ .fd = socket(AF_INET, SOCK_STREAM, 0) };
	if (connect(p->fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		err(1, "connect to port %d", opt.connect_port);
	no_delay(p->fd);
	technician_handshake(p);
}

static void *
technician_main(void *arg)
{
	struct peer p;
	char bell[1];

	if (opt.mode == SESSIONS) {
		wait_until_ready();
		for (int i = 0; i < opt.rounds; i++) {
			open_peer(&p);
			get(&p, bell, 1);
			SSL_shutdown(p.ssl);
			close_peer(&p);
		}
		pthread_barrier_wait(&done);
		return NULL;
	}
	open_peer(&p);
	wait_until_ready();
	technician_work(&p, (int)(intptr_t)arg);
	pthread_barrier_wait(&done);
	return NULL;
}

static void
start_thread(void *(*fn)(void *), intptr_t arg)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	if (pthread_create(&t, &attr, fn, (void *)arg) != 0)
		errx(1, "cannot start a thread");
	pthread_detach(t);
}

static void *
accept_main(void *arg)
{
	int fd = (int)(intptr_t)arg,
	    n = opt.sessions * (opt.mode == SESSIONS ? opt.rounds : 1);

	for (int i = 0; i < n; i++) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			err(1, "accept");
		start_thread(endpoint_main, c);
	}
	return NULL;
}

static int
listen_on(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, 512) != 0)
		err(1, "listen on port %d", port);
	return fd;
}

static void
make_contexts(void)
{
	server_ctx = SSL_CTX_new(TLS_server_method());
	client_ctx = SSL_CTX_new(TLS_client_method());
	if (SSL_CTX_use_certificate_chain_file(server_ctx, opt.cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(
		server_ctx, opt.key, SSL_FILETYPE_PEM) != 1)
		errx(1, "cannot use %s and %s", opt.cert, opt.key);
	SSL_CTX_set_num_tickets(server_ctx, 0);
	SSL_CTX_set_ciphersuites(server_ctx, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_ciphersuites(client_ctx, "TLS_AES_128_GCM_SHA256");
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
parse(int argc, char **argv)
{
	static const struct option longs[] = { { "mode", 1, NULL, 'm' },
		{ "wrap", 1, NULL, 'w' }, { "sessions", 1, NULL, 'n' },
		{ "mb", 1, NULL, 'b' }, { "rate", 1, NULL, 'r' },
		{ "seconds", 1, NULL, 's' }, { "rounds", 1, NULL, 'R' },
		{ "user", 1, NULL, 'u' }, { "password", 1, NULL, 'p' },
		{ "cert", 1, NULL, 'c' }, { "key", 1, NULL, 'k' },
		{ "listen", 1, NULL, 'l' }, { "connect", 1, NULL, 'C' },
		{ "pid", 1, NULL, 'P' }, { 0 } };
	static const char *const modes[] = { "throughput", "chunks", "pingpong",
		"idle", "sessions", "paced" };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'm':
			for (int i = 0; i <= PACED; i++)
				if (strcmp(optarg, modes[i]) == 0)
					opt.mode = (enum mode)i;
			break;
		case 'w':
			opt.rfb = strcmp(optarg, "rfb") == 0;
			break;
		case 'n':
			opt.sessions = atoi(optarg);
			break;
		case 'b':
			opt.mb = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			opt.rate = atoi(optarg);
			break;
		case 's':
			opt.seconds = atoi(optarg);
			break;
		case 'R':
			opt.rounds = atoi(optarg);
			break;
		case 'u':
			opt.user = optarg;
			break;
		case 'p':
			opt.password = optarg;
			break;
		case 'c':
			opt.cert = optarg;
			break;
		case 'k':
			opt.key = optarg;
			break;
		case 'l':
			opt.listen_port = atoi(optarg);
			break;
		case 'C':
			opt.connect_port = atoi(optarg);
			break;
		case 'P':
			if (opt.n_pids < PIDS_MAX)
				opt.pids[opt.n_pids++] = atoi(optarg);
			break;
		default:
			errx(2, "see the top of tests/bench/rfb_load.c");
		}
	if (opt.cert == NULL || opt.key == NULL || opt.listen_port == 0 ||
	    opt.connect_port == 0 || opt.rounds < 1 || opt.sessions < 1)
		errx(2, "--cert, --key, --listen and --connect are needed");
}

int
main(int argc, char **argv)
{
	double cpu, wall;
	int n_rounds, n_waiting;
	char c;

	parse(argc, argv);
	make_contexts();
	n_rounds = opt.rounds * (opt.mode == PACED ? opt.sessions : 1);
	n_waiting = opt.sessions * (opt.mode == SESSIONS ? 1 : 2) + 1;
	round_us = calloc((size_t)n_rounds, sizeof(*round_us));
	pthread_barrier_init(&ready, NULL, (unsigned)n_waiting);
	pthread_barrier_init(&done, NULL, (unsigned)n_waiting);
	start_thread(accept_main, listen_on(opt.listen_port));
	for (int i = 0; i < opt.sessions; i++)
		start_thread(technician_main, i);
	if (opt.mode == IDLE) {
		wait_until_ready();
		printf("{\"ready\":%d}\n", opt.sessions);
		fflush(stdout);
		while (read(0, &c, 1) > 0)
			;
		_exit(0);
	}
	/* read the clocks just before the last handshake lets all go: those
	 * of other sessions are over, this one's is not measurable */
	wait_until_ready();
	cpu = cpu_of_pids();
	wall = now_s(CLOCK_MONOTONIC);
	pthread_barrier_wait(&done);
	wall = now_s(CLOCK_MONOTONIC) - wall;
	if (opt.mode == SESSIONS)
		usleep(SETTLE_US);
	cpu = cpu_of_pids() - cpu;
	qsort(round_us, (size_t)n_rounds, sizeof(*round_us), compare);
	printf("{\"cpu_s\":%.6f,\"wall_s\":%.6f,\"mb\":%.1f,\"p50_us\":%.2f,"
	       "\"p99_us\":%.2f}\n",
	    cpu, wall,
	    opt.mode == THROUGHPUT ? (double)opt.mb * opt.sessions : 0.0,
	    round_us[n_rounds / 2], round_us[(int64_t)n_rounds * 99 / 100]);
	fflush(stdout);
	/* threads are on their way out: OpenSSL's exit handlers must not run
	 * beside theirs */
	_exit(0);
}
