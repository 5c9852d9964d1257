#include "manifest/object_key.h"
#include "storage/store/s3_client.h"

#include <event2/event.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/curl_loop.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/counters.h"
#include "storage/store/s3_call.h"
#include "storage/store/s3_refresh.h"
#include "storage/store/store_s3.h"

#define TRIES_MAX        4
#define CLOCK_WARN_S     60
#define PACE_LEAST_BYTES 65536

static void call_start(struct s3_call *c);

/* ---- one call ---- */

static void
call_free(struct s3_call *c)
{
	TAILQ_REMOVE(&c->client->calls, c, link);
	if (c->easy != NULL) {
		curl_loop_remove(c->client->loop, c->easy);
		curl_easy_cleanup(c->easy);
	}
	s3_call_free_headers(c);
	if (c->timer != NULL)
		event_free(c->timer);
	buf_release(&c->body);
	free(c);
}

static void
call_finish(struct s3_call *c, int err)
{
	s3_cb *cb = c->cb;
	void *arg = c->arg;
	struct s3_response r = c->r;
	uint8_t end = '\0';

	r.err = err;
	r.tries = c->tries;
	if (err != 0)
		c->client->counters->s3_errors++;
	buf_append(&c->body, &end, 1);
	r.body_len = buf_len(&c->body) > 0 ? buf_len(&c->body) - 1 : 0;
	r.body = r.body_len > 0 ? (const char *)buf_head(&c->body) : "";
	cb(arg, &r);
	call_free(c);
}

static void
on_backoff(evutil_socket_t fd, short what, void *arg)
{
	call_start(arg);
}

/* Again, after ms milliseconds. */
static void
call_again(struct s3_call *c, uint64_t ms)
{
	struct timeval tv = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000 };

	c->client->counters->s3_retries++;
	log_warn("s3_retry", LOG_S("key", c->rq.key), LOG_SESSION_OF(c->rq.key),
	    LOG_U("try", c->tries), LOG_U("wait_ms", ms),
	    LOG_S("why", c->r.detail));
	evtimer_add(c->timer, &tv);
}

static void
call_back_off(struct s3_call *c)
{
	uint64_t random;

	evutil_secure_rng_get_bytes(&random, sizeof(random));
	call_again(c, s3_backoff_ms(c->tries, c->retry_after_s, random));
}

/* Compares the clocks once; a link's life depends on it (T6). */
static void
compare_clocks(struct s3_call *c, int64_t differs_s)
{
	struct s3_client *s = c->client;

	if (s->clock_was_compared || c->date_s == 0)
		return;
	s->clock_was_compared = true;
	if (llabs(differs_s) > CLOCK_WARN_S)
		log_warn("s3_clock_differs", LOG_I("server_ahead_s", differs_s),
		    LOG_S("remedy", "set the clocks of both by NTP"));
}

/*
 * The server refuses our time: sign with its own. True: it is worth another
 * try.
 */
static bool
correct_clock(struct s3_call *c, int64_t differs_s)
{
	struct s3_client *s = c->client;

	if (strcmp(c->r.code, "RequestTimeTooSkewed") != 0 || c->date_s == 0 ||
	    differs_s == s->skew_s)
		return false;
	log_warn("s3_clock_corrected", LOG_I("server_ahead_s", differs_s));
	s->skew_s = differs_s;
	return true;
}

/* The key has ended: another one, once. */
static bool
renew_key(struct s3_call *c)
{
	if (c->was_renewed || !s3_answer_is_expired(c))
		return false;
	c->was_renewed = true;
	s3_credentials_expire(&c->client->credentials);
	return true;
}

static void
call_done(void *arg, CURLcode rc)
{
	struct s3_call *c = arg;
	int64_t differs_s;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->r.status);
	curl_easy_cleanup(c->easy);
	c->easy = NULL;
	differs_s = (int64_t)c->date_s - (int64_t)(clock_wall_ns() / NS_PER_S);
	compare_clocks(c, differs_s);
	/* cut off inside its head: libcurl takes it for a whole one */
	if (rc == CURLE_OK && !c->head_ended)
		rc = CURLE_PARTIAL_FILE;
	if (rc == CURLE_OK && c->r.status >= 200 && c->r.status < 300) {
		call_finish(c, 0);
		return;
	}
	if (rc != CURLE_OK) {
		c->r.status = 0;
		snprintf(c->r.detail, sizeof(c->r.detail), "S3: %.80s: %.140s",
		    c->client->endpoint.host,
		    c->curl_error[0] != '\0' ? c->curl_error
					     : curl_easy_strerror(rc));
	} else
		s3_answer_name_error(c);
	if (c->tries >= TRIES_MAX)
		call_finish(c,
		    rc == CURLE_OK ? s3_answer_error(c->r.status)
				   : ERR_UNAVAILABLE);
	else if (correct_clock(c, differs_s) || renew_key(c))
		call_again(c, 0);
	else if (s3_answer_is_temporary(c, rc))
		call_back_off(c);
	else
		call_finish(c,
		    rc == CURLE_OK ? s3_answer_error(c->r.status)
				   : ERR_UNAVAILABLE);
}

/* True: there is a key to sign with now; else it comes, or not. */
static bool
has_key(struct s3_call *c)
{
	struct s3_client *s = c->client;
	uint64_t now_s = clock_wall_ns() / NS_PER_S;

	if (s->refresh == NULL) {
		/* one that cannot be read any more leaves the old in force */
		if (c->tries == 0)
			s3_credentials_reload(&s->credentials);
		return true;
	}
	if (s3_credentials_are_due(&s->credentials, now_s))
		s3_refresh_start(s->refresh);
	c->waits_for_key = !s3_credentials_are_valid(&s->credentials, now_s);
	return !c->waits_for_key;
}

/* One try. */
static void
call_start(struct s3_call *c)
{
	int rc;

	if (!has_key(c))
		return;
	buf_release(&c->body);
	memset(&c->r, 0, sizeof(c->r));
	c->curl_error[0] = '\0';
	c->sent = c->retry_after_s = c->date_s = 0;
	c->is_paused = c->head_ended = false;
	c->tries++;
	c->client->counters->s3_requests++;
	rc = s3_call_prepare(c);
	if (rc != 0) {
		snprintf(
		    c->r.detail, sizeof(c->r.detail), "S3: %s", err_text(rc));
		call_finish(c, rc);
		return;
	}
	curl_loop_add(c->client->loop, c->easy);
}

int
s3_send(struct s3_client *s, const struct s3_request *rq, s3_cb *cb, void *arg)
{
	struct s3_call *c = calloc(1, sizeof(*c));
	struct timeval now = { 0, 0 };

	if (c == NULL)
		return ERR_NOMEM;
	c->client = s;
	c->rq = *rq;
	c->cb = cb;
	c->arg = arg;
	buf_init(&c->body, S3_BODY_MAX + 2);
	c->timer = evtimer_new(s->base, on_backoff, c);
	if (c->timer == NULL) {
		free(c);
		return ERR_NOMEM;
	}
	TAILQ_INSERT_TAIL(&s->calls, c, link);
	evtimer_add(c->timer, &now);
	return 0;
}

/* ---- the client ---- */

/* Calls that waited for credentials start, or end with the reason. */
static void
on_refreshed(void *arg, int err, const char *why)
{
	struct s3_client *s = arg;
	struct timeval now = { 0, 0 };
	struct s3_call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c != NULL; c = next) {
		next = TAILQ_NEXT(c, link);
		if (!c->waits_for_key)
			continue;
		c->waits_for_key = false;
		if (err == 0) {
			evtimer_add(c->timer, &now);
			continue;
		}
		snprintf(c->r.detail, sizeof(c->r.detail), "%s", why);
		call_finish(c, err);
	}
}

static void
on_pace(evutil_socket_t fd, short what, void *arg)
{
	s3_call_pace(arg);
}

static int
check_settings(const struct conf_store *conf, char *err, size_t err_len)
{
	if (conf->s3_part_bytes != 0 && conf->s3_part_bytes < S3_PART_LEAST)
		snprintf(err, err_len,
		    "store.s3_part_bytes: expected 0, or 5M and more, which "
		    "is what S3 demands");
	else if (conf->s3_upload_bytes_per_second != 0 &&
	    conf->s3_upload_bytes_per_second < PACE_LEAST_BYTES)
		snprintf(err, err_len,
		    "store.s3_upload_bytes_per_second: expected 0, or 64K and "
		    "more");
	else
		return 0;
	return ERR_CONFIG;
}

/* 0 or ERR_NOMEM. */
static int
make_events(struct s3_client *c)
{
	c->loop = curl_loop_new(c->base, call_done);
	c->pace_timer = evtimer_new(c->base, on_pace, c);
	if (c->credentials.source != S3_CREDENTIALS_FILE)
		c->refresh =
		    s3_refresh_new(c->base, &c->credentials, on_refreshed, c);
	return c->loop != NULL && c->pace_timer != NULL &&
		(c->refresh != NULL ||
		    c->credentials.source == S3_CREDENTIALS_FILE)
	    ? 0
	    : ERR_NOMEM;
}

int
s3_client_new(struct s3_client **out, const struct store_env *env, char *err,
    size_t err_len)
{
	struct s3_client *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return ERR_NOMEM;
	TAILQ_INIT(&c->calls);
	c->base = env->base;
	c->conf = env->conf;
	c->counters = env->counters;
	c->traces = env->traces;
	s3_pace_init(&c->pace, (uint64_t)env->conf->s3_upload_bytes_per_second,
	    clock_mono_ns());
	rc = check_settings(env->conf, err, err_len);
	if (rc == 0)
		rc = s3_endpoint_read(&c->endpoint, env->conf, err, err_len);
	if (rc == 0)
		rc = s3_credentials_init(
		    &c->credentials, env->conf, err, err_len);
	if (rc == 0)
		rc = make_events(c);
	if (rc != 0) {
		s3_client_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void
s3_client_free(struct s3_client *c)
{
	struct s3_call *call;

	if (c == NULL)
		return;
	while ((call = TAILQ_FIRST(&c->calls)) != NULL)
		call_free(call);
	s3_refresh_free(c->refresh);
	curl_loop_free(c->loop);
	if (c->pace_timer != NULL)
		event_free(c->pace_timer);
	s3_credentials_wipe(&c->credentials);
	free(c);
}
