/*
 * MD5 (RFC 1321) of several ranges of a file at a time, one in each lane of
 * vector registers: a step of MD5 waits for the one before, so one message
 * alone leaves most of a core idle. With AVX-512, sixteen lanes take a third of
 * the time of sixteen messages one after the other, reading included. The
 * compiler makes the instructions; which of them the processor has is found out
 * at run time. Blocking; any thread.
 */
#ifndef STORAGE_MD5_LANES_H
#define STORAGE_MD5_LANES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define MD5_LANES 16
#define MD5_LEN   16

/* Bytes [offset, offset + len) of a file, and where their sum goes. */
struct md5_range {
	uint64_t offset, len;
	uint8_t *md5; /* MD5_LEN bytes, borrowed */
};

/*
 * Fills the sums of n ranges of fd. stopping: borrowed. Returns 0,
 * ERR_CANCELLED, ERR_NOMEM, or ERR_IO with errno: EIO when the file ends
 * before.
 */
int md5_ranges(int fd, const struct md5_range *ranges, size_t n,
    const atomic_bool *stopping);

#endif
