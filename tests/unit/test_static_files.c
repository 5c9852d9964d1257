/* The viewer's files: loaded from real folders, found by exact name only. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/err.h"
#include "relay/http/http_request.h"
#include "relay/http/static_files.h"

static char dir[64];
static struct static_files *files;
static char why[200];
static struct buf out;

static void
put_file(const char *name, const char *text, size_t len)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static void
put_folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/test_static_files.XXXXXX");
	assert_non_null(mkdtemp(dir));
	put_folder("web");
	put_folder("web/js");
	put_folder("novnc");
	put_folder("novnc/core");
	put_folder("novnc/vendor");
	put_file("web/index.html", "<p>page", 7);
	put_file("web/js/a.js", "js\n", 3);
	put_file("web/empty.css", "", 0);
	put_file("web/.hidden.js", "x", 1);
	put_file("web/notes.md", "x", 1);
	put_file("secret.txt", "x", 1);
	put_file("novnc/vnc.html", "x", 1);
	put_file("novnc/core/rfb.js", "rfb", 3);
	buf_init(&out, STATIC_FILES_MAX_BYTES);
	return 0;
}

static int
load(const char *web, const char *novnc)
{
	char web_dir[256], novnc_dir[256];

	snprintf(web_dir, sizeof(web_dir), "%s/%s", dir, web);
	snprintf(novnc_dir, sizeof(novnc_dir), "%s/%s", dir, novnc);
	return static_files_load(&files, web_dir,
	    novnc[0] == '\0' ? NULL : novnc_dir, why, sizeof(why));
}

static int
teardown(void **state)
{
	char command[100];

	static_files_free(files);
	files = NULL;
	buf_release(&out);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

/* The answer to a GET or HEAD with more fields ("" for none). */
static const char *
get(const char *method, const char *path, const char *fields)
{
	static struct http_request req;
	char text[1000];

	snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: a\r\n%s\r\n",
	    method, path, fields);
	assert_true(
	    http_request_parse(&req, (const uint8_t *)text, strlen(text)) > 0);
	buf_release(&out);
	assert_int_equal(static_files_answer(files, &req, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	return (const char *)buf_head(&out);
}

static void
assert_answer(
    const char *answer, const char *status, const char *type, const char *body)
{
	char line[100];

	assert_memory_equal(answer, "HTTP/1.1 ", 9);
	assert_memory_equal(answer + 9, status, strlen(status));
	snprintf(line, sizeof(line), "Content-Type: %s", type);
	assert_non_null(strstr(answer, line));
	assert_string_equal(strstr(answer, "\r\n\r\n") + 4, body);
	assert_non_null(strstr(answer, "nosniff"));
	assert_non_null(strstr(answer, "Cache-Control: no-"));
}

static void
test_found(void **state)
{
	assert_int_equal(load("web", "novnc"), 0);
	assert_answer(get("GET", "/", ""), "200", "text/html", "<p>page");
	assert_answer(
	    get("GET", "/index.html?x", ""), "200", "text/html", "<p>page");
	assert_answer(
	    get("GET", "/js/a.js", ""), "200", "text/javascript", "js\n");
	assert_answer(get("GET", "/empty.css", ""), "200", "text/css", "");
	assert_answer(get("GET", "/novnc/core/rfb.js", ""), "200",
	    "text/javascript", "rfb");
	assert_answer(get("HEAD", "/", ""), "200", "text/html", "");
	assert_non_null(strstr(get("HEAD", "/", ""), "Content-Length: 7\r\n"));
}

static void
test_not_found(void **state)
{
	static const char *const paths[] = { "/nothing", "//", "/js", "/js/",
		"/.hidden.js", "/notes.md", "/novnc/vnc.html", "/../secret.txt",
		"/js/../../secret.txt", "/%2e%2e/secret.txt", "/INDEX.HTML",
		"/index.html/", "/%69ndex.html" };

	assert_int_equal(load("web", "novnc"), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_memory_equal(
		    get("GET", paths[i], ""), "HTTP/1.1 404", 12);
}

static void
test_etag(void **state)
{
	char etag[100], field[200];
	const char *answer;

	assert_int_equal(load("web", ""), 0);
	assert_int_equal(
	    sscanf(strstr(get("GET", "/", ""), "ETag: "), "ETag: %99s", etag),
	    1);
	snprintf(field, sizeof(field), "If-None-Match: %s\r\n", etag);
	answer = get("GET", "/", field);
	assert_memory_equal(answer, "HTTP/1.1 304", 12);
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
	snprintf(field, sizeof(field), "If-None-Match: \"x\", W/%s\r\n", etag);
	assert_memory_equal(get("GET", "/", field), "HTTP/1.1 304", 12);
	assert_memory_equal(get("GET", "/js/a.js", field), "HTTP/1.1 200", 12);

	/* another content is another tag */
	put_file("web/index.html", "<p>egap", 7);
	static_files_free(files);
	assert_int_equal(load("web", ""), 0);
	assert_memory_equal(get("GET", "/", field), "HTTP/1.1 200", 12);
}

static void
test_what_cannot_be_loaded(void **state)
{
	char *big = calloc(1, STATIC_FILES_MAX_BYTES);

	assert_int_equal(load("none", ""), ERR_CONFIG);
	assert_null(files);
	assert_non_null(strstr(why, "No such file"));
	assert_int_equal(load("web", "web"), ERR_CONFIG);
	assert_non_null(strstr(why, "core"));
	put_folder("nopage");
	assert_int_equal(load("nopage", ""), ERR_CONFIG);
	assert_non_null(strstr(why, "index.html"));

	/* the bound holds over all files together, to the byte */
	put_file("web/big.txt", big, STATIC_FILES_MAX_BYTES - 10);
	assert_int_equal(load("web", ""), 0);
	static_files_free(files);
	put_file("web/big.txt", big, STATIC_FILES_MAX_BYTES - 9);
	assert_int_equal(load("web", ""), ERR_LIMIT);
	free(big);
}

static void
test_no_room_for_the_answer(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http_request req;
	struct buf small;

	assert_int_equal(load("web", ""), 0);
	assert_true(
	    http_request_parse(&req, (const uint8_t *)text, strlen(text)) > 0);
	buf_init(&small, 500);
	assert_int_equal(static_files_answer(files, &req, &small), ERR_LIMIT);
	assert_int_equal(buf_len(&small), 0);
	buf_release(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_etag, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_what_cannot_be_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_no_room_for_the_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
