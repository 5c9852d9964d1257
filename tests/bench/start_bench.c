/*
 * What the start of a recorder costs and how much memory it keeps: a relay's
 * side that starts the real program on a ring.
 *
 *	start_bench start RELAYCAM-RECORDER WxH N
 *	start_bench memory RELAYCAM-RECORDER WxH vp9|vp8 N
 *
 * start: N times, until READY, which is said when the first file is open.
 * Prints {"wall_ms": [..], "cpu_ms": [..]}, one value a start; CPU is the
 * program's own, exec included.
 * memory: N full screens of text, each recorded before the next is sent.
 * Prints {"ready_mb": x, "mb": x, "idle_mb": x}: private memory of the program
 * at READY, after the last screen, and after 30 s of the stream without a
 * change. The ring, which the relay shares, is not in it.
 */
#include <inttypes.h>
#include <time.h>

#include "tests/unit/recorder_child.h"

#define SECOND_NS UINT64_C(1000000000)

static struct fixture_spool spool;
static const char *program;

static struct fixture_meta
meta_of(const char *size, const char *codec)
{
	struct fixture_meta m = {
		.frame_rate = 10,
		.segment_bytes = 512u << 20,
		.codec = codec,
		.start_mono_ns = clock_mono_ns(),
	};

	if (sscanf(size, "%ux%u", &m.width, &m.height) != 2)
		exit(2);
	return m;
}

static void
wait_ready(struct child *c)
{
	struct tee_status st;

	if (!child_status(c, &st) || st.kind != TEE_STATUS_READY) {
		fprintf(stderr, "start_bench: the recorder is not ready\n");
		exit(1);
	}
}

static void
end(struct child *c)
{
	struct tee_status st;

	child_mark(c, TEE_MARK_END, clock_mono_ns(), TEE_END_NORMAL);
	while (child_status(c, &st) && st.kind != TEE_STATUS_DONE)
		;
	child_wait(c);
	child_free(c);
}

static uint64_t
cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) != 0)
		exit(1);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void
print_list(const char *name, const uint64_t *ns, unsigned n, const char *last)
{
	printf("\"%s\": [", name);
	for (unsigned i = 0; i < n; i++)
		printf("%s%.3f", i > 0 ? ", " : "", (double)ns[i] / 1e6);
	printf("]%s", last);
}

static void
bench_start(const char *size, unsigned n)
{
	uint64_t *wall = calloc(n, sizeof(*wall)), *cpu = calloc(n, 8), t;

	if (wall == NULL || cpu == NULL)
		exit(1);
	for (unsigned i = 0; i < n; i++) {
		struct fixture_meta m = meta_of(size, "vp9");
		struct child c;

		child_new(&c, &m, &spool);
		t = clock_mono_ns();
		child_start(&c, program);
		wait_ready(&c);
		wall[i] = clock_mono_ns() - t;
		cpu[i] = cpu_ns(c.pid);
		end(&c);
	}
	printf("{");
	print_list("wall_ms", wall, n, ", ");
	print_list("cpu_ms", cpu, n, "}\n");
	free(wall);
	free(cpu);
}

static double
private_mb(pid_t pid)
{
	char path[64], line[128];
	unsigned long kb, sum = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "r");
	if (f == NULL)
		exit(1);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Private_Clean: %lu", &kb) == 1 ||
		    sscanf(line, "Private_Dirty: %lu", &kb) == 1)
			sum += kb;
	fclose(f);
	return (double)sum * 1024 / 1e6;
}

/* Sleeps in between: only polling tells how far the recorder is. */
static void
wait_recorded(struct child *c)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	while (tee_writer_get_recorded(c->tee) < c->offset)
		nanosleep(&ms, NULL);
}

static void
bench_memory(const char *size, const char *codec, unsigned n)
{
	struct fixture_meta m = meta_of(size, codec);
	size_t n_px = (size_t)m.width * m.height;
	uint8_t *px = malloc(n_px * 4), *msg = malloc(n_px * 4 + 64);
	struct child c;
	double ready, busy;

	if (px == NULL || msg == NULL)
		exit(1);
	child_new(&c, &m, &spool);
	child_start(&c, program);
	wait_ready(&c);
	ready = private_mb(c.pid);
	for (unsigned i = 0; i < n; i++) {
		fixture_desktop(px, m.width, m.height, i);
		child_feed(&c, m.start_mono_ns + (i + 1) * SECOND_NS, msg,
		    fixture_raw(msg, px, m.width, 0, 0, m.width, m.height));
		wait_recorded(&c);
	}
	busy = private_mb(c.pid);
	child_feed(&c, m.start_mono_ns + (n + 30) * SECOND_NS, msg,
	    fixture_update(msg, 0));
	wait_recorded(&c);
	printf("{\"ready_mb\": %.1f, \"mb\": %.1f, \"idle_mb\": %.1f}\n",
	    ready, busy, private_mb(c.pid));
	end(&c);
	free(px);
	free(msg);
}

int
main(int argc, char **argv)
{
	bool is_memory = argc == 6 && strcmp(argv[1], "memory") == 0;

	if (!is_memory && (argc != 5 || strcmp(argv[1], "start") != 0))
		return 2;
	program = argv[2];
	fixture_spool_make(&spool);
	if (is_memory)
		bench_memory(argv[3], argv[4], (unsigned)atoi(argv[5]));
	else
		bench_start(argv[3], (unsigned)atoi(argv[4]));
	fixture_spool_remove(&spool);
	return 0;
}
