/*
 * Our two sides talk to each other: what the relay says to viewers is what
 * it understands from endpoints. TLS is taken as done when both ask for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/handshake_play.h"

static struct play technician, endpoint; /* the client; the server */

static const struct rfb_pixel_format format = {
	.bits_per_pixel = 32,
	.depth = 24,
	.true_colour = true,
	.red_max = 255,
	.green_max = 255,
	.blue_max = 255,
	.red_shift = 16,
	.green_shift = 8,
};

/* Hands at most n bytes of one side's output to the other. */
static void
carry(struct play *to, struct buf *from, size_t n)
{
	n = min_size(n, buf_len(from));
	do
		buf_consume(from, play_once(to, buf_head(from), n));
	while (to->rc > 0 && (n = min_size(n, buf_len(from))) > 0);
}

static void
start_tls(void)
{
	if (!technician.wants_tls || !endpoint.wants_tls)
		return;
	technician.wants_tls = endpoint.wants_tls = false;
	rfb_handshake_server_tls_started(endpoint.server);
	assert_int_equal(
	    rfb_handshake_client_tls_started(technician.client), 0);
}

/* Until nobody has anything to say. */
static void
talk(void)
{
	bool has_init = false;

	while (technician.rc >= 0 && endpoint.rc >= 0) {
		size_t before = buf_len(&endpoint.out);

		if (strchr(endpoint.events, 'R') != NULL && !has_init) {
			has_init = true;
			assert_int_equal(rfb_server_init_write(&endpoint.out,
					     1920, 1200, &format, "desk", 4),
			    0);
		}
		carry(&technician, &endpoint.out, SIZE_MAX);
		start_tls();
		before += buf_len(&technician.out);
		carry(&endpoint, &technician.out, SIZE_MAX);
		start_tls();
		if (before == 0 && buf_len(&endpoint.out) == 0)
			break;
	}
}

static void
start(const char *user, const char *password, const char *reject)
{
	play_client_start(&technician,
	    &(struct rfb_client_params){ .user = user, .password = password });
	play_server_start(&endpoint, false, reject);
}

static void
end(void)
{
	play_end(&technician);
	play_end(&endpoint);
}

static void
test_through(void **state)
{
	const struct rfb_server_init *init;

	start("alice@endpoint7", "geheim", NULL);
	talk();
	assert_string_equal(technician.events, "TR");
	assert_string_equal(endpoint.events, "TCR");
	assert_string_equal(endpoint.user, "alice@endpoint7");
	assert_string_equal(endpoint.password, "geheim");
	assert_true(rfb_handshake_server_is_shared(endpoint.server));
	init = rfb_handshake_client_init(technician.client);
	assert_int_equal(init->width, 1920);
	assert_int_equal(init->height, 1200);
	assert_true(rfb_pixel_format_equal(&init->pf, &format));
	assert_string_equal(init->name, "desk");
	assert_string_equal(rfb_handshake_client_chosen(technician.client),
	    "VeNCrypt X509Plain");
	end();
}

static void
test_rejected(void **state)
{
	start("alice@endpoint7", "geheim",
	    "endpoint7 runs agent 1.2; 1.4 is needed");
	talk();
	assert_int_equal(technician.rc, ERR_DENIED);
	assert_string_equal(rfb_handshake_client_why(technician.client),
	    "the endpoint refused the stored password: endpoint7 runs agent "
	    "1.2; 1.4 is needed");
	assert_string_equal(technician.events, "T");
	assert_string_equal(endpoint.events, "TC");
	end();
}

/* The ways in that do not encrypt, where the endpoint may be one of them. */
static void
check_clear(enum play_mode mode, const char *password, const char *reject,
    const char *events, const char *why)
{
	play_client_start(&technician,
	    &(struct rfb_client_params){
		.password = password, .allow_clear = true });
	play_server_start_as(&endpoint, mode, reject);
	talk();
	assert_string_equal(endpoint.events, events);
	if (why == NULL) {
		assert_string_equal(technician.events, "R");
	} else {
		assert_int_equal(technician.rc, ERR_DENIED);
		assert_string_equal(
		    rfb_handshake_client_why(technician.client), why);
	}
	end();
}

static void
test_clear_ways(void **state)
{
	check_clear(PLAY_AUTHENTICATED, NULL, NULL, "AR", NULL);
	check_clear(PLAY_AUTHENTICATED, NULL, "declined", "A",
	    "the endpoint refused the connection: declined");
	check_clear(PLAY_VNC_AUTH, PLAY_PASSWORD, NULL, "CR", NULL);
	check_clear(PLAY_VNC_AUTH, "geheim13", NULL, "CD",
	    "the endpoint refused the stored password: wrong");
	check_clear(PLAY_VNC_AUTH, PLAY_PASSWORD, "expired", "C",
	    "the endpoint refused the stored password: expired");
}

static void
test_no_credentials(void **state)
{
	start(NULL, NULL, NULL);
	talk();
	assert_int_equal(technician.rc, ERR_DENIED);
	assert_string_equal(endpoint.events, "");
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_through),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_clear_ways),
		cmocka_unit_test(test_no_credentials),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
