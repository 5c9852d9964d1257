/* buf, clock, log, err and conf of common/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/bytes.h"
#include "common/clock.h"
#include "common/conf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/log_limit.h"

static void
buf_queues_bytes(void **state)
{
	struct buf b;
	char byte;

	buf_init(&b, 1000);
	for (int i = 0; i < 3000; i++) {
		byte = (char)i;
		assert_int_equal(buf_append(&b, &byte, 1), 0);
		if (buf_len(&b) == 700) {
			assert_int_equal(*buf_head(&b), (uint8_t)(i - 699));
			buf_consume(&b, 650);
		}
	}
	assert_int_equal(buf_head(&b)[buf_len(&b) - 1], (uint8_t)2999);
	buf_release(&b);
}

static void
buf_keeps_its_limit(void **state)
{
	struct buf b;
	char data[64] = { 0 };

	buf_init(&b, 100);
	assert_int_equal(buf_append(&b, data, 64), 0);
	assert_int_equal(buf_append(&b, data, 37), ERR_LIMIT);
	assert_int_equal(buf_append(&b, data, 36), 0);
	assert_null(buf_reserve(&b, 1));
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_consume(&b, 1);
	assert_int_equal(buf_append(&b, data, 1), 0);
	assert_int_equal(buf_len(&b), 100);
	buf_release(&b);
}

static void
clock_formats_zones(void **state)
{
	const uint64_t t = UINT64_C(1795248902) * NS_PER_S + 123 * NS_PER_MS;
	char out[CLOCK_TEXT_MAX];

	assert_string_equal(
	    clock_format_utc(t, out), "2026-11-21T08:15:02.123Z");
	assert_string_equal(clock_format_file(t, "Europe/Berlin", out),
	    "2026-11-21T09-15-02+0100");
	assert_string_equal(clock_format_file(t, "America/St_Johns", out),
	    "2026-11-21T04-45-02-0330");
	assert_string_equal(
	    clock_format_file(t, "UTC", out), "2026-11-21T08-15-02+0000");
	assert_string_equal(clock_format_file(t, "No/Such_Zone", out),
	    "2026-11-21T08-15-02+0000");
}

static void
clock_moves_by_offset(void **state)
{
	uint64_t before = clock_mono_ns();

	clock_offset_set((int64_t)(3600 * NS_PER_S));
	assert_true(clock_mono_ns() >= before + 3600 * NS_PER_S);
	clock_offset_set(0);
	assert_true(clock_mono_ns() < before + 3600 * NS_PER_S);
}

/* What log_write puts on stderr, through a pipe. */
static void
capture_log(enum log_format fmt, const char *value, char *out, size_t len)
{
	int fds[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_setup("test", LOG_LEVEL_INFO, fmt);
	log_debug("hidden");
	log_info("event", LOG_S("s", value), LOG_I("i", -3), LOG_U("u", 7));
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], out, len - 1);
	close(fds[0]);
	assert_true(n > 0);
	out[n] = '\0';
}

static void
log_escapes_values(void **state)
{
	char out[LOG_LINE_MAX + 1];

	capture_log(LOG_FORMAT_TEXT, "a b\n\"", out, sizeof(out));
	assert_non_null(
	    strstr(out, " info test event s=\"a b\\u000a\\\"\" i=-3 u=7\n"));
	assert_null(strstr(out, "hidden"));
	capture_log(LOG_FORMAT_JSON, "a\tb", out, sizeof(out));
	assert_non_null(strstr(out,
	    "\"event\":\"event\",\"s\":\"a\\u0009b\",\"i\":-3,\"u\":7}\n"));
}

static void
log_cuts_long_lines_well_formed(void **state)
{
	char out[2 * LOG_LINE_MAX], *value = malloc(9000);
	size_t len;

	memset(value, 'x', 8999);
	value[8999] = '\0';
	capture_log(LOG_FORMAT_JSON, value, out, sizeof(out));
	len = strlen(out);
	assert_true(len <= LOG_LINE_MAX);
	assert_string_equal(out + len - 3, "\"}\n");
	free(value);
}

static void
log_limit_suppresses_a_flood(void **state)
{
	struct log_limit *l = calloc(1, sizeof(*l));
	uint64_t now = 1000 * NS_PER_S;
	char event[LOG_LIMIT_NAME_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < 5000; i++)
		n += log_limit_take(l, "flood", now);
	assert_int_equal(n, LOG_LIMIT_BURST);
	/* other events have buckets of their own */
	assert_true(log_limit_take(l, "session_start", now));
	/* the rest is told once there is a token */
	assert_int_equal(log_limit_suppressed(l, event, now), 0);
	now += NS_PER_S;
	assert_int_equal(
	    log_limit_suppressed(l, event, now), 5000 - LOG_LIMIT_BURST);
	assert_string_equal(event, "flood");
	assert_int_equal(log_limit_suppressed(l, event, now), 0);
	/* the bucket fills at its rate, and not beyond its burst */
	for (n = 0; log_limit_take(l, "flood", now); n++)
		;
	assert_int_equal(n, LOG_LIMIT_PER_SECOND - 1);
	now += 3600 * NS_PER_S;
	for (n = 0; log_limit_take(l, "flood", now); n++)
		;
	assert_int_equal(n, LOG_LIMIT_BURST);
	free(l);
}

static void
log_limit_bounds_its_table(void **state)
{
	struct log_limit *l = calloc(1, sizeof(*l));
	char event[LOG_LIMIT_NAME_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < 100000; i++) {
		snprintf(event, sizeof(event), "event%u", i);
		n += log_limit_take(l, event, NS_PER_S);
	}
	/* one each, and a burst of those that share the last bucket */
	assert_int_equal(n, LOG_LIMIT_EVENTS - 1 + LOG_LIMIT_BURST);
	free(l);
}

static void
errors_have_sentences(void **state)
{
	for (int e = 0; e >= ERR_CANCELLED; e--)
		assert_string_not_equal(err_text(e), "unknown error");
	assert_string_equal(err_text(1), "unknown error");
}

struct sample {
	char *name, *mode;
	int64_t n, size, wait;
	bool flag;
};

static const struct conf_opt sample_opts[] = {
	{ "name", CONF_STR, offsetof(struct sample, name), NULL, 0, 0, NULL,
	    "A name." },
	{ "mode", CONF_CHOICE, offsetof(struct sample, mode), "fast", 0, 0,
	    "fast|slow", "A mode." },
	{ "n", CONF_INT, offsetof(struct sample, n), "5", 1, 10, NULL, "N." },
	{ "size", CONF_SIZE, offsetof(struct sample, size), "8M", 0, 0, NULL,
	    "S." },
	{ "wait", CONF_SECONDS, offsetof(struct sample, wait), "10m", 0, 0,
	    NULL, "W." },
	{ "flag", CONF_BOOL, offsetof(struct sample, flag), NULL, 0, 0, NULL,
	    "F." },
};

static void
conf_reads_values(void **state)
{
	struct sample s = { 0 };
	const struct conf_section sec[] = { { "sample", "", sample_opts,
	    N_ELEMENTS(sample_opts), &s } };
	char err[200];

	assert_int_equal(conf_defaults(sec, 1), 0);
	assert_string_equal(s.mode, "fast");
	assert_true(s.size == 8 << 20 && s.wait == 600 && s.n == 5);
	assert_int_equal(
	    conf_set("sample.flag=yes", sec, 1, err, sizeof(err)), 0);
	assert_int_equal(
	    conf_set("sample.wait=2h", sec, 1, err, sizeof(err)), 0);
	assert_int_equal(
	    conf_set("sample.name=a=b c", sec, 1, err, sizeof(err)), 0);
	assert_true(s.flag && s.wait == 7200);
	assert_string_equal(s.name, "a=b c");
	conf_release(sec, 1);
	assert_null(s.name);
}

static void
conf_names_what_is_wrong(void **state)
{
	static const struct {
		const char *set, *says;
	} bad[] = {
		{ "sample.n=11", "outside 1..10" },
		{ "sample.n=x", "expected a whole number" },
		{ "sample.n=3k", "expected a whole number" },
		{ "sample.size=1T", "expected a number of bytes" },
		{ "sample.size=99999999999G", "expected a number of bytes" },
		{ "sample.mode=fas", "expected fast|slow" },
		{ "sample.flag=maybe", "expected on or off" },
		{ "sample.nme=x", "no setting \"nme\"" },
		{ "other.n=1", "no section [other]" },
		{ "sample", "expected section.key=value" },
	};
	struct sample s = { 0 };
	const struct conf_section sec[] = { { "sample", "", sample_opts,
	    N_ELEMENTS(sample_opts), &s } };
	char err[200];

	assert_int_equal(conf_defaults(sec, 1), 0);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_int_equal(
		    conf_set(bad[i].set, sec, 1, err, sizeof(err)), ERR_CONFIG);
		if (strstr(err, bad[i].says) == NULL)
			fail_msg("%s: %s", bad[i].set, err);
	}
	assert_true(s.n == 5);
	conf_release(sec, 1);
}

static void
conf_file_errors_name_the_line(void **state)
{
	struct sample s = { 0 };
	const struct conf_section sec[] = { { "sample", "", sample_opts,
	    N_ELEMENTS(sample_opts), &s } };
	char path[] = "/tmp/relaycam-conf-XXXXXX", err[200], want[64];
	int fd = mkstemp(path);
	const char text[] = "[other]\nx = 1\n[sample]\nn = 7\nn = 99\n";

	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	assert_int_equal(conf_defaults(sec, 1), 0);
	assert_int_equal(conf_read(path, sec, 1, err, sizeof(err)), ERR_CONFIG);
	snprintf(want, sizeof(want), "%s:5: sample.n = 99", path);
	assert_non_null(strstr(err, want));
	unlink(path);
	assert_int_equal(
	    conf_read(path, sec, 1, err, sizeof(err)), ERR_NOTFOUND);
	conf_release(sec, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_queues_bytes),
		cmocka_unit_test(buf_keeps_its_limit),
		cmocka_unit_test(clock_formats_zones),
		cmocka_unit_test(clock_moves_by_offset),
		cmocka_unit_test(log_escapes_values),
		cmocka_unit_test(log_cuts_long_lines_well_formed),
		cmocka_unit_test(log_limit_suppresses_a_flood),
		cmocka_unit_test(log_limit_bounds_its_table),
		cmocka_unit_test(errors_have_sentences),
		cmocka_unit_test(conf_reads_values),
		cmocka_unit_test(conf_names_what_is_wrong),
		cmocka_unit_test(conf_file_errors_name_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
