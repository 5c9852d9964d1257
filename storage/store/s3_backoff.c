#include "storage/store/s3_backoff.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/bytes.h"
#include "common/clock.h"

#define MIB          (UINT64_C(1) << 20)
#define PART_LEAST   (8 * MIB)
#define PART_MOST    (64 * MIB)
#define PART_SECONDS 2
#define PARTS_MAX    10000
#define PACE_LEAST   4096 /* smaller pieces cost more than they bring */
#define BURSTS_PER_S 10

uint64_t
s3_backoff_ms(unsigned tries, uint64_t retry_after_s, uint64_t random)
{
	uint64_t ms = S3_BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < tries && ms < S3_BACKOFF_MAX_MS; i++)
		ms *= 2;
	ms = min_u64(ms, S3_BACKOFF_MAX_MS);
	ms = ms / 2 + random % (ms / 2 + 1);
	return retry_after_s * 1000 + (retry_after_s > 0 ? ms / 2 : ms);
}

uint64_t
s3_retry_after_s(const char *value, uint64_t now_s)
{
	size_t digits = strspn(value, "0123456789");
	time_t t;

	if (digits > 0 && value[digits] == '\0')
		return digits > 6
		    ? S3_RETRY_AFTER_MAX_S
		    : min_u64(strtoull(value, NULL, 10), S3_RETRY_AFTER_MAX_S);
	t = curl_getdate(value, NULL);
	if (t < 0 || (uint64_t)t <= now_s)
		return 0;
	return min_u64((uint64_t)t - now_s, S3_RETRY_AFTER_MAX_S);
}

void
s3_pace_init(struct s3_pace *p, uint64_t bytes_per_second, uint64_t now_ns)
{
	p->bytes_per_second = bytes_per_second;
	p->tokens = 0;
	p->at_ns = now_ns;
}

uint64_t
s3_pace_take(struct s3_pace *p, uint64_t want, uint64_t now_ns)
{
	uint64_t burst = p->bytes_per_second / BURSTS_PER_S;
	uint64_t passed = now_ns > p->at_ns ? now_ns - p->at_ns : 0;
	uint64_t got;

	if (p->bytes_per_second == 0)
		return want;
	if (passed >= NS_PER_S / BURSTS_PER_S)
		p->tokens = burst;
	else
		p->tokens = min_u64(
		    burst, p->tokens + passed * p->bytes_per_second / NS_PER_S);
	p->at_ns = now_ns;
	got = min_u64(want, p->tokens);
	if (got < min_u64(want, PACE_LEAST))
		return 0;
	p->tokens -= got;
	return got;
}

uint64_t
s3_part_bytes(uint64_t bytes, uint64_t fixed, uint64_t bytes_per_second)
{
	uint64_t least = (bytes + PARTS_MAX - 1) / PARTS_MAX, part = fixed;

	if (part == 0) {
		part = min_u64(bytes_per_second * PART_SECONDS, PART_MOST);
		part = part / MIB * MIB;
		if (part < PART_LEAST)
			part = PART_LEAST;
	}
	return part > least ? part : least;
}
