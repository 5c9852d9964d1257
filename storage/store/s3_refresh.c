#include "storage/store/s3_refresh.h"

#include <curl/curl.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/curl_loop.h"
#include "common/curl_options.h"
#include "common/err.h"
#include "common/log.h"
#include "common/s3_credentials.h"
#include "storage/store/s3_backoff.h"

#define TRIES_MAX 3
#define CONNECT_S 5L
#define ANSWER_S  15L
#define PAUSE_S   30 /* after a failure, while the old ones are valid */

struct s3_refresh {
	struct s3_credentials *credentials;
	struct curl_loop *loop;
	struct event *timer; /* begins a try */
	s3_refresh_cb *cb;
	void *arg;
	bool is_running;
	uint64_t failed_ns; /* clock_mono_ns; 0: the last one did not */
	unsigned tries;
	CURL *easy;
	struct curl_slist *headers;
	struct s3_credentials_request rq;
	struct buf body;
	char curl_error[CURL_ERROR_SIZE];
};

static void
request_end(struct s3_refresh *f)
{
	if (f->easy != NULL)
		curl_easy_cleanup(f->easy);
	f->easy = NULL;
	for (struct curl_slist *h = f->headers; h != NULL; h = h->next)
		wipe(h->data, strlen(h->data));
	curl_slist_free_all(f->headers);
	f->headers = NULL;
	s3_credentials_request_release(&f->rq);
	buf_release(&f->body); /* wipes it */
}

static void
finish(struct s3_refresh *f, int err, const char *why)
{
	if (err == 0)
		log_info("s3_credentials_renewed",
		    LOG_U("expires_at", f->credentials->expires_s));
	else
		log_warn("s3_credentials_failed", LOG_S("why", why));
	f->is_running = false;
	f->failed_ns = err != 0 ? clock_mono_ns() : 0;
	f->cb(f->arg, err, why);
}

static void
failed(struct s3_refresh *f, int err, const char *why)
{
	uint64_t random, ms;
	struct timeval tv;

	if (err != ERR_UNAVAILABLE || f->tries >= TRIES_MAX) {
		finish(f, err, why);
		return;
	}
	evutil_secure_rng_get_bytes(&random, sizeof(random));
	ms = s3_backoff_ms(f->tries, 0, random);
	tv = (struct timeval){ (time_t)(ms / 1000), (long)(ms % 1000) * 1000 };
	evtimer_add(f->timer, &tv);
}

static size_t
on_body(char *data, size_t one, size_t n, void *arg)
{
	struct s3_refresh *f = arg;

	return buf_append(&f->body, data, n) == 0 ? n : 0;
}

static int
add_headers(struct s3_refresh *f)
{
	for (size_t i = 0; i < S3_CREDENTIALS_HEADERS; i++) {
		struct curl_slist *more;

		if (f->rq.headers[i] == NULL)
			continue;
		more = curl_slist_append(f->headers, f->rq.headers[i]);
		if (more == NULL)
			return ERR_NOMEM;
		f->headers = more;
	}
	return 0;
}

static void
set_options(struct s3_refresh *f)
{
	CURL *e = f->easy;

	curl_options_set(e, "http,https", f->rq.ca_file, f->curl_error);
	curl_easy_setopt(e, CURLOPT_URL, f->rq.url);
	curl_easy_setopt(e, CURLOPT_PRIVATE, (char *)f);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(e, CURLOPT_TIMEOUT, ANSWER_S);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
	/* the metadata service is this machine's: not through a proxy */
	if (f->credentials->source != S3_CREDENTIALS_WEB_IDENTITY)
		curl_easy_setopt(e, CURLOPT_PROXY, "");
	if (strcmp(f->rq.method, "GET") != 0) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDS,
		    f->rq.body != NULL ? f->rq.body : "");
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, f->rq.method);
	}
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, f->headers);
}

static void
request_start(struct s3_refresh *f)
{
	char why[S3_CREDENTIALS_WHY_MAX];
	int rc;

	rc = s3_credentials_request(f->credentials, &f->rq, why, sizeof(why));
	if (rc != 0) {
		failed(f, rc, why);
		return;
	}
	buf_init(&f->body, S3_CREDENTIALS_ANSWER_MAX);
	f->curl_error[0] = '\0';
	f->easy = curl_easy_init();
	if (f->easy == NULL || add_headers(f) != 0) {
		request_end(f);
		failed(f, ERR_NOMEM, "out of memory");
		return;
	}
	set_options(f);
	curl_loop_add(f->loop, f->easy);
}

static void
on_done(void *private, CURLcode rc)
{
	struct s3_refresh *f = private;
	char why[S3_CREDENTIALS_WHY_MAX];
	uint8_t end = '\0';
	long status = 0;
	int err;

	curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK) {
		snprintf(why, sizeof(why), "S3 credentials: %.400s",
		    f->curl_error[0] != '\0' ? f->curl_error
					     : curl_easy_strerror(rc));
		err = ERR_UNAVAILABLE;
	} else if (f->body.limit++, buf_append(&f->body, &end, 1) != 0) {
		snprintf(why, sizeof(why), "out of memory");
		err = ERR_NOMEM;
	} else
		err = s3_credentials_answer(f->credentials, status,
		    (const char *)buf_head(&f->body),
		    clock_wall_ns() / NS_PER_S, why, sizeof(why));
	request_end(f);
	if (err == 1)
		request_start(f);
	else if (err == 0)
		finish(f, 0, "");
	else
		failed(f, err, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct s3_refresh *f = arg;

	f->tries++;
	request_start(f);
}

void
s3_refresh_start(struct s3_refresh *f)
{
	struct timeval now = { 0, 0 };

	if (f->is_running ||
	    (f->failed_ns != 0 &&
		clock_mono_ns() - f->failed_ns < PAUSE_S * NS_PER_S &&
		s3_credentials_are_valid(
		    f->credentials, clock_wall_ns() / NS_PER_S)))
		return;
	f->is_running = true;
	f->tries = 0;
	evtimer_add(f->timer, &now);
}

struct s3_refresh *
s3_refresh_new(struct event_base *base, struct s3_credentials *c,
    s3_refresh_cb *cb, void *arg)
{
	struct s3_refresh *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->credentials = c;
	f->cb = cb;
	f->arg = arg;
	f->timer = evtimer_new(base, on_timer, f);
	f->loop = curl_loop_new(base, on_done);
	if (f->timer == NULL || f->loop == NULL) {
		s3_refresh_free(f);
		return NULL;
	}
	return f;
}

void
s3_refresh_free(struct s3_refresh *f)
{
	if (f == NULL)
		return;
	if (f->easy != NULL)
		curl_loop_remove(f->loop, f->easy);
	request_end(f);
	if (f->loop != NULL)
		curl_loop_free(f->loop);
	if (f->timer != NULL)
		event_free(f->timer);
	free(f);
}
