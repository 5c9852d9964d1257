/* Requests of tus (storage/upload/tus.h), good, cut and hostile ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "storage/upload/tus.h"

#define ID        "3f2b8c1e-5a4d-4e6f-8a7b-9c0d1e2f3a4b"
#define ID64      "M2YyYjhjMWUtNWE0ZC00ZTZmLThhN2ItOWMwZDFlMmYzYTRi"
#define SHA1_64   "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="
#define SHA256_64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define HOST      "Host: x\r\nTus-Resumable: 1.0.0\r\n"
#define OCTETS    "Content-Type: application/offset+octet-stream\r\n"
#define CREATE                                                                 \
	"POST /captures HTTP/1.1\r\n" HOST "Content-Length: 0\r\n"             \
	"Upload-Length: 100\r\nUpload-Metadata: capture " ID64
#define APPEND                                                                 \
	"PATCH /captures/" ID " HTTP/1.1\r\n" HOST OCTETS                      \
	"Content-Length: 10\r\nUpload-Offset: 5\r\n"

static long
parse(struct tus_request *r, const char *text, struct tus_refusal *why)
{
	size_t len = strlen(text);
	char *exact = malloc(len); /* so that reading behind it is seen */
	long n;

	memcpy(exact, text, len);
	n = tus_parse(r, exact, len, why);
	free(exact);
	return n;
}

static void
accepts(struct tus_request *r, const char *text)
{
	struct tus_refusal why = { 0 };
	long n = parse(r, text, &why);

	if (n != (long)strlen(text))
		print_message("%s\n%d %s\n", text, why.status, why.text);
	assert_int_equal(n, strlen(text));
}

static void
refuses(const char *text, int status)
{
	struct tus_request r;
	struct tus_refusal why = { 0 };
	long n = parse(&r, text, &why);

	if (n != -1 || why.status != status)
		print_message("%s\nis %d, not %d\n", text, why.status, status);
	assert_int_equal(n, -1);
	assert_int_equal(why.status, status);
	assert_string_not_equal(tus_reason(status), "Error");
}

static void
create_says_what_comes(void **state)
{
	struct tus_request r;

	accepts(&r, CREATE "\r\n\r\n");
	assert_int_equal(r.method, TUS_CREATE);
	assert_string_equal(r.id, ID);
	assert_int_equal(r.length, 100);
	assert_false(r.is_sealed || r.has_digest || r.wants_close);
	accepts(&r,
	    CREATE ",encryption c2VjcmV0c3RyZWFt,name eA==,empty\r\n"
		   "Repr-Digest: sha-512=:AA==:, sha-256=:" SHA256_64
		   ":\r\nConnection: keep-alive, close\r\n\r\n");
	assert_true(r.is_sealed && r.has_digest && r.wants_close);
	assert_int_equal(r.digest[0], 0xe3);
}

static void
append_says_where(void **state)
{
	struct tus_request r;

	accepts(&r, APPEND "\r\n");
	assert_int_equal(r.method, TUS_APPEND);
	assert_int_equal(r.offset, 5);
	assert_int_equal(r.body_len, 10);
	assert_int_equal(r.checksum, TUS_CHECKSUM_NONE);
	accepts(&r, APPEND "upload-checksum: sha1 " SHA1_64 "\r\n\r\n");
	assert_int_equal(r.checksum, TUS_CHECKSUM_SHA1);
	accepts(&r,
	    APPEND "Upload-Checksum: sha256 " SHA256_64
		   "\r\nExpect: 100-continue\r\n\r\n");
	assert_int_equal(r.checksum, TUS_CHECKSUM_SHA256);
	assert_true(r.wants_continue);
}

static void
other_methods(void **state)
{
	struct tus_request r;

	accepts(&r, "OPTIONS /captures HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_int_equal(r.method, TUS_OPTIONS);
	accepts(&r, "HEAD /captures/" ID " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(r.method, TUS_HEAD);
	accepts(&r, "DELETE /captures/" ID " HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(r.method, TUS_DELETE);
	/* tus: a client behind something that knows no PATCH */
	accepts(&r,
	    "POST /captures/" ID " HTTP/1.1\r\n" HOST OCTETS
	    "X-HTTP-Method-Override: PATCH\r\n"
	    "Content-Length: 1\r\nUpload-Offset: 0\r\n\r\n");
	assert_int_equal(r.method, TUS_APPEND);
	accepts(&r, "HEAD /captures/" ID " HTTP/1.0\r\n" HOST "\r\n");
	assert_true(r.wants_close);
}

/* Each beginning needs more bytes, and none is taken for the whole. */
static void
cut_anywhere(void **state)
{
	static const char text[] =
	    APPEND "Upload-Checksum: sha1 " SHA1_64 "\r\n\r\n";
	struct tus_request r;
	struct tus_refusal why;
	char part[sizeof(text)];

	for (size_t n = 0; n + 1 < sizeof(text); n++) {
		memcpy(part, text, n);
		part[n] = '\0';
		assert_int_equal(parse(&r, part, &why), 0);
	}
}

static void
broken_http(void **state)
{
	static const char *const heads[] = {
		"\r\n\r\n",
		"HEAD\r\n\r\n",
		"HEAD  /captures HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /captures HTTP/1.1 x\r\nHost: x\r\n\r\n",
		"HE\rAD /captures HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD /captures HTTP/1.1\nHost: x\n\n",
		"HEAD /captures HTTP/1.1\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost : x\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost: x\r\nA: \001\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
		"HEAD /captures HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n",
	};

	for (size_t i = 0; i < N_ELEMENTS(heads); i++)
		refuses(heads[i], 400);
	refuses("HEAD /captures HTTP/2.0\r\nHost: x\r\n\r\n", 505);
}

static void
over_the_limits(void **state)
{
	char *text = malloc(HTTP_HEAD_MAX * 2);
	size_t n = (size_t)sprintf(text, "HEAD /captures/" ID " HTTP/1.1\r\n");

	memset(text + n, 'a', HTTP_HEAD_MAX);
	text[n + HTTP_HEAD_MAX] = '\0';
	refuses(text, 431);
	for (int i = 0; i < HTTP_HEAD_FIELDS_MAX + 1; i++)
		n += (size_t)sprintf(text + n, "A%d: b\r\n", i);
	sprintf(text + n, "\r\n");
	refuses(text, 431);
	free(text);
}

static void
wrong_requests(void **state)
{
	static const struct {
		const char *text;
		int status;
	} wrong[] = {
		{ "GET /captures/" ID " HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "HEAD /captures HTTP/1.1\r\n" HOST "\r\n", 405 },
		{ "HEAD /files/a HTTP/1.1\r\n" HOST "\r\n", 404 },
		{ "HEAD /capturesx HTTP/1.1\r\n" HOST "\r\n", 404 },
		{ "HEAD /captures/../" ID " HTTP/1.1\r\n" HOST "\r\n", 404 },
		{ "HEAD /captures/3F2B8C1E-5a4d-4e6f-8a7b-9c0d1e2f3a4b "
		  "HTTP/1.1\r\n" HOST "\r\n",
		    404 },
		{ "HEAD /captures/" ID " HTTP/1.1\r\nHost: x\r\n\r\n", 412 },
		{ "HEAD /captures/" ID " HTTP/1.1\r\nHost: x\r\n"
		  "Tus-Resumable: 0.2.2\r\n\r\n",
		    412 },
		{ "HEAD /captures/" ID " HTTP/1.1\r\n" HOST
		  "Content-Length: 5\r\n\r\n",
		    400 },
		{ APPEND "Transfer-Encoding: chunked\r\n\r\n", 411 },
		{ APPEND "Content-Length: 10\r\n\r\n", 400 },
		{ APPEND "Upload-Offset: 5\r\n\r\n", 400 },
		{ APPEND "Expect: tea\r\n\r\n", 417 },
		{ APPEND "Upload-Checksum: md5 AAAA\r\n\r\n", 400 },
		{ APPEND "Upload-Checksum: sha256 " SHA1_64 "\r\n\r\n", 400 },
		{ APPEND "Upload-Checksum: sha1 " SHA256_64 "\r\n\r\n", 400 },
		{ APPEND "Upload-Checksum:\r\n\r\n", 400 },
		{ APPEND "Repr-Digest: sha-256=AAAA\r\n\r\n", 400 },
		{ APPEND "Repr-Digest: sha-256=:AAAA:\r\n\r\n", 400 },
		{ "PATCH /captures/" ID " HTTP/1.1\r\n" HOST OCTETS
		  "Upload-Offset: 0\r\n\r\n",
		    411 },
		{ "PATCH /captures/" ID " HTTP/1.1\r\n" HOST
		  "Content-Length: 1\r\nUpload-Offset: 0\r\n\r\n",
		    415 },
		{ "PATCH /captures/" ID " HTTP/1.1\r\n" HOST OCTETS
		  "Content-Length: 1\r\nUpload-Offset: -1\r\n\r\n",
		    400 },
		{ "PATCH /captures/" ID " HTTP/1.1\r\n" HOST OCTETS
		  "Content-Length: 99999999999999999999\r\n"
		  "Upload-Offset: 0\r\n\r\n",
		    400 },
		{ "POST /captures HTTP/1.1\r\n" HOST "Content-Length: 0\r\n"
		  "Upload-Metadata: capture " ID64 "\r\n\r\n",
		    400 },
		{ "POST /captures HTTP/1.1\r\n" HOST "Content-Length: 0\r\n"
		  "Upload-Length: 5\r\n\r\n",
		    400 },
		{ CREATE "x\r\n\r\n", 400 },
		{ CREATE ",capture " ID64 "\r\n\r\n", 400 },
		{ CREATE ",encryption cm90MTM=\r\n\r\n", 400 },
		{ CREATE ",,\r\n\r\n", 400 },
		{ "POST /captures/" ID " HTTP/1.1\r\n" HOST
		  "Content-Length: 0\r\nUpload-Length: 5\r\n\r\n",
		    405 },
	};

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		refuses(wrong[i].text, wrong[i].status);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_says_what_comes),
		cmocka_unit_test(append_says_where),
		cmocka_unit_test(other_methods),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(broken_http),
		cmocka_unit_test(over_the_limits),
		cmocka_unit_test(wrong_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
