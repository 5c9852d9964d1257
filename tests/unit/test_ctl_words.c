/*
 * The command line's words: options by their table, statements from filters,
 * "host:port". Messages go to a stand-in that counts them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/ctl.h"
#include "ctl/ctl_hostport.h"
#include "ctl/sql.h"

static int n_messages;

int
ctl_error(const char *fmt, ...)
{
	n_messages++;
	return STATUS_FAILED;
}

int
ctl_usage(const char *fmt, ...)
{
	n_messages++;
	return STATUS_USAGE;
}

static const struct arg_opt opts[] = {
	{ "json", NULL, "" },
	{ "limit", "N", "" },
	{ "from", "TIME", "" },
	{ "team", "NAME", "" },
};

/* words: up to 8, then NULL. */
static int
parse(struct args *a, const char *const words[8])
{
	int n = 0;

	while (n < 8 && words[n] != NULL)
		n++;
	n_messages = 0;
	return args_parse(
	    a, opts, N_ELEMENTS(opts), n, (char **)(uintptr_t)words);
}

static void
test_args(void **state)
{
	static const char *const good[8] = { "a", "--limit", "5", "--json",
		"--team=x=y", "--", "--b", "-" };
	struct args a;
	int64_t n;

	assert_int_equal(parse(&a, good), 0);
	assert_int_equal(a.n_words, 3);
	assert_string_equal(a.words[0], "a");
	assert_string_equal(a.words[1], "--b");
	assert_string_equal(a.words[2], "-");
	assert_true(args_has(&a, "json"));
	assert_false(args_has(&a, "from"));
	assert_string_equal(args_get(&a, "team"), "x=y");
	assert_int_equal(args_number(&a, "limit", 1, 5, 9, &n), 0);
	assert_int_equal(n, 5);
	assert_int_equal(args_number(&a, "limit", 1, 4, 9, &n), STATUS_USAGE);
	assert_int_equal(args_number(&a, "from", 1, 4, 3, &n), 0);
	assert_int_equal(n, 3);
}

static void
test_args_refused(void **state)
{
	static const char *const bad[][8] = {
		{ "--limits", "5" },          /* no such option */
		{ "--lim", "5" },             /* nor its beginning */
		{ "--limit" },                /* no value */
		{ "--json=1" },               /* a switch */
		{ "-x" }, { "--set", "a=b" }, /* goes before the command */
	};
	static const char *const help[8] = { "--limit=1", "-x", "--help" };
	static const char *const help_first[8] = { "--help", "-x" };
	struct args a;

	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_int_equal(parse(&a, bad[i]), STATUS_USAGE);
		assert_int_equal(n_messages, 1);
	}
	assert_int_equal(parse(&a, help), STATUS_USAGE);
	assert_int_equal(parse(&a, help_first), 0);
	assert_true(a.help);
}

static void
test_seconds(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds; /* 0: refused */
	} rows[] = { { "90", 90 }, { "90s", 90 }, { "2m", 120 }, { "1h", 3600 },
		{ "1d", 86400 }, { "2d", 0 }, { "1w", 0 }, { "1ms", 0 },
		{ "m", 0 }, { "", 0 }, { "-5", 0 }, { "59", 0 },
		{ "99999999999999999999", 0 }, { "153722867280912931m", 0 } };
	struct args a;
	int64_t n;

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const char *const words[8] = { "--limit", rows[i].text };

		assert_int_equal(parse(&a, words), 0);
		if (rows[i].seconds == 0) {
			assert_int_equal(
			    args_seconds(&a, "limit", 60, 86400, 0, &n),
			    STATUS_USAGE);
			continue;
		}
		assert_int_equal(
		    args_seconds(&a, "limit", 60, 86400, 0, &n), 0);
		assert_int_equal(n, rows[i].seconds);
	}
}

static void
test_sql(void **state)
{
	static const struct sql_option filters[] = { { "team", "t.name = ?" },
		{ "json", "is_open" } };
	static const char *const words[8] = { "--team", "a'; DROP", "--json",
		"--from", "2026-11-21 09:15" };
	struct args a;
	struct sql q;

	assert_int_equal(parse(&a, words), 0);
	assert_int_equal(sql_init(&q), 0);
	sql_add(&q, "SELECT 1 FROM x");
	sql_options(&q, &a, filters, N_ELEMENTS(filters));
	assert_int_equal(sql_time(&q, &a, "from", "at", ">=", "zone"), 0);
	assert_string_equal(sql_text(&q),
	    "SELECT 1 FROM x WHERE t.name = $1 AND is_open AND at >= "
	    "($2::timestamp AT TIME ZONE zone)");
	assert_int_equal(q.n, 2);
	assert_string_equal(q.params[0], "a'; DROP");
	sql_release(&q);
}

static void
test_sql_time(void **state)
{
	static const char *const good[] = { "2026-11-21",
		"2026-11-21T09:15:00Z", "2026-11-21 09:15+01:00" };
	static const char *const bad[] = { "", "yesterday", "2026-11-2",
		"2026-11-21x", "21.11.2026", "2026-11-21 now()", "now" };
	struct args a;
	struct sql q;

	for (size_t i = 0; i < N_ELEMENTS(good) + N_ELEMENTS(bad); i++) {
		bool is_good = i < N_ELEMENTS(good);
		const char *s = is_good ? good[i] : bad[i - N_ELEMENTS(good)];
		const char *const words[8] = { "--from", s };

		assert_int_equal(parse(&a, words), 0);
		assert_int_equal(sql_init(&q), 0);
		assert_int_equal(sql_time(&q, &a, "from", "at", "<", "z"),
		    is_good ? 0 : STATUS_USAGE);
		assert_int_equal(q.n, is_good);
		sql_text(&q);
		sql_release(&q);
	}
}

static void
test_hostport(void **state)
{
	static const struct {
		const char *text, *host, *port; /* host NULL: refused */
	} rows[] = { { "desk", "desk", "" }, { "desk:5900", "desk", "5900" },
		{ "10.0.0.1:1", "10.0.0.1", "1" }, { "::1", "::1", "" },
		{ "[::1]", "::1", "" }, { "[::1]:65535", "::1", "65535" },
		{ "desk:0", NULL, NULL }, { "desk:65536", NULL, NULL },
		{ "desk:", NULL, NULL }, { "desk:5900x", NULL, NULL },
		{ ":5900", NULL, NULL }, { "", NULL, NULL },
		{ "[::1", NULL, NULL }, { "[::1]5900", NULL, NULL },
		{ "[]:1", NULL, NULL } };
	char host[HOST_MAX], port[8], large[HOST_MAX + 1];

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		int rc = hostport_split(rows[i].text, host, port);

		if (rows[i].host == NULL) {
			assert_int_equal(rc, ERR_CONFIG);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(host, rows[i].host);
		assert_string_equal(port, rows[i].port);
	}
	memset(large, 'a', HOST_MAX);
	large[HOST_MAX] = '\0';
	assert_int_equal(hostport_split(large, host, port), ERR_CONFIG);
	large[HOST_MAX - 1] = '\0';
	assert_int_equal(hostport_split(large, host, port), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_args_refused),
		cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_sql),
		cmocka_unit_test(test_sql_time),
		cmocka_unit_test(test_hostport),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
