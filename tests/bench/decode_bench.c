/*
 * Decodes a stream (tests/vectors/README.md says how to record one) several
 * times, from its file, and prints the CPU time as JSON.
 * usage: decode_bench relaycam|libvncclient FILE.rfb ROUNDS
 */
#include <time.h>

#include "tests/vectors/libvnc.h"

/* As much as the relay hands over at a time when a session is busy. */
#define PIECE (64 * 1024)

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct count {
	unsigned long long updates, pixels;
};

static void
count_event(void *arg, const struct rfb_decoder_event *ev)
{
	struct count *c = arg;

	if (ev->kind == RFB_DECODER_DAMAGE)
		c->pixels += (unsigned long long)ev->w * ev->h;
	c->updates += ev->kind == RFB_DECODER_UPDATE_END;
}

/* Reads, as the other side has to. */
static bool
feed_file(const struct vector *v, struct rfb_decoder *d, int fd)
{
	static uint8_t piece[PIECE];
	size_t at = 0, n;
	ssize_t got;

	if (lseek(fd, v->data - v->file, SEEK_SET) < 0)
		return false;
	while (at < v->len) {
		n = min_size(PIECE, vector_next_stop(v, at) - at);
		got = read(fd, piece, n);
		if (got <= 0 || vector_switch_at(v, d, at) != 0 ||
		    rfb_decoder_feed(d, piece, (size_t)got) != 0)
			return false;
		at += (size_t)got;
	}
	return true;
}

static bool
run_relaycam(const struct vector *v, const char *path, struct count *count)
{
	struct rfb_decoder *d =
	    rfb_decoder_new(v->width, v->height, &v->pf, count_event, count);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_good = d != NULL && fd >= 0 && feed_file(v, d, fd);

	if (!is_good && d != NULL)
		fprintf(stderr, "decode_bench: %s\n", rfb_decoder_why(d));
	rfb_decoder_free(d);
	if (fd >= 0)
		close(fd);
	return is_good;
}

static bool
run_libvncclient(const struct vector *v, const char *path)
{
	rfbClient *c = libvnc_open(v, path);
	bool is_good = c != NULL && libvnc_run(v, c);

	if (c != NULL)
		libvnc_close(c);
	return is_good;
}

static bool
run(const char *who, const struct vector *v, const char *path,
    struct count *count)
{
	if (strcmp(who, "libvncclient") == 0)
		return run_libvncclient(v, path);
	return run_relaycam(v, path, count);
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: decode_bench relaycam|libvncclient FILE.rfb ROUNDS\n");
	return 2;
}

int
main(int argc, char **argv)
{
	struct count count = { 0 };
	struct vector v;
	double start;
	int rounds;

	if (argc != 4 || (rounds = atoi(argv[3])) < 1 ||
	    (strcmp(argv[1], "relaycam") != 0 &&
		strcmp(argv[1], "libvncclient") != 0))
		return usage();
	if (!vector_load(&v, argv[2])) {
		fprintf(stderr, "decode_bench: %s is no vector\n", argv[2]);
		return 1;
	}
	start = cpu_seconds();
	for (int i = 0; i < rounds; i++) {
		if (!run(argv[1], &v, argv[2], &count)) {
			fprintf(stderr, "decode_bench: %s failed\n", argv[1]);
			return 1;
		}
	}
	printf("{\"decoder\": \"%s\", \"rounds\": %d, \"bytes\": %zu, "
	       "\"updates\": %llu, \"pixels\": %llu, \"cpu_s\": %.6f}\n",
	    argv[1], rounds, v.len, count.updates / (unsigned)rounds,
	    count.pixels / (unsigned)rounds, cpu_seconds() - start);
	vector_release(&v);
	return 0;
}
