/*
 * One S3 request and its tries, between s3_client.c (what happens next),
 * s3_call.c (what is sent and read) and s3_answer.c (what an answer means).
 */
#ifndef STORAGE_STORE_S3_CALL_H
#define STORAGE_STORE_S3_CALL_H

#include <curl/curl.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "common/s3_credentials.h"
#include "common/s3_endpoint.h"
#include "storage/store/s3_backoff.h"
#include "storage/store/s3_client.h"

struct s3_call {
	TAILQ_ENTRY(s3_call) link;
	struct s3_client *client;
	struct s3_request rq;
	s3_cb *cb;
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	struct event *timer; /* back-off before the next try */
	struct buf body;
	struct s3_response r;
	uint64_t sent;
	uint64_t retry_after_s; /* of this answer; 0: none */
	uint64_t date_s;        /* of this answer; 0: none */
	unsigned tries;
	bool head_ended; /* of this answer */
	bool waits_for_key, was_renewed, is_paused;
	char curl_error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(s3_call_list, s3_call);

struct s3_client {
	struct event_base *base;
	const struct conf_store *conf;
	struct counters *counters;
	const struct trace_sessions *traces;
	struct s3_credentials credentials;
	struct s3_refresh *refresh; /* NULL: the key is in a file */
	struct s3_endpoint endpoint;
	struct curl_loop *loop;
	struct s3_call_list calls;
	struct s3_pace pace;
	struct event *pace_timer; /* lets paused calls go on */
	int64_t skew_s;           /* server's clock less ours, in force */
	bool clock_was_compared;
};

/* ---- s3_call.c ---- */

/* Makes c->easy, signed as of now. 0, ERR_LIMIT or ERR_NOMEM. */
int s3_call_prepare(struct s3_call *c);
/* Headers that were sent: they hold a signature and a token. */
void s3_call_free_headers(struct s3_call *c);
/*
 * Lets calls go on that were paused for the bandwidth's sake, a few at a time,
 * those first that sent longest ago: else one would take all that may be sent,
 * and servers give up connections on which nothing comes.
 */
void s3_call_pace(struct s3_client *s);

/* ---- s3_answer.c ---- */

/* Takes what a header line says into c. */
void s3_answer_header(struct s3_call *c, const char *line, size_t len);
/* Fills code and detail of an answer that is no 2xx. */
void s3_answer_name_error(struct s3_call *c);
/* ERR_* of an HTTP status. */
int s3_answer_error(long status);
/* Worth the same request again. */
bool s3_answer_is_temporary(const struct s3_call *c, CURLcode rc);
/* The key that signed it is at its end. */
bool s3_answer_is_expired(const struct s3_call *c);

#endif
