/*
 * What relaycam connect starts, and what it writes for viewers: command
 * lines, profiles, which viewer a program is, and the relay's address.
 */
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

#include "common/bytes.h"
#include "common/err.h"
#include "ctl/connect/connect_files.h"
#include "ctl/connect/run_output.h"
#include "ctl/connect/viewer.h"
#include "scripted_ctl.h"

static char dir[] = "/tmp/test_ctl_connect.XXXXXX";

static void
path_of(const char *name, char out[256])
{
	snprintf(out, 256, "%s/%s", dir, name);
}

static void
write_file(const char *name, const void *data, size_t len, mode_t mode)
{
	char path[256];
	FILE *f;

	path_of(name, path);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fchmod(fileno(f), mode), 0);
	fclose(f);
}

/* Its text; only its owner may read it. */
static char *
read_private(const char *path)
{
	static char text[4096];
	struct stat st;
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void
printed_is(const struct viewer *v, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	viewer_print(v, f);
	fclose(f);
	assert_string_equal(text, expected);
	free(text);
}

static void
test_command_lines(void **state)
{
	static const struct viewer_kind tiger = { "", "", "",
		VIEWER_ENVIRONMENT, VIEWER_TIGERVNC };
	static const struct viewer_kind gtk = { "", "", "", VIEWER_ASKS,
		VIEWER_DISPLAY };
	static const struct viewer_kind uri = { "", "", "", VIEWER_ASKS,
		VIEWER_URI };
	static const struct viewer_kind port = { "", "", "",
		VIEWER_VNC_PASSWORD, VIEWER_PORT };
	static const struct viewer_kind profile = { "", "", "", VIEWER_ASKS,
		VIEWER_PROFILE };
	static const struct {
		const struct viewer_kind *kind;
		const char *template, *host, *ca, *line;
	} rows[] = {
		{ &tiger, NULL, "h", "",
		    "/v -SecurityTypes X509Plain h::5901\n" },
		{ &tiger, NULL, "h", "/my ca",
		    "/v -SecurityTypes X509Plain -X509CA '/my ca' h::5901\n" },
		{ &gtk, NULL, "h", "", "/v h:1\n" },
		{ &uri, NULL, "::1", "", "/v 'vnc://[::1]:5901'\n" },
		{ &port, NULL, "h", "", "/v h::5901\n" },
		{ &profile, NULL, "h", "", "/v -c /p\n" },
		{ NULL, "  -a {user}  {host}/{display}{", "h", "",
		    "/v -a 'it'\\''s' 'h/1{'\n" },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const struct viewer_place place = { rows[i].host, "5901",
			"it's", rows[i].ca, "/p" };
		struct viewer v = { .path = "/v",
			.kind = rows[i].kind,
			.args_template = rows[i].template };

		v.login = v.kind != NULL ? v.kind->login : VIEWER_ASKS;
		assert_int_equal(viewer_fill(&v, &place), 0);
		printed_is(&v, rows[i].line);
	}
}

/* What would not fit, or is not known, is refused. */
static void
test_templates(void **state)
{
	const struct viewer_place place = { "h", "1", "u", "", "" };
	struct viewer v = { .path = "/v" };
	char many[3 * VIEWER_ARGS_MAX + 1], *at = many;
	static char large[VIEWER_TEXT_MAX + 1];

	v.args_template = "{password}";
	assert_int_equal(viewer_fill(&v, &place), STATUS_USAGE);
	for (int i = 0; i < VIEWER_ARGS_MAX; i++)
		at += sprintf(at, "a ");
	v.args_template = many;
	assert_int_equal(viewer_fill(&v, &place), STATUS_USAGE);
	memset(large, 'a', VIEWER_TEXT_MAX);
	v.args_template = large;
	assert_int_equal(viewer_fill(&v, &place), STATUS_USAGE);
	many[2 * (VIEWER_ARGS_MAX - 1)] = '\0';
	v.args_template = many;
	assert_int_equal(viewer_fill(&v, &place), 0);
	assert_null(v.argv[VIEWER_ARGS_MAX]);
}

/* A mark on the edge of two pieces; a script that only speaks of a viewer; a
 * script that is asked. */
static void
test_kinds(void **state)
{
	static const char talks[] = "#!/bin/sh\n# TigerVNC Viewer\n";
	static const char says[] =
	    "#!/bin/sh\necho 'remote-viewer version 11.0'\n";
	size_t len = 512 << 10;
	char *data = calloc(1, len);
	char path[256];

	memcpy(data, "\177ELF", 4);
	memcpy(data + (256 << 10) - 3, "SSVNC Viewer", 12);
	write_file("edge", data, len, 0700);
	free(data);
	write_file("talks", talks, sizeof(talks) - 1, 0700);
	write_file("says", says, sizeof(says) - 1, 0700);
	path_of("edge", path);
	assert_string_equal(viewer_kind_of(path)->name, "SSVNC");
	path_of("says", path);
	assert_string_equal(viewer_kind_of(path)->name, "remote-viewer");
	path_of("talks", path);
	assert_null(viewer_kind_of(path));
	path_of("nothing", path);
	assert_null(viewer_kind_of(path));
	assert_null(viewer_kind_of(dir));
}

/* A program that writes without end, and one that never ends. */
static void
test_run_output(void **state)
{
	static const char *const endless[] = { "/bin/sh", "-c",
		"while :; do echo abc; done", NULL };
	static const char *const silent[] = { "/bin/sh", "-c",
		"echo out; echo err >&2; sleep 600", NULL };
	static const char *const nothing[] = { "/nowhere/program", NULL };
	char out[16];

	assert_int_equal(run_output(endless, 60000, out, sizeof(out)), 0);
	assert_string_equal(out, "abc\nabc\nabc\nabc");
	assert_int_equal(run_output(silent, 1000, out, sizeof(out)), 0);
	assert_memory_equal(out, "out\nerr\n", strlen(out));
	if (run_output(nothing, 1000, out, sizeof(out)) == 0)
		assert_string_equal(out, "");
}

static void
test_files(void **state)
{
	struct relay_address r = { .host = "relay.example.com",
		.vnc_port = "5900",
		.web_port = "8443" };
	char path[256];

	path_of("desk.vnc", path);
	write_file("desk.vnc", "old", 3, 0644);
	assert_int_equal(connect_write_vnc(path, &r, "/ca.pem"), 0);
	assert_string_equal(read_private(path),
	    "TigerVNC Configuration file Version 1.0\n\n"
	    "ServerName=relay.example.com::5900\nSecurityTypes=X509Plain\n"
	    "X509CA=/ca.pem\n");
	assert_int_equal(
	    connect_write_vnc("/nowhere/desk.vnc", &r, ""), STATUS_FAILED);

	setenv("XDG_RUNTIME_DIR", dir, 1);
	assert_int_equal(
	    connect_write_page(&r, "rct_x", path, sizeof(path)), 0);
	assert_non_null(strstr(read_private(path),
	    "url=https://relay.example.com:8443/#ticket=rct_x\""));
	assert_int_equal(connect_write_profile(
			     &r, "a\\b\nserver=evil", "", path, sizeof(path)),
	    0);
	assert_non_null(
	    strstr(read_private(path), "username=a\\\\b\\nserver=evil\n"));
	assert_null(strstr(read_private(path), "\nserver=evil"));
}

/* ---- the relay's address ---- */

static void
address_is(const char *listen, const char *public_host, const char *host,
    const char *url)
{
	char out[URL_MAX];
	struct relay_address r;

	scripted_ctl.relay.listen = (char *)(uintptr_t)listen;
	scripted_ctl.relay.public_host = (char *)(uintptr_t)public_host;
	assert_int_equal(relay_address_read(&scripted_ctl, &r), 0);
	assert_string_equal(r.host, host);
	relay_address_url(&r, out);
	assert_string_equal(out, url);
}

static void
test_addresses(void **state)
{
	static char web[] = "[::]:443", other[] = "0.0.0.0:8443";
	struct relay_address r;

	scripted_ctl.relay.web_listen = web;
	address_is("127.0.0.1:5900", NULL, "localhost", "https://localhost");
	address_is("192.0.2.1:5900", "", "192.0.2.1", "https://192.0.2.1");
	address_is(":5900", "relay.example.com", "relay.example.com",
	    "https://relay.example.com");
	scripted_ctl.relay.web_listen = other;
	address_is("[2001:db8::1]:5900", NULL, "2001:db8::1",
	    "https://[2001:db8::1]:8443");
	scripted_ctl.relay.web_listen = NULL;
	address_is("192.0.2.1:5900", NULL, "192.0.2.1", "");

	scripted_ctl.relay.public_host = (char *)(uintptr_t) "host:5900";
	assert_int_equal(relay_address_read(&scripted_ctl, &r), STATUS_CONFIG);
	scripted_ctl.relay.public_host = NULL;
	scripted_ctl.relay.listen = (char *)(uintptr_t) "192.0.2.1";
	assert_int_equal(relay_address_read(&scripted_ctl, &r), STATUS_CONFIG);
}

static void
test_session_ports(void **state)
{
	static const struct {
		const char *text, *host, *array;
		int rc;
	} rows[] = {
		{ "127.0.0.1:5910-5912", "127.0.0.1", "{5910,5911,5912}", 0 },
		{ "[::1]:5910", "::1", "{5910}", 0 },
		{ "", "", "{}", 0 },
		{ "127.0.0.1", "", "", ERR_CONFIG },
		{ "127.0.0.1:", "", "", ERR_CONFIG },
		{ "127.0.0.1:0-1", "", "", ERR_CONFIG },
		{ "127.0.0.1:9-8", "", "", ERR_CONFIG },
		{ "127.0.0.1:65535-65536", "", "", ERR_CONFIG },
		{ "127.0.0.1:1-257", "", "", ERR_CONFIG },
		{ "127.0.0.1:1-2x", "", "", ERR_CONFIG },
	};

	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct session_ports p;
		char *array;

		scripted_ctl.relay.session_ports =
		    (char *)(uintptr_t)rows[i].text;
		assert_int_equal(
		    session_ports_read(&scripted_ctl, &p), rows[i].rc);
		if (rows[i].rc != 0)
			continue;
		array = session_ports_array(&p);
		assert_string_equal(p.host, rows[i].host);
		assert_string_equal(array, rows[i].array);
		free(array);
	}
}

static int
set_up(void **state)
{
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "edge", "talks", "says",
		"desk.vnc", "relaycam-connect.html",
		"relaycam-connect.remmina" };
	char path[256];

	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		path_of(names[i], path);
		unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_run_output),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_session_ports),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
