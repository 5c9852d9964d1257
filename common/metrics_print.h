/*
 * Metrics in the text format of Prometheus 0.0.4, from tables of the programs.
 * Thread-safe.
 */
#ifndef COMMON_METRICS_PRINT_H
#define COMMON_METRICS_PRINT_H

#include <stddef.h>
#include <stdint.h>

struct evbuffer;

/* One series. Texts are static, with nothing in them that needs escapes. */
struct metric {
	const char *name; /* without the program's prefix */
	const char *type; /* "counter", whose name ends in _total, or "gauge" */
	const char *help; /* of the first of a name; no line's end in it */
	uint64_t value;
	const char *label, *label_value; /* NULL: it has none */
};

/*
 * Appends n series; those of one name follow one another, in one call, and
 * differ in their label's value. prefix: "relaycam_relay_".
 */
void metrics_print(struct evbuffer *out, const char *prefix,
    const struct metric *metrics, size_t n);

#endif
