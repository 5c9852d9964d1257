#include "common/s3_credentials.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/http.h"
#include "common/s3_credentials_internal.h"

#define METADATA_SERVICE "http://169.254.169.254"
#define METADATA_ROLES   "/latest/meta-data/iam/security-credentials/"
#define CONTAINER_HOST   "http://169.254.170.2"
#define SESSION_HEADER   "X-aws-ec2-metadata-token"
#define REFRESH_S        300 /* before the end */

const char *const s3_credentials_sources[4] = { "file", "web-identity",
	"container", "instance" };

int
s3_credentials_refuse(char *why, size_t why_len, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, why_len, fmt, ap);
	va_end(ap);
	return err;
}

/* A setting, or what the environment says in its place; NULL: neither. */
static const char *
setting(const char *value, const char *variable)
{
	if (value != NULL && value[0] != '\0')
		return value;
	value = getenv(variable);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *
role_arn(const struct conf_store *conf)
{
	return setting(conf->s3_role_arn, "AWS_ROLE_ARN");
}

static const char *
token_file(const struct s3_credentials *c)
{
	return setting(c->conf->s3_token_file,
	    c->source == S3_CREDENTIALS_WEB_IDENTITY
		? "AWS_WEB_IDENTITY_TOKEN_FILE"
		: "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
}

/* ---- addresses ---- */

/* Host of a URL, without port; false: not http:// nor https://. */
static bool
host_of(const char *url, char *host, size_t len, bool *is_clear)
{
	const char *at;
	size_t n;

	*is_clear = strncasecmp(url, "http://", 7) == 0;
	if (!*is_clear && strncasecmp(url, "https://", 8) != 0)
		return false;
	at = strstr(url, "//") + 2;
	n = *at == '[' ? strcspn(at, "]") + 1 : strcspn(at, ":/?#");
	if (n == 0 || n >= len || memchr(at, '@', strcspn(at, "/?#")) != NULL)
		return false;
	memcpy(host, at, n);
	host[n] = '\0';
	return true;
}

/* An IPv4 address, no name, that begins so. */
static bool
is_address(const char *host, const char *beginning)
{
	struct in_addr any;

	return strncmp(host, beginning, strlen(beginning)) == 0 &&
	    inet_pton(AF_INET, host, &any) == 1;
}

/* Clear text only to this machine and to link-local addresses, where these
 * services are; a name that begins like one of them is none. */
static bool
may_be_clear(const char *host)
{
	return strcmp(host, "localhost") == 0 || is_address(host, "127.") ||
	    strcmp(host, "[::1]") == 0 || is_address(host, "169.254.") ||
	    strncasecmp(host, "[fe80:", 6) == 0 ||
	    strcasecmp(host, "[fd00:ec2::254]") == 0 ||
	    strcasecmp(host, "[fd00:ec2::23]") == 0;
}

static int
check_url(const char *url, char *why, size_t why_len)
{
	char host[256];
	bool is_clear;

	if (!host_of(url, host, sizeof(host), &is_clear) ||
	    strspn(url, " \t\r\n") != 0 || strpbrk(url, " \t\r\n") != NULL)
		return s3_credentials_refuse(why, why_len, ERR_CONFIG,
		    "store.s3_credentials_url = %.200s: expected "
		    "https://host[:port][/path]",
		    url);
	if (is_clear && !may_be_clear(host))
		return s3_credentials_refuse(why, why_len, ERR_CONFIG,
		    "store.s3_credentials_url = %.200s: clear text only to "
		    "this machine and to link-local addresses; use https://",
		    url);
	return 0;
}

/* Where credentials are asked for; 0 or ERR_CONFIG. */
static int
base_url(const struct s3_credentials *c, char *url, size_t len, char *why,
    size_t why_len)
{
	const char *given = c->conf->s3_credentials_url, *relative;

	if (given != NULL && given[0] != '\0')
		snprintf(url, len, "%s", given);
	else if (c->source == S3_CREDENTIALS_INSTANCE)
		snprintf(url, len, "%s",
		    setting(NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT") != NULL
			? setting(NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT")
			: METADATA_SERVICE);
	else if (c->source == S3_CREDENTIALS_WEB_IDENTITY) {
		given = setting(NULL, "AWS_ENDPOINT_URL_STS");
		if (given != NULL)
			snprintf(url, len, "%s", given);
		else
			snprintf(url, len, "https://sts.%s.amazonaws.com/",
			    c->conf->s3_region);
	} else {
		relative =
		    setting(NULL, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
		given = setting(NULL, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
		if (relative == NULL && given == NULL)
			return s3_credentials_refuse(why, why_len, ERR_CONFIG,
			    "store.s3_credentials = container: set "
			    "s3_credentials_url or "
			    "AWS_CONTAINER_CREDENTIALS_FULL_URI");
		snprintf(url, len, "%s%s",
		    relative != NULL ? CONTAINER_HOST : "",
		    relative != NULL ? relative : given);
	}
	return check_url(url, why, why_len);
}

/* ---- settings ---- */

static int
check_settings(const struct s3_credentials *c, char *why, size_t why_len)
{
	char url[1024];

	if (c->source == S3_CREDENTIALS_WEB_IDENTITY &&
	    (role_arn(c->conf) == NULL || token_file(c) == NULL))
		return s3_credentials_refuse(why, why_len, ERR_CONFIG,
		    "store.s3_credentials = web-identity needs s3_role_arn "
		    "and s3_token_file, or AWS_ROLE_ARN and "
		    "AWS_WEB_IDENTITY_TOKEN_FILE in the environment");
	return base_url(c, url, sizeof(url), why, why_len);
}

int
s3_credentials_init(struct s3_credentials *c, const struct conf_store *conf,
    char *why, size_t why_len)
{
	memset(c, 0, sizeof(*c));
	c->conf = conf;
	c->key.region = conf->s3_region;
	c->key.service = "s3";
	for (size_t i = 0; i < N_ELEMENTS(s3_credentials_sources); i++)
		if (conf->s3_credentials != NULL &&
		    strcmp(conf->s3_credentials, s3_credentials_sources[i]) ==
			0)
			c->source = (enum s3_credentials_source)i;
	if (c->source != S3_CREDENTIALS_FILE)
		return check_settings(c, why, why_len);
	if (conf->s3_access_key_file == NULL)
		return s3_credentials_refuse(why, why_len, ERR_CONFIG,
		    "store.s3_credentials = file needs s3_access_key_file");
	return sigv4_key_read(
		   &c->key, conf->s3_access_key_file, why, why_len) == 0
	    ? 0
	    : ERR_CONFIG;
}

void
s3_credentials_wipe(struct s3_credentials *c)
{
	sigv4_key_wipe(&c->key);
	wipe(c->session, sizeof(c->session));
}

/* ---- how long they last ---- */

bool
s3_credentials_are_valid(const struct s3_credentials *c, uint64_t now_s)
{
	return c->key.access_key[0] != '\0' &&
	    (c->expires_s == 0 || now_s < c->expires_s);
}

bool
s3_credentials_are_due(const struct s3_credentials *c, uint64_t now_s)
{
	uint64_t life, early;

	if (c->source == S3_CREDENTIALS_FILE)
		return false;
	if (!s3_credentials_are_valid(c, now_s))
		return true;
	if (c->expires_s == 0)
		return false;
	life = c->expires_s > c->fetched_s ? c->expires_s - c->fetched_s : 0;
	early = life / 4 < REFRESH_S ? life / 4 : REFRESH_S;
	return now_s + early >= c->expires_s;
}

void
s3_credentials_expire(struct s3_credentials *c)
{
	if (c->source == S3_CREDENTIALS_FILE)
		s3_credentials_reload(c);
	else
		c->expires_s = 1;
}

void
s3_credentials_reload(struct s3_credentials *c)
{
	char why[S3_CREDENTIALS_WHY_MAX];

	if (c->source == S3_CREDENTIALS_FILE)
		sigv4_key_read(
		    &c->key, c->conf->s3_access_key_file, why, sizeof(why));
}

/* ---- requests ---- */

/* Heap, without the line feed at its end; NULL with a sentence in why. */
static char *
read_token(const char *path, char *why, size_t why_len)
{
	char *text = malloc(S3_CREDENTIALS_TOKEN_MAX + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	size_t len = 0;

	while (text != NULL && fd >= 0 && len < S3_CREDENTIALS_TOKEN_MAX &&
	    (n = read(fd, text + len, S3_CREDENTIALS_TOKEN_MAX - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		close(fd);
	if (text != NULL) {
		text[len] = '\0';
		while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
			text[--len] = '\0';
	}
	if (text == NULL || fd < 0 || n < 0 || len == 0 ||
	    strpbrk(text, "\r\n") != NULL) {
		s3_credentials_refuse(why, why_len, ERR_IO,
		    "store.s3_token_file %.200s: %s", path,
		    text == NULL   ? "out of memory"
			: len == 0 ? "it cannot be read, or is empty"
				   : "expected one line, the token");
		if (text != NULL)
			wipe(text, len);
		free(text);
		return NULL;
	}
	return text;
}

static void
free_secret(char *text)
{
	if (text != NULL)
		wipe(text, strlen(text));
	free(text);
}

/* AssumeRoleWithWebIdentity; the token is in the body, not in the URL. */
static int
web_identity_request(struct s3_credentials *c,
    struct s3_credentials_request *rq, char *why, size_t why_len)
{
	static const char form[] =
	    "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
	    "&RoleSessionName=relaycam&RoleArn=%s&WebIdentityToken=%s";
	char *token = read_token(token_file(c), why, why_len);
	size_t len = 3 * S3_CREDENTIALS_TOKEN_MAX + 1;
	char *encoded = malloc(len), arn[1024];

	if (token == NULL || encoded == NULL) {
		free_secret(token);
		free(encoded);
		return token == NULL ? ERR_IO : ERR_NOMEM;
	}
	encoded[0] = '\0';
	if (http_encode(role_arn(c->conf), 0, arn, sizeof(arn)) < 0) {
		free_secret(token);
		free(encoded);
		return s3_credentials_refuse(
		    why, why_len, ERR_CONFIG, "store.s3_role_arn is too long");
	}
	rq->method = "POST";
	rq->ca_file = c->conf->s3_ca_file;
	if (http_encode(token, 0, encoded, len) < 0 ||
	    asprintf(&rq->body, form, arn, encoded) < 0)
		rq->body = NULL;
	free_secret(token);
	free_secret(encoded);
	rq->headers[0] =
	    strdup("Content-Type: application/x-www-form-urlencoded");
	return rq->body != NULL && rq->headers[0] != NULL ? 0 : ERR_NOMEM;
}

static int
container_request(struct s3_credentials *c, struct s3_credentials_request *rq,
    char *why, size_t why_len)
{
	const char *file = token_file(c);
	const char *given = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	char *token = file != NULL ? read_token(file, why, why_len)
	    : given != NULL        ? strdup(given)
				   : NULL;

	rq->method = "GET";
	if (file != NULL && token == NULL)
		return ERR_IO;
	if (token != NULL &&
	    (strpbrk(token, "\r\n") != NULL ||
		asprintf(&rq->headers[0], "Authorization: %s", token) < 0))
		rq->headers[0] = NULL;
	free_secret(token);
	return 0;
}

static int
instance_request(struct s3_credentials *c, struct s3_credentials_request *rq)
{
	size_t len = strlen(rq->url);
	int n = 0;

	while (len > 0 && rq->url[len - 1] == '/')
		rq->url[--len] = '\0';
	if (c->session[0] == '\0') {
		rq->method = "PUT";
		strncat(
		    rq->url, "/latest/api/token", sizeof(rq->url) - len - 1);
		rq->headers[0] = strdup(SESSION_HEADER "-ttl-seconds: 300");
	} else {
		rq->method = "GET";
		n = snprintf(rq->url + len, sizeof(rq->url) - len, "%s%s",
		    METADATA_ROLES, c->role);
		if (asprintf(
			&rq->headers[0], SESSION_HEADER ": %s", c->session) < 0)
			rq->headers[0] = NULL;
	}
	return rq->headers[0] != NULL && n >= 0 ? 0 : ERR_NOMEM;
}

int
s3_credentials_request(struct s3_credentials *c,
    struct s3_credentials_request *rq, char *why, size_t why_len)
{
	int rc;

	memset(rq, 0, sizeof(*rq));
	snprintf(why, why_len, "out of memory");
	rc = base_url(c, rq->url, sizeof(rq->url) / 2, why, why_len);
	if (rc != 0)
		return rc;
	switch (c->source) {
	case S3_CREDENTIALS_WEB_IDENTITY:
		rc = web_identity_request(c, rq, why, why_len);
		break;
	case S3_CREDENTIALS_CONTAINER:
		rc = container_request(c, rq, why, why_len);
		break;
	case S3_CREDENTIALS_INSTANCE:
		rc = instance_request(c, rq);
		break;
	case S3_CREDENTIALS_FILE:
		rc = ERR_CONFIG;
		break;
	}
	if (rc != 0)
		s3_credentials_request_release(rq);
	return rc;
}

void
s3_credentials_request_release(struct s3_credentials_request *rq)
{
	for (size_t i = 0; i < S3_CREDENTIALS_HEADERS; i++)
		free_secret(rq->headers[i]);
	free_secret(rq->body);
	memset(rq, 0, sizeof(*rq));
}
