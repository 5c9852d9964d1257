/*
 * Makes a capture of a desktop on which the number of counter.py changes, for
 * the recorder to encode (relaycam-recorder --replay):
 * desktop_make PATH JSON WIDTH HEIGHT END_MS < "MS NUMBER" lines
 * JSON: the session's (docs/tee.md); times count from its start_mono_ns. The
 * first number is there from the start. An hour takes a second.
 */
#include <err.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "capture/capture.h"
#include "tests/unit/recorder_fixture.h"

/* As in tests/integration/counter.py. */
#define SIDE      12
#define BITS      24
#define EDGE      6
#define STRIP     48
#define COUNTER_X 4
#define COUNTER_Y 4
#define COUNTER_W (SIDE * (BITS + 2) + 2 * EDGE)
#define COUNTER_H (SIDE + 2 * EDGE + STRIP)

static unsigned width, height;
static uint8_t *px, *msg;

static void
fill(unsigned x, unsigned y, unsigned w, unsigned h, uint32_t rgb)
{
	for (unsigned r = y; r < y + h; r++)
		for (unsigned c = x; c < x + w; c++)
			memcpy(px + ((size_t)r * width + c) * 4, &rgb, 4);
}

static void
draw_number(uint32_t n)
{
	uint32_t gray = n ^ n >> 1;

	fill(COUNTER_X, COUNTER_Y, COUNTER_W, SIDE + 2 * EDGE, 0x808080);
	for (unsigned i = 0; i < BITS + 2; i++) {
		bool bit = i == 0 || (i <= BITS && (gray >> (i - 1) & 1) != 0);

		fill(COUNTER_X + EDGE + i * SIDE, COUNTER_Y + EDGE, SIDE, SIDE,
		    bit ? 0xffffff : 0);
	}
	fill(COUNTER_X, COUNTER_Y + SIDE + 2 * EDGE, COUNTER_W, STRIP,
	    n % 2 != 0 ? 0x406080 : 0x806040);
}

static void
must(int rc)
{
	if (rc != 0)
		errx(1, "capture: %d", rc);
}

static void
mark(struct capture_writer *w, uint32_t kind, uint64_t ns)
{
	const struct tee_mark m = { .kind = kind, .mono_ns = ns };

	must(capture_writer_mark(w, &m, 0));
}

static uint64_t
start_of(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);
	uint64_t ns =
	    (uint64_t)json_integer_value(json_object_get(j, "start_mono_ns"));

	json_decref(j);
	return ns;
}

static void
show(struct capture_writer *w, uint64_t ns, uint32_t n, bool is_first)
{
	size_t len;

	draw_number(n);
	len = is_first
	    ? fixture_raw(msg, px, width, 0, 0, width, height)
	    : fixture_raw(msg, px + ((size_t)COUNTER_Y * width + COUNTER_X) * 4,
		  width, COUNTER_X, COUNTER_Y, COUNTER_W, COUNTER_H);
	mark(w, TEE_MARK_TIME, ns);
	must(capture_writer_bytes(w, msg, len, 0));
	must(capture_writer_tick(w, CAPTURE_FLUSH_NS));
}

int
main(int argc, char **argv)
{
	const struct capture_start start = { 1, 1, 0 };
	struct capture_writer *w;
	uint64_t start_ns, ms;
	bool is_first = true;
	uint32_t n;
	int fd;

	if (argc != 6)
		errx(2, "usage: see the source");
	width = (unsigned)atoi(argv[3]);
	height = (unsigned)atoi(argv[4]);
	if (width < COUNTER_X + COUNTER_W || height < COUNTER_Y + COUNTER_H)
		errx(2, "the number does not fit");
	start_ns = start_of(argv[2]);
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0640);
	px = malloc((size_t)width * height * 4);
	msg = malloc((size_t)width * height * 4 + 64);
	if (fd < 0 || px == NULL || msg == NULL)
		err(1, "%s", argv[1]);
	fixture_desktop(px, width, height, 1);
	must(capture_writer_new(&w, fd, argv[2], strlen(argv[2]), &start));
	while (scanf("%" SCNu64 " %" SCNu32, &ms, &n) == 2) {
		show(w, start_ns + ms * NS_PER_MS, n, is_first);
		is_first = false;
	}
	mark(w, TEE_MARK_END,
	    start_ns + strtoull(argv[5], NULL, 10) * NS_PER_MS);
	must(capture_writer_end(w, "", 0));
	capture_writer_free(w);
	close(fd);
	free(px);
	free(msg);
	return 0;
}
