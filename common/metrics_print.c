#include "common/metrics_print.h"

#include <event2/buffer.h>
#include <string.h>

void
metrics_print(struct evbuffer *out, const char *prefix,
    const struct metric *metrics, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct metric *m = &metrics[i];

		if (i == 0 || strcmp(m->name, m[-1].name) != 0)
			evbuffer_add_printf(out,
			    "# HELP %s%s %s\n# TYPE %s%s %s\n", prefix, m->name,
			    m->help, prefix, m->name, m->type);
		evbuffer_add_printf(out, "%s%s", prefix, m->name);
		if (m->label != NULL)
			evbuffer_add_printf(
			    out, "{%s=\"%s\"}", m->label, m->label_value);
		evbuffer_add_printf(
		    out, " %llu\n", (unsigned long long)m->value);
	}
}
