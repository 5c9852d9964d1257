#include "common/histogram.h"

#include "common/clock.h"

#define US 1000

const struct histogram_bound histogram_bounds[HISTOGRAM_BOUNDS] = {
	{ 25 * US, "2.5e-05" },
	{ 50 * US, "5e-05" },
	{ 100 * US, "0.0001" },
	{ 250 * US, "0.00025" },
	{ 500 * US, "0.0005" },
	{ 1 * NS_PER_MS, "0.001" },
	{ 2500 * US, "0.0025" },
	{ 5 * NS_PER_MS, "0.005" },
	{ 10 * NS_PER_MS, "0.01" },
	{ 25 * NS_PER_MS, "0.025" },
	{ 50 * NS_PER_MS, "0.05" },
	{ 100 * NS_PER_MS, "0.1" },
	{ 250 * NS_PER_MS, "0.25" },
	{ 500 * NS_PER_MS, "0.5" },
	{ 1 * NS_PER_S, "1.0" },
	{ 2500 * NS_PER_MS, "2.5" },
	{ 5 * NS_PER_S, "5.0" },
	{ 10 * NS_PER_S, "10.0" },
	{ 30 * NS_PER_S, "30.0" },
};

/* Only its owner writes: a plain addition that readers see whole. */
static void
add(_Atomic uint64_t *to, uint64_t n)
{
	atomic_store_explicit(to,
	    atomic_load_explicit(to, memory_order_relaxed) + n,
	    memory_order_relaxed);
}

void
histogram_observe(struct histogram *h, uint64_t ns)
{
	unsigned i = 0;

	while (i < HISTOGRAM_BOUNDS && ns > histogram_bounds[i].ns)
		i++;
	add(&h->counts[i], 1);
	add(&h->sum_ns, ns);
}

void
histogram_add(struct histogram_sum *sum, const struct histogram *h)
{
	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++)
		sum->counts[i] +=
		    atomic_load_explicit(&h->counts[i], memory_order_relaxed);
	sum->sum_ns += atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
}
