/*
 * Replays a captured session through decoder, canvas, encoder and WebM
 * writer as fast as possible, at the times of the capture, and prints one
 * JSON object: CPU seconds, bytes, frames, and their values a minute.
 *
 *	recorder_bench CAPTURE SPOOL-FOLDER [vp9|vp8] [frame rate]
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
#include "recorder/session.h"

#define START_NS NS_PER_S /* any; 0 would mean "none" to nobody */

struct record {
	uint64_t ns;
	uint32_t len;
} __attribute__((packed));

static void
on_session(void *arg, enum session_event ev, const struct segment_result *res)
{
	unsigned *n = arg;

	(void)res;
	*n += ev == SESSION_SEGMENT;
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
fill_meta(struct meta *m, const uint8_t head[28], const char *codec, int rate)
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
	m->frame_rate = (unsigned)rate;
	m->segment_bytes = 512u << 20;
	m->codec = strcmp(codec, "vp8") == 0 ? ENCODER_VP8 : ENCODER_VP9;
}

static uint8_t *
read_all(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0)
		exit(1);
	*len = (size_t)ftell(f);
	rewind(f);
	data = malloc(*len + 1);
	if (data == NULL || fread(data, 1, *len, f) != *len || *len < 28 ||
	    memcmp(data, "RCCAP1\0", 8) != 0)
		exit(1);
	fclose(f);
	return data;
}

/* Feeds everything; returns the capture's length in ns. */
static uint64_t
replay(struct session *s, const uint8_t *p, const uint8_t *end)
{
	struct tee_mark mark = { .kind = TEE_MARK_TIME };
	struct record r = { 0 };

	while ((size_t)(end - p) >= sizeof(r)) {
		memcpy(&r, p, sizeof(r));
		p += sizeof(r);
		if (r.len > (size_t)(end - p))
			break;
		mark.mono_ns = START_NS + r.ns;
		if (session_mark(s, &mark) != 0 ||
		    session_feed(s, p, r.len) != 0) {
			fprintf(stderr, "%s\n", session_why(s));
			exit(1);
		}
		p += r.len;
	}
	mark.kind = TEE_MARK_END;
	if (session_mark(s, &mark) != 0)
		exit(1);
	return r.ns;
}

int
main(int argc, char **argv)
{
	unsigned n_segments = 0;
	struct session *s;
	static struct meta m;
	uint8_t *data;
	double cpu, minutes;
	size_t len;
	int dir;

	if (argc < 3)
		return 2;
	data = read_all(argv[1], &len);
	dir = open(argv[2], O_RDONLY | O_DIRECTORY);
	fill_meta(&m, data, argc > 3 ? argv[3] : "vp9",
	    argc > 4 ? atoi(argv[4]) : 15);
	cpu = cpu_seconds();
	s = session_new(&m, dir, on_session, &n_segments);
	if (s == NULL || session_start(s) != 0)
		return 1;
	minutes = (double)replay(s, data + 28, data + len) / 60e9;
	cpu = cpu_seconds() - cpu;
	printf("{\"cpu_s\": %.3f, \"bytes\": %llu, \"frames\": %llu, "
	       "\"segments\": %u, \"cpu_s_minute\": %.3f, "
	       "\"mb_minute\": %.3f}\n",
	    cpu, (unsigned long long)session_bytes(s),
	    (unsigned long long)session_frames(s), n_segments, cpu / minutes,
	    (double)session_bytes(s) / 1e6 / minutes);
	session_free(s);
	free(data);
	close(dir);
	return 0;
}
