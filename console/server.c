#include "console/server.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"
#include "common/tls_connections.h"
#include "console/api/request.h"
#include "console/conf.h"
#include "console/http/guard.h"
#include "console/http/head_check.h"
#include "console/worker.h"

#define BACKLOG 1024

struct server {
	struct worker *worker;
	struct evhttp *http;
	struct evhttp_bound_socket *socket;
	struct tls_connections *connections;
};

void
server_reload(struct server *s)
{
	const struct conf_console *c = &s->worker->conf->console;

	tls_connections_reload(
	    s->connections, c->tls_cert_file, c->tls_key_file);
}

/* "address:port", "[address]:port" or ":port", on a port that others of this
 * account may listen on too. */
static int
listen_on(struct server *s, char *err, size_t err_len)
{
	const char *spec = s->worker->conf->console.listen;
	struct evconnlistener *l;
	struct sockaddr_storage sa;
	int len = sizeof(sa);
	char any[32];

	if (spec[0] == ':') {
		snprintf(any, sizeof(any), "0.0.0.0%s", spec);
		spec = any;
	}
	memset(&sa, 0, sizeof(sa));
	if (evutil_parse_sockaddr_port(spec, (struct sockaddr *)&sa, &len) !=
		0 ||
	    strrchr(spec, ':') == NULL) {
		snprintf(err, err_len,
		    "console.listen = %s: expected address:port", spec);
		return ERR_CONFIG;
	}
	l = evconnlistener_new_bind(s->worker->base, NULL, NULL,
	    LEV_OPT_REUSEABLE | LEV_OPT_REUSEABLE_PORT | LEV_OPT_CLOSE_ON_FREE |
		LEV_OPT_CLOSE_ON_EXEC,
	    BACKLOG, (struct sockaddr *)&sa, len);
	if (l == NULL) {
		snprintf(err, err_len,
		    "console.listen: cannot listen on %s: %s", spec,
		    strerror(errno));
		return ERR_CONFIG;
	}
	s->socket = evhttp_bind_listener(s->http, l);
	if (s->socket == NULL) {
		evconnlistener_free(l);
		return ERR_NOMEM;
	}
	return 0;
}

static int
new_connections(
    struct worker *w, struct tls_connections **out, char *err, size_t err_len)
{
	const struct conf_console *c = &w->conf->console;
	struct tls_connections_conf conf = {
		.max = (unsigned)c->max_connections,
		.max_per_address = (unsigned)c->max_connections_per_address,
		.life_seconds = (unsigned)c->request_seconds,
		.max_promoted = (unsigned)c->max_logged_in,
		.promoted_setting = "max_logged_in",
		.expired = "nobody logged in on it in time",
		.displaced =
		    "more connections came than console.max_connections and "
		    "max_connections_per_address allow",
		.opened = guard_new,
		.closed = guard_free,
		.arg = &w->place->counters,
	};

	if (proxy_networks_read(
		&conf.proxies, c->proxy_protocol_from, err, err_len) != 0)
		return ERR_CONFIG;
	*out = tls_connections_new(w->base, &conf);
	return *out != NULL ? 0 : ERR_NOMEM;
}

static void
set_up(struct server *s)
{
	evhttp_set_allowed_methods(s->http,
	    EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
		EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH | EVHTTP_REQ_DELETE |
		EVHTTP_REQ_OPTIONS);
	evhttp_set_max_headers_size(s->http, HEAD_CHECK_HEAD_MAX);
	evhttp_set_max_body_size(s->http, HEAD_CHECK_BODY_MAX);
	evhttp_set_timeout(
	    s->http, (int)s->worker->conf->console.request_seconds);
	evhttp_set_default_content_type(s->http, NULL);
	evhttp_set_bevcb(s->http, tls_connections_accept, s->connections);
	evhttp_set_gencb(s->http, request_start, s->worker);
}

int
server_new(struct server **out, struct worker *w, char *err, size_t err_len)
{
	const struct conf_console *c = &w->conf->console;
	struct server *s = calloc(1, sizeof(*s));
	int rc;

	*out = s;
	if (s == NULL)
		return ERR_NOMEM;
	s->worker = w;
	s->http = evhttp_new(w->base);
	if (s->http == NULL)
		return ERR_NOMEM;
	rc = new_connections(w, &s->connections, err, err_len);
	if (rc != 0)
		return rc;
	rc = tls_connections_load(
	    s->connections, c->tls_cert_file, c->tls_key_file, err, err_len);
	if (rc != 0)
		return rc;
	set_up(s);
	rc = listen_on(s, err, err_len);
	if (rc == 0)
		rc = tls_connections_watch(
		    s->connections, s->socket, "console.listen");
	return rc;
}

void
server_stop(struct server *s)
{
	if (s->socket == NULL)
		return;
	tls_connections_unwatch(s->connections);
	evhttp_del_accept_socket(s->http, s->socket);
	s->socket = NULL;
}

void
server_free(struct server *s)
{
	if (s == NULL)
		return;
	if (s->connections != NULL)
		tls_connections_unwatch(s->connections);
	if (s->http != NULL)
		evhttp_free(s->http); /* ends all requests */
	tls_connections_free(s->connections);
	free(s);
}

bool
server_promote(struct server *s, struct evhttp_request *http)
{
	return tls_connections_promote(s->connections, http);
}
