/*
 * Replays a captured session through decoder, canvas, encoder and WebM
 * writer as fast as possible, at the times of the capture, and prints one
 * JSON object: CPU seconds, bytes, frames, and their values a minute.
 *
 *	recorder_bench CAPTURE SPOOL-FOLDER [CODEC [RATE [QUALITY]]]
 *
 * vp9, 15 pictures a second at most and text, if not said otherwise. The
 * capture is read piece by piece, as a recorder reads its ring.
 *
 * Capture file, little-endian: "RCCAP1\0\0", u16 width, u16 height, 16 bytes
 * pixel format, then records {u64 ns since start, u32 length, bytes}; an
 * empty record states the end's time.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/err.h"
#include "recorder/session/recorder_session.h"

#define START_NS  NS_PER_S /* any; 0 would mean "none" to nobody */
#define HEAD_LEN  28
#define PIECE_LEN (256 * 1024)

struct record {
	uint64_t ns;
	uint32_t len;
} __attribute__((packed));

static void
on_session(
    void *arg, enum recorder_session_event ev, const struct segment_result *res)
{
	unsigned *n = arg;

	(void)res;
	*n += ev == RECORDER_SESSION_SEGMENT;
}

static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	    (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
fill_meta(struct meta *m, const uint8_t head[HEAD_LEN])
{
	memset(m, 0, sizeof(*m));
	strcpy(m->session, "11111111-2222-4333-8444-555555555555");
	strcpy(m->team, "bench");
	strcpy(m->endpoint, "desktop");
	strcpy(m->technician, "nobody");
	strcpy(m->access, "unattended");
	strcpy(m->time_zone, "UTC");
	strcpy(m->split_reason, "start");
	m->retention_days = 1;
	m->width = (uint16_t)(head[8] | head[9] << 8);
	m->height = (uint16_t)(head[10] | head[11] << 8);
	if (rfb_pixel_format_parse(&m->pixel_format, head + 12) != 0)
		exit(1);
	m->start_mono_ns = START_NS;
	m->start_wall_ns = clock_wall_ns();
	m->first_seq = m->first_frame = 1;
	m->segment_bytes = 512u << 20;
	m->min_visible_ms = META_VISIBLE_MAX;
}

static void
take_options(struct meta *m, int argc, char **argv)
{
	const char *quality = argc > 5 ? argv[5] : "text";

	m->codec =
	    argc > 3 && strcmp(argv[3], "vp8") == 0 ? ENCODER_VP8 : ENCODER_VP9;
	m->frame_rate = argc > 4 ? (unsigned)atoi(argv[4]) : 15;
	m->quality = strcmp(quality, "small") == 0 ? ENCODER_SMALL
	    : strcmp(quality, "lossless") == 0     ? ENCODER_LOSSLESS
						   : ENCODER_TEXT;
}

static void
read_exactly(FILE *f, void *to, size_t len)
{
	if (fread(to, 1, len, f) != len) {
		fprintf(stderr, "recorder_bench: the capture is cut off\n");
		exit(1);
	}
}

static void
check(const struct recorder_session *s, int rc)
{
	if (rc == 0)
		return;
	fprintf(stderr, "recorder_bench: %s\n", recorder_session_why(s));
	exit(1);
}

static void
feed(struct recorder_session *s, FILE *f, size_t left)
{
	static uint8_t piece[PIECE_LEN];

	while (left > 0) {
		size_t n = min_size(left, sizeof(piece));

		read_exactly(f, piece, n);
		check(s, recorder_session_feed(s, piece, n));
		left -= n;
	}
}

/* Feeds everything; returns the capture's length in ns. */
static uint64_t
replay(struct recorder_session *s, FILE *f)
{
	struct tee_mark mark = { .kind = TEE_MARK_TIME };
	struct record r = { 0 };

	do {
		read_exactly(f, &r, sizeof(r));
		mark.mono_ns = START_NS + r.ns;
		check(s, recorder_session_mark(s, &mark));
		feed(s, f, r.len);
	} while (r.len > 0);
	mark.kind = TEE_MARK_END;
	check(s, recorder_session_mark(s, &mark));
	return r.ns;
}

static FILE *
open_capture(const char *path, uint8_t head[HEAD_LEN])
{
	FILE *f = fopen(path, "rb");

	if (f == NULL) {
		perror(path);
		exit(1);
	}
	read_exactly(f, head, HEAD_LEN);
	if (memcmp(head, "RCCAP1\0", 8) != 0)
		exit(1);
	return f;
}

int
main(int argc, char **argv)
{
	uint8_t head[HEAD_LEN];
	unsigned n_segments = 0;
	struct recorder_session *s;
	static struct meta m;
	double cpu, minutes;
	FILE *f;
	int dir;

	if (argc < 3)
		return 2;
	f = open_capture(argv[1], head);
	dir = open(argv[2], O_RDONLY | O_DIRECTORY);
	fill_meta(&m, head);
	take_options(&m, argc, argv);
	cpu = cpu_seconds();
	s = recorder_session_new(&m, dir, on_session, &n_segments);
	if (s == NULL || recorder_session_start(s) != 0)
		return 1;
	minutes = (double)replay(s, f) / 60e9;
	cpu = cpu_seconds() - cpu;
	printf("{\"cpu_s\": %.3f, \"bytes\": %llu, \"frames\": %llu, "
	       "\"segments\": %u, \"cpu_s_minute\": %.3f, "
	       "\"mb_minute\": %.3f}\n",
	    cpu, (unsigned long long)recorder_session_bytes(s),
	    (unsigned long long)recorder_session_frames(s), n_segments,
	    cpu / minutes, (double)recorder_session_bytes(s) / 1e6 / minutes);
	recorder_session_free(s);
	fclose(f);
	close(dir);
	return 0;
}
