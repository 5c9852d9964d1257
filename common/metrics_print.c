#include "common/metrics_print.h"

#include <event2/buffer.h>
#include <string.h>

#include "common/bytes.h"
#include "common/histogram.h"

/* The length of a name without that end; all of it: it has another end. */
static size_t
len_without(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && memcmp(name + len - n, end, n) == 0 ? len - n : len;
}

static void
print_head(struct metrics_out *out, const char *prefix, const char *name,
    const char *type, const char *help)
{
	static const char *const units[] = { "bytes", "seconds" };
	bool is_open = out->format == METRICS_OPENMETRICS;
	size_t len = strlen(name);
	int n;

	if (is_open && strcmp(type, "counter") == 0)
		len = len_without(name, len, "_total");
	n = (int)len;
	evbuffer_add_printf(out->body, "# HELP %s%.*s %s\n# TYPE %s%.*s %s\n",
	    prefix, n, name, help, prefix, n, name, type);
	for (size_t i = 0; is_open && i < N_ELEMENTS(units); i++)
		if (len_without(name, len, units[i]) != len)
			evbuffer_add_printf(out->body, "# UNIT %s%.*s %s\n",
			    prefix, n, name, units[i]);
	out->has_metrics = true;
}

void
metrics_print(struct metrics_out *out, const char *prefix,
    const struct metric *metrics, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct metric *m = &metrics[i];

		if (i == 0 || strcmp(m->name, m[-1].name) != 0)
			print_head(out, prefix, m->name, m->type, m->help);
		evbuffer_add_printf(out->body, "%s%s", prefix, m->name);
		if (m->label != NULL)
			evbuffer_add_printf(
			    out->body, "{%s=\"%s\"}", m->label, m->label_value);
		if (m->per == 0)
			evbuffer_add_printf(
			    out->body, " %llu\n", (unsigned long long)m->value);
		else
			evbuffer_add_printf(out->body, " %.6f\n",
			    (double)m->value / (double)m->per);
	}
}

/* Labels of a sample of h: its own, and its bucket's bound if it has one. */
static void
print_labels(
    struct metrics_out *out, const struct metric_histogram *h, const char *le)
{
	if (h->label == NULL && le == NULL)
		return;
	evbuffer_add_printf(out->body, "{");
	if (h->label != NULL)
		evbuffer_add_printf(out->body, "%s=\"%s\"%s", h->label,
		    h->label_value, le != NULL ? "," : "");
	if (le != NULL)
		evbuffer_add_printf(out->body, "le=\"%s\"", le);
	evbuffer_add_printf(out->body, "}");
}

static void
print_histogram(struct metrics_out *out, const char *prefix,
    const struct metric_histogram *h)
{
	uint64_t n = 0;

	for (unsigned i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		n += h->sum->counts[i];
		evbuffer_add_printf(out->body, "%s%s_bucket", prefix, h->name);
		print_labels(out, h,
		    i < HISTOGRAM_BOUNDS ? histogram_bounds[i].seconds
					 : "+Inf");
		evbuffer_add_printf(
		    out->body, " %llu\n", (unsigned long long)n);
	}
	evbuffer_add_printf(out->body, "%s%s_count", prefix, h->name);
	print_labels(out, h, NULL);
	evbuffer_add_printf(out->body, " %llu\n%s%s_sum", (unsigned long long)n,
	    prefix, h->name);
	print_labels(out, h, NULL);
	evbuffer_add_printf(out->body, " %.6f\n", (double)h->sum->sum_ns / 1e9);
}

void
metrics_print_histograms(struct metrics_out *out, const char *prefix,
    const struct metric_histogram *histograms, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct metric_histogram *h = &histograms[i];

		if (i == 0 || strcmp(h->name, h[-1].name) != 0)
			print_head(out, prefix, h->name, "histogram", h->help);
		print_histogram(out, prefix, h);
	}
}

void
metrics_print_end(struct metrics_out *out)
{
	if (out->has_metrics && out->format == METRICS_OPENMETRICS)
		evbuffer_add_printf(out->body, "# EOF\n");
}
