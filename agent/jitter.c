#include "agent/jitter.h"

#include <openssl/rand.h>
#include <stdint.h>

unsigned
jitter_ms(unsigned max_ms)
{
	uint32_t r = 0;

	RAND_bytes((unsigned char *)&r, sizeof(r));
	return (unsigned)((uint64_t)r * max_ms >> 32);
}
