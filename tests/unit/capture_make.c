/*
 * Makes a capture for tests/integration/test_capture.py:
 * capture_make PATH JSON WIDTH HEIGHT START_NS FRAMES [cut|broken]
 * JSON: the session's (docs/tee.md); noise at 10 pictures a second. With
 * "cut" no block ends it; with "broken" what no decoder knows comes behind
 * half of the pictures.
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "capture/capture.h"
#include "tests/unit/recorder_fixture.h"

#define STEP_NS (100 * NS_PER_MS)

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

int
main(int argc, char **argv)
{
	const struct capture_start start = { 1, 1, 0 };
	struct capture_writer *w;
	unsigned width, height, frames;
	uint64_t ns;
	uint8_t *px, *msg;
	bool is_broken = argc > 7 && strcmp(argv[7], "broken") == 0;
	int fd;

	if (argc < 7)
		errx(2, "usage: see the source");
	width = (unsigned)atoi(argv[3]);
	height = (unsigned)atoi(argv[4]);
	ns = strtoull(argv[5], NULL, 10);
	frames = (unsigned)atoi(argv[6]);
	fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0640);
	px = malloc((size_t)width * height * 4);
	msg = malloc((size_t)width * height * 4 + 64);
	if (fd < 0 || px == NULL || msg == NULL)
		err(1, "%s", argv[1]);
	must(capture_writer_new(&w, fd, argv[2], strlen(argv[2]), &start));
	for (unsigned i = 0; i < frames; i++) {
		fixture_noise(px, width, height, i);
		mark(w, TEE_MARK_TIME, ns + i * STEP_NS);
		if (is_broken && i == frames / 2)
			must(capture_writer_bytes(w, (uint8_t *)"\xee", 1, 0));
		must(capture_writer_bytes(w, msg,
		    fixture_raw(msg, px, width, 0, 0, width, height), 0));
		must(capture_writer_tick(w, CAPTURE_FLUSH_NS));
	}
	if (argc < 8 || is_broken) {
		mark(w, TEE_MARK_END, ns + frames * STEP_NS);
		must(capture_writer_end(w, "", 0));
	}
	capture_writer_free(w);
	close(fd);
	free(px);
	free(msg);
	return 0;
}
