#include "common/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Atomic int64_t offset;

static uint64_t
read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec +
	    (uint64_t)atomic_load_explicit(&offset, memory_order_relaxed);
}

uint64_t
clock_mono_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t
clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void
clock_offset_set(int64_t offset_ns)
{
	atomic_store(&offset, offset_ns);
}

char *
clock_format_utc(uint64_t wall_ns, char out[CLOCK_TEXT_MAX])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_TEXT_MAX - n, ".%03uZ",
	    (unsigned)(wall_ns % NS_PER_S / NS_PER_MS));
	return out;
}

char *
clock_format_file(uint64_t wall_ns, const char *zone, char out[CLOCK_TEXT_MAX])
{
	time_t s = (time_t)(wall_ns / NS_PER_S);
	const char *tz = getenv("TZ");
	char *old = tz != NULL ? strdup(tz) : NULL;
	struct tm tm;

	setenv("TZ", zone, 1);
	tzset();
	localtime_r(&s, &tm);
	strftime(out, CLOCK_TEXT_MAX, "%Y-%m-%dT%H-%M-%S%z", &tm);
	if (old != NULL)
		setenv("TZ", old, 1);
	else
		unsetenv("TZ");
	tzset();
	free(old);
	return out;
}
