#include "storage/storage_listener.h"

#include <errno.h>
#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct evhttp_bound_socket *
storage_listener_bind(struct evhttp *http, const char *setting,
    const char *spec, char *err, size_t err_len)
{
	const char *colon = strrchr(spec, ':');
	struct evhttp_bound_socket *sock;
	char host[128], *end;
	long port;
	size_t len;

	port = colon != NULL ? strtol(colon + 1, &end, 10) : -1;
	len = colon != NULL ? (size_t)(colon - spec) : 0;
	if (port < 0 || port > 65535 || colon[1] == '\0' || *end != '\0' ||
	    len >= sizeof(host)) {
		snprintf(err, err_len, "%s = %s: expected address:port",
		    setting, spec);
		return NULL;
	}
	if (len > 1 && spec[0] == '[' && spec[len - 1] == ']') {
		spec++;
		len -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)len, len > 0 ? spec : "");
	sock = evhttp_bind_socket_with_handle(
	    http, len > 0 ? host : "0.0.0.0", (unsigned short)port);
	if (sock == NULL)
		snprintf(err, err_len, "%s: cannot listen on %s:%ld: %s",
		    setting, host, port, strerror(errno));
	return sock;
}
