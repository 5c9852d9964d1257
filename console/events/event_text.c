#include "console/events/event_text.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS "0123456789"

bool
event_id_parse(const char *text, int64_t *id)
{
	size_t n = text != NULL ? strspn(text, DIGITS) : 0;

	if (n == 0 || n > 18 || text[n] != '\0')
		return false;
	*id = strtoll(text, NULL, 10);
	return true;
}

void
event_text_add(
    struct evbuffer *out, int64_t id, const char *name, const char *data)
{
	evbuffer_add_printf(
	    out, "id: %" PRId64 "\nevent: %s\ndata: %s\n\n", id, name, data);
}

unsigned
event_array_next(const char **at)
{
	const char *number = *at + strcspn(*at, DIGITS);
	char *end;
	unsigned long n = 0;

	if (*number != '\0') {
		n = strtoul(number, &end, 10);
		number = end;
	}
	*at = number;
	return (unsigned)n;
}
