/* A connection to PostgreSQL that goes silent, and the way to the next host;
 * against servers of our own that say as much as they should. */
#include <arpa/inet.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/bytes.h"
#include "common/db.h"
#include "common/db_query.h"
#include "common/err.h"

#define LIMIT_S 30

/* What a server does with those who connect. */
enum mode {
	SILENT,    /* takes the connection, says nothing */
	FULL,      /* SQLSTATE 53300 */
	DEAF,      /* logs in; queries are not answered */
	WELL,      /* answers each query with nothing */
	READ_ONLY, /* SQLSTATE 25006 to what is not its set-up */
	FORGETFUL, /* SQLSTATE 26000 to what is asked for by name */
	UNWILLING, /* SQLSTATE 42601 to what is to be prepared */
};

struct server {
	int fd, port;
	_Atomic int mode, n_connections, n_queries;
	_Atomic int n_prepared, n_by_name; /* of these */
	_Atomic bool stop;
	pthread_t thread;
};

static void
put(int fd, char type, const void *body, size_t len)
{
	uint8_t m[512] = { (uint8_t)type };

	store_be32(m + 1, (uint32_t)len + 4);
	if (len > 0)
		memcpy(m + 5, body, len);
	send(fd, m, len + 5, MSG_NOSIGNAL);
}

static void
put_error(int fd, const char *state)
{
	char body[128];
	int n =
	    snprintf(body, sizeof(body), "SERROR%cC%s%cMno%c", 0, state, 0, 0);

	put(fd, 'E', body, (size_t)n + 1);
}

static bool
get(int fd, void *out, size_t len)
{
	return len == 0 || recv(fd, out, len, MSG_WAITALL) == (ssize_t)len;
}

static bool
log_in(int fd, int mode)
{
	uint8_t head[4], rest[2048], key[8] = { 0 };

	if (!get(fd, head, 4) || load_be32(head) > sizeof(rest) ||
	    !get(fd, rest, load_be32(head) - 4))
		return false;
	if (mode == FULL) {
		put_error(fd, "53300");
		return false;
	}
	put(fd, 'R', "\0\0\0", 4);
	/* what target_session_attrs looks at */
	put(fd, 'S', "default_transaction_read_only\0off", 34);
	put(fd, 'S', "in_hot_standby\0off", 19);
	put(fd, 'S', "server_version\00015.0", 20);
	put(fd, 'K', key, 8);
	put(fd, 'Z', "I", 1);
	return true;
}

/* Until Sync of the extended protocol; the statement's text in sql: "" where
 * it is asked for by name, and prepared only where it gets one. */
static bool
get_query(int fd, char *sql, size_t cap, bool *is_named)
{
	uint8_t head[5], body[4096];
	size_t len;

	*sql = '\0';
	*is_named = false;
	do {
		if (!get(fd, head, 5))
			return false;
		len = load_be32(head + 1) - 4;
		if (len > sizeof(body) || !get(fd, body, len))
			return false;
		if (head[0] == 'P') { /* name, text */
			*is_named = body[0] != '\0';
			snprintf(sql, cap, "%.100s",
			    (char *)body + strlen((char *)body) + 1);
		} else if (head[0] == 'B') { /* portal, name */
			*is_named = body[1] != '\0';
		}
	} while (head[0] != 'S');
	return true;
}

static void
answer(int fd, int mode, const char *sql, bool is_named)
{
	const char *error = NULL;

	if (mode == READ_ONLY && strncmp(sql, "INSERT", 6) == 0)
		error = "25006";
	if (is_named && mode == FORGETFUL && *sql == '\0')
		error = "26000";
	if (is_named && mode == UNWILLING)
		error = "42601";
	if (error == NULL && (*sql != '\0' || !is_named))
		put(fd, '1', NULL, 0);
	if (error != NULL) {
		put_error(fd, error);
	} else if (!is_named || *sql == '\0') {
		put(fd, '2', NULL, 0);
		put(fd, 'n', NULL, 0);
		if (*sql == '\0' && !is_named)
			put(fd, 'I', NULL, 0);
		else
			put(fd, 'C', "LISTEN", 7);
	}
	put(fd, 'Z', "I", 1);
}

struct guest {
	struct server *server;
	int fd;
};

static void *
serve_one(void *arg)
{
	struct guest g = *(struct guest *)arg;
	int mode = g.server->mode;
	char sql[200] = "", byte;
	bool is_named;

	free(arg);
	if (mode != SILENT && log_in(g.fd, mode))
		while (get_query(g.fd, sql, sizeof(sql), &is_named)) {
			atomic_fetch_add(&g.server->n_queries, 1);
			if (is_named)
				atomic_fetch_add(*sql != '\0'
					? &g.server->n_prepared
					: &g.server->n_by_name,
				    1);
			if (mode != DEAF)
				answer(g.fd, mode, sql, is_named);
		}
	if (mode == SILENT)
		while (recv(g.fd, &byte, 1, 0) > 0)
			;
	close(g.fd);
	return NULL;
}

static void *
serve(void *arg)
{
	struct server *s = arg;
	struct pollfd p = { s->fd, POLLIN, 0 };

	while (!s->stop) {
		struct guest *g;
		pthread_t thread;

		if (poll(&p, 1, 20) <= 0)
			continue;
		g = malloc(sizeof(*g));
		g->server = s;
		g->fd = accept(s->fd, NULL, NULL);
		atomic_fetch_add(&s->n_connections, 1);
		pthread_create(&thread, NULL, serve_one, g);
		pthread_detach(thread);
	}
	return NULL;
}

static void
server_start(struct server *s, enum mode mode)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);

	memset(s, 0, sizeof(*s));
	s->mode = mode;
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
	s->port = ntohs(a.sin_port);
	pthread_create(&s->thread, NULL, serve, s);
}

static void
server_stop(struct server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* A client and what it was told. */
struct client {
	struct event_base *base;
	struct db *db;
	struct conf_database conf;
	char url[300];
	int n_came, n_went, n_answers, n_lost, n_errors;
};

static void
on_state(void *arg, bool connected)
{
	struct client *c = arg;

	if (connected)
		c->n_came++;
	else
		c->n_went++;
}

static void
on_result(void *arg, PGresult *res)
{
	struct client *c = arg;

	c->n_answers++;
	c->n_lost += res == NULL;
	c->n_errors += *db_sqlstate(res) != '\0';
}

static void
client_start(struct client *c, const struct server *a, const struct server *b)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->url, sizeof(c->url),
	    "host=127.0.0.1%s port=%d%s%.0d user=x dbname=x sslmode=disable "
	    "gssencmode=disable connect_timeout=1",
	    b != NULL ? ",localhost" : "", a->port, b != NULL ? "," : "",
	    b != NULL ? b->port : 0);
	c->conf.url = c->url;
	c->conf.answer_seconds = 1;
	c->base = event_base_new();
	c->db = db_new(c->base, &c->conf, on_state, c);
	assert_non_null(c->db);
}

static void
client_stop(struct client *c)
{
	db_free(c->db);
	event_base_free(c->base);
}

/* Turns the loop until *n is at least `least`. */
static void
run_until(struct client *c, const int *n, int least)
{
	const struct timeval piece = { 0, 20000 };

	for (int i = 0; i < LIMIT_S * 50 && *n < least; i++) {
		event_base_loopexit(c->base, &piece);
		event_base_dispatch(c->base);
	}
	assert_true(*n >= least);
}

static void
ask(struct client *c, bool is_now, const char *sql)
{
	int rc = (is_now ? db_query_now : db_query)(
	    c->db, sql, 0, NULL, on_result, c);

	assert_int_equal(rc, 0);
}

static void
ask_prepared(struct client *c, const char *sql)
{
	assert_int_equal(
	    db_query_prepared(c->db, sql, 0, NULL, on_result, c), 0);
}

/* Prepared once on a connection, and again on the next one. */
static void
test_prepared_once(void **state)
{
	static const char one[] = "SELECT 1", two[] = "SELECT 2";
	struct server a;
	struct client c;

	for (int round = 0; round < 2; round++) {
		server_start(&a, WELL);
		client_start(&c, &a, NULL);
		run_until(&c, &c.n_came, 1);
		for (int i = 0; i < 5; i++)
			ask_prepared(&c, i < 3 ? one : two);
		ask(&c, true, "SELECT 3");
		run_until(&c, &c.n_answers, 6);
		assert_int_equal(c.n_lost + c.n_errors, 0);
		assert_int_equal(a.n_prepared, 2);
		assert_int_equal(a.n_by_name, 5);
		client_stop(&c);
		server_stop(&a);
	}
}

/* More than a connection keeps are sent with their text. */
static void
test_prepared_at_most(void **state)
{
	/* the same text behind fewer and fewer spaces */
	static const char many[] = "                    SELECT 1";
	struct server a;
	struct client c;

	server_start(&a, WELL);
	client_start(&c, &a, NULL);
	run_until(&c, &c.n_came, 1);
	for (int i = 0; i < 40; i++)
		ask_prepared(&c, many + i % 20);
	run_until(&c, &c.n_answers, 40);
	assert_int_equal(c.n_lost + c.n_errors, 0);
	assert_int_equal(a.n_prepared, 8);
	assert_int_equal(a.n_by_name, 16);
	client_stop(&c);
	server_stop(&a);
}

/* The caller does not notice when a statement cannot be prepared, or when the
 * server has forgotten it. */
static void
test_prepared_in_vain(void **state)
{
	static const char one[] = "SELECT 1";
	const enum mode wrong[] = { FORGETFUL, UNWILLING };

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		struct server a;
		struct client c;

		server_start(&a, wrong[i]);
		client_start(&c, &a, NULL);
		run_until(&c, &c.n_came, 1);
		ask_prepared(&c, one);
		ask_prepared(&c, one);
		run_until(&c, &c.n_answers, 2);
		assert_int_equal(c.n_lost + c.n_errors, 0);
		assert_int_equal(a.n_prepared, 1);
		assert_int_equal(a.n_by_name, wrong[i] == FORGETFUL);
		client_stop(&c);
		server_stop(&a);
	}
}

/* Whatever is wrong with the first host, the second has its turn. */
static void
test_the_next_attempt_begins_one_host_further(void **state)
{
	const enum mode wrong[] = { SILENT, FULL };

	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		struct server a, b;
		struct client c;

		server_start(&a, wrong[i]);
		server_start(&b, WELL);
		client_start(&c, &a, &b);
		assert_string_equal(db_trouble(c.db), "cannot be reached");
		run_until(&c, &c.n_came, 1);
		assert_null(db_trouble(c.db));
		ask(&c, true, "SELECT 1");
		run_until(&c, &c.n_answers, 1);
		assert_int_equal(c.n_lost, 0);
		assert_int_equal(a.n_connections, 1);
		assert_int_equal(b.n_connections, 1);
		client_stop(&c);
		server_stop(&a);
		server_stop(&b);
	}
}

/* All are tried again and again, in turn, until one is well. */
static void
test_rounds_go_on(void **state)
{
	struct server a, b;
	struct client c;

	server_start(&a, FULL);
	server_start(&b, FULL);
	client_start(&c, &a, &b);
	while (a.n_connections < 3)
		event_base_loop(c.base, EVLOOP_ONCE);
	assert_true(b.n_connections >= 2);
	a.mode = WELL;
	run_until(&c, &c.n_came, 1);
	/* the third one of a may find it well already */
	assert_true(a.n_connections >= b.n_connections && a.n_connections >= 3);
	client_stop(&c);
	server_stop(&a);
	server_stop(&b);
}

/* A query that is not answered: the connection goes, those who were told
 * "now" hear it at once, the others wait for the next connection. */
static void
test_a_silent_server_is_given_up(void **state)
{
	struct server a;
	struct client c;

	server_start(&a, DEAF);
	client_start(&c, &a, NULL);
	run_until(&c, &c.n_came, 1);
	ask(&c, true, "SELECT 1");
	ask(&c, false, "SELECT 2");
	ask(&c, true, "SELECT 3");
	run_until(&c, &c.n_lost, 2);
	assert_int_equal(c.n_went, 1);
	assert_int_equal(c.n_answers, 2);
	assert_string_equal(db_trouble(c.db), "does not answer");
	assert_int_equal(db_query_now(c.db, "SELECT 4", 0, NULL, on_result, &c),
	    ERR_UNAVAILABLE);
	a.mode = WELL;
	run_until(&c, &c.n_answers, 3);
	assert_int_equal(c.n_lost, 2);
	client_stop(&c);
	server_stop(&a);
}

/* Nobody asks, and it is noticed all the same. */
static void
test_an_idle_connection_is_probed(void **state)
{
	struct server a;
	struct client c;

	server_start(&a, WELL);
	client_start(&c, &a, NULL);
	run_until(&c, &c.n_came, 1);
	for (int i = 0; i < LIMIT_S * 50 && a.n_queries < 4; i++)
		event_base_loop(c.base, EVLOOP_ONCE);
	assert_true(a.n_queries >= 4); /* its limits, and probes */
	assert_int_equal(c.n_went, 0);
	a.mode = DEAF; /* of connections to come */
	client_stop(&c);
	client_start(&c, &a, NULL);
	run_until(&c, &c.n_went, 1);
	client_stop(&c);
	server_stop(&a);
}

/* A server that may not write is left, after its answer was handed on. */
static void
test_a_read_only_server_is_left(void **state)
{
	struct server a, b;
	struct client c;

	server_start(&a, READ_ONLY);
	server_start(&b, WELL);
	client_start(&c, &a, &b);
	run_until(&c, &c.n_came, 1);
	ask(&c, true, "INSERT 1");
	run_until(&c, &c.n_errors, 1);
	assert_int_equal(c.n_lost, 0);
	run_until(&c, &c.n_came, 2);
	assert_int_equal(c.n_went, 1);
	assert_int_equal(b.n_connections, 1);
	client_stop(&c);
	server_stop(&a);
	server_stop(&b);
}

static void
test_a_free_answers_all(void **state)
{
	struct server a;
	struct client c;

	server_start(&a, DEAF);
	client_start(&c, &a, NULL);
	run_until(&c, &c.n_came, 1);
	ask(&c, false, "SELECT 1");
	ask(&c, true, "SELECT 2");
	client_stop(&c);
	assert_int_equal(c.n_lost, 2);
	server_stop(&a);
}

static void
test_what_is_not_utf8_is_replaced(void **state)
{
	const struct {
		const char *in, *out;
	} cases[] = { { "", "" }, { "plain", "plain" },
		{ "\xc3\xa4", "\xc3\xa4" },
		{ "a\xff"
		  "b",
		    "a?b" },
		{ "\xc3", "?" }, { "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xe2\x82", "??" }, { "\xc0\xaf", "??" },
		{ "\xed\xa0\x80", "???" }, { "\xe0\x80\x80", "???" },
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xf4\x90\x80\x80", "????" },
		{ "\xf5\x80\x80\x80", "????" } };

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		const char *params[] = { cases[i].in, NULL, cases[i].in };
		struct db_query *q = db_query_new("x", 3, params, NULL, NULL);

		assert_string_equal(q->params[0], cases[i].out);
		assert_null(q->params[1]);
		assert_string_equal(q->params[2], cases[i].out);
		db_query_free(q);
	}
}

static void
test_reasons_for_people(void **state)
{
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_FATAL_ERROR);

	assert_string_equal(db_why(NULL), "does not answer");
	assert_string_equal(db_why(res), "refused it");
	PQclear(res);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_attempt_begins_one_host_further),
		cmocka_unit_test(test_rounds_go_on),
		cmocka_unit_test(test_a_silent_server_is_given_up),
		cmocka_unit_test(test_an_idle_connection_is_probed),
		cmocka_unit_test(test_a_read_only_server_is_left),
		cmocka_unit_test(test_a_free_answers_all),
		cmocka_unit_test(test_what_is_not_utf8_is_replaced),
		cmocka_unit_test(test_reasons_for_people),
		cmocka_unit_test(test_prepared_once),
		cmocka_unit_test(test_prepared_at_most),
		cmocka_unit_test(test_prepared_in_vain),
	};

	evthread_use_pthreads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
