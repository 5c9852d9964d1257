/* Connections of each kind, from a scripted peer, until the listeners hand
 * them over: what is given, and who frees what. T1, T4. */
#include "tests/unit/conn_rig.h"

#define TICKET                                                                 \
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* ---- scripts ---- */

static void
viewer(struct peer *p)
{
	dial(p, LISTEN_VNC);
}

/* Its first byte is no TLS, and stays for who takes it. */
static void
vnc_auth(struct peer *p)
{
	dial(p, LISTEN_VNC_AUTH);
	say(p, "R", 1);
}

static void
vnc_auth_in_tls(struct peer *p)
{
	dial(p, LISTEN_VNC_AUTH);
	start_tls(p, NULL);
}

static void
ask_websocket(struct peer *p, const char *path)
{
	char request[300], got_answer[300];
	ssize_t n;

	dial(p, LISTEN_WEB);
	start_tls(p, "http/1.1");
	snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: relay\r\nOrigin: https://relay\r\n"
	    "Upgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	    path);
	for (size_t i = 0; request[i] != '\0'; i++) {
		assert_int_equal(got.n, 0);
		say(p, request + i, 1);
	}
	n = hear(p, got_answer, sizeof(got_answer) - 1);
	assert_true(n > 12);
	assert_memory_equal(got_answer, "HTTP/1.1 101", 12);
}

static void
page(struct peer *p)
{
	ask_websocket(p, "/session");
}

static void
novnc(struct peer *p)
{
	ask_websocket(p, "/websockify");
}

static void
agent(struct peer *p)
{
	dial(p, LISTEN_WEB);
	start_tls(p, AGENT_ALPN_CONTROL);
	assert_int_equal(got.n, 0);
	say(p, "hello", 5);
}

static void
agent_data(struct peer *p)
{
	struct agent_msg m = { .type = AGENT_TICKET };
	struct buf out;

	buf_init(&out, AGENT_FRAME_MAX);
	strcpy(m.ticket.ticket, TICKET);
	assert_int_equal(agent_proto_encode(&out, &m), 0);
	dial(p, LISTEN_WEB);
	start_tls(p, AGENT_ALPN_DATA);
	for (size_t i = 0; i < buf_len(&out); i++) {
		assert_int_equal(got.n, 0);
		say(p, buf_head(&out) + i, 1);
	}
	buf_release(&out);
}

/* Up to the database's first answer: how often that address failed. */
static void
say_repeater_id(struct peer *p)
{
	char id[250] = "ID:desk1";

	dial(p, LISTEN_REVERSE);
	say(p, id, sizeof(id));
	assert_int_equal(got.n, 0);
}

static void
reverse(struct peer *p)
{
	say_repeater_id(p);
	answer("0");
	answer("1");
}

static const struct script {
	void (*run)(struct peer *p);
	enum given what;
	enum listen_kind kind;
	bool is_page, has_pin;
	const char *in, *ticket, *endpoint;
	const char *unread; /* waits in the socket */
} scripts[] = {
	{ viewer, VIEWER, LISTEN_VNC, .in = "" },
	{ vnc_auth, VIEWER, LISTEN_VNC_AUTH, .in = "", .unread = "R" },
	{ vnc_auth_in_tls, VIEWER, LISTEN_VNC_AUTH, .in = "" },
	{ page, WEBSOCKET, LISTEN_WEB, .is_page = true, .in = "" },
	{ novnc, WEBSOCKET, LISTEN_WEB, .in = "" },
	{ agent, AGENT, LISTEN_WEB, .has_pin = true, .in = "hello" },
	{ agent_data, AGENT_DATA, LISTEN_WEB, .has_pin = true, .in = "",
	    .ticket = TICKET },
	{ reverse, REVERSE, LISTEN_REVERSE, .in = "", .endpoint = "1" },
};

static unsigned
n_slots(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < POOL_N; i++)
		n += connection_limit_count(relay.connections, i);
	return n;
}

/* The listeners hold nothing of any connection. */
static void
check_freed(void)
{
	assert_true(TAILQ_EMPTY(&loop.conns));
	assert_int_equal(loop.n_refs, 0);
	assert_int_equal(atomic_load(&relay.stats.active), 0);
}

static void
check_given(const struct script *s)
{
	static const uint8_t none[32];

	assert_int_equal(got.n, 1);
	assert_int_equal(got.what, s->what);
	assert_int_equal(got.peer.listen_addr->kind, s->kind);
	assert_int_equal(got.peer.listen_addr->port, 5900);
	assert_string_equal(got.peer.client_addr, "127.0.0.1");
	assert_false(got.peer.is_check);
	assert_int_equal(got.peer.has_pin, s->has_pin);
	assert_int_equal(
	    memcmp(got.peer.pin, none, sizeof(none)) != 0, s->has_pin);
	assert_int_equal(got.is_page, s->is_page);
	assert_string_equal(got.in, s->in);
	assert_string_equal(got.ticket, s->ticket != NULL ? s->ticket : "");
	assert_string_equal(
	    got.endpoint, s->endpoint != NULL ? s->endpoint : "");
}

/* ---- tests ---- */

static int
begin(void **state)
{
	memset(&got, 0, sizeof(got));
	got.channel.transport.fd = -1;
	return 0;
}

static int
end(void **state)
{
	channel_release(&got.channel);
	connection_limit_leave(relay.connections, &got.slot);
	check_freed();
	assert_int_equal(n_slots(), 0);
	assert_null(db.cb);
	return 0;
}

/* Bytes pass both ways through what was given, and nothing stays behind. */
static void
test_taken(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		const struct script *s = &scripts[i];
		char data[16] = "";
		struct peer p;
		ssize_t n;

		begin(state);
		got.takes = true;
		s->run(&p);
		check_given(s);
		check_freed();
		assert_int_equal(n_slots(), 1);
		say(&p, "ping", 4);
		n = receive(data, sizeof(data));
		if (s->unread != NULL) {
			assert_memory_equal(data, s->unread, strlen(s->unread));
			n -= (ssize_t)strlen(s->unread);
		}
		assert_int_equal(n, 4);
		assert_int_equal(
		    channel_send(&got.channel, (const uint8_t *)"pong", 4), 4);
		assert_int_equal(channel_flush(&got.channel), 0);
		assert_int_equal(hear(&p, data, 4), 4);
		assert_memory_equal(data, "pong", 4);
		channel_release(&got.channel);
		hang_up(&p);
		end(state);
	}
}

/* What nobody takes is closed. */
static void
test_left(void **state)
{
	for (size_t i = 0; i < N_ELEMENTS(scripts); i++) {
		char data[16];
		struct peer p;

		begin(state);
		scripts[i].run(&p);
		check_given(&scripts[i]);
		check_freed();
		assert_int_equal(n_slots(), 0);
		assert_int_equal(hear(&p, data, sizeof(data)), 0);
		hang_up(&p);
		end(state);
	}
}

/* The slot's new owner is evicted, and no conn that is gone. */
static void
test_eviction_after_handover(void **state)
{
	struct peer p;

	got.takes = true;
	novnc(&p);
	connection_limit_expire(
	    relay.connections, clock_mono_ns() + 3600 * NS_PER_S);
	connection_limit_run_evictions(relay.connections, &loop.home);
	assert_int_equal(got.n_evicted, 1);
	hang_up(&p);
}

/* It leaves while the database is asked: the late answer gives nothing. */
static void
test_peer_leaves_before_the_answer(void **state)
{
	for (unsigned n_answers = 0; n_answers < 2; n_answers++) {
		struct conn *c;
		struct peer p;

		say_repeater_id(&p);
		if (n_answers > 0)
			answer("0");
		c = TAILQ_FIRST(&loop.conns);
		assert_non_null(c);
		conn_close(c, "the test");
		check_freed();
		answer("1");
		assert_int_equal(got.n, 0);
		hang_up(&p);
	}
}

/* No endpoint has this ID: closed, counted, noted. */
static void
test_unknown_repeater_id(void **state)
{
	uint64_t before = atomic_load(&relay.stats.login_failures);
	struct reject_entry entry;
	struct peer p;
	char data[4];

	say_repeater_id(&p);
	answer("0");
	answer(NULL);
	assert_int_equal(got.n, 0);
	assert_int_equal(atomic_load(&relay.stats.login_failures), before + 1);
	assert_true(reject_log_take(
	    &relay.rejects, REJECT_REVERSE, clock_mono_ns(), &entry));
	assert_string_equal(entry.object, "desk1");
	assert_int_equal(hear(&p, data, sizeof(data)), 0);
	hang_up(&p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_taken),
		TEST(test_left),
		TEST(test_eviction_after_handover),
		TEST(test_peer_leaves_before_the_answer),
		TEST(test_unknown_repeater_id),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
