/* The metrics port: its parser, and the server with clients that are silent,
 * endless or many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/err.h"
#include "common/histogram.h"
#include "common/metrics_print.h"
#include "common/metrics_request.h"
#include "common/metrics_server.h"

/* ---- the parser ---- */

static const struct {
	const char *head;
	ssize_t rc; /* > 0: all of it is used */
	enum metrics_method method;
	const char *path;
} heads[] = {
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 1, METRICS_GET,
	    "/metrics" },
	{ "GET /metrics?x=y HTTP/1.0\r\n\r\n", 1, METRICS_GET, "/metrics" },
	{ "HEAD /healthz HTTP/1.1\nHost: a\n\n", 1, METRICS_HEAD, "/healthz" },
	{ "OPTIONS * HTTP/1.1\r\n\r\n", 1, METRICS_OPTIONS, "*" },
	{ "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 1, METRICS_GET, "/" },
	{ "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", ERR_PROTOCOL,
	    0, "" },
	{ "POST /metrics HTTP/1.1\r\n\r\n", ERR_UNSUPPORTED, 0, "" },
	{ "get /metrics HTTP/1.1\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "GET /metrics HTTP/2.0\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "GET /metrics\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "GET  HTTP/1.1\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "GET http://a/ HTTP/1.1\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "\r\n\r\n\r\n", ERR_PROTOCOL, 0, "" },
	{ "\n\n", ERR_PROTOCOL, 0, "" },
	{ "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaa HTTP/1.1\r\n\r\n",
	    ERR_NOTFOUND, 0, "" },
	{ "\x16\x03\x01\x02\n\n", ERR_PROTOCOL, 0, "" },
};

static void
test_heads_whole_and_byte_by_byte(void **state)
{
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct metrics_request req = { 0 };
		size_t len = strlen(heads[i].head);
		ssize_t want = heads[i].rc > 0 ? (ssize_t)len : heads[i].rc;
		ssize_t rc = 0;

		for (size_t n = 0; n <= len && rc == 0; n++) {
			char *part = malloc(n + 1); /* exact, for ASan */

			memcpy(part, heads[i].head, n);
			rc = metrics_request_parse(&req, part, n);
			free(part);
		}
		if (rc != want)
			print_message("%s", heads[i].head);
		assert_int_equal(rc, want);
		if (rc > 0) {
			assert_int_equal(req.method, heads[i].method);
			assert_string_equal(req.path, heads[i].path);
		}
	}
}

static void
test_a_head_has_a_limit(void **state)
{
	static char head[METRICS_HEAD_MAX + 100];
	struct metrics_request req;
	int n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nX: ");

	memset(head + n, 'a', sizeof(head) - (size_t)n);
	assert_int_equal(
	    metrics_request_parse(&req, head, METRICS_HEAD_MAX - 1), 0);
	assert_int_equal(
	    metrics_request_parse(&req, head, METRICS_HEAD_MAX), ERR_LIMIT);
	memcpy(head + METRICS_HEAD_MAX - 4, "\r\n\r\n", 4);
	assert_int_equal(metrics_request_parse(&req, head, METRICS_HEAD_MAX),
	    METRICS_HEAD_MAX);
	memcpy(head + METRICS_HEAD_MAX - 3, "\r\n\r\n", 4);
	assert_int_equal(
	    metrics_request_parse(&req, head, sizeof(head)), ERR_LIMIT);
}

/* ---- the server ---- */

struct rig {
	struct event_base *base;
	struct metrics_server *server;
	char listen[32];
	uint16_t port;
	int64_t offset_s;
};

static unsigned
print_page(void *arg, struct metrics_out *out)
{
	const struct metric row = { "value", "gauge", "A value.", 1 };

	metrics_print(out, "", &row, 1);
	return 200;
}

static unsigned
print_trouble(void *arg, struct metrics_out *out)
{
	evbuffer_add_printf(out->body, "the database is away\n");
	return 503;
}

static const struct metrics_page pages[] = {
	{ "/metrics", print_page },
	{ "/readyz", print_trouble },
};

static uint16_t
free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct metrics_server_conf conf = { .setting = "metrics_listen",
		.listen = r->listen,
		.pages = pages,
		.n_pages = 2 };
	char err[256];

	r->base = event_base_new();
	r->port = free_port();
	snprintf(r->listen, sizeof(r->listen), "127.0.0.1:%u", r->port);
	assert_int_equal(
	    metrics_server_new(&r->server, r->base, &conf, err, sizeof(err)),
	    0);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	metrics_server_free(r->server);
	event_base_free(r->base);
	clock_offset_set(0);
	free(r);
	return 0;
}

/* From an address of loopback, 127.0.0.x. */
static int
dial(struct rig *r, unsigned x)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(0x7f000000 | x);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sa.sin_port = htons(r->port);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Turns the loop until fd is at its end; what it said, in out. */
static void
hear(struct rig *r, int fd, char *out, size_t len)
{
	ssize_t n = -1;

	for (out[0] = '\0'; n != 0;) {
		event_base_loop(r->base, EVLOOP_NONBLOCK);
		n = recv(fd, out, len - 1, 0);
		if (n > 0) {
			out[n] = '\0';
			out += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EAGAIN)
			n = 0;
	}
}

static void
ask(struct rig *r, const char *head, char *out, size_t len)
{
	int fd = dial(r, 1);

	assert_int_equal(
	    send(fd, head, strlen(head), MSG_NOSIGNAL), strlen(head));
	hear(r, fd, out, len);
	close(fd);
}

static bool
is_open(int fd)
{
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_PEEK);

	return n > 0 || (n < 0 && errno == EAGAIN);
}

static void
test_answers(void **state)
{
	static const struct {
		const char *method_and_path, *status, *has;
	} cases[] = {
		{ "GET /metrics", "200", "\nvalue 1\n" },
		{ "HEAD /metrics", "200", "Content-Length: 49\r\n\r\n" },
		{ "GET /readyz", "503", "\r\n\r\nthe database is away\n" },
		{ "GET /", "404", "no such page" },
		{ "OPTIONS *", "204", "Allow: GET, HEAD, OPTIONS\r\n" },
		{ "POST /metrics", "405", "Allow: GET, HEAD, OPTIONS\r\n" },
		{ "nonsense", "400", "" },
	};
	char head[100], said[1000], status[20];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(head, sizeof(head), "%s HTTP/1.1\r\nHost: x\r\n\r\n",
		    cases[i].method_and_path);
		ask(*state, head, said, sizeof(said));
		snprintf(
		    status, sizeof(status), "HTTP/1.1 %s ", cases[i].status);
		assert_ptr_equal(strstr(said, status), said);
		assert_non_null(strstr(said, cases[i].has));
		if (strncmp(head, "HEAD", 4) == 0)
			assert_string_equal(
			    strstr(said, "\r\n\r\n"), "\r\n\r\n");
	}
}

static size_t
resident(void)
{
	size_t all, present = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu %zu", &all, &present), 2);
	fclose(f);
	return present * (size_t)sysconf(_SC_PAGESIZE);
}

/* Sends 32 MiB or what the server takes; it may not keep them, nor stay. */
static void
flood(struct rig *r, const char *first, const char *again)
{
	int fd = dial(r, 1);
	static char block[65536];
	size_t before, len = 0, sent = 0;
	char said[4096];
	ssize_t n = send(fd, first, strlen(first), MSG_NOSIGNAL);

	while (len + strlen(again) < sizeof(block))
		len += (size_t)sprintf(block + len, "%s", again);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	before = resident();
	while (sent < 24 << 20 && (n > 0 || errno == EAGAIN)) {
		n = send(fd, block, len, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
	assert_true(resident() < before + (8 << 20));
	clock_offset_set((METRICS_LIFE_SECONDS + 2) * (int64_t)NS_PER_S);
	while (n >= 0 || errno == EAGAIN) {
		n = recv(fd, said, sizeof(said), 0);
		if (n == 0)
			break;
		n = send(fd, block, len, MSG_NOSIGNAL);
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
	close(fd);
	clock_offset_set(0);
}

static void
test_endless_heads_and_bodies(void **state)
{
	flood(*state, "GET /metrics HTTP/1.1\r\n", "X: aaaaaaaaaaaaaaaa\r\n");
	flood(*state, "GET /metrics HTTP/1.1\r\nX: ", "aaaaaaaaaaaaaaaaaaaaaa");
	flood(*state, "GET /", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	flood(*state, "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	flood(*state, "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "8\r\naaaaaaaa\r\n");
	flood(*state, "GET /metrics HTTP/1.1\r\n\r\n",
	    "GET /metrics HTTP/1.1\r\n\r\n");
}

static void
test_silent_clients_leave_and_keep_nobody_out(void **state)
{
	struct rig *r = *state;
	int fd[2 * METRICS_CONNECTIONS];
	unsigned n = 0, n_open = 0;
	char said[1000];

	for (unsigned i = 0; i < 2 * METRICS_CONNECTIONS; i++) {
		fd[i] = dial(r, 2 + i / METRICS_CONNECTIONS_PER_ADDRESS);
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	}
	for (unsigned i = 0; i < 2 * METRICS_CONNECTIONS; i++)
		n += is_open(fd[i]);
	assert_true(n <= METRICS_CONNECTIONS);
	/* old enough that another address may take the place of one */
	clock_offset_set(6 * (int64_t)NS_PER_S);
	ask(r, "GET /metrics HTTP/1.1\r\n\r\n", said, sizeof(said));
	assert_non_null(strstr(said, "value 1"));
	clock_offset_set((METRICS_LIFE_SECONDS + 1) * (int64_t)NS_PER_S);
	do {
		event_base_loop(r->base, EVLOOP_ONCE);
		n_open = 0;
		for (unsigned i = 0; i < 2 * METRICS_CONNECTIONS; i++)
			n_open += is_open(fd[i]);
	} while (n_open > 0);
	for (unsigned i = 0; i < 2 * METRICS_CONNECTIONS; i++)
		close(fd[i]);
}

static void
test_bad_addresses_are_named(void **state)
{
	static const char *const bad[] = { "", "1", "127.0.0.1", ":", ":x",
		":99999", "[::1]", "not.a.name.invalid:1", "192.0.2.1:1" };
	struct event_base *base = event_base_new();
	struct metrics_server *s = NULL;
	char err[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct metrics_server_conf conf = { .setting = "the.setting",
			.listen = bad[i] };

		assert_int_equal(
		    metrics_server_new(&s, base, &conf, err, sizeof(err)),
		    ERR_CONFIG);
		assert_non_null(strstr(err, "the.setting"));
	}
	event_base_free(base);
}

static void
test_series_of_a_name_share_their_head(void **state)
{
	const struct metric rows[] = {
		{ "a_total", "counter", "What a is.", 1, "code", "200" },
		{ "a_total", "counter", "", UINT64_MAX, "code", "503" },
		{ "b", "gauge", "What b is.", 0 },
	};
	struct metrics_out out = { .body = evbuffer_new() };

	metrics_print(&out, "x_", rows, 3);
	metrics_print_end(&out);
	evbuffer_add(out.body, "", 1);
	assert_string_equal((char *)evbuffer_pullup(out.body, -1),
	    "# HELP x_a_total What a is.\n"
	    "# TYPE x_a_total counter\n"
	    "x_a_total{code=\"200\"} 1\n"
	    "x_a_total{code=\"503\"} 18446744073709551615\n"
	    "# HELP x_b What b is.\n"
	    "# TYPE x_b gauge\n"
	    "x_b 0\n");
	evbuffer_free(out.body);
}

static void
test_openmetrics_names_families_units_and_the_end(void **state)
{
	const struct metric rows[] = {
		{ "a_bytes_total", "counter", "What a is.", 7 },
		{ "b_seconds", "gauge", "What b is.", 1500, NULL, NULL, 1000 },
	};
	struct metrics_out out = { evbuffer_new(), METRICS_OPENMETRICS, false };

	metrics_print(&out, "x_", rows, 2);
	metrics_print_end(&out);
	evbuffer_add(out.body, "", 1);
	assert_string_equal((char *)evbuffer_pullup(out.body, -1),
	    "# HELP x_a_bytes What a is.\n"
	    "# TYPE x_a_bytes counter\n"
	    "# UNIT x_a_bytes bytes\n"
	    "x_a_bytes_total 7\n"
	    "# HELP x_b_seconds What b is.\n"
	    "# TYPE x_b_seconds gauge\n"
	    "# UNIT x_b_seconds seconds\n"
	    "x_b_seconds 1.500000\n"
	    "# EOF\n");
	evbuffer_free(out.body);
}

/* One at a bound, one past it and one past all of them. */
static void
test_histograms_count_at_their_bounds(void **state)
{
	struct histogram h = { 0 };
	struct histogram_sum sum = { 0 };
	struct metric_histogram row = { "t_seconds", "T.", "p", "v", &sum };
	struct metrics_out out = { .body = evbuffer_new() };
	const char *text;

	histogram_observe(&h, 25000);
	histogram_observe(&h, 25001);
	histogram_observe(&h, 31 * NS_PER_S);
	histogram_add(&sum, &h);
	histogram_add(&sum, &h);
	for (unsigned i = 1; i < HISTOGRAM_BOUNDS; i++)
		assert_true(
		    histogram_bounds[i].ns > histogram_bounds[i - 1].ns);
	for (unsigned i = 0; i < HISTOGRAM_BOUNDS; i++)
		assert_int_equal(
		    (uint64_t)(strtod(histogram_bounds[i].seconds, NULL) * 1e9 +
			0.5),
		    histogram_bounds[i].ns);
	metrics_print_histograms(&out, "x_", &row, 1);
	evbuffer_add(out.body, "", 1);
	text = (char *)evbuffer_pullup(out.body, -1);
	assert_non_null(
	    strstr(text, "x_t_seconds_bucket{p=\"v\",le=\"2.5e-05\"} 2\n"));
	assert_non_null(
	    strstr(text, "x_t_seconds_bucket{p=\"v\",le=\"5e-05\"} 4\n"));
	assert_non_null(
	    strstr(text, "x_t_seconds_bucket{p=\"v\",le=\"30.0\"} 4\n"));
	assert_non_null(
	    strstr(text, "x_t_seconds_bucket{p=\"v\",le=\"+Inf\"} 6\n"));
	assert_non_null(strstr(text, "x_t_seconds_count{p=\"v\"} 6\n"));
	assert_non_null(strstr(text, "x_t_seconds_sum{p=\"v\"} 62.000100\n"));
	evbuffer_free(out.body);
}

static void
test_the_format_is_the_one_that_is_asked_for(void **state)
{
	static const struct {
		const char *accept;
		bool is_open;
	} cases[] = {
		{ "", false },
		{ "Accept: */*\r\n", false },
		{ "accept: application/openmetrics-text\r\n", true },
		{ "Accept: application/openmetrics-text;version=1.0.0,"
		  "application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n",
		    true },
		{ "Accept: text/plain, application/openmetrics-text;q=0.9\r\n",
		    false },
		{ "Accept: text/plain;q=0.3\r\n"
		  "Accept: application/openmetrics-text; q=0.5\r\n",
		    true },
		{ "Accept: application/openmetrics-text;q=0\r\n", false },
		{ "Accept: application/openmetrics-text;q=x\r\n", false },
		{ "Accept: ,;,;q=,application/openmetrics-textual\r\n", false },
		{ "X: application/openmetrics-text\r\n", false },
	};
	char head[400], said[1000];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(head, sizeof(head), "GET /metrics HTTP/1.1\r\n%s\r\n",
		    cases[i].accept);
		ask(*state, head, said, sizeof(said));
		assert_true(
		    (strstr(said, "\n# EOF\n") != NULL) == cases[i].is_open);
		assert_non_null(strstr(said,
		    cases[i].is_open
			? "Content-Type: application/openmetrics-text; "
			  "version=1.0.0; charset=utf-8\r\n"
			: "Content-Type: text/plain; version=0.0.4; "));
	}
	/* a page without metrics is none of them */
	ask(*state,
	    "GET /readyz HTTP/1.1\r\n"
	    "Accept: application/openmetrics-text\r\n\r\n",
	    said, sizeof(said));
	assert_null(strstr(said, "openmetrics"));
	assert_null(strstr(said, "EOF"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_whole_and_byte_by_byte),
		cmocka_unit_test(test_a_head_has_a_limit),
		cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_endless_heads_and_bodies, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_silent_clients_leave_and_keep_nobody_out, setup,
		    teardown),
		cmocka_unit_test(test_bad_addresses_are_named),
		cmocka_unit_test(test_series_of_a_name_share_their_head),
		cmocka_unit_test(
		    test_openmetrics_names_families_units_and_the_end),
		cmocka_unit_test(test_histograms_count_at_their_bounds),
		cmocka_unit_test_setup_teardown(
		    test_the_format_is_the_one_that_is_asked_for, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
