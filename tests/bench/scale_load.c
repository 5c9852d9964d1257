/*
 * Both ends of N recorded sessions in one process, with a relay between them:
 * endpoints that show a number, counted up every few seconds, and technicians
 * that take whatever comes.
 *
 *	scale_load --sessions N --seconds S --every S --user U --password P
 *	    --cert FILE --key FILE --listen PORT --connect PORT
 *
 * A screen is full of something like text. At its top left stands a code of 32
 * blocks of 16x16 pixels, white for 1: 12 bits session, 14 bits number, 6 bits
 * checksum (bench_scale.py reads them in the recording). With each number some
 * lines of text change, with each twentieth the whole screen.
 *
 * Prints {"ready":N} when all sessions show their screen, {"numbers":K} when
 * each has shown 0..K-1; then nothing changes until the end of standard input,
 * which ends all sessions.
 */
#include <err.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "tests/bench/rfb_peer.h"

#define WIDTH      1280
#define HEIGHT     800
#define BLOCK      16
#define BITS       32
#define SESSIONS   4095
#define NUMBERS    16383
#define LINES_W    640
#define LINES_H    64
#define FULL_EVERY 20
#define LOGIN_US   50000 /* between two technicians' arrivals */

static int n_sessions = 1, seconds = 600, every = 3;
static pthread_barrier_t ready, done;
static uint64_t began_ns;

/* ---- what is shown ---- */

static uint32_t
code_of(uint32_t session, uint32_t number)
{
	uint32_t sum = (session * 7 + number * 13 + 21) & 63;

	return session << 20 | number << 6 | sum;
}

/* An update's rectangles, Raw, in one buffer. */
struct update {
	size_t len;
	uint8_t data[4 + 2 * 12 + WIDTH * HEIGHT * 4];
};

static uint8_t *
add_rectangle(struct update *u, unsigned x, unsigned y, unsigned w, unsigned h)
{
	uint8_t *p = u->data + u->len;

	memset(p, 0, 12);
	store_be16(p, (uint16_t)x);
	store_be16(p + 2, (uint16_t)y);
	store_be16(p + 4, (uint16_t)w);
	store_be16(p + 6, (uint16_t)h);
	u->len += 12 + (size_t)w * h * 4;
	store_be16(u->data + 2, (uint16_t)(load_be16(u->data + 2) + 1));
	return p + 12;
}

static void
begin(struct update *u)
{
	memset(u->data, 0, 4);
	u->len = 4;
}

/* Letters: 8x16 cells, half of them with some strokes. */
static void
draw_text(uint8_t *to, unsigned w, unsigned h, uint32_t seed)
{
	for (unsigned cell_y = 0; cell_y < h; cell_y += 16)
		for (unsigned cell_x = 0; cell_x < w; cell_x += 8) {
			uint32_t strokes;

			seed = seed * 1664525 + 1013904223;
			strokes = (seed & 3u << 29) != 0 ? seed >> 4 : 0;
			for (unsigned y = 0; y < 16; y++)
				for (unsigned x = 0; x < 8; x++) {
					unsigned bit = (x / 2) * 5 + y / 3;
					bool is_ink = x < 7 && y < 13 &&
					    (strokes >> bit & 1) != 0;

					memset(to +
						((size_t)(cell_y + y) * w +
						    cell_x + x) *
						    4,
					    is_ink ? 0x20 : 0xf0, 4);
				}
		}
}

/* to: the top left of a rectangle of that width. */
static void
draw_code(uint8_t *to, unsigned stride, uint32_t code)
{
	for (unsigned y = 0; y < BLOCK; y++)
		for (unsigned bit = 0; bit < BITS; bit++)
			memset(to + ((size_t)y * stride + bit * BLOCK) * 4,
			    (code >> (BITS - 1 - bit) & 1) != 0 ? 0xff : 0,
			    BLOCK * 4);
}

static void
draw_screen(struct update *u, uint32_t session, uint32_t number)
{
	uint8_t *p;

	begin(u);
	p = add_rectangle(u, 0, 0, WIDTH, HEIGHT);
	draw_text(p, WIDTH, HEIGHT, session * 65537 + number);
	draw_code(p, WIDTH, code_of(session, number));
}

static void
draw_number(struct update *u, uint32_t session, uint32_t number)
{
	unsigned y = LINES_H * (1 + number % (HEIGHT / LINES_H - 1));

	begin(u);
	draw_code(add_rectangle(u, 0, 0, BITS * BLOCK, BLOCK), BITS * BLOCK,
	    code_of(session, number));
	draw_text(add_rectangle(u, 64, y, LINES_W, LINES_H), LINES_W, LINES_H,
	    session * 65537 + number);
}

/* ---- both ends ---- */

static void
sleep_until(uint64_t at_ns)
{
	struct timespec ts = { (time_t)(at_ns / NS_PER_S),
		(long)(at_ns % NS_PER_S) };

	clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &ts, NULL);
}

static void *
endpoint_main(void *arg)
{
	static _Atomic int n_accepted;
	struct peer p = { .fd = (int)(intptr_t)arg };
	struct update *u = malloc(sizeof(*u));
	uint32_t session = (uint32_t)n_accepted++;
	uint64_t step = (uint64_t)every * NS_PER_S;

	no_delay(p.fd);
	endpoint_handshake(&p);
	draw_screen(u, session, 0);
	put(&p, u->data, u->len);
	pthread_barrier_wait(&ready);
	/* once more: that the clock is known */
	pthread_barrier_wait(&ready);
	for (uint32_t i = 1; i < (uint32_t)(seconds / every); i++) {
		sleep_until(began_ns + i * step +
		    step * session / (uint64_t)n_sessions);
		if (i % FULL_EVERY == 0)
			draw_screen(u, session, i);
		else
			draw_number(u, session, i);
		put(&p, u->data, u->len);
	}
	free(u);
	pthread_barrier_wait(&done);
	return NULL;
}

static void *
technician_main(void *arg)
{
	size_t left = (size_t)WIDTH * HEIGHT * 4;
	uint8_t *sink = malloc(65536);
	struct peer p;
	int n;

	(void)arg;
	open_peer(&p);
	ask_for_screen(&p);
	while (left > 0) {
		size_t piece = min_size(left, 65536);

		get(&p, sink, piece);
		left -= piece;
	}
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&ready);
	while ((n = SSL_read(p.ssl, sink, 65536)) > 0)
		;
	errx(1, "the relay ended a session");
	return NULL;
}

static void *
accept_main(void *arg)
{
	for (int i = 0; i < n_sessions; i++) {
		int c = accept((int)(intptr_t)arg, NULL, NULL);

		if (c < 0)
			err(1, "accept");
		start_thread(endpoint_main, c);
	}
	return NULL;
}

static void
parse(int argc, char **argv)
{
	static const struct option longs[] = { { "sessions", 1, NULL, 'n' },
		{ "seconds", 1, NULL, 's' }, { "every", 1, NULL, 'e' },
		{ "user", 1, NULL, 'u' }, { "password", 1, NULL, 'p' },
		{ "cert", 1, NULL, 'c' }, { "key", 1, NULL, 'k' },
		{ "listen", 1, NULL, 'l' }, { "connect", 1, NULL, 'C' },
		{ 0 } };
	struct rfb_peer_conf *conf = &rfb_peer_conf;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'n':
			n_sessions = atoi(optarg);
			break;
		case 's':
			seconds = atoi(optarg);
			break;
		case 'e':
			every = atoi(optarg);
			break;
		case 'u':
			conf->user = optarg;
			break;
		case 'p':
			conf->password = optarg;
			break;
		case 'c':
			conf->cert = optarg;
			break;
		case 'k':
			conf->key = optarg;
			break;
		case 'l':
			conf->listen_port = atoi(optarg);
			break;
		case 'C':
			conf->connect_port = atoi(optarg);
			break;
		default:
			errx(2, "see the top of tests/bench/scale_load.c");
		}
	if (conf->cert == NULL || conf->key == NULL || conf->user == NULL ||
	    conf->password == NULL || conf->listen_port == 0 ||
	    conf->connect_port == 0 || n_sessions < 1 ||
	    n_sessions > SESSIONS || every < 1 || seconds < 2 * every ||
	    seconds / every > NUMBERS)
		errx(2, "see the top of tests/bench/scale_load.c");
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	char c;

	rfb_peer_conf.width = WIDTH;
	rfb_peer_conf.height = HEIGHT;
	parse(argc, argv);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	make_contexts();
	pthread_barrier_init(&ready, NULL, (unsigned)n_sessions * 2 + 1);
	pthread_barrier_init(&done, NULL, (unsigned)n_sessions + 1);
	start_thread(accept_main, listen_on(rfb_peer_conf.listen_port));
	for (int i = 0; i < n_sessions; i++) {
		start_thread(technician_main, i);
		usleep(LOGIN_US);
	}
	pthread_barrier_wait(&ready);
	began_ns = clock_mono_ns();
	pthread_barrier_wait(&ready);
	printf("{\"ready\":%d}\n", n_sessions);
	fflush(stdout);
	pthread_barrier_wait(&done);
	printf("{\"numbers\":%d}\n", seconds / every);
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	_exit(0);
}
