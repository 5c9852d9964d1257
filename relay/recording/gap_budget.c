#include "relay/recording/gap_budget.h"

#include "common/clock.h"

#define MINUTE_NS (60 * NS_PER_S)

bool
gap_budget_death(struct gap_budget *b, uint64_t now_ns)
{
	bool is_third =
	    b->deaths_ns[0] != 0 && now_ns - b->deaths_ns[0] < MINUTE_NS;

	b->deaths_ns[0] = b->deaths_ns[1];
	b->deaths_ns[1] = now_ns;
	return is_third;
}

void
gap_budget_begin(struct gap_budget *b, uint64_t since_ns)
{
	if (b->since_ns == 0 || since_ns < b->since_ns)
		b->since_ns = since_ns;
}

uint64_t
gap_budget_end(struct gap_budget *b, uint64_t now_ns)
{
	uint64_t ns = now_ns - b->since_ns;

	b->since_ns = 0;
	b->unrecorded_ns += ns;
	return ns;
}

uint64_t
gap_budget_left(const struct gap_budget *b, uint64_t all_ns, uint64_t now_ns)
{
	uint64_t used = b->unrecorded_ns;

	if (b->since_ns != 0)
		used += now_ns - b->since_ns;
	return used < all_ns ? all_ns - used : 0;
}
