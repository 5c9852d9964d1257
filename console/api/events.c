/* events: what changes, as it changes (T5). */
#include <event2/http.h>

#include "console/api/handlers.h"
#include "console/api/request.h"
#include "console/events/event_text.h"
#include "console/events/feed.h"
#include "console/worker.h"

/* A browser sends the field by itself when it comes back; a script that opens
 * a stream anew can only name it in the URL. What is no number of ours is
 * older than all that is kept: reset. */
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
