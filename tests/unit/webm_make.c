/*
 * Makes WebM files for tests of players and tools: a real picture that
 * changes, through the recorder's own encoder and writer.
 *
 * usage: webm_make make FILE FRAMES STEP_MS   finished
 *        webm_make noise FILE FRAMES STEP_MS  finished, of large frames
 *        webm_make grow FILE FRAMES STEP_MS   left as a killed recorder does
 *        webm_make repair FILE
 * Prints JSON: make and grow the file's length after each frame.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder/frame/canvas.h"
#include "recorder/frame/encoder.h"
#include "webm/webm_repair.h"
#include "webm/webm_writer.h"

/* Odd on purpose: 4:2:0 rounds up. */
#define WIDTH     321
#define HEIGHT    203
#define KEY_EVERY 20

static void
die(const char *what, int rc)
{
	fprintf(stderr, "webm_make: %s failed: %d\n", what, rc);
	exit(1);
}

static bool is_noise_;

/* Nothing that an encoder could find small: a fixed sequence. */
static void
draw_noise(uint32_t *pixels)
{
	static uint32_t x = 2463534242;

	for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		pixels[i] = x & 0xffffff;
	}
}

/* Stripes, and a white square that walks: one step a frame. */
static void
draw(uint32_t *pixels, int n)
{
	int left = 8 + n * 7 % (WIDTH - 48), top = 8 + n * 3 % (HEIGHT - 48);

	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) {
			bool in = x >= left && x < left + 40 && y >= top &&
			    y < top + 40;
			uint32_t stripe = (uint32_t)(x / 20 * 0x0b1d07);

			pixels[y * WIDTH + x] = in ? 0xffffff : stripe;
		}
}

struct maker {
	struct canvas canvas;
	struct encoder *encoder;
	struct webm_writer *writer;
	uint32_t pixels[WIDTH * HEIGHT];
};

static void
put(struct maker *m, int n, uint32_t step_ms)
{
	struct encoder_packet packet;
	struct webm_frame f = { .time_ms = (uint64_t)n * step_ms };
	int rc;

	if (is_noise_)
		draw_noise(m->pixels);
	else
		draw(m->pixels, n);
	canvas_damage_all(&m->canvas);
	canvas_convert(
	    &m->canvas, (const uint8_t *)m->pixels, WIDTH * sizeof(uint32_t));
	rc = encoder_encode(m->encoder, &m->canvas, f.time_ms, step_ms,
	    n % KEY_EVERY == 0, m->canvas.dirty, &packet);
	if (rc != 0)
		die("encoding", rc);
	f.data = packet.data;
	f.len = packet.len;
	f.is_key = packet.is_key;
	rc = webm_writer_frame(m->writer, &f);
	if (rc != 0)
		die("writing a frame", rc);
	printf("%s%" PRIu64, n != 0 ? ", " : "", webm_writer_bytes(m->writer));
}

static void
make(int fd, int n_frames, uint32_t step_ms, bool finish)
{
	static struct maker m;
	const struct webm_tag tag = { "SESSION", "4711" };
	const struct webm_params p = { .width = WIDTH,
		.height = HEIGHT,
		.colour = WEBM_COLOUR_LIBYUV,
		.title = "made by a test",
		.uuid = { 0xab, 0xcd },
		.tags = &tag,
		.n_tags = 1,
		.date_wall_ns = UINT64_C(1767225600000000000) };
	int rc = webm_writer_new(&m.writer, fd, &p);

	m.encoder = encoder_new(ENCODER_VP9, ENCODER_TEXT, WIDTH, HEIGHT);
	if (rc != 0 || m.encoder == NULL ||
	    canvas_init(&m.canvas, WIDTH, HEIGHT) != 0)
		die("starting", rc);
	printf("{\"header\": %" PRIu64 ", \"ends\": [",
	    webm_writer_bytes(m.writer));
	for (int n = 0; n < n_frames; n++)
		put(&m, n, step_ms);
	printf("]}\n");
	if (finish) {
		rc = webm_writer_finish(m.writer, (uint64_t)n_frames * step_ms);
		if (rc != 0)
			die("finishing", rc);
	}
	webm_writer_free(m.writer);
	encoder_free(m.encoder);
	canvas_release(&m.canvas);
}

static void
repair(int fd)
{
	struct webm_repair_result r;
	int rc = webm_repair(fd, NULL, NULL, &r);

	if (rc != 0)
		die("repair", rc);
	printf("{\"frames\": %" PRIu64 ", \"duration_ms\": %" PRIu64
	       ", \"bytes\": %" PRIu64 ", \"was_finished\": %s}\n",
	    r.frames, r.duration_ms, r.bytes,
	    r.was_finished ? "true" : "false");
}

int
main(int argc, char **argv)
{
	bool is_repair = argc == 3 && strcmp(argv[1], "repair") == 0;
	int fd;

	if (!is_repair && argc != 5) {
		fprintf(stderr,
		    "usage: webm_make make|noise|grow FILE FRAMES "
		    "STEP_MS, or repair FILE\n");
		return 2;
	}
	is_noise_ = strcmp(argv[1], "noise") == 0;
	fd = open(
	    argv[2], is_repair ? O_RDWR : O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		die("opening", fd);
	if (is_repair)
		repair(fd);
	else
		make(fd, atoi(argv[3]), (uint32_t)atoi(argv[4]),
		    strcmp(argv[1], "grow") != 0);
	close(fd);
	return 0;
}
