/* What Prometheus expects of every process; metrics_print.h. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/metrics_print.h"

static uint64_t
cpu_us(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return ((uint64_t)u.ru_utime.tv_sec + (uint64_t)u.ru_stime.tv_sec) *
	    1000000 +
	    (uint64_t)u.ru_utime.tv_usec + (uint64_t)u.ru_stime.tv_usec;
}

/* 0: not known. */
static uint64_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* 0: not known. */
static uint64_t
count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (d == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* that of the folder itself */
}

void
metrics_print_process(struct metrics_out *out, const char *prefix)
{
	struct rlimit files = { 0 };
	const struct metric build = { "build_info", "gauge",
		"1, for the version that runs.", 1, "version",
		RELAYCAM_VERSION };
	struct metric rows[] = {
		{ "cpu_seconds_total", "counter",
		    "Processor time of the process.", cpu_us(), NULL, NULL,
		    1000000 },
		{ "resident_memory_bytes", "gauge",
		    "Resident memory of the process.", resident_bytes() },
		{ "open_fds", "gauge", "Descriptors that are open.",
		    count_descriptors() },
		{ "max_fds", "gauge", "Descriptors that it may have.", 0 },
	};

	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		rows[3].value = files.rlim_cur;
	metrics_print(out, prefix, &build, 1);
	for (unsigned i = 0; i < N_ELEMENTS(rows); i++)
		if (rows[i].value != 0)
			metrics_print(out, "process_", &rows[i], 1);
}
