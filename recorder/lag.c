#include "recorder/lag.h"

static bool
is_behind(const struct lag *l, uint64_t now_ns, uint64_t stream_ns, size_t used,
    size_t size)
{
	return used >= size / 4 * 3 || now_ns > stream_ns + l->limit_ns;
}

bool
lag_is_for_good(struct lag *l, uint64_t now_ns, uint64_t stream_ns, size_t used,
    size_t size)
{
	if (l->limit_ns == 0)
		return false;
	if (!is_behind(l, now_ns, stream_ns, used, size)) {
		l->since_ns = 0;
		return false;
	}
	if (l->since_ns == 0)
		l->since_ns = now_ns;
	return now_ns - l->since_ns >= l->limit_ns;
}
