#include "ctl/ctl_http.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/curl_options.h"
#include "common/err.h"

#define STALL_SECONDS 60L
#define PROGRESS_NS   (200 * NS_PER_MS)

/* One transfer under way. */
struct transfer {
	struct ctl_http_get *get;
	CURL *curl;
	int64_t at; /* offset of the next byte; -1: no byte has come */
	int error;  /* of on_data, or of the status */
	uint64_t begun_ns, shown_ns;
	int64_t first; /* offset that this transfer began at */
};

static int
status_error(struct ctl_http_get *g, long status)
{
	switch (status) {
	case 401:
	case 403:
		snprintf(g->why, sizeof(g->why),
		    "the server refuses the link (status %ld)", status);
		return ERR_DENIED;
	case 404:
		snprintf(g->why, sizeof(g->why),
		    "the server does not have the file (status 404)");
		return ERR_NOTFOUND;
	case 200:
	case 206:
		return 0;
	}
	snprintf(g->why, sizeof(g->why), "the server answers with status %ld",
	    status);
	return status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL;
}

static long
status_of(CURL *curl)
{
	long status = 0;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* At the first byte: where in the file it belongs. */
static int
begin(struct transfer *t)
{
	long status = status_of(t->curl);

	t->error = status_error(t->get, status);
	if (t->error != 0)
		return t->error;
	t->at = status == 206 ? t->get->offset : 0;
	t->first = t->at;
	return 0;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	struct transfer *t = arg;
	size_t len = size * n;

	if (t->at < 0 && begin(t) != 0)
		return 0; /* tells libcurl to stop */
	t->error = t->get->on_data(t->get->arg, t->at, data, len);
	if (t->error != 0)
		return 0;
	t->at += (int64_t)len;
	return len;
}

static int
on_progress(void *arg, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
    curl_off_t ul)
{
	struct transfer *t = arg;
	uint64_t now = clock_mono_ns();
	double s = (double)(now - t->begun_ns) / 1e9;

	if (t->at < 0 || t->get->total <= 0 || now - t->shown_ns < PROGRESS_NS)
		return 0;
	t->shown_ns = now;
	fprintf(stderr, "\r%3d %%  %.1f of %.1f MiB  %.1f MiB/s ",
	    (int)(t->at * 100 / t->get->total), (double)t->at / (1 << 20),
	    (double)t->get->total / (1 << 20),
	    s > 0 ? (double)(t->at - t->first) / (1 << 20) / s : 0);
	return 0;
}

int
ctl_http_to_file(void *arg, int64_t at, const void *data, size_t len)
{
	return pwrite(*(int *)arg, data, len, at) == (ssize_t)len ? 0 : ERR_IO;
}

const char ctl_http_any_certificate[] = "";

static void
set_common(CURL *curl, const char *url, const char *ca_file, char *why)
{
	bool any = ca_file == ctl_http_any_certificate;

	why[0] = '\0';
	curl_options_set(curl, "http,https", any ? NULL : ca_file, why);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L);
	if (any) {
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static int
is_certificate_error(CURLcode rc)
{
	return rc == CURLE_PEER_FAILED_VERIFICATION ||
	    rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_SSL_CERTPROBLEM;
}

/* What a finished transfer comes to. */
static int
judge(struct transfer *t, CURLcode rc)
{
	struct ctl_http_get *g = t->get;

	if (t->error != 0)
		return t->error;
	if (rc == CURLE_OK)
		return status_error(g, status_of(t->curl));
	if (g->why[0] == '\0')
		snprintf(g->why, sizeof(g->why), "%s", curl_easy_strerror(rc));
	return is_certificate_error(rc) ? ERR_CONFIG : ERR_UNAVAILABLE;
}

int
ctl_http_get(struct ctl_http_get *g)
{
	struct transfer t = { .get = g, .at = -1, .begun_ns = clock_mono_ns() };
	char range[32], why[CURL_ERROR_SIZE];
	int rc;

	t.curl = curl_easy_init();
	if (t.curl == NULL)
		return ERR_NOMEM;
	set_common(t.curl, g->url, g->ca_file, why);
	curl_easy_setopt(t.curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(t.curl, CURLOPT_WRITEDATA, &t);
	curl_easy_setopt(t.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(t.curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
	snprintf(range, sizeof(range), "%" PRId64 "-", g->offset);
	if (g->offset > 0)
		curl_easy_setopt(t.curl, CURLOPT_RANGE, range);
	if (g->progress && isatty(STDERR_FILENO)) {
		curl_easy_setopt(t.curl, CURLOPT_NOPROGRESS, 0L);
		curl_easy_setopt(t.curl, CURLOPT_XFERINFOFUNCTION, on_progress);
		curl_easy_setopt(t.curl, CURLOPT_XFERINFODATA, &t);
	}
	g->why[0] = '\0';
	rc = (int)curl_easy_perform(t.curl);
	if (rc != CURLE_OK && g->why[0] == '\0')
		snprintf(g->why, sizeof(g->why), "%s", why);
	rc = judge(&t, (CURLcode)rc);
	if (t.shown_ns != 0)
		fputc('\n', stderr);
	curl_easy_cleanup(t.curl);
	return rc;
}

/* The beginning is kept, what does not fit is dropped. */
static size_t
on_answer(char *data, size_t size, size_t n, void *arg)
{
	struct ctl_http_request *rq = arg;
	size_t have, len = size * n;

	if (rq->answer == NULL)
		return len;
	have = strlen(rq->answer);
	snprintf(
	    rq->answer + have, rq->answer_len - have, "%.*s", (int)len, data);
	return len;
}

static void
set_method(CURL *curl, const struct ctl_http_request *rq)
{
	bool sends =
	    strcmp(rq->method, "PUT") == 0 || strcmp(rq->method, "POST") == 0;
	const char *body = rq->body != NULL ? rq->body : "";

	if (strcmp(rq->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	else if (sends) {
		curl_easy_setopt(
		    curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, rq->method);
}

/* The answer's Date; 0: none. */
static uint64_t
date_of(CURL *curl)
{
	struct curl_header *date;
	time_t t;

	if (curl_easy_header(curl, "Date", 0, CURLH_HEADER, -1, &date) !=
	    CURLHE_OK)
		return 0;
	t = curl_getdate(date->value, NULL);
	return t > 0 ? (uint64_t)t : 0;
}

long
ctl_http_request(struct ctl_http_request *rq)
{
	struct curl_slist *list = NULL;
	CURL *curl = curl_easy_init();
	long status = -1;
	CURLcode rc;

	if (curl == NULL) {
		snprintf(rq->why, CTL_HTTP_WHY_MAX, "out of memory");
		return -1;
	}
	_Static_assert(CTL_HTTP_WHY_MAX >= CURL_ERROR_SIZE, "message");
	set_common(curl, rq->url, rq->ca_file, rq->why);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)rq->timeout_s);
	if (rq->is_direct)
		curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, rq);
	set_method(curl, rq);
	/* not libcurl's guess at a form, nor a wait for 100 Continue */
	list = curl_slist_append(list, "Content-Type:");
	list = curl_slist_append(list, "Expect:");
	for (size_t i = 0; i < rq->n_headers; i++)
		list = curl_slist_append(list, rq->headers[i]);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	rc = curl_easy_perform(curl);
	rq->date_s = 0;
	if (rc == CURLE_OK) {
		status = status_of(curl);
		rq->date_s = date_of(curl);
	} else if (rq->why[0] == '\0')
		snprintf(
		    rq->why, CTL_HTTP_WHY_MAX, "%s", curl_easy_strerror(rc));
	curl_slist_free_all(list);
	curl_easy_cleanup(curl);
	return status;
}

long
ctl_http_probe(const char *method, const char *url, const char *ca_file,
    const char *const *headers, size_t n_headers, int timeout_s,
    char why[CTL_HTTP_WHY_MAX])
{
	struct ctl_http_request rq = { .method = method,
		.url = url,
		.ca_file = ca_file,
		.headers = headers,
		.n_headers = n_headers,
		.timeout_s = timeout_s };
	long status = ctl_http_request(&rq);

	memcpy(why, rq.why, CTL_HTTP_WHY_MAX);
	return status;
}
