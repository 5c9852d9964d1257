#include "console/events/stream_limit.h"

#include <string.h>

const char *
stream_limit_reached(const struct stream_list *streams,
    const struct stream_limits *limits, int64_t person, const char *address)
{
	unsigned total = 0, persons = 0, addresses = 0;
	const struct stream *s;

	TAILQ_FOREACH(s, streams, link) {
		total++;
		persons += s->person == person;
		addresses += strcmp(s->address, address) == 0;
	}
	if (limits->total != 0 && total >= limits->total)
		return "console.max_event_streams";
	if (limits->per_person != 0 && persons >= limits->per_person)
		return "console.max_event_streams_per_person";
	if (limits->per_address != 0 && addresses >= limits->per_address)
		return "console.max_event_streams_per_address";
	return NULL;
}
