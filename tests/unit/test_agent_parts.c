#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/dialog.h"
#include "agent/hostport.h"
#include "agent/proxy.h"
#include "agent/settings.h"
#include "common/bytes.h"
#include "common/err.h"

static void
places(void **state)
{
	static const struct {
		const char *text;
		uint16_t preset;
		const char *formatted; /* NULL: refused */
	} cases[] = {
		{ "relay", 443, "relay:443" },
		{ "relay:5443", 443, "relay:5443" },
		{ "127.0.0.1:1", 0, "127.0.0.1:1" },
		{ "::1", 443, "[::1]:443" },
		{ "[::1]", 443, "[::1]:443" },
		{ "[fe80::1%eth0]:65535", 0, "[fe80::1%eth0]:65535" },
		{ "", 443, NULL },
		{ ":443", 443, NULL },
		{ "relay:", 443, NULL },
		{ "relay:0", 443, NULL },
		{ "relay:65536", 443, NULL },
		{ "relay:99999999999999999999", 443, NULL },
		{ "relay:-1", 443, NULL },
		{ "relay: 1", 443, NULL },
		{ "relay:1x", 443, NULL },
		{ "re lay", 443, NULL },
		{ "relay\r\nX: y", 443, NULL },
		{ "relay", 0, NULL },
		{ "[::1", 443, NULL },
		{ "[::1]x", 443, NULL },
		{ "[]:1", 443, NULL },
		{ "[::1]", 0, NULL },
	};
	char text[HOSTPORT_TEXT_MAX];
	struct hostport h;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		int rc = hostport_parse(cases[i].text, cases[i].preset, &h);

		assert_int_equal(
		    rc, cases[i].formatted != NULL ? 0 : ERR_CONFIG);
		if (rc == 0)
			assert_string_equal(
			    hostport_format(&h, text), cases[i].formatted);
	}
}

static void
longest_host(void **state)
{
	char text[HOSTPORT_HOST_MAX + 1];
	struct hostport h;

	memset(text, 'a', sizeof(text));
	text[HOSTPORT_HOST_MAX - 1] = '\0';
	assert_int_equal(hostport_parse(text, 1, &h), 0);
	text[HOSTPORT_HOST_MAX - 1] = 'a';
	text[HOSTPORT_HOST_MAX] = '\0';
	assert_int_equal(hostport_parse(text, 1, &h), ERR_CONFIG);
}

static void
proxy_urls(void **state)
{
	static const char *const wrong[] = { "https://p:1", "socks5://p:1",
		"http://", "http://p:1/path", "http://a%zz@p:1",
		"http://a%00b@p:1", "p:x" };
	struct proxy p;

	assert_int_equal(proxy_parse("http://p:8080", &p), 0);
	assert_true(p.is_used);
	assert_string_equal(p.at.host, "p");
	assert_int_equal(p.at.port, 8080);
	assert_string_equal(p.auth, "");
	assert_int_equal(proxy_parse("HTTP://p/", &p), 0);
	assert_int_equal(p.at.port, 3128);
	/* base64 of a@b:c/d, RFC 4648 */
	assert_int_equal(proxy_parse("http://a%40b:c%2fd@p:1", &p), 0);
	assert_string_equal(p.auth, "YUBiOmMvZA==");
	assert_int_equal(proxy_parse("none", &p), 0);
	assert_false(p.is_used);
	assert_int_equal(proxy_parse("", &p), 0);
	assert_false(p.is_used);
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_int_equal(proxy_parse(wrong[i], &p), ERR_CONFIG);
}

/* A name and password may be long, but not without end. */
static void
proxy_password_limit(void **state)
{
	char url[1024] = "http://";
	struct proxy p;

	memset(url + 7, 'x', 600);
	strcpy(url + 7 + 380, "@p:1");
	assert_int_equal(proxy_parse(url, &p), 0);
	assert_true(strlen(p.auth) < sizeof(p.auth));
	memset(url + 7, 'x', 600);
	strcpy(url + 7 + 400, "@p:1");
	assert_int_equal(proxy_parse(url, &p), ERR_CONFIG);
}

static void
proxy_of_the_environment(void **state)
{
	struct proxy p;

	setenv("HTTPS_PROXY", "http://env:1", 1);
	setenv("NO_PROXY", "internal, .example.com,exact.org", 1);
	assert_int_equal(proxy_choose(NULL, "relay.net", &p), 0);
	assert_string_equal(p.at.host, "env");
	assert_int_equal(proxy_choose("http://set:1", "internal", &p), 0);
	assert_string_equal(p.at.host, "set");
	assert_int_equal(proxy_choose("none", "relay.net", &p), 0);
	assert_false(p.is_used);
	static const char *const exempt[] = { "internal", "a.internal",
		"INTERNAL", "a.example.com", "exact.org" };
	for (size_t i = 0; i < N_ELEMENTS(exempt); i++) {
		assert_int_equal(proxy_choose(NULL, exempt[i], &p), 0);
		assert_false(p.is_used);
	}
	assert_int_equal(proxy_choose(NULL, "notexact.org", &p), 0);
	assert_true(p.is_used);
	setenv("NO_PROXY", "*", 1);
	assert_int_equal(proxy_choose(NULL, "relay.net", &p), 0);
	assert_false(p.is_used);
	unsetenv("NO_PROXY");
	setenv("HTTPS_PROXY", "nonsense://", 1);
	assert_int_equal(proxy_choose(NULL, "relay.net", &p), ERR_CONFIG);
	unsetenv("HTTPS_PROXY");
}

static void
proxy_requests(void **state)
{
	struct hostport to = { "::1", 443 };
	char out[PROXY_ASK_MAX];
	struct proxy p;
	size_t len;

	assert_int_equal(proxy_parse("http://a:b@p:1", &p), 0);
	len = proxy_request(&p, &to, out);
	assert_int_equal(len, strlen(out));
	assert_string_equal(out,
	    "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"
	    "Proxy-Authorization: Basic YTpi\r\n\r\n");
	assert_int_equal(proxy_parse("p:1", &p), 0);
	proxy_request(&p, &to, out);
	assert_string_equal(
	    out, "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
}

static void
proxy_answers(void **state)
{
	static const char good[] = "HTTP/1.1 200 OK\r\nX: y\r\n\r\nrest";
	static const char *const wrong[] = { "HTTP/2 200\r\n\r\n",
		"HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2000 \r\n\r\n",
		"HTTP/1.1 abc x\r\n\r\n", "HTTP/1.1_200 x\r\n\r\n",
		"HTTP/1.1 099 x\r\n\r\n", "RFB 003.008\n" };
	char *endless = calloc(1, PROXY_ANSWER_MAX + 1);
	size_t used;

	for (size_t n = 1; n < sizeof(good) - 1 - 4; n++) {
		assert_int_equal(proxy_answer(good, n, &used), 0);
		assert_int_equal(used, 0);
	}
	assert_int_equal(proxy_answer(good, sizeof(good) - 1, &used), 200);
	assert_int_equal(used, sizeof(good) - 1 - 4);
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++)
		assert_int_equal(
		    proxy_answer(wrong[i], strlen(wrong[i]), &used),
		    ERR_PROTOCOL);
	assert_non_null(endless);
	memset(endless, 'x', PROXY_ANSWER_MAX);
	memcpy(endless, "HTTP/1.1 ", 9);
	assert_int_equal(proxy_answer(endless, PROXY_ANSWER_MAX - 1, &used), 0);
	assert_int_equal(
	    proxy_answer(endless, PROXY_ANSWER_MAX, &used), ERR_LIMIT);
	free(endless);
}

static int
displays(const char *text, struct settings *s)
{
	char why[256];
	int rc;

	assert_int_equal(settings_init(s), 0);
	assert_int_equal(
	    settings_set_key(s, "relay", "r", why, sizeof(why)), 0);
	assert_int_equal(
	    settings_set_key(s, "displays", text, why, sizeof(why)), 0);
	rc = settings_resolve(s, why, sizeof(why));
	if (rc != 0)
		assert_non_null(strstr(why, "displays"));
	return rc;
}

static void
display_lists(void **state)
{
	static const char *const wrong[] = { "x", "=h", "a=", "a=h:0",
		"a=h,a=i", "a/b=h", "a+1=h", "a b=h", "a@b=h", ",", " " };
	struct settings s;

	assert_int_equal(displays("main=h:1 , zwei=[::1]:2,", &s), 0);
	assert_int_equal(s.n_displays, 2);
	assert_string_equal(settings_display(&s, "")->name, "main");
	assert_string_equal(settings_display(&s, "zwei")->at.host, "::1");
	assert_null(settings_display(&s, "drei"));
	settings_release(&s);
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		assert_int_equal(displays(wrong[i], &s), ERR_CONFIG);
		settings_release(&s);
	}
}

static void
too_many_displays(void **state)
{
	char text[512] = "";
	struct settings s;

	for (unsigned i = 0; i < AGENT_MAX_DISPLAYS; i++)
		snprintf(text + strlen(text), 16, "d%u=h,", i);
	assert_int_equal(displays(text, &s), 0);
	settings_release(&s);
	strcat(text, "more=h");
	assert_int_equal(displays(text, &s), ERR_CONFIG);
	settings_release(&s);
}

/* All arguments but the given text are the program's own. */
static const char *
last_arg(const struct dialog *d)
{
	assert_null(d->argv[d->n_args]);
	return d->argv[d->n_args - 1];
}

static void
names_in_dialogs(void **state)
{
	const struct dialog_screen screen = { .display = ":7" };
	const struct dialog_ask ask = { "-x <b>&\\n", "s\xc3\xbc\xe6\x97\xa5",
		AGENT_RECORDED_MAYBE, 30 };
	char tick[DIALOG_TEXT_MAX];
	struct dialog d;

	dialog_consent(&d, DIALOG_KDIALOG, &screen, &ask);
	assert_string_equal(d.argv[4],
	    "<qt>Technician -x &lt;b&gt;&amp;\\n of the team "
	    "s\xc3\xbc\xe6\x97\xa5 wants to connect to this computer.<br>"
	    "The session can be recorded.<br><br>Without an answer the "
	    "request is declined after 30 seconds.");
	assert_string_equal(d.env[0], "DISPLAY=:7");
	dialog_consent(&d, DIALOG_XMESSAGE, &screen, &ask);
	assert_memory_equal(
	    last_arg(&d), "Technician -x <b>&\\n of the team s\xfc? wants", 42);
	dialog_tick(&ask, 15, tick);
	assert_memory_equal(tick, "50\n# Technician -x <b>&\\\\n of", 29);
	/* zenity reads lines: two, and the line ends of the text are its own */
	assert_ptr_equal(
	    strchr(strchr(tick, '\n') + 1, '\n'), tick + strlen(tick) - 1);
	assert_non_null(strstr(tick, "declined in 15 seconds."));
}

/* The longest texts that the protocol can bring fit or are cut. */
static void
longest_names(void **state)
{
	char name[AGENT_NAME_MAX], text[AGENT_TEXT_MAX], tick[DIALOG_TEXT_MAX];
	const struct dialog_screen screen = { .consent_command = "x",
		.indicator_command = "x" };
	const struct dialog_ask ask = { name, name, AGENT_RECORDED_YES, 300 };
	struct dialog d;

	memset(name, '<', sizeof(name));
	memset(text, '\\', sizeof(text));
	name[sizeof(name) - 1] = text[sizeof(text) - 1] = '\0';
	for (int tool = DIALOG_COMMAND; tool <= DIALOG_XMESSAGE; tool++) {
		dialog_consent(&d, (enum dialog_tool)tool, &screen, &ask);
		dialog_indicator(
		    &d, (enum dialog_tool)tool, &screen, "s", text);
		assert_true(strlen(last_arg(&d)) < DIALOG_TEXT_MAX);
	}
	memset(name, '\\', sizeof(name) - 1);
	dialog_tick(&ask, 300, tick);
	assert_int_equal(tick[strlen(tick) - 1], '\n');
}

static void
answers(void **state)
{
	static const struct {
		enum dialog_tool tool;
		int code;
		const char *output;
		enum agent_answer answer;
	} cases[] = {
		{ DIALOG_ZENITY, 1, "Allow full control\n", AGENT_ANSWER_FULL },
		{ DIALOG_ZENITY, 1, "Gtk-WARNING: x\nAllow view only\n",
		    AGENT_ANSWER_VIEW },
		{ DIALOG_ZENITY, 0, "", AGENT_ANSWER_DECLINED },
		{ DIALOG_ZENITY, 1, "no Allow full control\n",
		    AGENT_ANSWER_DECLINED },
		{ DIALOG_ZENITY, 1, "Gtk-WARNING **: cannot open display: :5\n",
		    AGENT_ANSWER_NO_DIALOG },
		{ DIALOG_ZENITY, 127, "", AGENT_ANSWER_NO_DIALOG },
		{ DIALOG_KDIALOG, 0, "full\n", AGENT_ANSWER_FULL },
		{ DIALOG_KDIALOG, 0, "view\n", AGENT_ANSWER_VIEW },
		{ DIALOG_KDIALOG, 0, "decline\n", AGENT_ANSWER_DECLINED },
		{ DIALOG_KDIALOG, 1, "", AGENT_ANSWER_DECLINED },
		{ DIALOG_XMESSAGE, 101, "", AGENT_ANSWER_FULL },
		{ DIALOG_XMESSAGE, 102, "", AGENT_ANSWER_VIEW },
		{ DIALOG_XMESSAGE, 103, "", AGENT_ANSWER_DECLINED },
		{ DIALOG_XMESSAGE, 1, "", AGENT_ANSWER_DECLINED },
		{ DIALOG_XMESSAGE, 1, "Error: Can't open display: :5\n",
		    AGENT_ANSWER_NO_DIALOG },
		{ DIALOG_COMMAND, 0, "full\n", AGENT_ANSWER_FULL },
		{ DIALOG_COMMAND, 1, "full\n", AGENT_ANSWER_NO_DIALOG },
		{ DIALOG_COMMAND, 0, "", AGENT_ANSWER_NO_DIALOG },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		assert_int_equal(dialog_answer(cases[i].tool,
				     cases[i].code << 8, cases[i].output),
		    cases[i].answer);
	/* killed by a signal */
	assert_int_equal(
	    dialog_answer(DIALOG_KDIALOG, 6, "full"), AGENT_ANSWER_NO_DIALOG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(longest_host),
		cmocka_unit_test(proxy_urls),
		cmocka_unit_test(proxy_password_limit),
		cmocka_unit_test(proxy_of_the_environment),
		cmocka_unit_test(proxy_requests),
		cmocka_unit_test(proxy_answers),
		cmocka_unit_test(display_lists),
		cmocka_unit_test(too_many_displays),
		cmocka_unit_test(names_in_dialogs),
		cmocka_unit_test(longest_names),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
