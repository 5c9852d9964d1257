#include "console/http/deprecation.h"

#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* As RFC 9110 section 5.6.7 has it; names of days and months are English: no
 * program of ours sets a locale. */
static void
http_date(int64_t at_s, char *out, size_t len)
{
	time_t t = (time_t)at_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, len, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

void
deprecation_add(const struct deprecation *d, struct evkeyvalq *fields)
{
	char text[256];

	if (d == NULL)
		return;
	snprintf(text, sizeof(text), "@%" PRId64, d->since_s);
	evhttp_add_header(fields, "Deprecation", text);
	if (d->sunset_s != 0) {
		http_date(d->sunset_s, text, sizeof(text));
		evhttp_add_header(fields, "Sunset", text);
	}
	if (d->link != NULL) {
		snprintf(
		    text, sizeof(text), "<%s>; rel=\"deprecation\"", d->link);
		evhttp_add_header(fields, "Link", text);
	}
}
