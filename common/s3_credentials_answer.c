/* Answers that bring credentials: XML of an STS, JSON of the others. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/bytes.h"
#include "common/err.h"
#include "common/json.h"
#include "common/s3_credentials_internal.h"
#include "common/s3_xml.h"

/* "2026-11-30T14:00:00Z" and with fractions of a second; 0: unreadable. */
static uint64_t
read_time(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t t;

	if (end == NULL)
		return 0;
	if (*end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	t = strcmp(end, "Z") == 0 ? timegm(&tm) : 0;
	return t > 0 ? (uint64_t)t : 0;
}

/* Printable, without blanks: it goes into a header. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s > '~')
			return false;
	return true;
}

struct fields {
	const char *access_key, *secret, *token, *end;
};

/* Into c->key, when they are whole. */
static int
take(struct s3_credentials *c, const struct fields *f, uint64_t now_s,
    char *why, size_t why_len)
{
	uint64_t expires_s = f->end != NULL ? read_time(f->end) : 0;

	if (f->access_key == NULL || f->secret == NULL || f->token == NULL ||
	    f->access_key[0] == '\0' || f->secret[0] == '\0' ||
	    strlen(f->access_key) >= sizeof(c->key.access_key) ||
	    strlen(f->secret) >= sizeof(c->key.secret) ||
	    strlen(f->token) >= sizeof(c->key.token) ||
	    !is_plain(f->access_key) || !is_plain(f->secret) ||
	    !is_plain(f->token) || (f->end != NULL && expires_s == 0))
		return s3_credentials_refuse(why, why_len, ERR_PROTOCOL,
		    "S3 credentials: the answer has no access key, secret, "
		    "token and end, or too long ones");
	if (f->end != NULL && expires_s <= now_s)
		return s3_credentials_refuse(why, why_len, ERR_PROTOCOL,
		    "S3 credentials: the answer's have ended at %.40s; set "
		    "this machine's clock (NTP)",
		    f->end);
	sigv4_key_wipe(&c->key);
	strcpy(c->key.access_key, f->access_key);
	strcpy(c->key.secret, f->secret);
	strcpy(c->key.token, f->token);
	c->fetched_s = now_s;
	c->expires_s = expires_s;
	return 0;
}

static int
take_xml(struct s3_credentials *c, const char *body, uint64_t now_s, char *why,
    size_t why_len)
{
	char access_key[160], secret[160], token[SIGV4_TOKEN_MAX + 2], end[48];
	const struct fields f = { access_key, secret, token, end };
	const char *at[4] = { body, body, body, body };
	int rc;

	if (s3_xml_text(
		&at[0], "AccessKeyId", access_key, sizeof(access_key)) != 0 ||
	    s3_xml_text(&at[1], "SecretAccessKey", secret, sizeof(secret)) !=
		0 ||
	    s3_xml_text(&at[2], "SessionToken", token, sizeof(token)) != 0 ||
	    s3_xml_text(&at[3], "Expiration", end, sizeof(end)) != 0)
		rc = s3_credentials_refuse(why, why_len, ERR_PROTOCOL,
		    "S3 credentials: no Credentials in the answer");
	else
		rc = take(c, &f, now_s, why, why_len);
	wipe(secret, sizeof(secret));
	wipe(token, sizeof(token));
	return rc;
}

/* jansson keeps copies: they are overwritten before it frees them. */
static void
wipe_json(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
		if (json_is_string(value))
			wipe((char *)(uintptr_t)json_string_value(value),
			    json_string_length(value));
	json_decref(object);
}

static int
take_json(struct s3_credentials *c, const char *body, uint64_t now_s, char *why,
    size_t why_len)
{
	json_t *o = json_loads(body, 0, NULL);
	struct fields f = { json_text(o, "AccessKeyId"),
		json_text(o, "SecretAccessKey"), json_text(o, "Token"),
		json_text(o, "Expiration") };
	int rc = take(c, &f, now_s, why, why_len);

	wipe_json(o);
	return rc;
}

/* The first line of the list of roles. */
static int
take_role(struct s3_credentials *c, const char *body, char *why, size_t why_len)
{
	size_t n = strcspn(body, "\r\n");

	if (n == 0 || n >= sizeof(c->role) ||
	    strspn(body,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789+=,.@_-") != n)
		return s3_credentials_refuse(why, why_len, ERR_PROTOCOL,
		    "S3 credentials: this machine has no role; attach one");
	memcpy(c->role, body, n);
	c->role[n] = '\0';
	return 1;
}

static int
instance_answer(struct s3_credentials *c, const char *body, uint64_t now_s,
    char *why, size_t why_len)
{
	if (c->session[0] == '\0') {
		if (body[0] == '\0' || strlen(body) >= sizeof(c->session) ||
		    !is_plain(body))
			return s3_credentials_refuse(why, why_len, ERR_PROTOCOL,
			    "S3 credentials: the metadata service gave no "
			    "token (IMDSv2)");
		strcpy(c->session, body);
		return 1;
	}
	return c->role[0] == '\0' ? take_role(c, body, why, why_len)
				  : take_json(c, body, now_s, why, why_len);
}

static int
refused(const struct s3_credentials *c, long status, const char *body,
    char *why, size_t why_len)
{
	char code[80] = "";

	s3_xml_text(&body, "Code", code, sizeof(code));
	return s3_credentials_refuse(why, why_len,
	    status >= 500 || status == 429 ? ERR_UNAVAILABLE : ERR_DENIED,
	    "S3 credentials (%s): HTTP %ld%s%s",
	    s3_credentials_sources[c->source], status,
	    code[0] != '\0' ? " " : "", code);
}

int
s3_credentials_answer(struct s3_credentials *c, long status, const char *body,
    uint64_t now_s, char *why, size_t why_len)
{
	int rc;

	if (status < 200 || status > 299)
		rc = refused(c, status, body, why, why_len);
	else if (c->source == S3_CREDENTIALS_WEB_IDENTITY)
		rc = take_xml(c, body, now_s, why, why_len);
	else if (c->source == S3_CREDENTIALS_CONTAINER)
		rc = take_json(c, body, now_s, why, why_len);
	else
		rc = instance_answer(c, body, now_s, why, why_len);
	if (rc != 1) {
		wipe(c->session, sizeof(c->session));
		c->session[0] = c->role[0] = '\0';
	}
	return rc;
}
