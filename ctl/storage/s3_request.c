#include "ctl/storage/s3_request.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/http.h"
#include "common/s3_xml.h"
#include "common/sigv4.h"

#define TIMEOUT_S        10
#define HEADER_LINE_MAX  (SIGV4_TOKEN_MAX + 64)
#define HEADER_LINES_MAX (S3_REQUEST_PAIRS + 4)

/* ---- the key ---- */

/* One request for credentials; as s3_credentials_answer. */
static int
ask_once(struct s3_credentials *c, char *answer, char why[CTL_HTTP_WHY_MAX])
{
	struct s3_credentials_request rq;
	struct ctl_http_request http = { .timeout_s = TIMEOUT_S,
		.answer = answer,
		.answer_len = S3_CREDENTIALS_ANSWER_MAX };
	int rc = s3_credentials_request(c, &rq, why, CTL_HTTP_WHY_MAX);
	long status;

	if (rc != 0)
		return rc;
	answer[0] = '\0';
	http.method = rq.method;
	http.url = rq.url;
	http.ca_file = rq.ca_file;
	http.headers = (const char *const *)rq.headers;
	while (http.n_headers < S3_CREDENTIALS_HEADERS &&
	    rq.headers[http.n_headers] != NULL)
		http.n_headers++;
	http.body = rq.body;
	http.is_direct = c->source != S3_CREDENTIALS_WEB_IDENTITY;
	status = ctl_http_request(&http);
	s3_credentials_request_release(&rq);
	if (status < 0) {
		snprintf(
		    why, CTL_HTTP_WHY_MAX, "S3 credentials: %.450s", http.why);
		return -1;
	}
	rc = s3_credentials_answer(c, status, answer,
	    clock_wall_ns() / NS_PER_S, why, CTL_HTTP_WHY_MAX);
	wipe(answer, strlen(answer));
	return rc;
}

static int
get_credentials(struct s3_credentials *c, char why[CTL_HTTP_WHY_MAX])
{
	char *answer = malloc(S3_CREDENTIALS_ANSWER_MAX);
	int rc = answer != NULL ? 1 : -1;

	snprintf(why, CTL_HTTP_WHY_MAX, "out of memory");
	while (rc == 1)
		rc = ask_once(c, answer, why);
	free(answer);
	return rc == 0 ? 0 : -1;
}

int
s3_server_open(struct s3_server *s, const struct conf_store *conf,
    char why[CTL_HTTP_WHY_MAX])
{
	s->conf = conf;
	if (s3_endpoint_read(&s->endpoint, conf, why, CTL_HTTP_WHY_MAX) != 0 ||
	    s3_credentials_init(&s->credentials, conf, why, CTL_HTTP_WHY_MAX) !=
		0)
		return -1;
	return s->credentials.source == S3_CREDENTIALS_FILE
	    ? 0
	    : get_credentials(&s->credentials, why);
}

void
s3_server_close(struct s3_server *s)
{
	s3_credentials_wipe(&s->credentials);
}

/* ---- requests ---- */

struct lines {
	char text[HEADER_LINES_MAX][HEADER_LINE_MAX];
	const char *list[HEADER_LINES_MAX];
	size_t n;
};

static void
add_line(struct lines *l, const char *name, const char *value)
{
	snprintf(l->text[l->n], HEADER_LINE_MAX, "%s: %s", name, value);
	l->list[l->n] = l->text[l->n];
	l->n++;
}

/* Address and header lines of c, signed as of now; 0 or -1. */
static int
sign(const struct s3_server *s, const struct s3_command *c, char *url,
    size_t url_len, struct lines *lines)
{
	struct sigv4_pair headers[S3_REQUEST_PAIRS + 2];
	char path[512], target[SIGV4_TEXT_MAX], auth[1200], hex[65];
	char date[SIGV4_DATE_MAX];
	uint8_t digest[32];
	struct sigv4_request rq = { .method = c->method,
		.host = s->endpoint.host,
		.path = path,
		.query = c->query,
		.n_query = c->n_query,
		.headers = headers,
		.n_headers = c->n_headers,
		.payload = c->payload,
		.time_s = clock_wall_ns() / NS_PER_S };
	const char *body = c->body != NULL ? c->body : "";

	if (rq.payload == NULL) {
		if (EVP_Digest(body, strlen(body), digest, NULL, EVP_sha256(),
			NULL) != 1)
			return -1;
		rq.payload = http_hex(digest, 32, hex);
	}
	memcpy(headers, c->headers, c->n_headers * sizeof(headers[0]));
	headers[rq.n_headers++] =
	    (struct sigv4_pair){ "x-amz-content-sha256", rq.payload };
	if (s->credentials.key.token[0] != '\0')
		headers[rq.n_headers++] =
		    (struct sigv4_pair){ "x-amz-security-token",
			    s->credentials.key.token };
	if (s3_endpoint_path(&s->endpoint, c->key, path, sizeof(path)) != 0 ||
	    sigv4_target(&rq, target, sizeof(target)) != 0 ||
	    sigv4_authorization(&s->credentials.key, &rq, auth, sizeof(auth)) !=
		0)
		return -1;
	snprintf(
	    url, url_len, "%s://%s%s", s->endpoint.scheme, rq.host, target);
	for (size_t i = 0; i < rq.n_headers; i++)
		add_line(lines, headers[i].name, headers[i].value);
	add_line(lines, "x-amz-date", sigv4_date(rq.time_s, date));
	add_line(lines, "Authorization", auth);
	return 0;
}

bool
s3_command_send(const struct s3_server *s, struct s3_command *c)
{
	char url[SIGV4_TEXT_MAX + 512];
	struct lines *lines = calloc(1, sizeof(*lines));
	struct ctl_http_request rq = { .method = c->method,
		.url = url,
		.ca_file = s->conf->s3_ca_file,
		.body = c->body,
		.timeout_s = TIMEOUT_S,
		.answer = c->answer,
		.answer_len = sizeof(c->answer) };
	const char *at = c->answer;

	c->answer[0] = c->code[0] = '\0';
	c->status = -1;
	c->date_s = 0;
	if (lines == NULL || sign(s, c, url, sizeof(url), lines) != 0) {
		free(lines);
		snprintf(c->why, sizeof(c->why),
		    "the request cannot be signed: bucket, region or key are "
		    "too long");
		return false;
	}
	rq.headers = lines->list;
	rq.n_headers = lines->n;
	c->status = ctl_http_request(&rq);
	wipe(lines, sizeof(*lines));
	free(lines);
	c->date_s = rq.date_s;
	memcpy(c->why, rq.why, sizeof(c->why));
	if (c->status >= 200 && c->status < 300)
		return true;
	s3_xml_text(&at, "Code", c->code, sizeof(c->code));
	return false;
}

void
s3_command_encrypt(const struct s3_server *s, struct s3_command *c)
{
	const struct conf_store *conf = s->conf;
	bool is_kms = strcmp(conf->s3_encryption, "kms") == 0;

	if (is_kms || strcmp(conf->s3_encryption, "s3") == 0)
		c->headers[c->n_headers++] =
		    (struct sigv4_pair){ "x-amz-server-side-encryption",
			    is_kms ? "aws:kms" : "AES256" };
	if (is_kms && conf->s3_kms_key != NULL && conf->s3_kms_key[0] != '\0')
		c->headers[c->n_headers++] = (struct sigv4_pair){
			"x-amz-server-side-encryption-aws-kms-key-id",
			conf->s3_kms_key
		};
}
