/*
 * How long to wait before an S3 request is sent again, and how fast all
 * requests together may send. Calculations only; times come from the caller.
 * Sources: RFC 9110 section 10.2.3 (Retry-After); "full jitter" as in the
 * AWS architecture blog, "Exponential Backoff And Jitter".
 */
#ifndef STORAGE_STORE_S3_BACKOFF_H
#define STORAGE_STORE_S3_BACKOFF_H

#include <stdint.h>

#define S3_BACKOFF_FIRST_MS  400
#define S3_BACKOFF_MAX_MS    20000
#define S3_RETRY_AFTER_MAX_S 60 /* a server that wants more is left alone */

/*
 * Milliseconds to wait after try `tries` (from 1) failed. random: any number;
 * between half and the whole of 400 ms, 800 ms, ... 20 s, so that those who
 * failed together do not come back together. retry_after_s: what the server
 * asked for, 0: nothing; it is waited for in any case.
 */
uint64_t s3_backoff_ms(unsigned tries, uint64_t retry_after_s, uint64_t random);

/*
 * Seconds of a Retry-After header: a number, or a date compared with now_s
 * (Unix time). 0: none, or unreadable; at most S3_RETRY_AFTER_MAX_S.
 */
uint64_t s3_retry_after_s(const char *value, uint64_t now_s);

/* A token bucket. bytes_per_second 0: everything may be sent. */
struct s3_pace {
	uint64_t bytes_per_second, tokens, at_ns;
};

void s3_pace_init(
    struct s3_pace *p, uint64_t bytes_per_second, uint64_t now_ns);
/* How many of want bytes may be sent now; 0: ask again a little later. */
uint64_t s3_pace_take(struct s3_pace *p, uint64_t want, uint64_t now_ns);

/*
 * Bytes of a part for a file of `bytes`, so that there are at most 10,000:
 * fixed (setting s3_part_bytes), or, where that is 0, what the link carried
 * in 2 s, from 8 to 64 MiB. bytes_per_second: of one part, 0: not known.
 */
uint64_t s3_part_bytes(
    uint64_t bytes, uint64_t fixed, uint64_t bytes_per_second);

#endif
