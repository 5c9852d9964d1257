#include "console/http/fetch.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "common/address_scope.h"
#include "common/buf.h"
#include "common/curl_loop.h"
#include "common/curl_options.h"
#include "common/err.h"

#define HEAD_MAX   65536 /* bytes of an answer's head */
#define CLIENT_MAX 64
#define CONNECT_S  5L

struct call {
	TAILQ_ENTRY(call) link;
	struct fetcher *fetcher;
	fetch_cb *cb;
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	size_t head_len;
	bool is_too_long;
	bool is_private; /* an address of the server is not public */
	char client[CLIENT_MAX];
	char curl_error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(call_list, call);

struct fetcher {
	struct fetcher_conf conf;
	struct curl_loop *loop;
	struct call_list calls;
	unsigned n;
};

static void
call_free(struct call *c)
{
	TAILQ_REMOVE(&c->fetcher->calls, c, link);
	c->fetcher->n--;
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_release(&c->body); /* wipes it: tokens */
	free(c);
}

static size_t
on_body(char *data, size_t one, size_t n, void *arg)
{
	struct call *c = arg;

	if (buf_append(&c->body, data, n) == 0)
		return n;
	c->is_too_long = true;
	return 0; /* libcurl breaks off */
}

static size_t
on_head(char *line, size_t one, size_t n, void *arg)
{
	struct call *c = arg;

	c->head_len += n;
	c->is_too_long |= c->head_len > HEAD_MAX;
	return c->is_too_long ? 0 : n;
}

static void
on_done(void *arg, CURLcode rc)
{
	struct call *c = arg;
	struct fetch_answer a = { .body = "" };
	char why[CURL_ERROR_SIZE + 8];
	uint8_t end = '\0';
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	a.status = (unsigned)status;
	if (c->is_too_long) {
		a.err = ERR_LIMIT;
		a.why = "its answer is too long";
	} else if (rc != CURLE_OK && c->is_private) {
		a.err = ERR_UNAVAILABLE;
		a.why = "its address is private, which [console] "
			"provider_private_addresses does not allow";
	} else if (rc != CURLE_OK) {
		a.err = rc == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT
						       : ERR_UNAVAILABLE;
		snprintf(why, sizeof(why), "%s",
		    c->curl_error[0] != '\0' ? c->curl_error
					     : curl_easy_strerror(rc));
		a.why = why;
	} else {
		a.len = buf_len(&c->body);
		c->body.limit++;
		if (buf_append(&c->body, &end, 1) == 0)
			a.body = (const char *)buf_head(&c->body);
		else
			a.err = ERR_NOMEM;
		a.why = "out of memory";
	}
	c->cb(c->arg, &a);
	call_free(c);
}

static int
add_header(struct call *c, const char *line)
{
	struct curl_slist *more = curl_slist_append(c->headers, line);

	if (more == NULL)
		return ERR_NOMEM;
	c->headers = more;
	return 0;
}

static int
add_headers(struct call *c, const struct fetch *rq)
{
	char *line = NULL;
	int rc = add_header(c, "Accept: application/json");

	for (const char *const *h = rq->headers;
	     rc == 0 && h != NULL && *h != NULL; h++)
		rc = add_header(c, *h);
	if (rc == 0 && rq->authorization != NULL) {
		if (asprintf(&line, "Authorization: %s", rq->authorization) < 0)
			return ERR_NOMEM;
		rc = add_header(c, line);
		free(line);
	}
	return rc;
}

/* The address is the one that is connected to. */
static curl_socket_t
on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct call *c = arg;

	if (address_is_public(&address->addr))
		return socket(address->family, address->socktype | SOCK_CLOEXEC,
		    address->protocol);
	c->is_private = true;
	return CURL_SOCKET_BAD;
}

static void
set_options(struct call *c, const struct fetch *rq)
{
	const struct fetcher_conf *conf = &c->fetcher->conf;
	CURL *e = c->easy;

	curl_options_set(e, "https", conf->ca_file, c->curl_error);
	curl_easy_setopt(e, CURLOPT_URL, rq->url);
	curl_easy_setopt(e, CURLOPT_PRIVATE, (char *)c);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT,
	    conf->seconds < CONNECT_S ? conf->seconds : CONNECT_S);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, conf->seconds);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	if (!conf->may_be_private) {
		curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
		curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	}
	if (rq->body != NULL)
		curl_easy_setopt(e, CURLOPT_COPYPOSTFIELDS, rq->body);
}

static bool
is_full(const struct fetcher *f, const char *client)
{
	const struct call *c;
	unsigned n = 0;

	TAILQ_FOREACH(c, &f->calls, link)
		n += strcmp(c->client, client) == 0;
	return f->n >= f->conf.max ||
	    (f->conf.max_per_client > 0 && n >= f->conf.max_per_client);
}

int
fetch_start(struct fetcher *f, const char *client, const struct fetch *rq,
    fetch_cb *cb, void *arg)
{
	struct call *c;

	if (is_full(f, client))
		return ERR_LIMIT;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return ERR_NOMEM;
	c->fetcher = f;
	c->cb = cb;
	c->arg = arg;
	snprintf(c->client, sizeof(c->client), "%s", client);
	buf_init(&c->body, rq->max);
	TAILQ_INSERT_TAIL(&f->calls, c, link);
	f->n++;
	c->easy = curl_easy_init();
	if (c->easy == NULL || add_headers(c, rq) != 0) {
		call_free(c);
		return ERR_NOMEM;
	}
	set_options(c, rq);
	curl_loop_add(f->loop, c->easy);
	return 0;
}

struct fetcher *
fetcher_new(struct event_base *base, const struct fetcher_conf *conf)
{
	struct fetcher *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->conf = *conf;
	TAILQ_INIT(&f->calls);
	f->loop = curl_loop_new(base, on_done);
	if (f->loop == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void
fetcher_free(struct fetcher *f)
{
	struct call *c;

	if (f == NULL)
		return;
	while ((c = TAILQ_FIRST(&f->calls)) != NULL) {
		curl_loop_remove(f->loop, c->easy);
		call_free(c);
	}
	curl_loop_free(f->loop);
	free(f);
}
