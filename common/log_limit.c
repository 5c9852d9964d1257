#include "common/log_limit.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define TOKEN_NS (NS_PER_S / LOG_LIMIT_PER_SECOND)
#define FULL_NS  (LOG_LIMIT_BURST * TOKEN_NS)

static unsigned
hash(const char *event)
{
	unsigned h = 2166136261u; /* FNV-1a */

	for (; *event != '\0'; event++)
		h = (h ^ (unsigned char)*event) * 16777619u;
	return h;
}

/* The event's bucket; the last one of the table when it has no free one. */
static struct log_bucket *
bucket_of(struct log_limit *l, const char *event)
{
	unsigned at = hash(event) % (LOG_LIMIT_EVENTS - 1);
	struct log_bucket *b;

	for (unsigned i = 0; i < LOG_LIMIT_EVENTS - 1; i++) {
		b = &l->buckets[(at + i) % (LOG_LIMIT_EVENTS - 1)];
		if (b->event[0] == '\0')
			snprintf(b->event, sizeof(b->event), "%s", event);
		if (strncmp(b->event, event, sizeof(b->event) - 1) == 0)
			return b;
	}
	b = &l->buckets[LOG_LIMIT_EVENTS - 1];
	strcpy(b->event, "others");
	return b;
}

/* Takes a token. full_ns moves one token further into the future for each
 * line; a bucket that is a whole burst away from full is empty. */
static bool
take(struct log_bucket *b, uint64_t now_ns)
{
	uint64_t from = b->full_ns > now_ns ? b->full_ns : now_ns;

	if (from + TOKEN_NS - now_ns > FULL_NS)
		return false;
	b->full_ns = from + TOKEN_NS;
	return true;
}

bool
log_limit_take(struct log_limit *l, const char *event, uint64_t now_ns)
{
	struct log_bucket *b = bucket_of(l, event);

	if (take(b, now_ns))
		return true;
	b->suppressed++;
	return false;
}

uint64_t
log_limit_suppressed(struct log_limit *l, char *event, uint64_t now_ns)
{
	for (unsigned i = 0; i < LOG_LIMIT_EVENTS; i++) {
		struct log_bucket *b = &l->buckets[i];
		uint64_t n = b->suppressed;

		if (n == 0 || !take(b, now_ns))
			continue;
		memcpy(event, b->event, sizeof(b->event));
		b->suppressed = 0;
		return n;
	}
	return 0;
}
