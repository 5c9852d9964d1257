#include "ctl/storage/s3_abilities.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/http.h"
#include "common/s3_xml.h"

#define S3_STRING_(x) #x
#define S3_STRING(x)  S3_STRING_(x)

#define BODY        "relaycam storage init looks at what this server can do\n"
#define RULE_ID     "relaycam-abandoned-uploads"
#define VERSIONS_ID "relaycam-deleted-versions"

/* SHA-256 of other bytes than BODY's: a right one, of the empty body. */
#define OTHER_SHA256 SIGV4_EMPTY

static struct s3_command *
command_new(const char *method, const char *key)
{
	struct s3_command *c = calloc(1, sizeof(*c));

	if (c != NULL) {
		c->method = method;
		c->key = key;
	}
	return c;
}

static void
add_query(struct s3_command *c, const char *name, const char *value)
{
	c->query[c->n_query++] = (struct sigv4_pair){ name, value };
}

static void
add_header(struct s3_command *c, const char *name, const char *value)
{
	c->headers[c->n_headers++] = (struct sigv4_pair){ name, value };
}

/* A sentence about an answer; returns -1. */
static int
failed(const struct s3_server *s, const struct s3_command *c, const char *what,
    char why[CTL_HTTP_WHY_MAX])
{
	if (c == NULL)
		snprintf(why, CTL_HTTP_WHY_MAX, "out of memory");
	else if (c->status < 0)
		snprintf(why, CTL_HTTP_WHY_MAX, "%s: %.80s: %.300s", what,
		    s->conf->s3_endpoint, c->why);
	else
		snprintf(why, CTL_HTTP_WHY_MAX,
		    "%s: bucket %.80s: HTTP %ld %.64s", what,
		    s->conf->s3_bucket, c->status, c->code);
	return -1;
}

/* ---- the bucket ---- */

int
s3_bucket_exists(const struct s3_server *s, char why[CTL_HTTP_WHY_MAX])
{
	struct s3_command *c = command_new("GET", "");
	int rc = 1;

	if (c == NULL)
		return failed(s, NULL, "", why);
	add_query(c, "list-type", "2");
	add_query(c, "max-keys", "1");
	if (!s3_command_send(s, c)) {
		if (c->status == 404)
			rc = 0;
		/* it may be used without being listed */
		else if (strcmp(c->code, "AccessDenied") != 0)
			rc = failed(s, c, "look at the bucket", why);
	}
	free(c);
	return rc;
}

int
s3_bucket_create(
    const struct s3_server *s, bool with_lock, char why[CTL_HTTP_WHY_MAX])
{
	struct s3_command *c = command_new("PUT", "");
	char body[300];
	int rc = 0;

	if (c == NULL)
		return failed(s, NULL, "", why);
	/* AWS wants the region named, but for its first */
	if (strcmp(s->conf->s3_region, "us-east-1") != 0) {
		snprintf(body, sizeof(body),
		    "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws."
		    "com/doc/2006-03-01/\"><LocationConstraint>%.100s"
		    "</LocationConstraint></CreateBucketConfiguration>",
		    s->conf->s3_region);
		c->body = body;
	}
	if (with_lock)
		add_header(c, "x-amz-bucket-object-lock-enabled", "true");
	if (!s3_command_send(s, c))
		rc = failed(s, c, "make the bucket", why);
	free(c);
	return rc;
}

/* ---- abilities ---- */

/* PUT of BODY; the HTTP status. header: a further one, or NULL. */
static long
put(const struct s3_server *s, const char *key, const char *payload,
    const char *header, const char *value)
{
	struct s3_command *c = command_new("PUT", key);
	long status = -1;

	if (c == NULL)
		return -1;
	c->body = BODY;
	c->payload = payload;
	s3_command_encrypt(s, c);
	if (header != NULL)
		add_header(c, header, value);
	s3_command_send(s, c);
	status = c->status;
	free(c);
	return status;
}

/* GET of a bucket's property; its status, and the answer into text. */
static long
get_property(const struct s3_server *s, const char *name, char *code,
    size_t code_len, char *text, size_t text_len)
{
	struct s3_command *c = command_new("GET", "");
	long status = -1;

	code[0] = '\0';
	if (c == NULL)
		return -1;
	add_query(c, name, "");
	s3_command_send(s, c);
	status = c->status;
	snprintf(code, code_len, "%s", c->code);
	if (text != NULL)
		snprintf(text, text_len, "%s", c->answer);
	free(c);
	return status;
}

/*
 * A server that knows the condition refuses both: to make what is there, and
 * to replace another object than the one that is there.
 */
static bool
knows_conditions(const struct s3_server *s, const char *key)
{
	return put(s, key, NULL, "if-none-match", "*") == 412 &&
	    put(s, key, NULL, "if-match",
		"\"00000000000000000000000000000000\"") == 412;
}

int
s3_abilities_probe(const struct s3_server *s, struct s3_abilities *out,
    char why[CTL_HTTP_WHY_MAX])
{
	char key[64], hex[25], code[64];
	struct s3_command *c;
	uint8_t random[12];
	long status;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (RAND_bytes(random, sizeof(random)) != 1) {
		snprintf(why, CTL_HTTP_WHY_MAX, "no random numbers");
		return -1;
	}
	snprintf(key, sizeof(key), "relaycam-init/%s",
	    http_hex(random, sizeof(random), hex));
	c = command_new("PUT", key);
	if (c == NULL)
		return failed(s, NULL, "", why);
	c->body = BODY;
	s3_command_encrypt(s, c);
	if (!s3_command_send(s, c))
		rc = failed(s, c, "store an object", why);
	free(c);
	if (rc != 0)
		return rc;
	status = put(s, key, OTHER_SHA256, NULL, NULL);
	out->checks_bodies = status >= 400 && status < 500;
	out->conditional_writes = knows_conditions(s, key);
	status = get_property(s, "lifecycle", code, sizeof(code), NULL, 0);
	out->lifecycle =
	    status == 200 || strcmp(code, "NoSuchLifecycleConfiguration") == 0;
	out->object_lock =
	    get_property(s, "object-lock", code, sizeof(code), NULL, 0) == 200;
	c = command_new("DELETE", key);
	if (c == NULL || !s3_command_send(s, c))
		rc = failed(s, c, "remove the object again", why);
	free(c);
	return rc;
}

/* ---- the lifecycle rule ---- */

int
s3_lifecycle_is_there(const struct s3_server *s, bool with_versions)
{
	char code[64], *text = malloc(S3_REQUEST_ANSWER);
	long status = text == NULL ? -1
				   : get_property(s, "lifecycle", code,
					 sizeof(code), text, S3_REQUEST_ANSWER);
	int rc = -1;

	if (status == 200)
		rc = strstr(text, "<ID>" RULE_ID "</ID>") != NULL &&
		    (!with_versions ||
			strstr(text, "<ID>" VERSIONS_ID "</ID>") != NULL);
	else if (text != NULL &&
	    strcmp(code, "NoSuchLifecycleConfiguration") == 0)
		rc = 0;
	free(text);
	return rc;
}

/* The rules that the bucket has, without ours, as XML; heap or NULL. */
static char *
other_rules(const char *text)
{
	const char *at = text, *start, *end;
	char *out = calloc(1, strlen(text) + 1);

	while (out != NULL && s3_xml_element(&at, "Rule", &start, &end) == 0) {
		char id[256] = "";
		const char *in = start;

		s3_xml_text(&in, "ID", id, sizeof(id));
		if (in > end ||
		    (strcmp(id, RULE_ID) != 0 &&
			strcmp(id, VERSIONS_ID) != 0)) {
			strcat(out, "<Rule>");
			strncat(out, start, (size_t)(end - start));
			strcat(out, "</Rule>");
		}
	}
	return out;
}

/* A bucket with object lock keeps what is deleted as a version; those that a
 * legal hold is on stay in any case. */
static const char versions_rule[] =
    "<Rule><ID>" VERSIONS_ID "</ID><Filter><Prefix></Prefix></Filter>"
    "<Status>Enabled</"
    "Status><NoncurrentVersionExpiration><NoncurrentDays>" S3_STRING(
	S3_VERSION_DAYS) "</NoncurrentDays>"
			 "</NoncurrentVersionExpiration></Rule>";

static int
put_rules(const struct s3_server *s, const char *others, bool with_versions,
    char why[CTL_HTTP_WHY_MAX])
{
	struct s3_command *c = command_new("PUT", "");
	uint8_t digest[16];
	char md5[32], *body = NULL;
	int rc = -1;

	if (c == NULL ||
	    asprintf(&body,
		"<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/"
		"2006-03-01/\">%s<Rule><ID>" RULE_ID
		"</ID><Filter><Prefix></Prefix></Filter><Status>Enabled"
		"</Status><AbortIncompleteMultipartUpload>"
		"<DaysAfterInitiation>%d</DaysAfterInitiation>"
		"</AbortIncompleteMultipartUpload></Rule>%s"
		"</LifecycleConfiguration>",
		others, S3_ABORT_DAYS,
		with_versions ? versions_rule : "") < 0) {
		free(c);
		return failed(s, NULL, "", why);
	}
	c->body = body;
	add_query(c, "lifecycle", "");
	/* some servers demand it here */
	EVP_Digest(body, strlen(body), digest, NULL, EVP_md5(), NULL);
	EVP_EncodeBlock((uint8_t *)md5, digest, sizeof(digest));
	add_header(c, "content-md5", md5);
	rc = s3_command_send(s, c) ? 0
				   : failed(s, c,
					 "set the lifecycle rule; "
					 "give the key the right "
					 "s3:PutLifecycleConfiguration",
					 why);
	free(body);
	free(c);
	return rc;
}

int
s3_lifecycle_add(
    const struct s3_server *s, bool with_versions, char why[CTL_HTTP_WHY_MAX])
{
	char code[64], *text = malloc(S3_REQUEST_ANSWER), *others;
	long status;
	int rc;

	if (text == NULL)
		return failed(s, NULL, "", why);
	status = get_property(
	    s, "lifecycle", code, sizeof(code), text, S3_REQUEST_ANSWER);
	/* the rules that are there are written back with ours: without them
	 * nothing is written */
	if (status != 200 &&
	    strcmp(code, "NoSuchLifecycleConfiguration") != 0) {
		snprintf(why, CTL_HTTP_WHY_MAX,
		    "the bucket's lifecycle rules cannot be read now (HTTP "
		    "%ld %.64s), so none is added; try again",
		    status, code);
		free(text);
		return -1;
	}
	if (status == 200 && strlen(text) >= S3_REQUEST_ANSWER - 1) {
		snprintf(why, CTL_HTTP_WHY_MAX,
		    "the bucket has more lifecycle rules than can be read; "
		    "add one that ends incomplete uploads after %d days",
		    S3_ABORT_DAYS);
		free(text);
		return -1;
	}
	others = other_rules(status == 200 ? text : "");
	rc = others != NULL ? put_rules(s, others, with_versions, why)
			    : failed(s, NULL, "", why);
	free(others);
	free(text);
	return rc;
}
