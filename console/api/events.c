/* events: what changes, as it changes (T5). */
#include <event2/http.h>

#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/events/event_text.h"
#include "console/events/feed.h"
#include "console/worker.h"

/* A browser sends the header when it reconnects; a script that opens a new
 * stream can only put the number into the URL. Any other text counts as older
 * than all events that are kept, so that the stream begins with `reset`. */
static int64_t
last_event(const struct request *r)
{
	const char *field = evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), "Last-Event-ID");
	char param[32];
	int64_t id = 0;

	if (field == NULL &&
	    !request_param(r, "last_event_id", param, sizeof(param)))
		return -1;
	event_id_parse(field != NULL ? field : param, &id);
	return id;
}

void
events_run(struct request *r)
{
	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD) {
		request_field(r, "Content-Type", "text/event-stream");
		request_empty(r, 200);
		return;
	}
	feed_open(r->worker->feed, r, last_event(r));
}
