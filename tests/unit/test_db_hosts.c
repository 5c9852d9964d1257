/* Hosts of a connection string, one at a time. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/db_hosts.h"

/* name, libpq's own idea of what it connects to, and which servers will do */
struct expected {
	const char *name, *host, *hostaddr, *port, *attrs;
};

static void
check_value(PQconninfoOption *o, const char *keyword, const char *expected)
{
	for (; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			break;
	assert_non_null(o->keyword);
	if (expected == NULL)
		assert_true(o->val == NULL || *o->val == '\0');
	else
		assert_string_equal(o->val, expected);
}

static void
check_now(struct db_hosts *h, const struct expected *e)
{
	PGconn *c = db_hosts_start(h, NULL, 1000);
	PQconninfoOption *o = PQconninfo(c);

	assert_non_null(o);
	assert_string_equal(db_hosts_name(h), e->name);
	check_value(o, "host", e->host);
	check_value(o, "hostaddr", e->hostaddr);
	check_value(o, "port", e->port);
	check_value(o, "target_session_attrs", e->attrs);
	check_value(o, "client_encoding", "UTF8");
	PQconninfoFree(o);
	PQfinish(c);
}

/* Two rounds: the second begins where the first did. */
static void
check_round(const char *url, const struct expected *e, size_t n)
{
	struct db_hosts *h = db_hosts_new(url, "test");

	assert_non_null(h);
	assert_int_equal(db_hosts_count(h), n);
	for (size_t i = 0; i < 2 * n; i++) {
		check_now(h, &e[i % n]);
		db_hosts_next(h);
	}
	db_hosts_free(h);
}

static void
test_each_host_has_its_turn(void **state)
{
	const struct expected list[] = {
		{ "127.0.0.1", "127.0.0.1", NULL, "1", "read-write" },
		{ "127.0.0.2", "127.0.0.2", NULL, "2", "read-write" },
		{ "/nowhere", "/nowhere", NULL, "3", "read-write" },
	};

	check_round("host=127.0.0.1,127.0.0.2,/nowhere port=1,2,3", list, 3);
	check_round(
	    "postgresql://127.0.0.1:1,127.0.0.2:2,%2Fnowhere:3/db", list, 3);
}

static void
test_one_port_is_of_all(void **state)
{
	const struct expected list[] = {
		{ "127.0.0.1", "127.0.0.1", NULL, "7", "any" },
		{ "::1", "::1", NULL, "7", "any" },
	};

	check_round(
	    "host=127.0.0.1,::1 port=7 target_session_attrs=any", list, 2);
}

static void
test_addresses_and_names_belong_together(void **state)
{
	const struct expected both[] = {
		{ "a.test", "a.test", "127.0.0.1", "7", "primary" },
		{ "b.test", "b.test", "127.0.0.2", "8", "primary" },
	};
	const struct expected alone[] = {
		{ "127.0.0.1", NULL, "127.0.0.1", "7", "read-write" },
		{ "127.0.0.2", NULL, "127.0.0.2", "7", "read-write" },
	};

	check_round("host=a.test,b.test hostaddr=127.0.0.1,127.0.0.2 port=7,8 "
		    "target_session_attrs=primary",
	    both, 2);
	check_round("hostaddr=127.0.0.1,127.0.0.2 port=7", alone, 2);
}

static void
test_a_standby_is_looked_for_first(void **state)
{
	const struct expected list[] = {
		{ "127.0.0.1", "127.0.0.1", NULL, "7", "standby" },
		{ "127.0.0.2", "127.0.0.2", NULL, "7", "standby" },
		{ "127.0.0.1", "127.0.0.1", NULL, "7", "any" },
		{ "127.0.0.2", "127.0.0.2", NULL, "7", "any" },
	};

	check_round("host=127.0.0.1,127.0.0.2 port=7 "
		    "target_session_attrs=prefer-standby",
	    list, 4);
}

static void
test_one_host_is_as_before(void **state)
{
	const struct expected list[] = { { "127.0.0.1", "127.0.0.1", NULL, "7",
	    "any" } };

	check_round("host=127.0.0.1 port=7", list, 1);
}

static void
test_empty_elements_are_the_default(void **state)
{
	const struct expected list[] = {
		{ "/var/run/postgresql", "/var/run/postgresql", NULL, "1",
		    "read-write" },
		{ "127.0.0.1", "127.0.0.1", NULL, "5432", "read-write" },
	};

	check_round("host=,127.0.0.1 port=1,", list, 2);
}

static void
test_hosts_come_from_the_environment_too(void **state)
{
	const struct expected list[] = {
		{ "127.0.0.1", "127.0.0.1", NULL, "7", "read-write" },
		{ "127.0.0.2", "127.0.0.2", NULL, "8", "read-write" },
	};

	setenv("PGHOST", "127.0.0.1,127.0.0.2", 1);
	setenv("PGPORT", "7,8", 1);
	check_round("relaycam", list, 2);
	unsetenv("PGHOST");
	unsetenv("PGPORT");
}

static void
test_what_is_wrong_is_said_by_libpq(void **state)
{
	const char *const urls[] = { "host=a,b,c port=1,2", "nonsense=1",
		"host=a hostaddr=127.0.0.1,127.0.0.2" };

	for (size_t i = 0; i < 3; i++) {
		struct db_hosts *h = db_hosts_new(urls[i], "test");
		PGconn *c;

		assert_int_equal(db_hosts_count(h), 1);
		db_hosts_next(h);
		assert_string_equal(db_hosts_name(h), "");
		assert_null(db_hosts_to_resolve(h));
		c = db_hosts_start(h, NULL, 0);
		assert_int_equal(PQstatus(c), CONNECTION_BAD);
		assert_true(strlen(PQerrorMessage(c)) > 0);
		PQfinish(c);
		db_hosts_free(h);
	}
}

static void
test_more_than_can_be_tried(void **state)
{
	char url[20 * (DB_HOSTS_MAX + 2)] = "host=127.0.0.1";
	struct db_hosts *h;

	for (int i = 0; i < DB_HOSTS_MAX; i++)
		strcat(url, ",127.0.0.1");
	h = db_hosts_new(url, "test");
	assert_int_equal(db_hosts_count(h), 1);
	db_hosts_free(h);
}

static void
test_names_are_resolved_addresses_are_not(void **state)
{
	struct db_hosts *h =
	    db_hosts_new("host=db.test,127.0.0.1,::1,/run,@x", "test");
	PGconn *c;
	PQconninfoOption *o;

	assert_string_equal(db_hosts_to_resolve(h), "db.test");
	c = db_hosts_start(h, "127.0.0.3", 0);
	o = PQconninfo(c);
	check_value(o, "host", "db.test"); /* for its certificate */
	check_value(o, "hostaddr", "127.0.0.3");
	PQconninfoFree(o);
	PQfinish(c);
	for (int i = 0; i < 4; i++) {
		db_hosts_next(h);
		assert_null(db_hosts_to_resolve(h));
	}
	db_hosts_free(h);
}

static void
test_times_are_those_of_the_url(void **state)
{
	const struct {
		const char *url;
		unsigned preset, seconds;
	} cases[] = { { "host=a", 10, 10 },
		{ "host=a connect_timeout=3", 10, 3 },
		{ "postgresql://a,b/?connect_timeout=30", 10, 30 },
		{ "host=a connect_timeout=0", 10, 10 },
		{ "host=a connect_timeout=-1", 0, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct db_hosts *h = db_hosts_new(cases[i].url, "test");

		assert_int_equal(
		    db_hosts_timeout(h, cases[i].preset), cases[i].seconds);
		db_hosts_free(h);
	}
}

static void
test_settings_of_the_url_stay(void **state)
{
	struct db_hosts *h = db_hosts_new(
	    "host=127.0.0.1 tcp_user_timeout=77 keepalives_idle=88 "
	    "application_name=mine",
	    "test");
	PGconn *c = db_hosts_start(h, NULL, 1000);
	PQconninfoOption *o = PQconninfo(c);

	check_value(o, "tcp_user_timeout", "77");
	check_value(o, "keepalives_idle", "88");
	check_value(o, "keepalives_count", NULL);
	check_value(o, "application_name", "mine");
	PQconninfoFree(o);
	PQfinish(c);
	db_hosts_free(h);
	h = db_hosts_new("host=127.0.0.1", "test");
	c = db_hosts_start(h, NULL, 1000);
	o = PQconninfo(c);
	check_value(o, "tcp_user_timeout", "1000");
	check_value(o, "keepalives_idle", "30");
	check_value(o, "fallback_application_name", "test");
	PQconninfoFree(o);
	PQfinish(c);
	db_hosts_free(h);
}

/* A port where connecting works and nothing is ever said. */
static int
silent_port(int *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* Each host is tried once, for as long as the url says, and says why not. */
static void
test_blocking_goes_through_all_hosts(void **state)
{
	char url[200], why[600];
	int port, fd = silent_port(&port);
	struct db_hosts *h;
	PGconn *c;

	snprintf(url, sizeof(url),
	    "host=127.0.0.1,/nowhere port=%d,7 connect_timeout=2 sslmode="
	    "disable gssencmode=disable",
	    port);
	h = db_hosts_new(url, "test");
	c = db_hosts_connect(h, 60, why, sizeof(why));
	assert_int_equal(PQstatus(c), CONNECTION_BAD);
	assert_non_null(strstr(why, "timeout expired; "));
	assert_non_null(strstr(why, "/nowhere"));
	assert_null(strchr(why, '\n'));
	PQfinish(c);
	db_hosts_free(h);
	h = db_hosts_new(url, "test");
	c = db_hosts_connect(h, 60, why, 20);
	assert_true(strlen(why) < 20);
	PQfinish(c);
	db_hosts_free(h);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_host_has_its_turn),
		cmocka_unit_test(test_one_port_is_of_all),
		cmocka_unit_test(test_addresses_and_names_belong_together),
		cmocka_unit_test(test_a_standby_is_looked_for_first),
		cmocka_unit_test(test_one_host_is_as_before),
		cmocka_unit_test(test_empty_elements_are_the_default),
		cmocka_unit_test(test_hosts_come_from_the_environment_too),
		cmocka_unit_test(test_what_is_wrong_is_said_by_libpq),
		cmocka_unit_test(test_more_than_can_be_tried),
		cmocka_unit_test(test_names_are_resolved_addresses_are_not),
		cmocka_unit_test(test_times_are_those_of_the_url),
		cmocka_unit_test(test_settings_of_the_url_stay),
		cmocka_unit_test(test_blocking_goes_through_all_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
