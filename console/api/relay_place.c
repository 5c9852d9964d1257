#include "console/api/relay_place.h"

#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#include "console/api/request.h"
#include "console/conf.h"
#include "console/http/page_policy.h"
#include "console/worker.h"

/* The name in Host, without a port; "": there is none that may be used. */
static void
take_host(const struct request *r, char out[PLACE_MAX])
{
	const char *host = evhttp_find_header(
	    evhttp_request_get_input_headers(r->http), "Host");
	char url[PLACE_MAX], origin[ORIGIN_MAX], *port;

	out[0] = '\0';
	if (host == NULL ||
	    snprintf(url, sizeof(url), "https://%s", host) >=
		(int)sizeof(url) ||
	    page_origin(url, origin) != 0)
		return;
	snprintf(out, PLACE_MAX, "%s", origin + strlen("https://"));
	port = strrchr(out, ':');
	if (port != NULL && strchr(port, ']') == NULL)
		*port = '\0';
}

const char *
relay_viewer_url(const struct request *r, char out[PLACE_MAX])
{
	const char *url = r->worker->conf->console.viewer_url;
	char host[PLACE_MAX];

	out[0] = '\0';
	if (url != NULL && *url != '\0') {
		page_origin(url, out);
		return out;
	}
	take_host(r, host);
	if (host[0] != '\0')
		snprintf(out, PLACE_MAX, "https://%.280s", host);
	return out;
}

const char *
relay_vnc_address(const struct request *r, char out[PLACE_MAX])
{
	const char *address = r->worker->conf->console.vnc_address;

	if (address != NULL && *address != '\0')
		snprintf(out, PLACE_MAX, "%s", address);
	else
		take_host(r, out);
	return out;
}
