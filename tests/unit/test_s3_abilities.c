/*
 * What relaycam storage init concludes from an S3 server's answers. The
 * server is scripted; that real ones answer so is tests/integration/
 * test_storage_init.py's part.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "ctl/storage/s3_abilities.h"

struct answer {
	const char *method; /* and the part of the query or header below */
	const char *has;
	long status;
	const char *code, *text;
};

static const struct answer *script;
static char sent_body[8192];

static bool
has(const struct s3_command *c, const char *word)
{
	if (word == NULL)
		return true;
	for (size_t i = 0; i < c->n_query; i++)
		if (strcmp(c->query[i].name, word) == 0)
			return true;
	for (size_t i = 0; i < c->n_headers; i++)
		if (strcmp(c->headers[i].name, word) == 0)
			return true;
	return strcmp(word, "payload") == 0 && c->payload != NULL;
}

/* Stands in for ctl/storage/s3_request.c. */
bool
s3_command_send(const struct s3_server *s, struct s3_command *c)
{
	const struct answer *a = script++;

	if (a->method == NULL)
		fail_msg("%s was not expected", c->method);
	assert_string_equal(c->method, a->method);
	assert_true(has(c, a->has));
	snprintf(
	    sent_body, sizeof(sent_body), "%s", c->body != NULL ? c->body : "");
	c->status = a->status;
	snprintf(
	    c->code, sizeof(c->code), "%s", a->code != NULL ? a->code : "");
	snprintf(
	    c->answer, sizeof(c->answer), "%s", a->text != NULL ? a->text : "");
	return a->status >= 200 && a->status < 300;
}

void
s3_command_encrypt(const struct s3_server *s, struct s3_command *c)
{
}

static struct conf_store conf;
static struct s3_server server = { .conf = &conf };
static char why[CTL_HTTP_WHY_MAX];

static void
test_abilities(void **state)
{
	static const struct {
		struct answer answers[8];
		struct s3_abilities found;
		int rc;
	} rows[] = {
		{ { { "PUT", NULL, 200 }, { "PUT", "payload", 400 },
		      { "PUT", "if-none-match", 412 },
		      { "PUT", "if-match", 412 }, { "GET", "lifecycle", 200 },
		      { "GET", "object-lock", 200 }, { "DELETE", NULL, 204 } },
		    { true, true, true, true }, 0 },
		{ { { "PUT", NULL, 200 }, { "PUT", "payload", 200 },
		      { "PUT", "if-none-match", 200 },
		      { "GET", "lifecycle", 404,
			  "NoSuchLifecycleConfiguration" },
		      { "GET", "object-lock", 404 }, { "DELETE", NULL, 204 } },
		    { false, false, true, false }, 0 },
		/* a server in trouble refuses nothing: 500 proves no check */
		{ { { "PUT", NULL, 200 }, { "PUT", "payload", 503 },
		      { "PUT", "if-none-match", 412 },
		      { "PUT", "if-match", 200 },
		      { "GET", "lifecycle", 501, "NotImplemented" },
		      { "GET", "object-lock", -1 }, { "DELETE", NULL, 204 } },
		    { false, false, false, false }, 0 },
		{ { { "PUT", NULL, 403, "AccessDenied" } }, { 0 }, -1 },
		{ { { "PUT", NULL, 200 }, { "PUT", "payload", 400 },
		      { "PUT", "if-none-match", 412 },
		      { "PUT", "if-match", 412 }, { "GET", "lifecycle", 200 },
		      { "GET", "object-lock", 200 },
		      { "DELETE", NULL, 403, "AccessDenied" } },
		    { true, true, true, true }, -1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct s3_abilities found;

		script = rows[i].answers;
		why[0] = '\0';
		assert_int_equal(
		    s3_abilities_probe(&server, &found, why), rows[i].rc);
		assert_memory_equal(&found, &rows[i].found, sizeof(found));
		assert_null(script->method);
		assert_int_equal(why[0] != '\0', rows[i].rc != 0);
	}
}

static void
test_buckets(void **state)
{
	static const struct {
		struct answer answers[2];
		int rc;
	} rows[] = {
		{ { { "GET", "list-type", 200 } }, 1 },
		{ { { "GET", "list-type", 404, "NoSuchBucket" } }, 0 },
		/* it may be used without being listed */
		{ { { "GET", "list-type", 403, "AccessDenied" } }, 1 },
		{ { { "GET", "list-type", 403, "SignatureDoesNotMatch" } },
		    -1 },
		{ { { "GET", "list-type", -1 } }, -1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		script = rows[i].answers;
		assert_int_equal(s3_bucket_exists(&server, why), rows[i].rc);
	}
	script = (const struct answer[]){
		{ "PUT", "x-amz-bucket-object-lock-enabled", 200 }, { 0 }
	};
	assert_int_equal(s3_bucket_create(&server, true, why), 0);
	assert_string_equal(sent_body, "");
	conf.s3_region = (char *)(uintptr_t) "eu-central-1";
	script = (const struct answer[]){ { "PUT", NULL, 409 }, { 0 } };
	assert_int_equal(s3_bucket_create(&server, false, why), -1);
	assert_non_null(strstr(sent_body,
	    "<LocationConstraint>eu-central-1</LocationConstraint>"));
}

#define OURS "<Rule><ID>relaycam-abandoned-uploads</ID></Rule>"
#define MORE "<Rule><ID>relaycam-deleted-versions</ID></Rule>"
#define ELSE "<Rule><ID>somebody</ID><Status>Enabled</Status></Rule>"
#define RULES(rules)                                                           \
	"<LifecycleConfiguration>" rules "</LifecycleConfiguration>"

static void
test_rules_are_there(void **state)
{
	static const struct {
		struct answer answers[2];
		bool with_versions;
		int rc;
	} rows[] = {
		{ { { "GET", "lifecycle", 200, NULL, RULES(OURS) } }, false,
		    1 },
		{ { { "GET", "lifecycle", 200, NULL, RULES(OURS) } }, true, 0 },
		{ { { "GET", "lifecycle", 200, NULL, RULES(OURS MORE) } }, true,
		    1 },
		{ { { "GET", "lifecycle", 200, NULL, RULES(ELSE) } }, false,
		    0 },
		{ { { "GET", "lifecycle", 404,
		      "NoSuchLifecycleConfiguration" } },
		    false, 0 },
		{ { { "GET", "lifecycle", 403, "AccessDenied" } }, false, -1 },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		script = rows[i].answers;
		assert_int_equal(
		    s3_lifecycle_is_there(&server, rows[i].with_versions),
		    rows[i].rc);
	}
}

/* Rules of others are written back as they were, ours once. */
static void
test_rules_are_added(void **state)
{
	static const struct answer answers[] = {
		{ "GET", "lifecycle", 200, NULL, RULES(ELSE OURS MORE) },
		{ "PUT", "content-md5", 200 },
		{ 0 },
	};
	static const struct answer unreadable[] = {
		{ "GET", "lifecycle", 403, "AccessDenied" },
		{ 0 },
	};
	static char many[S3_REQUEST_ANSWER + 1];
	const char *ours;

	script = answers;
	assert_int_equal(s3_lifecycle_add(&server, true, why), 0);
	assert_non_null(strstr(sent_body, ELSE));
	ours = strstr(sent_body, "<ID>relaycam-abandoned-uploads</ID>");
	assert_non_null(ours);
	assert_null(strstr(ours + 1, "<ID>relaycam-abandoned-uploads</ID>"));
	assert_non_null(strstr(sent_body, "<DaysAfterInitiation>7<"));
	assert_non_null(strstr(sent_body, "<NoncurrentDays>7<"));

	/* where they cannot be read, nothing is written */
	script = unreadable;
	assert_int_equal(s3_lifecycle_add(&server, false, why), -1);
	assert_non_null(strstr(why, "cannot be read now"));
	memset(many, 'x', sizeof(many) - 1);
	script =
	    (const struct answer[]){ { "GET", "lifecycle", 200, NULL, many },
		    { 0 } };
	assert_int_equal(s3_lifecycle_add(&server, false, why), -1);
	assert_non_null(strstr(why, "more lifecycle rules"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abilities),
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_rules_are_there),
		cmocka_unit_test(test_rules_are_added),
	};

	conf = (struct conf_store){ .s3_region =
					(char *)(uintptr_t) "us-east-1",
		.s3_bucket = (char *)(uintptr_t) "recordings",
		.s3_endpoint = (char *)(uintptr_t) "https://s3.example.com" };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
