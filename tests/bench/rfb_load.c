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
#include "tests/bench/rfb_peer.h"

#define PIDS_MAX   8
#define UPDATE_LEN (4 + 12)

enum mode { THROUGHPUT, CHUNKS, PINGPONG, IDLE, SESSIONS, PACED };
#define CHUNK_LEN 8192
/* after the last session has ended: what the relay still does for it */
#define SETTLE_US 500000

static struct {
	enum mode mode;
	int sessions, rate, seconds, rounds;
	uint64_t mb;
	pid_t pids[PIDS_MAX];
	int n_pids;
} opt = { .sessions = 1, .rate = 20, .seconds = 5, .rounds = 2000, .mb = 256 };

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

/* ---- the work ---- */

/* A recorded viewer that never asks gets no picture; the endpoint does not
 * read what it is asked. */
static void
ask(struct peer *p)
{
	if (rfb_peer_conf.rfb && (opt.mode == THROUGHPUT || opt.mode == CHUNKS))
		ask_for_screen(p);
}

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
	ask(&p);
	wait_until_ready();
	technician_work(&p, (int)(intptr_t)arg);
	pthread_barrier_wait(&done);
	return NULL;
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
			rfb_peer_conf.rfb = strcmp(optarg, "rfb") == 0;
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
			rfb_peer_conf.user = optarg;
			break;
		case 'p':
			rfb_peer_conf.password = optarg;
			break;
		case 'c':
			rfb_peer_conf.cert = optarg;
			break;
		case 'k':
			rfb_peer_conf.key = optarg;
			break;
		case 'l':
			rfb_peer_conf.listen_port = atoi(optarg);
			break;
		case 'C':
			rfb_peer_conf.connect_port = atoi(optarg);
			break;
		case 'P':
			if (opt.n_pids < PIDS_MAX)
				opt.pids[opt.n_pids++] = atoi(optarg);
			break;
		default:
			errx(2, "see the top of tests/bench/rfb_load.c");
		}
	if (rfb_peer_conf.cert == NULL || rfb_peer_conf.key == NULL ||
	    rfb_peer_conf.listen_port == 0 || rfb_peer_conf.connect_port == 0 ||
	    opt.rounds < 1 || opt.sessions < 1)
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
	start_thread(accept_main, listen_on(rfb_peer_conf.listen_port));
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
