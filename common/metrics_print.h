/*
 * Metrics from tables of the programs, in the text format of Prometheus 0.0.4
 * or in OpenMetrics 1.0, where a counter's family lacks the _total of its
 * samples, units are stated and the text ends in "# EOF". Thread-safe.
 */
#ifndef COMMON_METRICS_PRINT_H
#define COMMON_METRICS_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;
struct histogram_sum;

enum metrics_format { METRICS_PROMETHEUS, METRICS_OPENMETRICS };

/* The page under way. */
struct metrics_out {
	struct evbuffer *body; /* pages without metrics add to it directly */
	enum metrics_format format;
	bool has_metrics; /* some were printed */
};

/* One series. Texts are static, with nothing in them that needs escapes. */
struct metric {
	/* without the program's prefix; one that is a number of bytes or
	 * seconds ends in _bytes or _seconds (a counter: before _total) */
	const char *name;
	const char *type; /* "counter", whose name ends in _total, or "gauge" */
	const char *help; /* of the first of a name; no line's end in it */
	uint64_t value;
	const char *label, *label_value; /* NULL: it has none */
	uint64_t per; /* value is in parts of this many; 0: whole numbers */
};

/*
 * Appends n series; those of one name follow one another, in one call, and
 * differ in their label's value. prefix: "relaycam_relay_".
 */
void metrics_print(struct metrics_out *out, const char *prefix,
    const struct metric *metrics, size_t n);

/* One histogram; name ends in _seconds. */
struct metric_histogram {
	const char *name, *help;
	const char *label, *label_value; /* NULL: it has none */
	const struct histogram_sum *sum;
};

/* As metrics_print. */
void metrics_print_histograms(struct metrics_out *out, const char *prefix,
    const struct metric_histogram *histograms, size_t n);

/*
 * Appends the family build_info with the version, and what Prometheus expects
 * of a process by the names that its own clients use: process_cpu_seconds_total
 * and the like, of the calling process. What /proc does not say is left out.
 */
void metrics_print_process(struct metrics_out *out, const char *prefix);

/* "# EOF", where the format has it. The server calls it. */
void metrics_print_end(struct metrics_out *out);

#endif
